"""Rebuild the embeddings of every catalogue text that the package ships.

    python tools/embed_catalogue.py [--encoder-folder FOLDER]

Needs the text encoder (see ``longdance.features.text.load_encoder``); takes some seconds on a CPU. Run it
after any change of a text in ``src/longdance/assets/catalogue``.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import longdance
from longdance.data.catalogue import catalogue_texts
from longdance.features.text import MINILM, SHIPPED_FILE, load_encoder, text_key


def main() -> None:
    """Encode the catalogue's texts and write the asset file in place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder-folder", type=Path, default=None, help="folder with the encoder's files")
    arguments = parser.parse_args()

    encoder = load_encoder(MINILM, folder=arguments.encoder_folder, download=False)
    texts = list(catalogue_texts())
    keys = np.frombuffer(b"".join(text_key(text, MINILM) for text in texts), np.uint8).reshape(-1, 32)
    embeddings = encoder.encode(texts).astype(np.float16)

    target = Path(longdance.__file__).parent / "assets" / SHIPPED_FILE
    partial = target.with_suffix(".partial")
    save_file({f"{MINILM}.keys": keys.copy(), f"{MINILM}.embeddings": embeddings}, partial)
    os.replace(partial, target)
    print(f"{len(texts)} texts, {target.stat().st_size} bytes: {target}")


if __name__ == "__main__":
    main()
