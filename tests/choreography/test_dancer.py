"""A tiny untrained denoiser dances to a generated click track, at any length and with any words."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from dancers import drawn, made
from longdance.choreography.conditioning import UNSEEN_GENRE_WEIGHT
from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.edmg import edmg
from longdance.choreography.request import Words
from longdance.cleanup.pipeline import Cleanup
from longdance.data.catalogue import genre_names, load_catalogue
from longdance.errors import Cancelled, InputError
from longdance.features.song import Song
from longdance.features.text_table import MINILM
from longdance.models.checkpoint import Checkpoint, CheckpointConfig, OwnSampling
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.motion.layout import LAYOUTS, Normaliser

FPS, WINDOW = 20.0, 24
SAMPLE_RATE = 22050


def clicks(seconds: float) -> np.ndarray:
    samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    click = np.exp(-np.arange(400) / 60) * np.sin(np.arange(400) * 0.9)
    for begin in range(0, len(samples) - 400, SAMPLE_RATE // 2):
        samples[begin : begin + 400] += click.astype(np.float32)
    return samples


def song_of(seconds: float) -> Song:
    beats = np.arange(0.0, max(seconds, 0.6), 0.5)
    return Song.from_samples(clicks(seconds), SAMPLE_RATE, name="folder/clicks.wav", beat_times=beats)


def checkpoint_of(layout_name: str = "smpl24", encoder: str = "light35", **changes) -> Checkpoint:
    layout = LAYOUTS[layout_name]
    channels = {"light35": 35, "light35+phase": 39}[encoder]
    network = PMDConfig(
        features=layout.width, music_channels=channels, fps=FPS, width=16, depth=1, heads=4, state=4,
        attention_heads=2, dropout=0.0, chunk=8,
    )  # fmt: skip
    torch.manual_seed(0)
    # Features near a standing body: an untrained network moves it a little.
    mean = torch.zeros(layout.width)
    mean[layout["root_position"]] = torch.tensor([0.0, 0.9, 0.0])
    mean[layout["rotations"]] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(len(layout.skeleton))
    config = CheckpointConfig(
        denoiser="pmd", network=network.model_dump(), layout=layout_name, fps=FPS, window=WINDOW,
        diffusion_steps=100, music_encoder=encoder, text_encoder=MINILM, genres=("disco", "salsa"),
    )  # fmt: skip
    denoiser = ParallelMambaDenoiser(network).eval().requires_grad_(False)
    for block in denoiser.blocks:  # zero before training, which would make every text alike
        block.adain.style.weight.copy_(0.3 * torch.randn(block.adain.style.weight.shape))
    return Checkpoint(
        config.model_copy(update=changes),
        denoiser,
        Normaliser(mean, torch.full((layout.width,), 0.3)),
        torch.zeros(channels),
        torch.full((channels,), 10.0),
    )


@pytest.fixture(scope="module")
def model() -> Dancer:
    return drawn(edmg(checkpoint_of()), stretch=2)


@pytest.fixture(scope="module")
def song() -> Song:
    return song_of(5.0)


def dance(model, song, **options):
    return model.generate(song, **{"steps": 3, "trm": False, "cleanup": False, **options})


def same(first, second) -> bool:
    return np.array_equal(first.root_position, second.root_position) and np.array_equal(
        first.rotations, second.rotations
    )


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.3, 1.2, 1.25, 2.0, 2.03, 2.85, 7.77])
@pytest.mark.parametrize("cleanup", [False, True], ids=["raw", "cleaned"])
def test_a_dance_is_as_long_as_its_song(seconds, cleanup, model):
    motion = dance(model, song_of(seconds), cleanup=cleanup, steps=1)
    assert motion.frames == max(1, round(seconds * FPS))
    assert motion.fps == FPS
    assert np.isfinite(motion.joints()).all()
    determinants = np.linalg.det(motion.rotations)
    np.testing.assert_allclose(determinants, 1, atol=1e-6)


def test_a_song_shorter_than_half_a_frame_is_danced_to_or_refused(model):
    try:
        frames = dance(model, song_of(0.02), steps=1).frames
    except InputError:
        frames = 1
    assert frames == 1


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm2m"])
def test_a_seed_means_one_dance(sampler, model, song):
    first = dance(model, song, sampler=sampler, seed=4)
    assert same(first, dance(model, song, sampler=sampler, seed=4))
    assert not same(first, dance(model, song, sampler=sampler, seed=5))


def test_earlier_dances_and_global_randomness_leave_no_trace(model, song):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = dance(model, song, genre="salsa")
    state = {name: tensor.clone() for name, tensor in model.checkpoint.network.state_dict().items()}
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    before = torch.get_rng_state()
    dance(model, song_of(1.0), genre="disco", seed=9)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(first, dance(model, song, genre="salsa"))
    for name, tensor in model.checkpoint.network.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_the_order_of_the_rows_in_memory_does_not_matter(model, song):
    few, many = (dance(drawn(model, rows=rows), song) for rows in (1, 16))
    np.testing.assert_allclose(few.joints(), many.joints(), atol=2e-2)  # bf16 on machines that have it


def test_guidance_text_and_music_change_the_dance(model, song):
    plain = dance(model, song)
    salsa, disco = dance(model, song, genre="salsa"), dance(model, song, genre="disco")
    assert not same(salsa, disco)
    assert not same(plain, salsa)
    assert not same(salsa, dance(model, song, genre="salsa", music_guidance=1.0, text_guidance=1.0))
    silent = Song.from_samples(np.zeros(5 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    assert not same(plain, dance(model, silent))


def test_no_music_weight_means_the_song_is_not_heard(model, song):
    silent = Song.from_samples(np.zeros(5 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    deaf = {"music_guidance": 0.0, "text_guidance": 0.0}
    assert same(dance(model, song, **deaf), dance(model, silent, **deaf))


def test_seams_between_stretches_are_as_smooth_as_the_rest(model):
    long = song_of(9.0)
    motion = dance(model, long, steps=4)
    joints = motion.joints()
    step = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(1)
    hop = WINDOW - int(WINDOW * model.generator.overlap)
    seams = [first * hop + offset for first in range(2, 12, 2) for offset in (-1, 0, 7, 8)]
    seams = [frame for frame in seams if frame < len(step)]
    assert step[seams].max() <= np.percentile(step, 99) * 1.5


def test_the_path_of_root_and_body_does_not_jump_between_stretches(model):
    """A denoiser that walks straight on in every window gives one straight walk over all stretches."""
    layout = model.checkpoint.layout

    class Walker(torch.nn.Module):
        config = model.checkpoint.network.config

        def hear(self, conditions):
            return conditions.music, conditions.music

        def forward(self, noisy, step, conditions, heard=None):
            clean = torch.zeros_like(noisy)
            clean[..., 4] = torch.arange(noisy.shape[1]) * (0.05 / 0.3)
            return clean

    walker = made(model, checkpoint=replace(model.checkpoint, network=Walker()))
    motion = dance(walker, song_of(9.0), steps=4)
    assert layout["root_position"].start == 4
    np.testing.assert_allclose(motion.root_position[:, 0], 0.05 * np.arange(motion.frames), atol=1e-3)
    np.testing.assert_allclose(motion.root_position[:, 1:], [[0.9, 0.0]] * motion.frames, atol=1e-5)
    assert motion.meta["seam_gap"] < 1e-3


def test_short_dances_do_not_depend_on_the_stretch(model):
    song = song_of(2.0)  # two windows: one stretch in both
    assert same(dance(model, song), dance(drawn(model, stretch=24), song))


def test_windows_without_overlap_still_fill_the_song(model, song):
    assert dance(made(model, overlap=0.0), song, steps=1).frames == song.frames(FPS)


def test_prompts_are_resolved_and_told(model, song):
    movement = load_catalogue()["salsa"].movements[0].name
    motion = dance(model, song, genre="Salsa", movement=movement.upper(), steps=1)
    assert motion.meta["genre"] == "salsa"
    assert motion.meta["movements"] == [movement]
    assert not same(motion, dance(model, song, genre="salsa", steps=1))
    assert dance(model, song, genre="salsa", steps=1).meta["movements"] == []
    assert dance(model, song, steps=1).meta["genre"] is None


def test_steps_and_sampler_are_the_model_s_own_unless_asked_for(model, song):
    own = drawn(model, steps=2, sampler="ddim")
    motion = dance(own, song, steps=None)
    assert (motion.meta["steps"], motion.meta["sampler"]) == (2, "ddim")
    assert same(motion, dance(model, song, steps=2, sampler="ddim"))
    assert dance(own, song, steps=1, sampler="ddpm").meta["steps"] == 1


def test_a_recipe_s_way_of_drawing_is_the_model_s_own(song):
    own = OwnSampling(steps=2, sampler="ddim", music_guidance=1.5, text_guidance=2.0, guidance_until=0.25)
    meta = dance(edmg(checkpoint_of(sampling=own)), song, steps=None).meta
    assert (meta["steps"], meta["sampler"], meta["guidance"]) == (2, "ddim", {"music": 1.5, "text": 2.0, "until": 0.25})


def test_a_network_that_learnt_its_guidance_is_not_guided(model, song):
    learnt = drawn(model, guided=False)
    motion = dance(learnt, song, genre="salsa")
    assert same(motion, dance(model, song, genre="salsa", music_guidance=1.0, text_guidance=1.0))
    assert not motion.meta["notes"]
    assert motion.meta["guidance"] == {"music": 1.0, "text": 6.0, "until": 0.0}
    other = dance(learnt, song, genre="salsa", text_guidance=3.0)
    assert same(motion, other)
    assert any("no other" in note for note in other.meta["notes"])


def test_the_user_is_told_of_genres_that_were_not_trained(model, song):
    other = next(name for name in genre_names() if name not in ("disco", "salsa"))
    motion = dance(model, song, genre=other, steps=1)
    assert any(f"not trained on {other}" in note and "disco, salsa" in note for note in motion.meta["notes"])
    assert not any("not trained" in note for note in dance(model, song, genre="salsa", steps=1).meta["notes"])


def test_what_made_the_dance_is_recorded(model, song):
    meta = dance(model, song, genre="disco", seed=7, sampler="ddim").meta
    assert meta["model"] == "edmg"
    assert (meta["seed"], meta["sampler"], meta["steps"]) == (7, "ddim", 3)
    assert meta["song"] == "clicks.wav"  # no folders of the user's computer
    assert meta["tempo_bpm"] == 120.0
    assert meta["beat_times"] == [i / 2 for i in range(10)]
    assert meta["guidance"] == {"music": 1.0, "text": 6.0, "until": 0.0}
    assert meta["seam_gap"] >= 0


def test_dances_can_be_saved_and_read(model, song, tmp_path):
    motion = dance(model, song, genre="disco")
    motion.save(tmp_path / "dance.npz")
    again = type(motion).load(tmp_path / "dance.npz")
    assert again.meta == motion.meta
    np.testing.assert_allclose(again.joints(), motion.joints(), atol=1e-4)


def test_progress_counts_every_window_once_and_reaches_the_end(model, song):
    seen = []
    dance(model, song, progress=lambda done, total, what: seen.append((done, total, what)))
    done = [entry[0] for entry in seen]
    assert done == sorted(done)
    assert len({total for _, total, _ in seen}) == 1
    assert done[-1] == seen[0][1]
    assert all(what for _, _, what in seen)


def test_progress_may_cancel_at_any_time(model, song):
    for at in (1, 4):
        calls = []

        def stop(done, total, what, at=at, calls=calls):
            calls.append(done)
            if len(calls) == at:
                raise Cancelled

        with pytest.raises(Cancelled):
            dance(model, song, progress=stop)
        assert len(calls) == at


def test_files_are_danced_to_as_samples_are(model, tmp_path):
    path = tmp_path / "clicks.wav"
    soundfile.write(path, clicks(3.0), SAMPLE_RATE)
    motion = dance(model, path, bpm=120.0, steps=1)
    assert motion.frames == 60
    assert motion.meta["song"] == "clicks.wav"
    part = dance(model, str(path), bpm=120.0, start=1.0, seconds=1.5, steps=1)
    assert (part.frames, part.meta["start"]) == (30, 1.0)


@pytest.mark.parametrize("option", [{"seconds": 1.0}, {"start": 2.0}, {"bpm": 60.0}], ids=str)
def test_options_that_cannot_apply_to_a_measured_song_are_not_ignored(option, model, song):
    with pytest.raises(InputError):
        dance(model, song, steps=1, **option)


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": "euler"},
        {"steps": 0},
        {"steps": 101},
        {"genre": "quadrille of the moon"},
        {"movement": "waltz", "genre": "quadrille of the moon"},
        {"seed": 2**64},
    ],
    ids=str,
)
def test_impossible_options_are_input_errors(options, model, song):
    with pytest.raises(InputError):
        dance(model, song, **options)


def test_unreadable_songs_are_named(model, tmp_path):
    with pytest.raises(InputError, match=r"nothing\.wav"):
        dance(model, tmp_path / "nothing.wav")
    (tmp_path / "text.wav").write_text("not a song")
    with pytest.raises(InputError, match=r"text\.wav"):
        dance(model, tmp_path / "text.wav")


def test_options_are_checked_before_the_song_is_decoded(model, tmp_path):
    with pytest.raises(InputError, match=r"sampler|genre"):
        dance(model, tmp_path / "nothing.wav", genre="quadrille of the moon")


def test_an_unknown_music_encoder_is_an_input_error(song):
    with pytest.raises(InputError, match="jukebox"):
        dance(edmg(checkpoint_of(music_encoder="jukebox")), song)


def test_beat_phases_are_features_too():
    model = edmg(checkpoint_of(encoder="light35+phase"))
    assert dance(model, song_of(1.0), steps=1).frames == 20


def test_music_beyond_the_end_is_the_last_frame(model, song):
    music = model.conditioner.music(song, 130)
    assert music.shape == (130, 35)
    assert (music[100:] == music[99]).all()
    assert torch.equal(model.conditioner.music(song, 40), music[:40])
    assert torch.equal(music[:40], model.conditioner.encode(song)[:40])


def test_contacts_reach_the_cleanup_in_its_order(monkeypatch, song):
    model, seen = edmg(checkpoint_of("smpl22")), []
    bias = model.checkpoint.network.output.bias
    bias[:4] = torch.tensor([100.0, -100.0, -100.0, -100.0])  # the left toe stands, nothing else does

    def look(cleanup, passage):
        seen.append(passage.contacts > 0.5)
        return passage

    monkeypatch.setattr(Cleanup, "whole", look)
    model.generate(song, steps=1)
    # The order of CONTACT_ORDER: left ankle, left foot, right ankle, right foot.
    assert seen[0].all(0).tolist() == [False, True, False, False]


def test_the_layout_of_lodge_dances_as_well(song):
    motion = dance(edmg(checkpoint_of("smpl22")), song, cleanup=True)
    assert motion.skeleton is LAYOUTS["smpl22"].skeleton
    assert motion.frames == 100


def test_beside_words_that_training_did_not_have_the_genre_weighs_more(model):
    words = model.conditioner.words
    genre = words(Words("breaking")).embeddings
    seen = words(Words("breaking", ("upright sequence",))).embeddings
    unseen = words(Words("breaking", ("six-step",))).embeddings
    assert UNSEEN_GENRE_WEIGHT == 3  # of four rows of the pooled mean, three more are the genre's
    assert [len(rows) for rows in (genre, seen, unseen)] == [1, 2, 2 + 3]
    np.testing.assert_array_equal(seen[0], genre[0])
    assert np.array_equal(unseen[:-1], np.repeat(genre, 1 + UNSEEN_GENRE_WEIGHT, axis=0))
