"""Does a dance show the movement that was asked for? Retrieval between movement descriptions and motion.

The evaluator is a measuring instrument, fitted on real clips alone whenever it is needed and not shipped: two small
networks bring window features and sentence embeddings into one space by contrastive learning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from longdance.errors import InputError
from longdance.metrics.genre import genre_features, mirrored

WIDTH = 64
"""Dimensions of the common space."""
HIDDEN = 128
STEPS = 400
TEMPERATURE = 0.1
NOISE = 0.3
"""Standard deviation of the noise on standardised motion features in training, against learning clips by heart."""


def r_precision(
    motion: Float[np.ndarray, "rows width"],
    texts: Float[np.ndarray, "texts width"],
    own: Int[np.ndarray, " rows"],
    *,
    top: int = 3,
    pool: int = 32,
    rng: np.random.Generator,
) -> float:
    """Share of motions whose own text is among the ``top`` nearest of ``pool`` texts, the others drawn by ``rng``.

    ``texts`` are all different; ``own`` is the index of each motion's. With fewer texts than ``pool`` all are the pool.

    Source: Guo et al., Generating diverse and natural 3D human motions from text (CVPR 2022), section 5.1: Euclidean
    distance, pools of 32. Differs: the pool holds no text twice.
    """
    if len(motion) != len(own) or not len(motion):
        raise InputError(f"expected one text per motion and at least one motion, got {len(own)} and {len(motion)}")
    hits = []
    for row, index in zip(motion, own, strict=True):
        others = rng.permutation(np.delete(np.arange(len(texts)), index))[: pool - 1]
        nearer = np.linalg.norm(texts[others] - row, axis=1) < np.linalg.norm(texts[index] - row)
        hits.append(nearer.sum() < top)
    return float(np.mean(hits))


def multimodal_distance(text: Float[np.ndarray, "rows width"], motion: Float[np.ndarray, "rows width"]) -> float:
    """Mean Euclidean distance between motions and their texts. Source: Guo et al. 2022, section 5.1."""
    return float(np.linalg.norm(text - motion, axis=1).mean())


@dataclass(frozen=True, eq=False)
class RetrievalEvaluator:
    """Windows of dance and embedded texts as unit vectors in one space; made by ``fit``.

    ``centre`` (features,) and ``spread`` (features,) standardise windows.
    """

    motion_network: nn.Module
    text_network: nn.Module
    centre: np.ndarray
    spread: np.ndarray

    @classmethod
    def fit(
        cls,
        windows: Sequence[np.ndarray],
        texts: Float[np.ndarray, "windows text_width"],
        names: Sequence[str],
        fps: float | int,
        *,
        seed: int = 0,
    ) -> "RetrievalEvaluator":
        """Learns from windows (frames, joints, 3) in metres, the embedding of each one's text, and the text's name.

        Windows with the same name attract the same text. Every window is used as it is and mirrored. Deterministic.
        Source: van den Oord et al. 2018 (InfoNCE), in both directions as in CLIP (Radford et al. 2021), over all
        windows at once, texts counting equally.
        """
        if not len(windows) == len(texts) == len(names) or len(set(names)) < 2:
            raise InputError(
                f"expected one text and name per window and two different texts at least, got {len(windows)} windows, "
                f"{len(texts)} texts, {len(set(names))} names"
            )
        rows = np.stack([genre_features(w, fps) for window in windows for w in (window, mirrored(window))])
        centre, spread = rows.mean(0), np.maximum(rows.std(0), 1e-6)
        different = sorted(set(names))
        label = torch.tensor([different.index(name) for name in names]).repeat_interleave(2)
        text = torch.from_numpy(np.stack([texts[list(names).index(name)] for name in different])).float()
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            motion_network, text_network = _tower(rows.shape[1]), _tower(text.shape[1])
        parameters = [*motion_network.parameters(), *text_network.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.1)
        standard = torch.from_numpy((rows - centre) / spread).float()
        share = 1 / torch.bincount(label).float()[label]
        for _ in range(STEPS):
            noisy = standard + NOISE * torch.randn(standard.shape, generator=generator)
            scores = _unit(motion_network(noisy)) @ _unit(text_network(text)).T / TEMPERATURE
            to_text = (share * nn.functional.cross_entropy(scores, label, reduction="none")).sum() / len(different)
            own = nn.functional.one_hot(label, len(different)).T * share
            to_motion = -(own * scores.T.log_softmax(1)).sum() / len(different)
            optimiser.zero_grad()
            (to_text + to_motion).backward()
            optimiser.step()
        return cls(motion_network.requires_grad_(False), text_network.requires_grad_(False), centre, spread)

    def embed_motion(self, windows: Sequence[np.ndarray], fps: float | int) -> Float[np.ndarray, "windows width"]:
        """Unit vectors of windows (frames, joints, 3) in metres."""
        rows = np.stack([genre_features(window, fps) for window in windows])
        return _unit(self.motion_network(torch.from_numpy((rows - self.centre) / self.spread).float())).numpy()

    def embed_text(self, texts: Float[np.ndarray, "rows text_width"]) -> Float[np.ndarray, "rows width"]:
        """Unit vectors of embedded texts, by the encoder whose embeddings ``fit`` was given."""
        return _unit(self.text_network(torch.from_numpy(texts).float())).numpy()


def _tower(inputs: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, WIDTH))


def _unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors, dim=-1)
