"""Two tiny untrained stages dance to a click track: segments meet, cues hold, any length, any batch."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import longdance
from conftest import swaying
from dancers import drawn, made
from longdance.choreography import edit
from longdance.choreography.augment import CueConfig, mirror, smooth, tidy
from longdance.choreography.dancer import Dancer
from longdance.choreography.generators import lodge as lodge_module
from longdance.choreography.generators.lodge import Lodge, lodge
from longdance.choreography.long.segments import Cue, CueSheet, SegmentPlan
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.choreography.score_file import parse_score
from longdance.cleanup.feet import FeetLocked
from longdance.cleanup.floor import OnFloor
from longdance.cleanup.root import RootLed
from longdance.cleanup.seams import eased
from longdance.cli import app
from longdance.diffusion.sampler import STEP_RULES
from longdance.errors import Cancelled, InputError
from longdance.features.audio import write_audio
from longdance.features.song import Song
from longdance.features.text_table import MINILM
from longdance.models.checkpoint import Checkpoint, CheckpointConfig, build, denoiser_name
from longdance.models.lodge_global import GlobalDenoiserConfig
from longdance.models.lodge_local import LocalDenoiserConfig
from longdance.models.pmd import PMDConfig
from longdance.models.primitives import PrimitivePlan
from longdance.motion.layout import LAYOUTS, Normaliser, centred
from longdance.motion.motion import Motion

FPS, LENGTH, SEGMENT = 20.0, 128, 64
SAMPLE_RATE = 22050
LAYOUT = LAYOUTS["smpl22"]
ROOT = LAYOUT["root_position"].start
HORIZONTAL = [ROOT, ROOT + 2]
SMALL = {"width": 16, "depth": 1, "feedforward": 16, "attention_heads": 2, "dropout": 0.0, "fps": FPS}


def checkpoint_of(network, window: int, **changes) -> Checkpoint:
    torch.manual_seed(0)
    mean = torch.zeros(LAYOUT.width)
    mean[LAYOUT["root_position"]] = torch.tensor([0.0, 0.9, 0.0])
    mean[LAYOUT["rotations"]] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(22)
    config = CheckpointConfig(
        denoiser=denoiser_name(network), network=network.model_dump(), layout="smpl22", fps=FPS, window=window,
        diffusion_steps=1000, music_encoder="light35", text_encoder=MINILM, genres=("disco", "salsa"),
    )  # fmt: skip
    return Checkpoint(
        config.model_copy(update=changes),
        build(network).eval().requires_grad_(False),
        Normaliser(mean, torch.full((LAYOUT.width,), 0.3)),
        torch.zeros(35),
        torch.full((35,), 10.0),
    )


def global_of(**changes) -> Checkpoint:
    return checkpoint_of(GlobalDenoiserConfig(length=LENGTH, segment=SEGMENT, **SMALL, **changes), LENGTH)


def local_of(**changes) -> Checkpoint:
    return checkpoint_of(LocalDenoiserConfig(**SMALL, refine_depth=1), SEGMENT, **changes)


def pmd_of() -> Checkpoint:
    network = PMDConfig(
        features=LAYOUT.width, fps=FPS, width=16, depth=1, heads=4, state=4, attention_heads=2, dropout=0.0, chunk=8
    )
    return checkpoint_of(network, SEGMENT)


class Trained(torch.nn.Module):
    """What a well-trained network does for data of N(0, 1/4): it follows what the trajectory already holds."""

    def __init__(self, config):
        super().__init__()
        self.config = config

    def hear(self, conditions):
        return conditions.music, conditions.music

    def forward(self, noisy, step, conditions, heard=None):
        alpha_bar = lodge_module.NoiseSchedule.cosine(1000).alpha_bar.float()[step][:, None, None]
        return 0.25 * alpha_bar.sqrt() * noisy / (1 - alpha_bar + 0.25 * alpha_bar)


@pytest.fixture(scope="module")
def model() -> Dancer:
    return lodge(local_of(), global_of())


@pytest.fixture(scope="module")
def follower(model) -> Dancer:
    stages = (model.checkpoint, model.generator.choreographer)
    local, whole = (replace(stage, network=Trained(stage.network.config)) for stage in stages)
    return lodge(local, whole)


def song_of(seconds: float, *, period: float = 0.5) -> Song:
    samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    click = (np.exp(-np.arange(400) / 60) * np.sin(np.arange(400) * 0.9)).astype(np.float32)
    for begin in range(0, len(samples) - 400, SAMPLE_RATE // 2):
        samples[begin : begin + 400] += click
    beats = np.arange(0.0, max(seconds, 2 * period), period)
    return Song.from_samples(
        samples, SAMPLE_RATE, name="clicks.wav", beat_times=beats, downbeat_times=beats[::4]
    )


def dance(model, song, **options):
    return model.generate(song, **{"steps": 3, "cleanup": False, **options})


def raw(model, *songs, seeds=None, **options):
    """Prepared requests, drafts, and denormalised features of the dances as denoising leaves them."""
    seeds = seeds or range(len(songs))
    asked = [
        model.prepare(DanceRequest(song=song, seed=seed, **{"steps": 3, **options}))
        for song, seed in zip(songs, seeds, strict=True)
    ]
    return asked, model.generator.draft(asked), [each.features for each in model.generator.generate_all(asked, None)]


def same(first, second) -> bool:
    return np.array_equal(first.root_position, second.root_position) and np.array_equal(
        first.rotations, second.rotations
    )


# Where segments lie.


@pytest.mark.parametrize("frames", [1, 8, 9, 63, 64, 65, 128, 129, 248, 249, 1000])
def test_segments_hold_every_frame_once_and_windows_share_a_primitive(frames):
    plan = SegmentPlan(frames, PrimitivePlan(frames=LENGTH, segment=SEGMENT))
    begins = [plan.begin(segment) for segment in plan.segments]
    assert begins[0] == 0
    assert begins == sorted(set(begins))
    assert begins[-1] < frames
    for segment, end in zip(plan.segments, [*begins[1:], frames], strict=True):
        assert segment.start <= plan.begin(segment) < end <= segment.start + SEGMENT
        assert segment.start + SEGMENT <= plan.music_frames
        assert segment.window < plan.windows
    assert plan.windows == max(1, -(-(frames - 8) // 120))


def test_the_hard_cues_of_neighbours_are_halves_of_one_primitive(rng):
    plan = SegmentPlan(400, PrimitivePlan(frames=LENGTH, segment=SEGMENT))
    hard = torch.from_numpy(rng.normal(size=(plan.windows, 3, 8, LAYOUT.width)).astype(np.float32))
    for k in range(plan.windows - 1):
        hard[k + 1, 0] = hard[k, -1]
    on_timeline: dict[int, torch.Tensor] = {}
    for row, segment in enumerate(plan.segments):
        first, last = plan.hard_cues(segment, row, hard[segment.window], LAYOUT)
        assert first.frames[0] == 0
        assert first.anchored
        assert last.frames[-1] == SEGMENT - 1
        assert not last.anchored
        for cue in (first, last):
            assert (cue.features[0, HORIZONTAL] == 0).all()
            body = cue.features[:, LAYOUT["rotations"]]
            for frame, pose in zip(cue.frames + segment.start, body, strict=True):
                known = on_timeline.setdefault(int(frame), pose)
                assert torch.equal(known, pose)  # where windows share a primitive both ask for the same
    # Around every seam all eight frames are asked for.
    for segment in plan.segments[1:]:
        seam = plan.begin(segment)
        assert all(frame in on_timeline for frame in range(seam - 4, seam + 4))


def test_paths_go_on_across_seams():
    plan = SegmentPlan(400, PrimitivePlan(frames=LENGTH, segment=SEGMENT))
    speed = np.array([0.03, -0.02])
    segments = []
    for number, _ in enumerate(plan.segments):  # every segment begins somewhere else
        features = np.zeros((SEGMENT, LAYOUT.width), np.float32)
        features[:, HORIZONTAL] = np.arange(SEGMENT)[:, None] * speed + number * 5
        segments.append(features)
    track = plan.join(segments, np.tile(speed, (len(segments) - 1, 1)), LAYOUT)
    np.testing.assert_allclose(track[:, HORIZONTAL], np.arange(400)[:, None] * speed, atol=1e-4)


# Cues.


def test_a_jolt_at_a_seam_is_eased_and_the_rest_stays():
    """A sway whose speed jumps at the seam is smoother there, and the same elsewhere, to the last bit."""
    smooth = swaying(120, 30.0)
    root = smooth.root_position.copy()
    root[60:, 0] += 2.0 * np.arange(60) / 30.0
    jolted = replace(smooth, root_position=root)
    calm = eased(jolted, [60])

    def acceleration(motion):
        return np.abs(np.diff(motion.root_position[:, 0], 2)).max()

    assert acceleration(calm) < 0.6 * acceleration(jolted)
    away = np.abs(np.arange(120) - 59.5) > 0.3 * 30
    np.testing.assert_array_equal(calm.root_position[away], jolted.root_position[away])
    np.testing.assert_allclose(calm.rotations[away], jolted.rotations[away], atol=1e-12)
    assert eased(jolted, []) is jolted


def test_a_cue_happens_where_the_dancer_is(rng):
    features = torch.from_numpy(rng.normal(size=(4, LAYOUT.width)).astype(np.float32))
    features = centred(features, LAYOUT)
    normaliser = Normaliser(torch.zeros(LAYOUT.width), torch.full((LAYOUT.width,), 2.0))
    cues = [
        Cue(0, np.arange(4), features, anchored=True),
        Cue(0, np.arange(20, 24), features),
        Cue(1, np.arange(4), features),
    ]
    sheet = CueSheet(cues, 2, 32, LAYOUT, normaliser)
    clean = torch.from_numpy(rng.normal(size=(2, 32, LAYOUT.width)).astype(np.float32))
    value = normaliser.denormalise(sheet.constraint().value(clean))
    assert torch.allclose(value[0, :4], features, atol=1e-6)
    for row, place in ((0, slice(20, 24)), (1, slice(0, 4))):
        found, danced = value[row, place], normaliser.denormalise(clean[row, place])
        shift = found[:, HORIZONTAL] - features[:, HORIZONTAL]
        assert torch.allclose(shift, shift[:1].expand_as(shift), atol=1e-5)
        assert torch.allclose(found[:, HORIZONTAL].mean(0), danced[:, HORIZONTAL].mean(0), atol=1e-5)
        others = [c for c in range(LAYOUT.width) if c not in HORIZONTAL]
        assert torch.allclose(found[:, others], features[:, others], atol=1e-6)
    assert sheet.mask[..., 0].nonzero().tolist() == [
        *([0, frame] for frame in (0, 1, 2, 3, 20, 21, 22, 23)), *([1, frame] for frame in range(4))
    ]  # fmt: skip


def test_clean_edges_are_the_cues_without_noise_but_for_where_the_segment_ends(rng):
    features = centred(torch.from_numpy(rng.normal(size=(8, LAYOUT.width)).astype(np.float32)), LAYOUT)
    normaliser = Normaliser(torch.zeros(LAYOUT.width), torch.ones(LAYOUT.width))
    sheet = CueSheet([Cue(0, np.arange(8), features), Cue(0, np.arange(24, 32), features)], 1, 32, LAYOUT, normaliser)
    noisy = torch.from_numpy(rng.normal(size=(1, 32, LAYOUT.width)).astype(np.float32))
    found = sheet.edges(noisy, 4)
    assert torch.equal(found[0, :4], features[:4])
    assert torch.equal(found[0, 4:28], noisy[0, 4:28])
    assert torch.equal(found[0, -4:, HORIZONTAL], noisy[0, -4:, HORIZONTAL])
    assert torch.equal(found[0, -4:, LAYOUT["rotations"]], features[-4:, LAYOUT["rotations"]])


def test_a_network_that_wants_clean_edges_gets_them(model):
    seen = []

    class Look(Trained):
        def hear(self, conditions):
            return conditions.music, conditions.music

        def forward(self, noisy, step, conditions, heard=None):
            seen.append(noisy.clone())
            return super().forward(noisy, step, conditions)

    network = Look(model.checkpoint.network.config)
    looking = made(model, checkpoint=replace(local_of(clean_edges=4), network=network))
    _, (draft,), _ = raw(looking, song_of(3.0))
    (first, last), _ = looking.generator.cues_of(draft, 0, 0)
    for noisy in seen:
        start = model.checkpoint.normaliser.denormalise(noisy[0, :4])
        assert torch.allclose(start, first.features[:4], atol=1e-5)
        end = model.checkpoint.normaliser.denormalise(noisy[0, -4:])
        assert torch.allclose(end[:, LAYOUT["rotations"]], last.features[-4:, LAYOUT["rotations"]], atol=1e-5)


@pytest.mark.parametrize("sampler", STEP_RULES)
@pytest.mark.parametrize("local", [local_of, pmd_of], ids=["transformer", "pmd"])
def test_the_frames_around_every_seam_are_those_of_one_primitive(sampler, local):
    model = lodge(local(), global_of())
    _, (draft,), (features,) = raw(model, song_of(17.0), sampler=sampler)
    plan = draft.plan
    assert plan.windows == 3
    for before, after in pairwise(plan.segments):
        seam = plan.begin(after)
        around = centred(torch.from_numpy(features[seam - 4 : seam + 4]), LAYOUT)
        wanted = draft.hard[before.window, before.slot + 1]
        np.testing.assert_allclose(around, wanted, atol=2e-5)
    # Two windows have one and the same primitive between them.
    for k in range(plan.windows - 1):
        torch.testing.assert_close(draft.hard[k, -1], draft.hard[k + 1, 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("sampler", STEP_RULES)
def test_the_soft_level_decides_how_near_the_dance_comes_to_the_cues(sampler, follower):
    song, distances, dances = song_of(3.0), [], []
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        found = dance(follower, song, steps=25, sampler=sampler, soft_level=level)
        distances.append(found.meta["soft_cue_distance"])
        dances.append(found)
    assert all(later < earlier for earlier, later in pairwise(distances)), distances
    assert distances[-1] < 1e-5
    # No cues at all, however they would have been placed, is what level 0 means.
    other = {"soft_level": 0.0, "mirror": False, "beat_align": False}
    assert same(dances[0], dance(follower, song, steps=25, sampler=sampler, **other))


def test_soft_cues_are_danced_on_beats_and_to_both_sides(model):
    _, (draft,), (features,) = raw(model, song_of(6.0))
    beats = set(range(0, 128, 10))
    for number, (segment, placed) in enumerate(zip(draft.plan.segments, draft.placed, strict=True)):
        assert placed.mirrored.tolist() == [False, True, False, True]
        _, soft = model.generator.cues_of(draft, number, 0)
        for cue, centre, which, swapped in zip(soft, *placed, strict=True):
            assert centre + segment.start in beats
            danced = centred(torch.from_numpy(features[segment.start + cue.frames]), LAYOUT)
            if segment.start + cue.frames[-1] >= len(features):
                continue
            primitive = draft.soft[segment.window, segment.slot, which]
            wanted = centred(mirror(primitive, LAYOUT), LAYOUT) if swapped else primitive
            np.testing.assert_allclose(danced, wanted, atol=2e-5)


def test_each_switch_changes_the_dance(model):
    song = song_of(6.0, period=0.45)
    plain = dance(model, song)
    for switch in ({"mirror": False}, {"beat_align": False}, {"soft_level": 0.0}, {"soft_level": 0.5}):
        changed = dance(model, song, **switch)
        assert not same(plain, changed)
        assert changed.meta["cues"] == CueConfig(**switch).model_dump()
    assert same(dance(made(model, cues=CueConfig(mirror=False)), song), dance(model, song, mirror=False))


def test_discrete_primitives_reach_over_more_frames():
    model = lodge(
        checkpoint_of(LocalDenoiserConfig(**SMALL, refine_depth=1), 128),
        checkpoint_of(GlobalDenoiserConfig(length=256, segment=128, soft_spacing=4, **SMALL), 256),
    )
    _, (draft,), (features,) = raw(model, song_of(6.0, period=1.5))
    _, soft = model.generator.cues_of(draft, 0, 0)
    assert all(np.diff(cue.frames).tolist() == [4] * 7 for cue in soft)
    assert len({frame for cue in soft for frame in cue.frames}) == 8 * len(soft)
    danced = centred(torch.from_numpy(features[soft[0].frames]), LAYOUT)
    np.testing.assert_allclose(danced, soft[0].features, atol=2e-5)


def test_noise_within_a_primitive_goes_and_the_gesture_stays(rng):
    time = torch.linspace(0, 1, 8)[:, None]
    start, speed, bend = torch.from_numpy(rng.normal(size=(3, LAYOUT.width)).astype(np.float32))
    gesture = start + speed * time + bend * time**2
    torch.testing.assert_close(smooth(gesture, LAYOUT), gesture, atol=1e-5, rtol=0)
    noise = torch.from_numpy(rng.normal(size=(5, 8, LAYOUT.width)).astype(np.float32))
    found = smooth(gesture + noise, LAYOUT)
    body = slice(LAYOUT["root_position"].start, LAYOUT.width)
    # Three of eight degrees of freedom are left.
    assert (found - gesture)[..., body].var().item() == pytest.approx(3 / 8, abs=0.05)
    assert torch.equal(found[..., LAYOUT["contact"]], (gesture + noise)[..., LAYOUT["contact"]])


def test_primitives_are_parabolas_unless_they_are_wanted_raw(model):
    song = song_of(4.0)
    _, [laid], _ = raw(model, song)
    _, [plain], _ = raw(model, song, parabola=False)
    root = LAYOUT["root_position"]  # rotations are made true ones afterwards
    third = [each.hard[..., root].diff(n=3, dim=2).abs().max() for each in (laid, plain)]
    assert third[0] < 0.01 * third[1]
    assert not DanceRequest().raw().cues["parabola"]


def test_primitives_are_made_proper(rng):
    features = torch.from_numpy(rng.normal(size=(2, 3, 8, LAYOUT.width)).astype(np.float32))
    found = tidy(features, LAYOUT)
    assert (found[..., 0, HORIZONTAL] == 0).all()
    assert found[..., LAYOUT["contact"]].min() >= 0
    assert found[..., LAYOUT["contact"]].max() <= 1
    assert torch.equal(found[..., ROOT + 1], features[..., ROOT + 1])
    rows = found[..., LAYOUT["rotations"]].unflatten(-1, (22, 2, 3))
    torch.testing.assert_close(rows @ rows.mT, torch.eye(2).expand(2, 3, 8, 22, 2, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(tidy(found, LAYOUT), found, atol=1e-5, rtol=0)


# Whole dances.


@pytest.mark.parametrize("seconds", [0.05, 0.4, 1.0, 3.2, 6.4, 6.45, 14.0])
@pytest.mark.parametrize("cleanup", [False, True], ids=["raw", "cleaned"])
def test_a_dance_is_as_long_as_its_song(seconds, cleanup, model):
    motion = dance(model, song_of(seconds), cleanup=cleanup, steps=1)
    assert motion.frames == max(1, round(seconds * FPS))
    assert (motion.fps, len(motion.skeleton)) == (FPS, 22)
    assert np.isfinite(motion.joints()).all()


@pytest.mark.parametrize("sampler", STEP_RULES)
def test_a_dance_does_not_depend_on_what_is_made_beside_it(sampler, model):
    songs = [song_of(4.0), song_of(8.0, period=0.45)]
    asked = [DanceRequest(song=song, genre="salsa", seed=7, steps=3, sampler=sampler).raw() for song in songs]
    together = model.generate_all(asked)
    chunked = drawn(model, rows=2, stretch=1).generate_all(asked)
    for request, one, other in zip(asked, together, chunked, strict=True):
        alone = model.generate(request)
        # Not to the last bit: products of other sizes add up in another order, and bf16 where there is any.
        np.testing.assert_allclose(one.joints(), alone.joints(), atol=2e-2)
        np.testing.assert_allclose(one.joints(), other.joints(), atol=2e-2)
        assert one.meta["song"] == alone.meta["song"]


def test_dances_of_one_batch_agree_on_how_they_are_drawn(model):
    asked = [DanceRequest(song=song_of(1.0), steps=steps) for steps in (2, 3)]
    with pytest.raises(InputError, match="steps"):
        model.generate_all(asked)


def test_a_seed_means_one_dance_and_words_another(model):
    song = song_of(4.0)
    first = dance(model, song, seed=4)
    assert same(first, dance(model, song, seed=4))
    assert not same(first, dance(model, song, seed=5))
    assert not same(first, dance(model, song, seed=4, music_guidance=2.0, text_guidance=1.0))
    assert not same(first, dance(model, song, seed=4, genre="salsa"))


def test_what_made_the_dance_is_recorded(model):
    meta = dance(model, song_of(4.0), genre="disco", seed=3).meta
    assert (meta["model"], meta["seed"], meta["genre"], meta["steps"]) == ("lodge", 3, "disco", 3)
    assert meta["cues"] == CueConfig().model_dump()
    assert meta["seam_gap"] >= 0


def test_a_score_changes_the_words_and_its_poses_are_told_of(model):
    song = song_of(7.0)
    score = parse_score(
        "unit: seconds\ntimeline:\n  - {from: 0, to: 3, genre: salsa}\n"
        "  - {from: 3, genre: disco, poses: [{at: 4, pose: arms up}]}\n"
    )
    scored, salsa = dance(model, song, score=score), dance(model, song, genre="salsa")
    assert [entry["genre"] for entry in scored.meta["timeline"]] == ["salsa", "disco"]
    assert any("poses" in note for note in scored.meta["notes"])
    assert not any("poses" in note for note in salsa.meta["notes"])
    assert not same(scored, salsa)


def test_progress_reaches_the_end_and_may_cancel(model):
    seen = []
    dance(model, song_of(15.0), progress=lambda done, total, what: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == seen[-1][1] == seen[0][1]

    def stop(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        dance(model, song_of(2.0), progress=stop)


def test_a_song_that_ends_within_a_window_begins_again_for_the_global_stage(model):
    song = song_of(2.0)
    plan = SegmentPlan(40, model.generator.primitives)
    music = model.generator.looped_music(song, plan)
    assert music.shape == (LENGTH, 35)
    assert torch.equal(music[:40], music[40:80])


def test_the_command_line_dances_with_both_stages(model, tmp_path):
    model.generator.choreographer.save(tmp_path / "mine" / "global")
    model.checkpoint.save(tmp_path / "mine" / "local")
    samples = np.random.default_rng(0).normal(size=SAMPLE_RATE).astype(np.float32) * 0.1
    write_audio(tmp_path / "song.wav", samples, SAMPLE_RATE)

    def run(folder, *options):
        arguments = ["generate", tmp_path / "song.wav", "--model", folder, "--steps", 1, "-o", tmp_path / "dance.npz"]
        return CliRunner().invoke(app, [str(argument) for argument in (*arguments, *options)])

    result = run(tmp_path / "mine", "--soft-level", 0.5, "--no-mirror")
    assert result.exit_code == 0, result.output
    cues = Motion.load(tmp_path / "dance.npz").meta["cues"]
    assert cues == CueConfig(soft_level=0.5, mirror=False).model_dump()
    refused = run(tmp_path / "mine" / "local", "--no-beat-align")
    assert isinstance(refused.exception, InputError)
    assert "--beat-align" in str(refused.exception)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"soft_level": 1.5}, "soft_level"), ({"soft_level": -1}, "soft_level"), ({"soft": 1.0}, "soft")],
)
def test_impossible_cues_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        CueConfig(**options)


def test_options_that_do_not_exist_are_refused(model):
    with pytest.raises(TypeError, match="sofft"):
        model.generate(song_of(1.0), sofft=1)
    with pytest.raises(InputError, match="steps"):
        dance(model, song_of(1.0), steps=1001)


# Loading.


def test_a_folder_with_both_stages_is_a_lodge(model, tmp_path):
    model.generator.choreographer.save(tmp_path / "mine" / "global")
    model.checkpoint.save(tmp_path / "mine" / "local")
    found = load(tmp_path / "mine")
    assert isinstance(found.generator, Lodge)
    assert found.name == "mine"
    assert longdance.load is load
    assert same(dance(found, song_of(3.0)), dance(model, song_of(3.0)))
    assert load(tmp_path / "mine" / "local").kind == "lodge-local"
    with pytest.raises(InputError, match="global stage"):
        load(tmp_path / "mine" / "global")


def test_stages_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match="segments of 64"):
        Lodge(checkpoint_of(LocalDenoiserConfig(**SMALL), 32), choreographer=global_of())
    with pytest.raises(InputError, match="music_encoder"):
        Lodge(local_of(music_encoder="rhythm"), choreographer=global_of())
    with pytest.raises(InputError, match="global stage"):
        Lodge(local_of(), choreographer=local_of())


def test_a_streamed_dance_is_the_generated_one_in_pieces(model):
    song = song_of(14.0)
    raw = {"steps": 2, "genre": "salsa", "cleanup": False}
    pieces = list(model.stream(song, **raw))
    assert len(pieces) == 5
    whole, streamed = model.generate(song, **raw), Motion.joined(pieces)
    np.testing.assert_allclose(streamed.joints(), whole.joints(), atol=1e-5)
    np.testing.assert_allclose(streamed.meta["beat_times"], whole.meta["beat_times"], atol=1e-3)
    cleanup = model.cleanup.without(OnFloor, RootLed, FeetLocked)
    model, refined = replace(model, cleanup=cleanup), {**raw, "cleanup": True}
    pieces = list(model.stream(song, **refined))
    assert len(pieces) > 3
    whole, streamed = model.generate(song, **refined), Motion.joined(pieces)
    assert np.abs(streamed.joints() - whole.joints()).max() < 5e-3


def test_settings_of_cues_hold_for_streams_as_well(model):
    song, options = song_of(6.0), {"steps": 2, "cleanup": False}
    plain, free = (Motion.joined(list(model.stream(song, soft_level=level, **options))) for level in (None, 0.0))
    assert not np.array_equal(plain.rotations, free.rotations)


# Edits by the local stage.


def test_a_lodge_s_dance_is_edited_by_its_local_stage(model):
    song = song_of(8.0)
    whole = model.generate(song, genre="salsa", steps=2)
    asked = DanceRequest(song=song, steps=2, seed=9, genre="disco")
    for edited, free in (
        (edit.redo(whole, model, asked, stretches=[(3, 5)]), slice(60, 100)),
        (edit.redo(whole, model, asked, stretches=[(3, 5)], joints="upper"), slice(60, 100)),
        (edit.in_between(whole, model, asked, keep=[(0, 2), (7, 8)]), slice(40, 140)),
        (edit.from_here_on(whole, model, asked, at=5.0), slice(100, 160)),
    ):
        kept = np.r_[0 : free.start, free.stop : whole.frames]
        assert np.array_equal(edited.rotations[kept], whole.rotations[kept])
        assert np.array_equal(edited.root_position[kept], whole.root_position[kept])
        assert not np.array_equal(edited.rotations[free], whole.rotations[free])
        assert edited.meta["model"] == "lodge"
    longer = edit.go_on(whole.slice(0, 120), model, asked, seconds=2.0)
    assert longer.frames == 160
    other = model.generate(song, genre="disco", steps=2, seed=3)
    both = edit.blend(whole, model, asked, other=other, at=4.0)
    assert np.array_equal(both.rotations[:60], whole.rotations[:60])


def test_an_edit_shows_the_local_stage_what_is_kept_at_its_edges_without_noise(model):
    seen = []

    class Look(Trained):
        def forward(self, noisy, step, conditions, heard=None):
            seen.append(noisy.clone())
            return super().forward(noisy, step, conditions)

    network = Look(model.checkpoint.network.config)
    looking = made(model, checkpoint=replace(local_of(clean_edges=4), network=network))
    song = song_of(8.0)
    whole = model.generate(song, steps=1)
    edit.redo(whole, looking, DanceRequest(song=song, steps=2), stretches=[(4.0, 4.5)])
    layout, normaliser = looking.checkpoint.layout, looking.checkpoint.normaliser
    track = torch.from_numpy(layout.encode(whole))
    rotations = layout["rotations"]
    for noisy in seen:
        real = normaliser.denormalise(noisy[0])
        starts = [k for k in range(len(track) - len(real) + 1)
                  if torch.allclose(real[:4, rotations], track[k : k + 4, rotations], atol=1e-4)]  # fmt: skip
        assert starts
        end = track[starts[0] + len(real) - 4 : starts[0] + len(real)]
        assert torch.allclose(real[-4:, rotations], end[:, rotations], atol=1e-4)
        # Places on the floor are counted from the window's own first frame, and not known at its end.
        horizontal = layout.horizontal
        wanted = track[starts[0] : starts[0] + 4, horizontal] - track[starts[0], horizontal]
        assert torch.allclose(real[:4, horizontal], wanted, atol=1e-4)
        assert not torch.allclose(real[-4:, horizontal], end[:, horizontal] - track[starts[0], horizontal], atol=1e-3)


def test_the_dance_knows_the_model_that_edits_it(model, tmp_path, monkeypatch):
    model.generator.choreographer.save(tmp_path / "mine" / "global")
    model.checkpoint.save(tmp_path / "mine" / "local")
    samples = np.random.default_rng(0).normal(size=3 * SAMPLE_RATE).astype(np.float32) * 0.1
    write_audio(tmp_path / "song.wav", samples, SAMPLE_RATE)
    monkeypatch.chdir(tmp_path)

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    made_by = run("generate", "song.wav", "--model", "mine", "--steps", 1, "--seed", 4, "-o", "dance.npz")
    assert made_by.exit_code == 0, made_by.output
    edited = run("edit", "dance.npz", "--redo", "1:2", "--steps", 1, "-o", "new.npz")
    assert edited.exit_code == 0, edited.output
    assert Motion.load("new.npz").meta["model"] == "mine"
    assert len(Motion.load("new.npz").skeleton) == 22
    (tmp_path / "mine").rename(tmp_path / "theirs")
    gone = run("edit", "dance.npz", "--redo", "1:2", "--steps", 1, "-o", "new.npz")
    assert isinstance(gone.exception, InputError)
    assert "--model" in str(gone.exception)
    again = run("edit", "dance.npz", "--redo", "1:2", "--steps", 1, "--model", "theirs", "-o", "new.npz")
    assert again.exit_code == 0, again.output
