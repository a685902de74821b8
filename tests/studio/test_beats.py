"""Beats that are set right: what each button does to them, to the score and to the next dance."""

import numpy as np
import pytest

from click_track import RATE, click_track
from longdance.errors import InputError
from longdance.features.song import Song, SongCorrections
from longdance.studio.beats import set_right, tempo_of_taps
from longdance.studio.forms import BeatsForm, Block, Blocks
from longdance.studio.states import ProjectState, snapped_anew

from .conftest import ended, project_with_song

BPM = 112.0
BEATS = np.arange(0.4, 29.5, 60 / BPM)
HEARD = SongCorrections()


@pytest.fixture(scope="module")
def heard() -> Song:
    return Song.from_samples(click_track(BEATS, seconds=30.0, seed=2), RATE)


def done(song: Song, corrections: SongCorrections = HEARD, **asked) -> tuple[Song, SongCorrections]:
    return set_right(song, corrections, BeatsForm(**asked))


def off(beats: np.ndarray, others: np.ndarray) -> float:
    return float(np.abs(beats[:, None] - others).min(axis=1).max())


def test_half_and_double_undo_each_other(heard):
    half, corrections = done(heard, do="half")
    assert half.tempo_bpm == pytest.approx(BPM / 2, rel=0.01)
    quarter, _ = done(heard, corrections, do="half")
    assert quarter.tempo_bpm == pytest.approx(BPM / 4, rel=0.01)
    again, corrections = done(heard, corrections, do="double")
    assert corrections == HEARD
    assert off(again.beat_times, heard.beat_times) < 1e-6


@pytest.mark.parametrize("beats", [-1.0, -0.5, 0.5, 1.0])
def test_beats_and_bars_shift(heard, beats):
    period = 60 / heard.tempo_bpm
    shifted, _ = done(heard, do="shift", beats=beats)
    grid = heard.beat_times + (beats % 1) * period
    assert off(shifted.beat_times[1:-1], grid) < 0.01
    inner = shifted.downbeat_times[1:-1] - beats * period
    assert off(inner, heard.downbeat_times) < 0.01


def test_own_beats_are_taken_shifted_and_halved(heard):
    text = "\n".join(f"{time:.3f} {index % 3 + 1}" for index, time in enumerate(np.arange(0.5, 20, 0.7)))
    own, corrections = done(heard, do="own", text=text)
    assert (own.meter, own.tempo_bpm) == (3, pytest.approx(60 / 0.7, rel=1e-3))
    assert own.downbeat_times[0] == pytest.approx(0.5)
    later, _ = done(heard, corrections, do="shift", beats=0.5)
    assert later.beat_times[0] == pytest.approx(0.85)
    half, _ = done(heard, corrections, do="half")
    assert half.tempo_bpm == pytest.approx(30 / 0.7, rel=1e-3)


@pytest.mark.parametrize("taps", [4, 8])
def test_taps_tell_the_tempo_within_four_percent_and_on_which_beats(heard, taps):
    rng = np.random.default_rng(3)
    times = BEATS[10 : 10 + taps] + rng.normal(0, 0.02, taps)
    tapped, _ = done(heard, do="taps", taps=times.tolist(), in_song=True)
    assert tapped.tempo_bpm == pytest.approx(BPM, rel=0.04)
    between, _ = done(heard, do="taps", taps=(times + 30 / BPM).tolist(), in_song=True)
    middles = heard.beat_times[:-1] + np.diff(heard.beat_times) / 2
    assert off(between.beat_times[1:-1], middles) < 0.02


def test_taps_that_tell_nothing_are_refused():
    for taps in ([1.0, 1.5, 2.0], [1.0, 1.5, 2.0, 4.0, 4.5], [0.0, 0.01, 0.02, 0.03]):
        with pytest.raises(InputError, match="tap"):
            tempo_of_taps(taps)


def test_blocks_on_beats_move_to_the_nearest_new_beats_and_others_stay():
    before, after = np.arange(0, 20, 0.5).tolist(), np.arange(0.25, 20, 1.0).tolist()
    blocks = [Block(id="a", begin=2.0, end=4.0), Block(id="b", begin=4.0, end=6.13), Block(id="c", begin=8.0, end=8.5)]
    moved = snapped_anew(Blocks(blocks=blocks), before, after).blocks
    assert [(block.begin, block.end) for block in moved] == [(2.25, 4.25), (4.25, 6.13), (8.25, 9.25)]


def test_projects_of_earlier_versions_keep_their_beats():
    song = {"name": "a", "seconds": 9.0, "tempo_bpm": 120.0, "tempo_is_guess": True, "beats": [0.5, 1.0]}
    song["downbeats"] = [0.5]
    made = {"id": "0" * 16, "name": "a", "created": "", "updated": "", "song": song}
    told = ProjectState.model_validate(made).told()["song"]
    assert (told["beats"], told["tempo_bpm"], told["tempo_is_guess"]) == ([0.5, 1.0], 120.0, True)


def test_a_dance_follows_the_beats_that_were_set_and_undo_brings_the_old_ones_back(running, song):
    studio, client = running
    project = project_with_song(client, song)
    address, beats = f"/api/projects/{project['id']}", project["song"]["beats"]
    block = {"id": "one", "from": beats[2], "to": beats[6], "genre": "salsa"}
    client.patch(address, json={"score": {"blocks": [block]}})
    laid = client.post(f"{address}/beats", json={"do": "shift", "beats": 0.5})
    assert laid.status_code == 200, laid.text
    told = laid.json()
    assert told["song"]["corrected"]
    assert told["song"]["beats"][0] == pytest.approx((beats[0] + beats[1]) / 2, abs=0.02)
    assert told["score"]["blocks"][0]["from"] in told["song"]["beats"]
    asked = client.post(f"{address}/generate", json={}).json()
    assert ended(client, asked["job"])["state"] == "done"
    from longdance.motion.motion import Motion

    dance = Motion.load(studio.projects.take_file(project["id"], asked["take"]))
    set_now = [beat for beat in told["song"]["beats"] if beat < dance.seconds]
    assert dance.meta["beat_times"] == pytest.approx(set_now, abs=1e-3)
    client.post(f"{address}/undo")  # the take
    undone = client.post(f"{address}/undo").json()
    assert undone["song"]["beats"] == beats
    assert undone["score"]["blocks"][0]["from"] == pytest.approx(beats[2])


def test_beats_that_cannot_be_set_are_refused_in_a_sentence(running, danced):
    _, client = running
    for asked in ({"do": "own", "text": "no beats"}, {"do": "taps", "taps": [1, 2]}, {"do": "level"}):
        answer = client.post(f"/api/projects/{danced['id']}/beats", json=asked)
        assert answer.status_code == 422
        assert "expected" in answer.json()["error"].lower()
