"""Embeddings of texts: those shipped, those in the user's cache, and those that an encoder has to make."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from longdance.errors import InputError
from longdance.features.text_encoders import ENCODER_WIDTHS, TextEncoder, encoder_folder, load_encoder
from longdance.features.text_table import MINILM, one_line, shipped, text_key
from longdance.files import atomic_write, user_cache_folder

# No embedding is wider; a larger file in the cache is not ours.
_CACHED_BYTES = 1 << 16

_log = logging.getLogger(__name__)


def encode_texts(
    texts: Sequence[str],
    encoder_name: str = MINILM,
    *,
    encoder: TextEncoder | None = None,
    folder: str | Path | None = None,
    cache_folder: str | Path | None = None,
    download: bool = True,
) -> Float[np.ndarray, "text_tokens features"]:
    """Embeddings ``(len(texts), dim)`` float32 of texts, loading an encoder only if the package lacks some.

    Looked up in this order: shipped embeddings; files in ``cache_folder`` (the user's cache if None), to
    which new ones are added; ``encoder``, if given; an encoder loaded by ``load_encoder`` (from ``folder``, ...).
    With an ``encoder`` of the caller's, only a ``cache_folder`` of the caller's is used. Raises ``InputError`` where
    a text remains and no encoder can be had, where ``encoder`` is not the one named, and where an encoder gives
    anything but one finite row a text. No texts give no rows, of width 0 where nothing tells the width.
    """
    if encoder is not None and encoder.name != encoder_name:
        raise InputError(f"expected text encoder {encoder_name!r}, got {encoder.name!r}; try loading that one")
    table = shipped(encoder_name)
    width = table.dim or (encoder.dim if encoder is not None else ENCODER_WIDTHS.get(encoder_name, 0))
    texts = [one_line(text) for text in texts]
    found = {text: row for text in dict.fromkeys(texts) if (row := table.find(text)) is not None}
    missing = [text for text in dict.fromkeys(texts) if text not in found]
    paths: dict[str, Path] = {}
    if missing:
        paths = _cache_paths(missing, encoder_name, encoder, folder, cache_folder)
        found |= {text: row for text, path in paths.items() if (row := _read_cached(path, width)) is not None}
        missing = [text for text in missing if text not in found]
    if missing:
        if encoder is None:
            try:
                encoder = load_encoder(encoder_name, folder=folder, download=download)
            except InputError as error:
                raise InputError(
                    f"expected names from the catalogue, which need no encoder, got {missing[0]!r}: {error}"
                ) from error
        rows = encoder.encode(missing)
        if rows.shape != (len(missing), encoder.dim) or not np.isfinite(rows).all():
            raise InputError(
                f"expected {encoder_name!r} to give {len(missing)} rows of {encoder.dim} finite numbers, got shape "
                f"{rows.shape}; try an unchanged copy of the encoder"
            )
        for text, row in zip(missing, rows.astype(np.float32), strict=True):
            found[text] = row
            if text in paths:
                _write_cached(paths[text], row)
    if not texts:
        return np.zeros((0, width), np.float32)
    if len({len(row) for row in found.values()}) > 1:
        raise InputError(
            f"expected text encoder {encoder_name!r} with embeddings of {width} numbers, got another width; "
            "try an unchanged copy of the encoder"
        )
    return np.stack([found[text] for text in texts])


def _cache_paths(
    texts: Sequence[str],
    encoder_name: str,
    encoder: TextEncoder | None,
    folder: str | Path | None,
    cache_folder: str | Path | None,
) -> dict[str, Path]:
    """Where each text's embedding is cached; nowhere if the caller brought an encoder and no folder for it."""
    if encoder is not None and cache_folder is None:
        return {}
    chosen = encoder_folder(folder)
    identity = encoder_name
    if encoder is None and chosen is not None:
        # A folder may hold anything under a known name: other weights must not find these embeddings.
        try:
            weights = (Path(chosen) / "model.safetensors").stat()
        except OSError:
            return {}
        identity = f"{encoder_name}\n{weights.st_size}\n{weights.st_mtime_ns}"
    target = Path(cache_folder) if cache_folder is not None else user_cache_folder("text")
    return {text: target / f"{text_key(text, identity).hex()}.safetensors" for text in texts}


def _read_cached(path: Path, width: int) -> np.ndarray | None:
    """A cached embedding; a file that is not one finite row of this width counts as absent and is written anew."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        if path.stat().st_size > _CACHED_BYTES:
            return None
        row = load(path.read_bytes())["embedding"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    fitting = row.dtype == np.float32 and row.ndim == 1 and 0 < row.size == (width or row.size)
    return row if fitting and np.isfinite(row).all() else None


def _write_cached(path: Path, row: np.ndarray) -> None:
    """Keep an embedding; a cache that cannot be written is no reason to stop."""
    from safetensors.numpy import save

    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(save({"embedding": np.ascontiguousarray(row)}))
    except OSError as error:
        _log.info("text embedding not cached: %s", error)
