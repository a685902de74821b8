"""An encoder that any test can have: no weights, the same vector for the same text."""

import hashlib

import numpy as np

from longdance.features.text_table import MINILM

STRANGE = "a penguin that waddles proudly over ice"
"""Words that no catalogue has."""


class CountingEncoder:
    """Deterministic unit vectors made from a digest of the text; remembers what it was asked for."""

    name = MINILM
    dim = 384

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        rows = np.stack(
            [
                np.random.default_rng(list(hashlib.sha256(text.encode()).digest())).normal(size=self.dim)
                for text in texts
            ]
        )
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
