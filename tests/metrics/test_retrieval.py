import numpy as np
import pytest

from longdance.errors import InputError
from longdance.metrics.retrieval import RetrievalEvaluator, multimodal_distance, r_precision


def test_perfect_retrieval_and_chance():
    rng = np.random.default_rng(0)
    texts, own = rng.normal(size=(200, 8)), np.arange(200)
    assert r_precision(texts, texts, own, rng=rng) == 1.0
    unrelated = r_precision(rng.normal(size=(200, 8)), texts, own, top=8, pool=32, rng=rng)
    assert unrelated == pytest.approx(8 / 32, abs=0.1)


def test_a_motion_nearer_to_another_text_needs_a_larger_top():
    texts = np.array([[0.0], [1.0], [5.0]])
    motion = np.array([[0.9], [0.0], [1.0], [5.0]])  # the first lies nearer to the second text than to its own
    own = np.array([0, 0, 1, 2])
    rng = np.random.default_rng(0)
    assert r_precision(motion, texts, own, top=1, rng=rng) == 0.75
    assert r_precision(motion, texts, own, top=2, rng=rng) == 1.0
    with pytest.raises(InputError, match="at least one motion"):
        r_precision(motion[:0], texts, own[:0], rng=rng)


def test_multimodal_distance_by_hand():
    assert multimodal_distance(np.zeros((2, 2)), np.array([[3.0, 4.0], [0.0, 1.0]])) == 3.0


def moving(rng: np.random.Generator, joint: int, frequency: float) -> np.ndarray:
    """A figure of which one joint swings."""
    time = np.arange(60) / 30
    rest = np.random.default_rng(1).normal(0, 0.4, (24, 3)) + np.array([0.0, 1.0, 0.0])
    joints = np.tile(rest, (60, 1, 1)) + rng.normal(0, 0.002, (60, 24, 3))
    joints[:, joint, 1] += 0.3 * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6))
    return joints


def test_learnt_retrieval_finds_unseen_windows_of_seen_movements():
    rng = np.random.default_rng(0)
    kinds = {"wave": (20, 1.0), "kick": (7, 1.5), "nod": (15, 2.0), "bounce": (0, 1.0)}
    embeddings = dict(zip(kinds, np.eye(4, 16), strict=True))
    make = lambda count: [(name, moving(rng, *how)) for name, how in kinds.items() for _ in range(count)]  # noqa: E731
    train, held_out = make(6), make(3)
    fit = lambda: RetrievalEvaluator.fit(  # noqa: E731
        [w for _, w in train], np.stack([embeddings[n] for n, _ in train]), [n for n, _ in train], 30
    )
    evaluator = fit()
    names = [name for name, _ in held_out]
    motion = evaluator.embed_motion([w for _, w in held_out], 30)
    texts = evaluator.embed_text(np.stack(list(embeddings.values())))
    own = np.array([list(kinds).index(name) for name in names])
    text = texts[own]
    np.testing.assert_allclose(np.linalg.norm(motion, axis=1), 1, atol=1e-5)
    assert r_precision(motion, texts, own, top=1, rng=rng) > 0.9
    assert multimodal_distance(text, motion) < multimodal_distance(np.roll(text, 3, axis=0), motion)
    np.testing.assert_array_equal(motion, fit().embed_motion([w for _, w in held_out], 30))
