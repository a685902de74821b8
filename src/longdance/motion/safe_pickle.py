"""Pickles of arrays, read without running anything in them: the only place that unpickles."""

import os
import pickle
import struct
from pathlib import Path

import numpy as np
from numpy._core import multiarray

from longdance.errors import InputError

LARGEST_PICKLE = 2**31
"""Bytes."""

DAMAGED = (
    *(pickle.UnpicklingError, OSError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError),
    *(ValueError, OverflowError, MemoryError, RecursionError, struct.error, AssertionError),
)
"""What unpickling raises for damaged files."""


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """How pickles of arrays begin; their shape and content come after."""
    if kind is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError("an array of another kind")
    return np.ndarray(shape, np.dtype(code.decode("ascii")))


def _array_of_bytes(
    content: bytes | bytearray, dtype: np.dtype, shape: tuple[int, ...], order: str, axes: tuple[int, ...] | None = None
) -> np.ndarray:
    """How pickles of protocol 5 carry arrays; ``axes`` is the order of a transposed one's in memory."""
    numbers = np.frombuffer(content, dtype)
    if axes is not None:
        return numbers.reshape(shape).transpose(axes)
    return numbers.reshape(shape, order="F" if order == "F" else "C")


_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")  # numpy 1 and 2
        for module, name, function in (
            ("multiarray", "_reconstruct", _empty_array),
            ("multiarray", "scalar", multiarray.scalar),
            ("numeric", "_frombuffer", _array_of_bytes),
        )
    },
}


def _bytes_of_text(text: str, encoding: str) -> bytes:
    """How pickles of protocol 2 carry bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("text that does not stand for bytes")
    return text.encode("latin1")


class _ArrayUnpickler(pickle.Unpickler):
    """Reads numpy arrays and plain containers, and refuses everything that would run code."""

    def find_class(self, module: str, name: str):
        if (module, name) == ("_codecs", "encode"):
            return _bytes_of_text
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only arrays are read")
        return _ALLOWED[module, name]


def read_pickle(path: str | os.PathLike) -> object:
    """What a pickle of arrays and plain containers holds; nothing in it is executed.

    ``InputError`` for damaged files and for pickles that hold anything else.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_PICKLE:
            raise InputError(f"{path}: expected at most {LARGEST_PICKLE} bytes; try cutting the dance")
        with open(path, "rb") as file:
            return _ArrayUnpickler(file, encoding="latin1").load()
    except DAMAGED as error:
        raise InputError(
            f"{path}: expected a pickle of arrays, could not read it ({error}); try downloading it again"
        ) from error
