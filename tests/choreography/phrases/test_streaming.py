"""Dances by plan that are given out while their song is heard."""

import numpy as np
import pytest
import soundfile

from choreography.test_dancer import checkpoint_of
from longdance.choreography.generators.edmg import edmg
from longdance.choreography.generators.lodge import lodge
from longdance.choreography.phrases.laying import lay
from longdance.choreography.phrases.plan import Plan
from longdance.errors import Cancelled, InputError
from longdance.features import listening
from longdance.metrics.rhythm import beat_alignment_test
from longdance.motion.motion import Motion
from made_up_phrases import clicking

RATE = 22050
FPS = 20  # of the model
LENGTH = 63.0


@pytest.fixture(scope="module")
def model():
    return edmg(checkpoint_of())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A minute of clicks, chords by part, and a break."""
    chords = [(0, 20, (220, 277, 330)), (20, 45, (147, 175, 587)), (45, LENGTH, (220, 277, 330))]
    song = clicking(LENGTH, parts=chords, silent=((30.0, 36.0),))
    file = tmp_path_factory.mktemp("songs") / "clicks.wav"
    soundfile.write(file, song.decode(RATE), RATE)
    return file


@pytest.fixture
def heard(monkeypatch, shelf):
    """How many parts were measured; songs are heard in parts of ten seconds."""
    counted = []
    monkeypatch.setattr(listening, "PART_SECONDS", 10.0)
    measure = listening.measure_part
    monkeypatch.setattr(listening, "measure_part", lambda *a, **k: counted.append(1) or measure(*a, **k))
    return counted


def stream(model, path, **asked):
    return model.stream(path, **({"genre": "salsa", "phrases": 1.0, "library": "small", "bpm": 105.0} | asked))


def test_the_first_piece_does_not_wait_for_the_song(model, path, heard):
    pieces = stream(model, path)
    first = next(pieces)
    assert first.frames > FPS
    assert len(heard) == 1
    rest = list(pieces)
    assert len(heard) == 6
    assert first.frames + sum(piece.frames for piece in rest) == round(LENGTH * FPS)
    assert max(piece.seconds for piece in rest) < 25


def test_a_seed_means_the_same_pieces_and_nothing_else_the_same_dance(model, path, heard):
    one, same, other = (list(stream(model, path, seed=seed, seconds=24.0)) for seed in (1, 1, 2))
    assert [piece.frames for piece in one] == [piece.frames for piece in same]
    assert all(np.array_equal(a.rotations, b.rotations) for a, b in zip(one, same, strict=True))
    assert any(a.frames != b.frames or not np.array_equal(a.rotations, b.rotations)
               for a, b in zip(one, other, strict=False))  # fmt: skip


def test_pieces_are_what_their_plan_gives_as_a_whole(model, path, heard, library):
    """The plan that the pieces tell of, laid at once on the beats that they tell of, is the same dance."""
    dance = Motion.joined(list(stream(model, path)))
    plan = Plan.of_record(dance.meta["plan"])

    class Told:
        beat_times = np.array(dance.meta["beat_times"])
        tempo_bpm = dance.meta["tempo_bpm"]

    whole = lay(plan, library, Told(), frames=dance.frames, fps=FPS)
    # A take that was left for the sake of the first piece is blended with itself.
    apart = np.linalg.norm(whole.motion.joints() - dance.joints(), axis=-1).mean(1)
    assert np.percentile(apart, 80) < 0.01
    assert apart.max() < 0.1
    assert any(block.holds for block in plan.blocks)  # the break
    assert plan.blocks[-1].end >= len(Told.beat_times) - 1


def test_pieces_join_as_smoothly_as_the_rest(model, path, heard):
    pieces = list(stream(model, path))
    joints = Motion.joined(pieces).joints()
    size = np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).mean(1)
    for end in np.cumsum([piece.frames for piece in pieces])[:-1]:
        assert size[end - 3 : end + 3].max() <= np.percentile(size, 99)


def test_the_beats_are_met(model, path, heard):
    dance = Motion.joined(list(stream(model, path, seconds=29.0)))
    beats = np.array(dance.meta["beat_times"])
    assert np.diff(beats) == pytest.approx(60 / 105, abs=0.03)
    assert beat_alignment_test(dance.joints(), beats, FPS, shifts=300, seed=0).p_value < 0.01


def test_every_piece_tells_of_its_own_stretch(model, path, heard):
    begin = 0
    for piece in stream(model, path, start=1.0):
        assert piece.meta["start"] == pytest.approx(1.0 + begin / FPS, abs=1e-3)
        rows = piece.meta["plan"]["phrases"]
        assert all(-1e-3 <= max(row["from"], 0) < piece.seconds for row in rows)
        times = piece.meta["beat_times"]
        for row in rows:
            if 0 <= row["beat"] < len(times):
                assert times[int(row["beat"])] == pytest.approx(row["from"], abs=1e-3)
        begin += piece.frames


def test_models_that_plan_ahead_stream_plans_too(path, heard):
    from choreography.generators.test_lodge import global_of, local_of

    assert next(stream(lodge(local_of(), global_of()), path)).frames
    assert len(heard) == 1


def test_what_the_library_has_not_is_danced_by_the_network_and_said_so(model, path, heard):
    pieces = list(stream(model, path, genre="breaking", steps=1, seconds=8.0))
    assert sum(piece.frames for piece in pieces) == 8 * FPS
    assert all(any("no phrases of breaking" in note for note in piece.meta["notes"]) for piece in pieces)


def test_silence_is_danced_by_the_network(model, heard, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE // 2), RATE)
    pieces = list(stream(model, tmp_path / "silence.wav", bpm=None, steps=1))
    assert sum(piece.frames for piece in pieces) == FPS // 2


def test_what_cannot_be_danced_is_told_at_once_and_progress_may_cancel(model, path, heard):
    for asked in ({"library": "smal"}, {"genre": "quadrille of the moon"}):
        with pytest.raises(InputError):
            stream(model, path, **asked)

    def stop(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        list(stream(model, path, progress=stop))
