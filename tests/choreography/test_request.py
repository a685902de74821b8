"""A request: what is refused, and that every field of it reaches the place that it is meant for."""

from dataclasses import fields, replace

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from choreography.test_dancer import SAMPLE_RATE, checkpoint_of, clicks, song_of
from choreography.test_refinement import refiner
from dancers import made
from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.edmg import edmg
from longdance.choreography.refinement import Refinement
from longdance.choreography.request import LARGEST_SEED, OPTIONS, DanceRequest, Words
from longdance.cleanup.pipeline import Cleanup
from longdance.cli import WRONG_USAGE, app
from longdance.diffusion.guidance import Guidance
from longdance.errors import InputError
from longdance.studio.forms import ASKED, Settings


class Recording(torch.nn.Module):
    """A denoiser whose prediction tells which of its conditions were there: 1 for music, 10 for text."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.steps: list[int] = []

    def hear(self, conditions):
        return conditions.music, conditions.music

    def forward(self, noisy, step, conditions, heard=None):
        self.steps.append(int(step[0]))
        told = conditions.keep_music.float() + 10 * conditions.text_mask.any(1).float()
        return told[:, None, None].expand_as(noisy).clone()


@pytest.fixture
def recording() -> tuple[Dancer, Recording]:
    checkpoint = checkpoint_of()
    network = Recording(checkpoint.network.config)
    model = edmg(checkpoint)
    return made(model, checkpoint=replace(checkpoint, network=network)), network


@pytest.mark.parametrize(
    ("weights", "value"),
    [
        # f(none) + m (f(music) - f(none)) + t (f(music, text) - f(music)) of 0, 1 and 11.
        ({"music_guidance": 1.0, "text_guidance": 1.0}, 11.0),
        ({"music_guidance": 2.0, "text_guidance": 1.0}, 12.0),
        ({"music_guidance": 1.0, "text_guidance": 2.0}, 21.0),
        ({"music_guidance": 3.0, "text_guidance": 0.5}, 8.0),
        ({}, 61.0),
    ],
    ids=str,
)
def test_each_weight_of_guidance_leads_by_its_own_condition(weights, value, recording):
    model, _ = recording
    dance = model.generate(song_of(1.0), genre="salsa", steps=2, trm=False, cleanup=False, **weights)
    normaliser, root = model.checkpoint.normaliser, model.checkpoint.layout["root_position"]
    height = float(normaliser.denormalise(torch.full((model.checkpoint.layout.width,), value))[root][1])
    np.testing.assert_allclose(dance.root_position[:, 1], height, rtol=1e-3)
    told = Guidance()._asdict() | {name.removesuffix("_guidance"): weight for name, weight in weights.items()}
    assert dance.meta["guidance"] == told


def test_guidance_ends_where_it_is_told_to(recording):
    model, _ = recording
    never, always = (
        model.generate(song_of(1.0), genre="salsa", steps=2, trm=False, cleanup=False, guidance_until=level)
        for level in (1.0, 0.0)
    )
    assert never.root_position[0, 1] < always.root_position[0, 1]


@pytest.mark.parametrize(
    ("field", "value", "key", "told"),
    [
        ("seed", 7, "seed", 7), ("steps", 3, "steps", 3), ("sampler", "ddim", "sampler", "ddim"),
        ("genre", "salsa", "genre", "salsa"), ("movement", "basic step", "movements", ["basic step"]),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_what_is_danced(field, value, key, told, recording):
    model, network = recording
    given = {"steps": 2} | ({"genre": "salsa"} if field == "movement" else {}) | {field: value}
    dance = model.generate(song_of(1.0), **given)
    assert dance.meta[key] == told
    assert len(set(network.steps)) == given["steps"]


def test_start_seconds_and_tempo_reach_the_song(recording, tmp_path):
    soundfile.write(tmp_path / "clicks.wav", clicks(6.0), SAMPLE_RATE)
    model, _ = recording
    asked = DanceRequest(song=tmp_path / "clicks.wav", start=1.0, seconds=2.0, bpm=90.0, beat_offset=1.25, steps=1)
    song = asked.load_song()
    assert (song.start, song.seconds) == (1.0, pytest.approx(2.0, abs=0.01))
    assert song.tempo_bpm == pytest.approx(90.0)
    assert np.abs(song.beat_times - 0.25).min() < 1e-3
    dance = model.generate(asked)
    assert (dance.meta["start"], dance.frames) == (1.0, 40)


def test_trm_and_cleanup_are_left_out_one_by_one(monkeypatch, recording):
    done: list[str] = []
    monkeypatch.setattr(Refinement, "whole", lambda self, passage: done.append("trm") or passage)
    monkeypatch.setattr(Cleanup, "whole", lambda self, passage: done.append("cleanup" if self.steps else "") or passage)
    model = replace(recording[0], trm=refiner())
    for asked, expected in (
        ({}, ["trm", "cleanup"]), ({"trm": False}, ["cleanup"]), ({"cleanup": False}, ["trm", ""]),
    ):  # fmt: skip
        done.clear()
        model.generate(song_of(1.0), steps=1, **asked)
        assert done == expected
    done.clear()
    model.generate(DanceRequest(song=song_of(1.0), steps=1).raw())
    assert done == [""]


@pytest.mark.parametrize("name", OPTIONS)
def test_bounds_are_kept_and_told(name):
    option = OPTIONS[name]
    for bound, beyond in ((option.least, -1), (option.most, 1)):
        if bound is None:
            continue
        DanceRequest(**{name: bound})
        with pytest.raises(InputError, match=name):
            DanceRequest(**{name: bound + beyond * max(1, abs(bound) // 2**50)})


def test_what_is_no_number_is_refused():
    for name in ("start", "beat_offset", "text_guidance"):
        with pytest.raises(InputError, match=name):
            DanceRequest(**{name: float("nan")})


def test_words_and_cues_are_those_given():
    request = DanceRequest(genre="salsa", movement="basic step", prompt="slowly", soft_level=0.0, mirror=False)
    assert request.words == Words("salsa", ("basic step",), "slowly")
    assert request.cues == {"soft_level": 0.0, "mirror": False}
    assert DanceRequest(movement=["a", "b"]).words.movements == ("a", "b")
    assert DanceRequest().words == Words()


def test_a_request_cannot_be_changed_but_copied():
    request = DanceRequest(seed=3)
    with pytest.raises(AttributeError):
        request.seed = 4
    assert (request.changed(seed=4).seed, request.seed) == (4, 3)
    assert request.raw().changed(trm=True, cleanup=True, parabola=None) == request


def test_help_shows_what_everyone_needs_first_and_refine_tells_what_replaced_it():
    told = CliRunner().invoke(app, ["generate", "--help"]).output
    panels = [told.index(title) for title in ("Options:", "More options:", "Options of Lodge:", "Several songs:")]
    assert panels == sorted(panels)
    for name, option in OPTIONS.items():
        place = told.index(f"--{name.replace('_', '-')}")
        assert (place < panels[1]) == (option.panel is None), name
    for flag in ("--refine", "--no-refine"):
        for command in (["generate", "x.wav"], ["edit", "x.npz", "--mirror", "-o", "y.npz"]):
            answer = CliRunner().invoke(app, [*command, flag])
            assert answer.exit_code == WRONG_USAGE
            assert all(word in answer.output for word in ("--cleanup", "--trm", "--raw"))


def test_the_studio_s_form_is_made_of_the_fields_of_a_request():
    own = {each.name: getattr(DanceRequest(), each.name) for each in fields(DanceRequest)}
    for name in ASKED:
        assert getattr(Settings(), name) == own[name]
    asked = Settings(genre="salsa", movements=["x"], text_guidance=2.5, cleanup=False, seed=9).request()
    request = DanceRequest(**asked)
    assert (request.text_guidance, request.cleanup, request.seed, request.words.movements) == (2.5, False, 9, ("x",))
    with pytest.raises(ValueError, match="text_guidance"):
        Settings(text_guidance=31)
    with pytest.raises(ValueError, match="seed"):
        Settings(seed=LARGEST_SEED)
    old = Settings.model_validate({"refine": False, "steps": 20})
    assert (old.trm, old.cleanup, old.steps) == (False, False, 20)
