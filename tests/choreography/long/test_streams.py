"""Dances that are streamed by a tiny untrained denoiser: what comes out, and when."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from choreography.test_dancer import FPS, SAMPLE_RATE, checkpoint_of, clicks, same, song_of
from dancers import drawn, made
from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.edmg import edmg
from longdance.choreography.long import streams
from longdance.choreography.score_file import parse_score
from longdance.errors import Cancelled, InputError
from longdance.features import listening
from longdance.motion.motion import Motion


@pytest.fixture(scope="module")
def model() -> Dancer:
    return drawn(edmg(checkpoint_of()), stretch=2)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes a song of clicks, and lets songs be heard in small parts."""
    monkeypatch.setattr(listening, "FIRST_SECONDS", 3.0)
    monkeypatch.setattr(listening, "PART_SECONDS", 5.0)

    def write(seconds: float):
        path = tmp_path / f"clicks{seconds}.wav"
        soundfile.write(path, clicks(seconds), SAMPLE_RATE)
        return path

    return write


def pieces(model, song, **options) -> list[Motion]:
    return list(model.stream(song, **{"steps": 2, **options}))


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.2, 2.03, 7.77, 21.3])
@pytest.mark.parametrize("cleanup", [True, False], ids=["cleaned", "raw"])
def test_the_pieces_are_as_long_as_the_song(seconds, cleanup, model, file):
    motion = Motion.joined(pieces(model, file(seconds), cleanup=cleanup))
    assert motion.frames == max(1, round(seconds * FPS))
    assert np.isfinite(motion.joints()).all()
    np.testing.assert_allclose(np.linalg.det(motion.rotations), 1, atol=1e-6)


def test_a_seed_means_the_same_pieces(model, file):
    path = file(12.0)
    first, again, other = (pieces(model, path, genre="salsa", seed=seed) for seed in (3, 3, 4))
    assert len(first) > 3
    assert [piece.frames for piece in first] == [piece.frames for piece in again]
    assert all(same(one, two) for one, two in zip(first, again, strict=True))
    assert not same(first[0], other[0])


def test_the_first_piece_does_not_wait_for_the_song(model, file, monkeypatch):
    heard = []
    measure = listening.measure_part
    monkeypatch.setattr(listening, "measure_part", lambda *a, **k: heard.append(1) or measure(*a, **k))
    stream = model.stream(file(60.0), steps=1)
    assert next(stream).frames > 0
    assert len(heard) == 1
    stream.close()


def test_little_is_kept_of_what_was_danced(model, file, monkeypatch):
    most = []
    hear = streams.Heard.hear

    def watched(music, frame):
        hear(music, frame)
        most.append((len(music._features), len(music._beats)))

    monkeypatch.setattr(streams.Heard, "hear", watched)
    pieces(model, file(60.0), steps=1)
    features, beats = np.array(most).max(0)
    assert features < 15 * FPS
    assert beats < 40


def test_joins_are_as_smooth_as_the_rest(model, file):
    made = pieces(model, file(30.0), steps=4)
    joints = Motion.joined(made).joints()
    ends = np.cumsum([piece.frames for piece in made])[:-1]
    for order in (1, 2):
        size = np.linalg.norm(np.diff(joints, order, axis=0), axis=-1).max(1)
        at_joins = [size[end - order : end].max() for end in ends]
        assert np.mean(at_joins) <= np.percentile(size, 99)


def test_paths_of_stretches_go_on(model, file):
    """A denoiser that walks straight on in every window gives one straight walk over all stretches."""

    class Walker(torch.nn.Module):
        config = model.checkpoint.network.config

        def hear(self, conditions):
            return conditions.music, conditions.music

        def forward(self, noisy, step, conditions, heard=None):
            clean = torch.zeros_like(noisy)
            clean[..., 4] = torch.arange(noisy.shape[1]) * (0.05 / 0.3)
            return clean

    walker = made(model, checkpoint=replace(model.checkpoint, network=Walker()))
    motion = Motion.joined(pieces(walker, file(9.0), cleanup=False))
    np.testing.assert_allclose(motion.root_position[:, 0], 0.05 * np.arange(motion.frames), atol=1e-3)


def test_every_piece_tells_of_its_own_stretch(model, file):
    made = pieces(model, file(16.0), bpm=120.0, start=1.0, genre="disco", seed=7)
    first = 0
    for piece in made:
        assert piece.meta["start"] == pytest.approx(1.0 + first / FPS, abs=1e-3)
        assert all(0 <= time < piece.seconds for time in piece.meta["beat_times"])
        assert (piece.meta["genre"], piece.meta["seed"], piece.meta["tempo_bpm"]) == ("disco", 7, 120.0)
        first += piece.frames
    beats = Motion.joined(made).meta["beat_times"]
    np.testing.assert_allclose(np.diff(beats), 0.5, atol=0.02)
    assert len(beats) == 30


def test_measured_songs_and_scores_are_streamed_too(model, file):
    score = parse_score("timeline: [{from: 0, to: 2.1, genre: salsa}, {from: 2.1, genre: disco}]")
    song = song_of(6.0)
    assert sum(piece.frames for piece in pieces(model, song)) == 120
    plain, scored = (Motion.joined(pieces(model, file(6.0), score=given)) for given in (None, score))
    assert scored.frames == plain.frames == 120
    assert scored.meta["timeline"][1]["genre"] == "disco"
    assert not same(plain, scored)


def test_what_cannot_be_danced_is_told_at_once(model, file, tmp_path):
    for options in ({"sampler": "euler"}, {"steps": 0}, {"genre": "quadrille of the moon"}, {"bpm": 5.0}):
        with pytest.raises(InputError):
            model.stream(file(1.0), **options)
    with pytest.raises(InputError, match=r"nothing\.wav"):
        model.stream(tmp_path / "nothing.wav")


def test_progress_is_told_and_may_cancel(model, file):
    seen = []
    pieces(model, file(12.0), progress=lambda done, total, what: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (240, 240)

    def stop(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        pieces(model, file(12.0), progress=stop)
