"""Sections are found where the sound changes for long, and nowhere else."""

from itertools import pairwise

import numpy as np
import pytest

from longdance.features.sections import find_sections, novelty
from longdance.features.song import Song

RATE = 22050


def part(seconds: float, chord: tuple[float, ...], brightness: int) -> np.ndarray:
    """A chord struck on every beat, with as many overtones as it is bright."""
    time = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * note * over * time) / over for note in chord for over in range(1, brightness + 1))
    return tones * np.exp(-4 * (time % 0.5))


def song(*parts: np.ndarray) -> Song:
    noise = np.random.default_rng(0).normal(0, 1e-3, sum(map(len, parts)))
    samples = (0.1 * np.concatenate(parts) + noise).astype(np.float32)
    seconds = len(samples) / RATE
    beats = np.arange(0.0, seconds, 0.5)
    return Song.from_samples(samples, RATE, beat_times=beats, downbeat_times=beats[::4])


C_MAJOR, F_SHARP = (261.6, 329.6, 392.0), (185.0, 233.1, 277.2)


def test_two_verses_around_a_chorus():
    verse, chorus = part(16, C_MAJOR, 2), part(16, F_SHARP, 12)
    sections = find_sections(song(verse, chorus, verse))
    assert [section.begin for section in sections] == pytest.approx([0, 16, 32], abs=1.0)
    assert [section.label for section in sections] == ["A", "B", "A"]
    assert sections[-1].end == pytest.approx(48)
    assert all(one.end == following.begin for one, following in pairwise(sections))


def test_a_rondo_comes_back_to_its_theme():
    theme, one, other = part(20, C_MAJOR, 2), part(20, F_SHARP, 12), part(20, (293.7, 440.0, 523.3), 6)
    sections = find_sections(song(theme, one, theme, other, theme))
    assert [section.label for section in sections] == ["A", "B", "A", "C", "A"]
    assert [section.begin for section in sections] == pytest.approx([0, 20, 40, 60, 80], abs=1.0)


@pytest.mark.parametrize("seconds", [0.4, 5.0, 40.0])
def test_what_stays_the_same_is_one_section(seconds):
    (section,) = find_sections(song(part(seconds, C_MAJOR, 4)))
    assert section == (0.0, pytest.approx(seconds, abs=1e-3), "A")


def test_silence_is_one_section():
    assert len(find_sections(song(np.zeros(30 * RATE)))) == 1


def test_novelty_is_the_checkerboard_on_the_matrix_of_similarities(rng):
    # The paper's own form: a matrix, and a kernel that slides along its diagonal.
    features = rng.normal(size=(90, 5))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    reach = 32
    offsets = np.arange(-reach, reach) + 0.5
    taper = np.exp(-0.5 * (offsets / (reach / 2)) ** 2)
    signed = np.sign(offsets) * taper / (taper.sum() / 2)
    kernel = np.outer(signed, signed)
    padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
    similarity = padded @ padded.T
    slid = [(kernel * similarity[at : at + 2 * reach, at : at + 2 * reach]).sum() for at in range(len(features))]
    np.testing.assert_allclose(novelty(features)[8:-8], np.array(slid)[8:-8], atol=1e-12)


def test_novelty_is_greatest_where_the_sound_turns_into_its_opposite():
    features = np.ones((100, 4)) / 2
    features[50:] *= -1
    found = novelty(features)
    assert found.argmax() == 50
    assert found.max() == pytest.approx(4, rel=1e-6)
