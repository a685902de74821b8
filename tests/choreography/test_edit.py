"""Edits change what they are asked to, to the last bit nothing else, and seams do not show."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from choreography.test_dancer import checkpoint_of, clicks, song_of
from conftest import swaying
from dancers import drawn
from longdance.choreography import edit, seams
from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.edmg import edmg
from longdance.choreography.long.stretches import Held, Sampling, stretches
from longdance.choreography.request import DanceRequest, Words
from longdance.choreography.score_file import parse_score
from longdance.choreography.timeline import Timeline
from longdance.cli import SOME_FAILED, WRONG_USAGE, app
from longdance.diffusion.guidance import Guidance
from longdance.errors import Cancelled, InputError
from longdance.features.audio import write_audio
from longdance.features.cues import CHANNELS
from longdance.motion.motion import Motion
from longdance.motion.rotations import matrix_from_axis_angle, matrix_to_6d
from longdance.motion.skeleton import SMPL22, SMPL24
from sample_motions import wandering

FPS = 20.0
def wish(song, **changes) -> DanceRequest:
    return DanceRequest(song=song, **{"steps": 3, "seed": 5, **changes})


LOWER = [SMPL24.index(name) for name in edit.LOWER]
UPPER = [joint for joint in range(24) if joint not in LOWER]
FEET = [SMPL24.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("ankle", "foot")]


@pytest.fixture(scope="module")
def model() -> Dancer:
    return drawn(edmg(checkpoint_of()), stretch=2)


@pytest.fixture(scope="module")
def song():
    return song_of(10.0)


@pytest.fixture(scope="module")
def dance(model, song) -> Motion:
    return model.generate(song, genre="salsa", steps=3)


def frames(dance: Motion, *ranges) -> np.ndarray:
    at = np.arange(dance.frames)
    return np.any([(at >= round(a * dance.fps)) & (at < round(b * dance.fps)) for a, b in ranges], axis=0)


def same(first: Motion, second: Motion, where=slice(None)) -> bool:
    return np.array_equal(first.root_position[where], second.root_position[where]) and np.array_equal(
        first.rotations[where], second.rotations[where]
    )


def accelerations(dance: Motion) -> np.ndarray:
    """Mean over the joints at every inner frame, m/s^2."""
    return np.linalg.norm(np.diff(dance.joints(), 2, axis=0), axis=-1).mean(1) * dance.fps**2


def seams_are_smooth(dance: Motion, free: np.ndarray) -> bool:
    """Whether the acceleration around every seam is within the 99th percentile of everywhere else.

    An even sway has hardly any extremes, so its percentile is no more than its usual size: 15 % are allowed on top.
    """
    size = accelerations(dance)
    seam = np.zeros(len(size), bool)
    for border in np.flatnonzero(np.diff(free.astype(int))) + 1:
        seam[border - 2 : border + 1] = True
    return bool(size[seam].max() <= 1.15 * np.percentile(size[~seam], 99))


# --- redo --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranges", "cleanup"),
    [
        ([(4, 6)], False),
        ([(2, 8.5)], True),
        ([(1, 1.5), (7, 9)], True),
        ([(0, 3)], True),
        ([(6.5, 10)], True),
    ],
    ids=str,
)
def test_what_is_not_redone_stays_to_the_bit(ranges, cleanup, model, dance, song):
    edited = edit.redo(dance, model, wish(song, steps=2, cleanup=cleanup), stretches=ranges)
    free = frames(dance, *ranges)
    assert edited.frames == dance.frames
    assert same(edited, dance, ~free)
    assert (np.abs(edited.rotations - dance.rotations).max((1, 2, 3))[free] > 1e-3).mean() > 0.9
    np.testing.assert_allclose(np.linalg.det(edited.rotations), 1, atol=1e-6)


class Swayer(torch.nn.Module):
    """A denoiser that stands and swings its arms to the beat, as far as its text says."""

    def __init__(self, config, layout, normaliser):
        super().__init__()
        self.config, self.layout, self.normaliser = config, layout, normaliser

    def hear(self, conditions):
        return conditions.music, conditions.music

    def forward(self, noisy, step, conditions, heard=None):
        beat = torch.atan2(conditions.music[..., 35], conditions.music[..., 36])
        said = conditions.text.sum((1, 2)).abs()[:, None]
        size = 0.6 + 0.1 * torch.tanh(said)
        turns = torch.zeros(*beat.shape, 24, 3)
        turns[..., SMPL24.index("left_shoulder"), 2] = -1 + size * beat.sin()
        turns[..., SMPL24.index("right_shoulder"), 2] = 1 + size * beat.cos()
        features = torch.zeros(*beat.shape, self.layout.width)
        features[..., self.layout["rotations"]] = matrix_to_6d(matrix_from_axis_angle(turns)).flatten(-2)
        features[..., self.layout["root_position"].start + 1] = 0.97
        return self.normaliser.normalise(features)


@pytest.fixture(scope="module")
def swayer() -> Dancer:
    checkpoint = checkpoint_of(encoder="light35+phase")
    network = Swayer(checkpoint.network.config, checkpoint.layout, checkpoint.normaliser)
    return drawn(edmg(replace(checkpoint, network=network)), stretch=2)


@pytest.mark.parametrize("ranges", [[(4, 6)], [(2, 8)], [(0, 4.2)], [(1.2, 1.7), (6, 10)]], ids=str)
@pytest.mark.parametrize("fps", [FPS, 48.0])
def test_seams_are_within_the_99th_percentile_of_elsewhere(ranges, fps, swayer, song):
    dance = swayer.generate(song, genre="salsa", steps=2).resample(fps)
    asked = wish(song, steps=2, seed=0, genre="disco", music_guidance=1.0, text_guidance=1.0)
    for joints in ("all", "upper"):
        edited = edit.redo(dance, swayer, asked, stretches=ranges, joints=joints)
        assert not same(edited, dance)
        assert seams_are_smooth(edited, frames(dance, *ranges))


def test_the_upper_body_leaves_the_lower_and_the_path_alone(model, dance, song):
    edited = edit.redo(dance, model, wish(song), stretches=[(4, 6)], joints="upper")
    assert np.array_equal(edited.rotations[:, LOWER], dance.rotations[:, LOWER])
    assert np.array_equal(edited.root_position, dance.root_position)
    assert np.abs(edited.rotations[80:120, UPPER] - dance.rotations[80:120, UPPER]).max() > 0.01
    assert np.array_equal(edited.joints()[:, FEET], dance.joints()[:, FEET])


def test_the_lower_body_leaves_the_upper_alone(model, dance, song):
    edited = edit.redo(dance, model, wish(song), stretches=[(4, 6)], joints="lower")
    assert np.array_equal(edited.rotations[:, UPPER], dance.rotations[:, UPPER])
    assert np.abs(edited.rotations[80:120, LOWER] - dance.rotations[80:120, LOWER]).max() > 0.01


def test_joints_by_name(model, dance, song):
    edited = edit.redo(dance, model, wish(song), stretches=[(4, 6)], joints="left_shoulder, left_elbow")
    changed = np.flatnonzero(np.abs(edited.rotations - dance.rotations).max((0, 2, 3)))
    assert changed.tolist() == [SMPL24.index("left_shoulder"), SMPL24.index("left_elbow")]
    with pytest.raises(InputError, match="left_wing"):
        edit.redo(dance, model, wish(song), stretches=[(4, 6)], joints="left_wing")


def test_feet_stay_while_all_else_is_new(model, song):
    dance = swaying(200, FPS)
    edited = edit.redo(dance, model, wish(song), stretches=[(3, 7)], keep_feet=True)
    free = frames(dance, (3, 7))
    assert same(edited, dance, ~free)
    apart = np.linalg.norm(edited.joints() - dance.joints(), axis=-1)
    assert np.median(apart[free][:, FEET]) < 1e-3
    assert apart[free][:, UPPER].max() > 0.1


def test_another_seed_is_another_try_and_the_same_seed_the_same(model, dance, song):
    def tried(seed):
        return edit.redo(dance, model, wish(song, steps=2, seed=seed), stretches=[(4, 6)])

    assert same(tried(1), tried(1))
    assert not same(tried(1), tried(2))


def test_a_dance_of_another_frame_rate_is_edited_at_its_own(model, dance, song):
    fast = dance.resample(48.0)
    edited = edit.redo(fast, model, wish(song), stretches=[(4, 6)])
    free = frames(fast, (4, 6))
    assert edited.fps == 48.0
    assert same(edited, fast, ~free)
    assert not same(edited, fast, free)


def test_saved_and_read_again_untouched_frames_are_the_same(model, dance, song, tmp_path):
    dance.save(tmp_path / "before.npz")
    before = Motion.load(tmp_path / "before.npz")
    edit.redo(before, model, wish(song), stretches=[(4, 6)]).save(tmp_path / "after.npz")
    free = frames(dance, (4, 6))
    with np.load(tmp_path / "before.npz") as first, np.load(tmp_path / "after.npz") as second:
        for key in ("poses", "trans"):
            np.testing.assert_allclose(first[key][~free], second[key][~free], atol=2e-6)
            assert np.abs(first[key][free] - second[key][free]).max() > 1e-3


def test_words_of_the_wish_or_of_the_dance(model, dance, song):
    own = edit.redo(dance, model, wish(song), stretches=[(4, 6)])
    salsa, disco = (
        edit.redo(dance, model, wish(song, genre=genre), stretches=[(4, 6)])
        for genre in ("salsa", "disco")
    )
    assert same(own, salsa)
    assert not same(own, disco)
    assert own.meta["edits"][0]["redo"] == [[4.0, 6.0]]


def test_a_dance_made_with_a_score_keeps_to_it(model, song):
    score = parse_score("timeline: [{from: 0, to: 5.1, genre: salsa}, {from: 5.1, genre: disco}]")
    dance = model.generate(song, score=score, steps=2)
    own = edit.redo(dance, model, wish(song), stretches=[(7, 8)])
    disco = edit.redo(dance, model, wish(song, genre="disco"), stretches=[(7, 8)])
    assert same(own, disco)


def test_progress_goes_on_over_several_stretches_and_may_cancel(model, dance, song):
    seen = []
    edit.redo(
        dance, model, wish(song), stretches=[(1, 1.5), (8, 9)], progress=lambda *told: seen.append(told)
    )
    done = [entry[0] / entry[1] for entry in seen]
    assert done == sorted(done)
    assert done[-1] == 1

    def stop(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        edit.redo(dance, model, wish(song), stretches=[(4, 6)], progress=stop)


@pytest.mark.parametrize("ranges", [[], [(3, 2)], [(-1, 2)], [(40, 50)], [(float("nan"), 2)]], ids=str)
def test_stretches_that_are_none_are_refused(ranges, model, dance, song):
    with pytest.raises(InputError):
        edit.redo(dance, model, wish(song), stretches=ranges)


def test_a_body_that_the_model_does_not_know_is_refused(model, song):
    other = Motion(np.zeros((40, 3)), np.tile(np.eye(3), (40, 22, 1, 1)), fps=FPS, skeleton=SMPL22)
    with pytest.raises(InputError, match="24 joints"):
        edit.redo(other, model, wish(song), stretches=[(0, 1)])


# --- the other operations ----------------------------------------------------------------------------------------


def test_in_betweening_goes_through_its_keys(model, dance, song):
    keys = [(0, 0), (2, 2), (4, 4.5), (7, 7), (9.95, 10)]
    edited = edit.in_between(dance, model, wish(song), keep=keys)
    kept = [0, 40, *range(80, 90), 140, 199]
    assert same(edited, dance, kept)
    free = np.setdiff1d(np.arange(200), kept)
    assert (np.abs(edited.rotations - dance.rotations).max((1, 2, 3))[free] > 1e-4).mean() > 0.9
    step = np.linalg.norm(np.diff(edited.joints(), axis=0), axis=-1).max(1)
    usual = np.linalg.norm(np.diff(dance.joints(), axis=0), axis=-1).max(1)
    assert step.max() < 2 * usual.max()


def test_another_genre_from_a_beat_on(model, dance, song):
    edited = edit.from_here_on(dance, model, wish(song, genre="disco"), at=6.1)
    assert same(edited, dance, slice(0, 120))  # the beat at six seconds
    assert not same(edited, dance, slice(120, None))


def test_a_dance_goes_on_to_the_song_s_end_and_no_further(model, dance, song):
    short = dance.slice(0, 120)
    longer = edit.go_on(short, model, wish(song), seconds=3.0)
    assert longer.frames == 180
    assert same(longer.slice(0, 120), short)
    assert np.abs(np.diff(longer.rotations[120:], axis=0)).max() > 1e-3
    step = np.linalg.norm(np.diff(longer.joints(), axis=0), axis=-1).max(1)
    assert step[117:122].max() <= 1.5 * step[:117].max()
    assert longer.meta["beat_times"][-1] == 8.5
    with pytest.raises(InputError, match="still lasts"):
        edit.go_on(short, model, wish(song), seconds=5.0)


def test_two_dances_become_one_at_a_beat(model, dance, song):
    second = model.generate(song, genre="disco", seed=9, steps=3).turn(1.0)
    both = edit.blend(dance, model, wish(song), other=second, at=5.1)
    assert same(both, dance, slice(0, 81))
    assert np.array_equal(both.rotations[120:, 1:], second.rotations[120:, 1:])
    # The rest of the second is the second, moved and turned as a whole.
    lengths = [np.linalg.norm(m.root_position[120] - m.root_position[190]) for m in (both, second)]
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-9)
    step = np.linalg.norm(np.diff(both.joints(), axis=0), axis=-1).max(1)
    assert step[80:120].max() < 2 * max(step[:80].max(), step[120:].max())
    with pytest.raises(InputError, match="within both"):
        edit.blend(dance, model, wish(song), other=second.slice(0, 40), at=5.1)


def test_a_mirrored_mirror_is_the_dance(dance):
    assert not same(edit.mirror(dance), dance)
    np.testing.assert_array_equal(edit.mirror(edit.mirror(dance)).joints(), dance.joints())


def test_another_tempo_is_the_same_dance_in_other_time():
    dance = swaying(200, FPS, tempo_hz=1.0)
    beats = [round(i / 2, 4) for i in range(20)]
    parts = [{"from": 0.0, "to": 5.0, "genre": "salsa"}, {"from": 5.0, "to": 10.0, "genre": "disco"}]
    meta = {"tempo_bpm": 120.0, "beat_times": beats, "timeline": parts}
    dance = Motion(dance.root_position, dance.rotations, fps=FPS, meta=meta)
    fast = edit.at_tempo(dance, 150.0)
    assert fast.frames == 160
    assert fast.meta["tempo_bpm"] == 150.0
    assert fast.meta["beat_times"][:4] == [0.0, 0.4, 0.8, 1.2]
    assert [part["from"] for part in fast.meta["timeline"]] == [0.0, 4.0]
    assert [part["from"] for part in dance.meta["timeline"]] == [0.0, 5.0]  # its own record stays as it was
    wanted = swaying(160, FPS, tempo_hz=1.25)
    np.testing.assert_allclose(fast.joints(), wanted.joints(), atol=0.01)
    for bpm in (30.0, 400.0):
        with pytest.raises(InputError, match="tempo from 60 to 240"):
            edit.at_tempo(dance, bpm)
    with pytest.raises(InputError, match="tempo_bpm"):
        edit.at_tempo(swaying(20, FPS), 100.0)
    for wrong in ("soon", ["soon"], [{"from": "soon"}]):
        with pytest.raises(InputError, match="under timeline"):
            edit.at_tempo(Motion(dance.root_position, dance.rotations, fps=FPS, meta=meta | {"timeline": wrong}), 90.0)


# --- the mechanism -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 7])
def test_held_frames_come_out_of_the_denoiser_as_they_went_in(count, model):
    """At any place on the floor, in any window, over several stretches."""
    checkpoint = model.checkpoint
    layout, plan = checkpoint.layout, model.generator.plan(24 + 16 * (count - 1))
    track = torch.from_numpy(layout.encode(swaying(plan.frames, FPS)))
    track[:, layout["root_position"]] += torch.tensor([7.0, 0.0, -4.0])
    mask = torch.zeros(plan.frames, layout.width)
    mask[:10] = 1
    mask[14:17, layout["rotations"]] = 1
    text = model.conditioner.words(Words("salsa"))
    parts = stretches(
        checkpoint,
        torch.zeros(plan.frames, 35 + len(CHANNELS)),
        Timeline.whole(plan.frames, text, Guidance(1.0, 1.0)),
        plan,
        sampling=Sampling(steps=3, stretch=3),
        held=Held(track, mask),
    )
    made = np.concatenate([part for part, _ in parts])
    chosen = mask.bool().numpy()
    np.testing.assert_allclose(made[chosen], track.numpy()[chosen], atol=2e-3)
    assert np.abs(made - track.numpy())[~chosen].max() > 0.05


def test_bending_leaves_no_step_in_place_speed_or_acceleration():
    """A run that is apart by a parabola on one side and a constant on the other meets both, to second order."""
    fps, count = 100.0, 200
    before = np.array([[1.0], [0.98], [0.9604]])  # nearest first: rises towards the seam
    bend = seams._bend(before, np.full((3, 1), -0.5), count, fps)
    whole = np.concatenate((before[::-1], bend, np.full((3, 1), -0.5)))[:, 0]
    jerk = np.abs(np.diff(whole, 3)) * fps**3
    inside = np.abs(np.diff(bend[:, 0], 3)).max() * fps**3
    assert jerk.max() <= 1.2 * inside
    assert np.abs(bend[80:120]).max() == 0
    spread = seams._bend(before, np.full((3, 1), -0.5), count, fps, spread=True)
    assert spread[100, 0] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("ranges", [[(40, 110)], [(60, 150)], [(30, 70), (71, 110)]])
def test_a_jump_between_held_and_made_frames_is_closed(ranges):
    """What was made elsewhere and turned away comes to where the held frames point, which stay as they are."""
    smooth = wandering(np.random.default_rng(3), 150, 30.0)
    free = np.zeros(150, bool)
    for begin, end in ranges:
        free[begin:end] = True
    away = smooth.turn(0.4)
    root = np.where(free[:, None], away.root_position + np.array((0.5, 0.1, -0.3)), smooth.root_position)
    jumpy = replace(
        smooth,
        root_position=root,
        rotations=np.where(free[:, None, None, None], away.rotations, smooth.rotations),
    )
    closed = seams.closed(jumpy, free)

    def acceleration(motion):
        return np.linalg.norm(np.diff(motion.joints(), 2, axis=0), axis=-1).max()

    assert acceleration(jumpy) > 4 * acceleration(smooth)
    assert acceleration(closed) < 0.2 * acceleration(jumpy)
    np.testing.assert_array_equal(closed.root_position[~free], smooth.root_position[~free])
    np.testing.assert_array_equal(closed.rotations[~free], smooth.rotations[~free])


# --- the command line --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """A saved model, a song, and a dance to it beside it."""
    path = tmp_path_factory.mktemp("edit")
    model.checkpoint.save(path / "model")
    write_audio(path / "clicks.wav", clicks(10.0), 22050)
    dance = model.generate(path / "clicks.wav", genre="salsa", steps=2, bpm=120.0)
    dance.save(path / "dance.npz")
    return path


def run(folder, *arguments):
    words = ["edit", folder / "dance.npz", "--model", folder / "model", "--steps", 2, *arguments]
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--redo", "4:6", "--joints", "upper"),
        ("--keep", "0:2", "--keep", "5", "--keep", "9:"),
        ("--from", "6", "--genre", "disco"),
        ("--mirror", "--tempo", "100"),
    ],
    ids=str,
)
def test_the_command_line_edits(arguments, folder, tmp_path):
    result = run(folder, *arguments, "--json", "-o", tmp_path / "new.npz")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["files"] == [str(tmp_path / "new.npz")]
    edited, before = Motion.load(tmp_path / "new.npz"), Motion.load(folder / "dance.npz")
    assert not np.array_equal(edited.rotations[:50], before.rotations) or edited.frames != before.frames
    assert edited.meta["edits"]


def test_mistakes_on_the_command_line_are_told(folder, tmp_path):
    for wrong in (
        (),
        ("--redo", "soon:later"),
        ("--redo", "4"),
        ("--redo", "1:2", "--extend", "3"),
        ("--blend", folder / "dance.npz"),
        ("--mirror", "--format", "doc"),
    ):
        assert run(folder, *wrong, "-o", tmp_path / "new").exit_code == WRONG_USAGE
    (tmp_path / "alone").mkdir()
    dance = Motion.load(folder / "dance.npz")
    nowhere = {name: value for name, value in dance.meta.items() if name != "song_path"}  # else it would be found there
    replace(dance, meta=nowhere).save(tmp_path / "alone" / "dance.npz")
    result = run(tmp_path / "alone", "--redo", "1:2", "-o", tmp_path / "new.npz")
    assert isinstance(result.exception, InputError)
    assert "--song" in str(result.exception)
    assert not (tmp_path / "new.npz").exists()
    assert result.exit_code == SOME_FAILED
