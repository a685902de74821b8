"""Embeddings made beforehand for every description in the catalogue, so that installations need no encoder."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float

from longdance.errors import InputError

MINILM = "all-MiniLM-L6-v2"
"""Name of the default encoder, as written into checkpoints."""
SHIPPED_FILE = "text_embeddings.safetensors"


@dataclass(frozen=True, eq=False)
class ShippedEmbeddings:
    """Embeddings made beforehand, found by encoder and text.

    In the file each encoder has two tensors: ``<encoder>.keys (texts, 32)`` uint8, the digests of
    ``text_key``, and ``<encoder>.embeddings (texts, dim)`` float16.
    """

    encoder_name: str
    rows: Mapping[bytes, int]
    """Digest to row."""
    embeddings: Float[np.ndarray, "text_tokens features"]

    @classmethod
    def load(cls, encoder_name: str = MINILM, *, path: str | Path | None = None) -> "ShippedEmbeddings":
        """Those of one encoder, from ``path`` or the package; an empty table where there are none.

        ``InputError`` naming the file where it is damaged or its tensors are not as described.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        source = files("longdance") / "assets" / SHIPPED_FILE if path is None else Path(path)
        try:
            tensors = load(source.read_bytes()) if source.is_file() else {}
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{source}: expected a safetensors file, got {error}; try tools/embed_catalogue.py"
            ) from error
        keys = tensors.get(f"{encoder_name}.keys", np.zeros((0, 32), np.uint8))
        embeddings = tensors.get(f"{encoder_name}.embeddings", np.zeros((0, 0), np.float16))
        fitting = (
            (keys.dtype, embeddings.dtype) == (np.uint8, np.float16)
            and keys.ndim == embeddings.ndim == 2
            and keys.shape == (len(embeddings), 32)
            and np.isfinite(embeddings).all()
        )
        if not fitting:
            raise InputError(
                f"{source}: expected {encoder_name}.keys (texts, 32) uint8 and {encoder_name}.embeddings (texts, "
                f"width) float16 of finite numbers, got {keys.dtype} {keys.shape} and {embeddings.dtype} "
                f"{embeddings.shape}; try tools/embed_catalogue.py"
            )
        return cls(encoder_name, {key.tobytes(): row for row, key in enumerate(keys)}, embeddings)

    @property
    def dim(self) -> int:
        """Width of an embedding, 0 for an empty table."""
        return self.embeddings.shape[1]

    def find(self, text: str) -> Float[np.ndarray, " features"] | None:
        """The text's embedding ``(dim,)`` float32, or None."""
        row = self.rows.get(text_key(text, self.encoder_name))
        return None if row is None else self.embeddings[row].astype(np.float32)


@lru_cache(maxsize=4)
def shipped(encoder_name: str = MINILM) -> ShippedEmbeddings:
    """Those of an encoder, read once."""
    return ShippedEmbeddings.load(encoder_name)


def text_key(text: str, encoder_name: str) -> bytes:
    """Digest (32 bytes) under which a text's embedding by an encoder is stored; spacing does not matter."""
    return hashlib.sha256(f"{encoder_name}\n{one_line(text)}".encode()).digest()


def one_line(text: str) -> str:
    """A text without line breaks and repeated spaces."""
    # A command line may hand over bytes that are no UTF-8 as lone surrogates, which nothing else can encode.
    return " ".join(text.encode(errors="replace").decode().split())
