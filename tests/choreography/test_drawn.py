"""Energies from the request to the sampler: generate, score, stream, edit, Lodge, records."""

import numpy as np
import pytest
import torch

from click_track import RATE, click_track
from longdance.choreography import drawn
from longdance.choreography.edits.redo import redo
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.choreography.score_file import parse_score
from longdance.choreography.timeline import Span, Timeline
from longdance.cleanup.root import RootLed
from longdance.diffusion.guidance import Guidance
from longdance.errors import InputError
from longdance.features.cues import cues_of_song
from longdance.features.song import Song
from longdance.features.text import resolve_prompt
from longdance.models.strengths import OFF, USUAL, Strengths
from longdance.motion.motion import Motion

BEATS = np.arange(0.3, 12.0, 0.5)
EVERY = "usual"


@pytest.fixture(scope="module")
def song() -> Song:
    samples = click_track(BEATS, seconds=12.0, seed=1)
    return Song.from_samples(samples, RATE, beat_times=BEATS, downbeat_times=BEATS[::4])


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(tiny_model)


def dance(model, song, **asked) -> Motion:
    return model.generate(DanceRequest(song=song, steps=4, seed=3, cleanup=False, trm=False, **asked))


def test_a_recipe_without_energies_is_drawn_by_none(model, song):
    plain = dance(model, song)
    assert plain.meta["energy"] == {}
    np.testing.assert_array_equal(plain.rotations, dance(model, song, energy="off").rotations)


def test_what_was_asked_for_is_done_and_recorded(model, song):
    plain, made = dance(model, song), dance(model, song, energy={"floor": 1.0, "beats": 0.5})
    assert made.meta["energy"] == {"beats": 0.5, "floor": 1.0}
    assert np.abs(made.root_position[:, 1] - plain.root_position[:, 1]).max() > 1e-3
    np.testing.assert_array_equal(made.rotations, dance(model, song, energy="beats=0.5,floor=1").rotations)


def test_the_shipped_models_are_drawn_as_usual_and_baselines_are_not():
    assert load("edmg").sampling.energy == USUAL
    assert load("lodge").sampling.energy == USUAL
    assert load("edmg-fast").sampling.energy == USUAL._replace(beats=0.5)
    assert load("edge").sampling.energy == OFF


def test_cues_reach_the_sampler_frame_by_frame(model, song, monkeypatch):
    seen = []

    def spy(rows, cues, checkpoint):
        seen.append(([begin for _, begin in rows], cues))
        return drawn.energies_of(rows, cues, checkpoint)

    monkeypatch.setattr("longdance.choreography.long.stretches.energies_of", spy)
    dance(model, song, energy=EVERY)
    [(begins, cues)] = seen
    track = torch.from_numpy(cues_of_song(song, model.fps))
    for begin, own in zip(begins, cues, strict=True):
        known = track[begin : begin + own.shape[0]]
        torch.testing.assert_close(own[: len(known)], known)


def test_strengths_of_spans_fade_into_each_other():
    text, guidance = resolve_prompt(None, encoder_name="all-MiniLM-L6-v2"), Guidance()
    spans = (
        Span(0, 50, text, guidance, energy=Strengths(beats=2.0)),
        Span(50, 100, text, guidance, energy=Strengths(floor=1.0)),
    )
    found = Timeline(spans, fade=20).joined().strengths_over(range(0, 100))
    assert found.shape == (100, 5)
    np.testing.assert_allclose(found[:40, 0], 2.0)
    np.testing.assert_allclose(found[60:, 2], 1.0)
    np.testing.assert_allclose(found[50], [1.0, 0, 0.5, 0, 0])
    assert (np.diff(found[:, 0]) <= 0).all()


def test_a_score_says_how_its_spans_are_drawn(model, song):
    score = parse_score(
        "energy: {beats: 1}\ntimeline:\n  - {from: 0, to: 4, genre: disco, energy: {floor: 2, beats: 0}}\n"
        "  - {from: 6, to: 9, genre: salsa}\n"
    )
    made = dance(model, song, score=score)
    assert [part["energy"] for part in made.meta["timeline"]] == [{"floor": 2.0}, *[{"beats": 1.0}] * 3]
    with pytest.raises(InputError, match=r"line 2, field 'timeline\[1\].energy.beat'"):
        parse_score("timeline:\n  - {from: 0, genre: disco, energy: {beat: 1}}\n")
    with pytest.raises(InputError, match="from 0 to 10"):
        parse_score("timeline:\n  - {from: 0, genre: disco, energy: {beats: 11}}\n")


def test_a_dance_drawn_to_stand_has_no_root_led(model):
    def led(dancer, **asked) -> bool:
        return any(isinstance(step, RootLed) for step in dancer.cleanup_for(DanceRequest(**asked)).steps)

    assert led(model)
    assert led(model, energy="beats=1,floor=1")
    assert not led(model, energy="feet=0.5")
    assert not led(load("edmg"))
    assert led(load("edmg"), energy="off")
    assert not model.cleanup_for(DanceRequest(cleanup=False)).steps


def test_streams_are_drawn_too(model, song):
    def streamed(energy):
        request = DanceRequest(song=song, steps=2, seed=3, cleanup=False, trm=False, energy=energy)
        return Motion.joined(list(model.stream(request)))

    assert np.abs(streamed("floor=1").root_position - streamed("off").root_position).max() > 1e-3


def test_an_edit_is_drawn_where_it_makes_anew(model, song):
    plain = dance(model, song)
    asked = {"song": song, "steps": 2, "cleanup": False, "trm": False}
    edits = [
        redo(plain, model, DanceRequest(**asked, energy=energy), stretches=[(4.0, 7.0)])
        for energy in ("off", "beats=1,floor=2")
    ]
    apart = np.abs(edits[0].rotations - edits[1].rotations).max((1, 2, 3)) > 1e-6
    frames = np.flatnonzero(apart)
    assert len(frames) > 60
    assert frames.min() >= 4.0 * plain.fps
    assert frames.max() < 7.0 * plain.fps


def test_one_dance_does_not_depend_on_others_in_its_batch(model, song):
    requests = [
        DanceRequest(song=song, seed=seed, steps=2, cleanup=False, trm=False, energy="usual")
        for seed in (1, 2)
    ]
    both = model.generate_all(requests)
    np.testing.assert_allclose(both[1].rotations, model.generate(requests[1]).rotations, atol=1e-4)


def test_models_without_a_sampler_say_so():
    assert DanceRequest(energy={"floor": 1}).energy == "floor=1"
    with pytest.raises(InputError, match="expected NAME=STRENGTH"):
        DanceRequest(energy="flor=1")
