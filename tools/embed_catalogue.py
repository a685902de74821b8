"""Bring the embeddings that the package ships up to date with the catalogue's texts.

    python tools/embed_catalogue.py [--encoder-folder FOLDER] [--afresh]

Needs the text encoder (see ``longdance.features.text_encoders.load_encoder``) if a text is new; takes some seconds on a
CPU. Run it after any change of a text in ``src/longdance/assets/catalogue``. Embeddings of texts that stayed are
kept byte for byte, because shipped weights were trained on them; ``--afresh`` computes all.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import longdance
from longdance.data.catalogue import catalogue_texts
from longdance.features.text_encoders import load_encoder
from longdance.features.text_table import MINILM, SHIPPED_FILE, ShippedEmbeddings, text_key
from longdance.files import atomic_write


def main() -> None:
    """Encode the catalogue's texts and write the asset file in place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder-folder", type=Path, default=None, help="folder with the encoder's files")
    parser.add_argument("--afresh", action="store_true", help="compute every embedding, not only missing ones")
    arguments = parser.parse_args()

    texts = list(catalogue_texts())
    digests = [text_key(text, MINILM) for text in texts]
    shipped = ShippedEmbeddings.load(MINILM)
    known = {} if arguments.afresh else {digest: shipped.embeddings[row] for digest, row in shipped.rows.items()}
    missing = [text for text, digest in zip(texts, digests, strict=True) if digest not in known]
    if missing:
        encoder = load_encoder(MINILM, folder=arguments.encoder_folder, download=False)
        rows = encoder.encode(missing).astype(np.float16)
        known |= {text_key(text, MINILM): row for text, row in zip(missing, rows, strict=True)}

    target = Path(longdance.__file__).parent / "assets" / SHIPPED_FILE
    keys = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32).copy()
    embeddings = np.stack([known[digest] for digest in digests])
    with atomic_write(target) as partial:
        save_file({f"{MINILM}.keys": keys, f"{MINILM}.embeddings": embeddings}, partial)
    print(f"{len(texts)} texts, {len(missing)} of them new, {target.stat().st_size} bytes: {target}")


if __name__ == "__main__":
    main()
