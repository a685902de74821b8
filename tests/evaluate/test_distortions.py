"""Known damage moves the measures that are made to see it, on made-up dances as in the benchmark on real ones."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import swaying
from longdance.evaluate.dances import of_motion
from longdance.evaluate.distortions import (
    AGAINST,
    DISTORTIONS,
    EXPECTED,
    bent,
    heeding,
    ignoring,
    moves_as,
    time_bent,
    to_another_song,
)
from longdance.evaluate.measure import Protocol, measure
from longdance.metrics.exchange import exchange, exchange_in_beats

FPS = 30.0
NEW = {
    "air_share", "air_share_own_floor", "longest_flight_s", "hover_share", "standing_slide_cm_per_second",
    "shaking_cm_per_second", "movement_beat_alignment", "on_the_beat", "below_floor_worst_hundredth",
}  # fmt: skip
"""Measures that this file is about; of the others, on which real dances are needed, the benchmark tells."""


def dance(tempo=1.0, seconds=12.0):
    """Swaying whose sides are reached on its beats."""
    motion = swaying(round(seconds * FPS), FPS, tempo_hz=tempo)
    beats = np.arange(0.25 / tempo, seconds, 0.5 / tempo)
    return replace(of_motion(motion, name=f"{tempo:g}"), beat_times=tuple(beats))


@pytest.fixture(scope="module")
def values():
    plain, protocol = dance(), Protocol(fps=FPS, judged=False)
    return {name: measure(damage(plain), protocol).values for name, damage in DISTORTIONS.items()}


CASES = [(name, key, way) for name, expected in EXPECTED.items() for key, way in expected.items() if key in NEW]


@pytest.mark.parametrize(("name", "key", "way"), CASES, ids=lambda part: str(part))
def test_every_damage_moves_what_should_see_it(values, name, key, way):
    before, after = values[AGAINST.get(name, "itself")][key], values[name][key]
    if name == "time bent to another song" and key == "on_the_beat":
        before = 0.0  # an even sway may meet even beats by chance
    assert moves_as(way, before, after), (before, after)


def test_each_new_measure_is_moved_by_some_damage():
    assert {key for _, key, way in CASES if way != "same"} == NEW - {"air_share_own_floor"}


def test_bent_time_puts_what_was_on_a_beat_on_the_other_beat():
    plain = dance()
    other = to_another_song(plain)
    found = time_bent(plain)
    own, new = np.array(plain.beat_times), np.array(other.beat_times)
    for beat in range(2, 10):
        at = plain.joints[round(own[beat] * FPS)]
        there = found.joints[round(new[beat] * FPS)]
        np.testing.assert_allclose(there, at, atol=0.06)


def test_bent_onto_its_own_beats_a_dance_stays():
    plain = dance()
    np.testing.assert_allclose(bent(plain, np.array(plain.beat_times)).joints, plain.joints, atol=1e-6)


def test_exchange_knows_who_heeds_the_song():
    dances = [dance(tempo) for tempo in (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)]

    def found(danced, beats):
        return exchange(danced), exchange_in_beats(danced, beats, FPS)

    assert found(*ignoring(dances, bending=False))[0] == 0
    seconds, beats = found(*ignoring(dances, bending=True))
    assert seconds > 0.3
    assert beats < 0.5 * seconds
    assert found(*heeding(dances))[0] > 0.5
