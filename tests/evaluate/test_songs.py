"""The songs of an evaluation: where their beats come from, and which words go with them."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import swaying
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.evaluate import songs
from longdance.evaluate.dances import Dance
from longdance.evaluate.songs import bundled, dealt, real_dances, songs_of, songs_of_store
from longdance.evaluate.systems import heard_apart
from longdance.features.audio import write_audio
from longdance.metrics.physical import foot_skating


def clicks(path, *, seconds=6.0, rate=22050, period=0.5):
    samples = np.zeros(round(seconds * rate), np.float32)
    for beat in np.arange(0.25, seconds, period):
        samples[round(beat * rate) : round(beat * rate) + 200] = 0.9 * np.hanning(200)
    write_audio(path, samples, rate)


def dances(*names):
    return [Dance(name=n, joints=swaying(60, 30.0).joints(), fps=30.0, genre=f"genre of {n}") for n in names]


def test_beats_beside_a_song_are_taken_and_not_heard(tmp_path):
    for name in ("known", "heard", "wrong"):
        clicks(tmp_path / f"{name}.wav")
    beats = np.arange(0.4, 6, 0.7)
    (tmp_path / "known.beats").write_text("\n".join(f"{beat:.3f}" for beat in beats))
    (tmp_path / "wrong.beats").write_text("not a time\n")
    found, failed = songs_of(tmp_path)
    assert [(source.name, source.beats) for source in found] == [("heard", songs.HEARD), ("known", songs.KNOWN)]
    assert "wrong.beats, line 1" in failed["wrong.wav"]
    song = found[1].load(4.0)
    np.testing.assert_allclose(song.beat_times[song.beat_times < 4], beats[beats < 4], atol=1e-6)
    assert song.seconds == pytest.approx(4, abs=0.01)
    with pytest.raises(InputError, match="found none"):
        songs_of(tmp_path / "empty")


@pytest.mark.parametrize(("speed", "bar"), [(1.0, 0), (0.8, 0), (1.25, 0), (1.0, 14)])
def test_the_bundled_songs_beats_lie_on_its_onsets_at_every_speed_and_after_a_loop(speed, bar):
    song = bundled(speed, bar=bar).load(60.0)
    assert song.seconds == pytest.approx(60, abs=0.01)
    assert song.tempo_bpm == pytest.approx(114 * speed)
    assert song.beat_times[-1] > 59
    strength, rate = song.onset_strength, len(song.onset_strength) / song.seconds

    def mean(times):
        places = np.clip((times * rate).round().astype(int), 1, len(strength) - 2)
        return np.max([strength[places - 1], strength[places], strength[places + 1]], axis=0).mean()

    late = song.beat_times[song.beat_times > 45]
    off = late[:-1] + 0.37 * np.diff(late)
    assert mean(late) > 1.5 * mean(off)


def test_words_go_with_the_dance_that_a_song_is_named_after_or_are_dealt_out(tmp_path):
    for name in ("b", "x"):
        clicks(tmp_path / f"{name}.wav", seconds=2.0)
    sources, _ = songs_of(tmp_path)
    tests, _ = dealt(sources, dances("a", "b", "c"), seconds=None)
    assert [(test.name, test.genre) for test in tests] == [("b", "genre of b"), ("x", "genre of b")]
    tests, _ = dealt(sources, dances("c", "d", "e"), seconds=1.0)
    assert [(test.source.name, test.genre) for test in tests] == [
        ("b", "genre of c"), ("x", "genre of d"), ("b", "genre of e")
    ]  # fmt: skip
    assert len({test.name for test in tests}) == 3
    assert tests[0].song is tests[2].song


def test_the_same_song_with_the_same_words_is_danced_once():
    twins = [dances("a")[0], *dances("a"), *dances("b")]
    tests, _ = dealt([bundled()], twins, seconds=2.0)
    assert [test.genre for test in tests] == ["genre of a", "genre of b"]
    assert len(heard_apart(tests, "words")) == len(heard_apart(tests, "genre")) == 2
    assert len(heard_apart(tests, "music")) == 1
    tests, _ = dealt([bundled(bar=bar) for bar in (0, 2, 4)], twins, seconds=2.0)
    assert len({test.name for test in tests}) == len(heard_apart(tests, "music")) == 3


@pytest.mark.parametrize(("most", "chosen"), [(None, "abcde"), (9, "abcde"), (3, "ace"), (1, "a")])
def test_fewer_songs_are_evenly_chosen(most, chosen, tmp_path):
    for name in "abcde":
        clicks(tmp_path / f"{name}.wav", seconds=1.0)
    tests, failed = dealt(songs_of(tmp_path)[0], dances("a"), seconds=None, most=most)
    assert "".join(test.name for test in tests) == chosen
    assert not failed


def test_a_store_with_music_gives_it_and_one_without_gives_none(small_store, monkeypatch, tmp_path):
    store = Store.open(small_store)
    assert songs_of_store(store, "test") == {}
    clicks(tmp_path / "song.wav")
    [name] = [dance.name for dance in real_dances(store, "test")]
    takes = tuple(replace(take, song=str(tmp_path / "song.wav"), song_start=1.5) for take in store.takes)
    source = songs_of_store(replace(store, takes=takes), "test")[name]
    assert source.beats == songs.HEARD
    assert source.load(2.0).start == 1.5
    assert source.load(None).seconds == pytest.approx(4.5, abs=0.01)  # of the song, from 1.5 s on, as long as the dance
    gone = replace(store, takes=tuple(replace(take, song="/gone.wav") for take in takes))
    tests, failed = dealt(list(songs_of_store(gone, "test").values()), real_dances(store, "test"), seconds=None)
    assert not tests
    assert "gone.wav" in failed[name]


def test_real_dances_are_cleaned_as_dances_of_models_are(small_store):
    store = Store.open(small_store)
    [plain], [cleaned] = real_dances(store, "test"), real_dances(store, "test", cleaned=True)
    assert plain.beat_times == cleaned.beat_times
    assert len(plain.joints) == len(cleaned.joints)
    assert np.abs(plain.joints - cleaned.joints).max() > 1e-3
    assert foot_skating(cleaned.joints, cleaned.fps).speed_cm_per_second < 1.0  # what stands was locked
