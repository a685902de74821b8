"""Genre recognition on three made-up genres that differ in what moves, not in how they are placed."""

import numpy as np
import pytest

from longdance.errors import InputError
from longdance.metrics import GenreClassifier
from longdance.metrics.genre import genre_features, mirrored, windows_of
from longdance.motion.skeleton import SMPL24

FPS = 30.0


def dance(genre, seed, seconds=4.0):
    """One window of a made-up genre with its own tempo, size, noise and starting point."""
    rng = np.random.default_rng([seed, sum(genre.encode())])
    times = np.arange(round(seconds * FPS)) / FPS
    joints = np.repeat(SMPL24.rest_positions[None], len(times), axis=0)
    joints += rng.normal(scale=0.002, size=joints.shape) + rng.uniform(-2, 2, size=3) * [1, 0, 1]
    wave = np.sin(2 * np.pi * (rng.uniform(0.8, 1.4) * times + rng.uniform())) * rng.uniform(0.1, 0.2)
    if genre == "hop":
        joints[..., 1] += np.abs(wave)[:, None]
    elif genre == "sway":
        joints[:, :, 0] += wave[:, None] * joints[0, :, 1] / 1.7
    else:
        arm = [SMPL24.index(f"left_{name}") for name in ("elbow", "wrist", "hand")]
        joints[:, arm, 1] += wave[:, None]
    return joints


def corpus(seeds, genres=("hop", "sway", "wave")):
    labels = [genre for genre in genres for _ in seeds]
    return [dance(genre, seed) for genre in genres for seed in seeds], labels


@pytest.fixture(scope="module")
def classifier():
    return GenreClassifier.fit(*corpus(range(12)), FPS)


def test_unseen_windows_are_recognised(classifier):
    windows, labels = corpus(range(100, 110))
    assert classifier.predict(windows, FPS) == labels


def test_probabilities_sum_to_one_in_the_order_of_the_genres(classifier):
    windows, labels = corpus(range(100, 103))
    probabilities = classifier.predict_proba(windows, FPS)
    assert probabilities.shape == (9, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert [classifier.genres[i] for i in probabilities.argmax(axis=1)] == labels
    assert classifier.predict_proba([], FPS).shape == (0, 3)


def test_mirror_place_and_direction_do_not_matter(classifier, turned):
    window = dance("wave", 100)
    expected = classifier.predict_proba([window], FPS)
    other = turned(mirrored(window)) + np.array([5.0, 0.0, 1.0])
    np.testing.assert_allclose(classifier.predict_proba([other], FPS), expected, atol=1e-5)


def test_jitter_does_not_change_the_genre(classifier):
    rng = np.random.default_rng(8)
    windows, labels = corpus(range(100, 110))
    jittered = [window + rng.normal(scale=0.004, size=window.shape) for window in windows]
    agreement = np.mean([a == b for a, b in zip(classifier.predict(jittered, FPS), labels, strict=True)])
    assert agreement > 0.9


def test_rare_genres_count_as_much_as_common_ones():
    windows, labels = corpus(range(30), ("hop", "sway"))
    windows, labels = [*windows, dance("wave", 0), dance("wave", 1)], [*labels, "wave", "wave"]
    classifier = GenreClassifier.fit(windows, labels, FPS)
    unseen = [dance("wave", seed) for seed in range(100, 110)]
    assert np.mean([genre == "wave" for genre in classifier.predict(unseen, FPS)]) > 0.8


def test_fit_is_deterministic_and_indifferent_to_order(classifier):
    windows, labels = corpus(range(12))
    again = GenreClassifier.fit(windows, labels, FPS)
    np.testing.assert_array_equal(again.weights, classifier.weights)
    turned_round = GenreClassifier.fit(windows[::-1], labels[::-1], FPS)
    np.testing.assert_allclose(turned_round.weights, classifier.weights, atol=1e-2)


def test_whole_dance_is_the_mean_of_its_windows(classifier):
    long = dance("sway", 100, seconds=12.0)
    probabilities = classifier.predict_dance(long, FPS, seconds=4)
    assert tuple(probabilities) == classifier.genres
    assert max(probabilities, key=probabilities.get) == "sway"
    assert sum(probabilities.values()) == pytest.approx(1)


def test_windows_cover_a_dance():
    joints = dance("hop", 0, seconds=10.0)
    parts = windows_of(joints, FPS, seconds=4, hop=2)
    assert [len(part) for part in parts] == [120] * 4
    np.testing.assert_array_equal(parts[3], joints[180:300])
    assert [len(part) for part in windows_of(joints[:50], FPS)] == [50]


def test_features_see_22_joints_too():
    assert np.isfinite(genre_features(dance("hop", 0)[:, :22], FPS)).all()


def test_one_genre_is_not_enough():
    with pytest.raises(InputError, match="two genres"):
        GenreClassifier.fit(*corpus(range(2), ("hop",)), FPS)
