"""The papers' data sets and a user's own, end to end on made-up files of the official formats."""

from dataclasses import replace

import numpy as np
import pytest
from tests.conftest import swaying
from tests.official_formats import write_aistpp, write_clicks, write_finedance
from typer.testing import CliRunner

from longdance.cli import SOME_FAILED, SUCCESS, WRONG_USAGE, app
from longdance.data.aistpp import GENRES
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.motion.bvh import save_bvh
from longdance.prepare.aistpp import AISTPP, AISTPPSettings, takes_of_windows
from longdance.prepare.bvh import BVH, BVHSettings
from longdance.prepare.finedance import FINEDANCE, FineDanceSettings
from longdance.prepare.paired import repeat_motion

SEQUENCES = {
    "gBR_sBM_cAll_d04_mBR0_ch01": ("train", 1.5),
    "gBR_sBM_cAll_d05_mBR0_ch02": ("train", 1.5),
    "gBR_sFM_cAll_d04_mBR1_ch03": ("train", 5.0),
    "gBR_sBM_cAll_d06_mBR2_ch04": ("test", 2.0),
}


@pytest.fixture(scope="module")
def aist(tmp_path_factory):
    return write_aistpp(tmp_path_factory.mktemp("aist") / "annotations", SEQUENCES)


def test_short_dances_are_repeated_and_long_ones_cut(aist, tmp_path):
    settings = AISTPPSettings(window_seconds=2.0, music_encoder="light35")  # whose beats are the song's own
    outcome = AISTPP.prepare(aist, tmp_path / "store", settings=settings, workers=1)
    assert (outcome.clips, outcome.failed) == (4, [])
    store = Store.open(tmp_path / "store")
    assert store.fps == 60.0
    assert [take.frames for take in store.takes] == [120] * 5
    takes = {}
    for take in store.takes:
        takes.setdefault(take.clip, []).append(take)
        assert take.genre == "breaking"
        assert take.movements
    first, second, long, test = (takes[name] for name in SEQUENCES)
    assert [len(first), len(second), len(long), len(test)] == [1, 1, 2, 1]
    assert (first[0].split, test[0].split) == ("train", "test")
    rotations = store.motion_of(first[0])[:, store.layout["rotations"]]
    np.testing.assert_array_equal(rotations[90:], rotations[:30])
    music = store.music_of(first[0])
    np.testing.assert_array_equal(music[90:], music[:30])
    # Danced to the same song, repeated at the same frame: one copy of the music serves both.
    assert first[0].music_start == second[0].music_start
    assert not np.array_equal(store.motion_of(first[0]), store.motion_of(second[0]))
    # Consecutive takes of one dance lie behind each other in dance and music.
    assert long[1].start - long[0].start == long[1].music_start - long[0].music_start == 120
    # Clicks every half second: beats of dance and music agree.
    for take in store.takes:
        marked = np.flatnonzero(store.music_of(take)[1:-1, 34]) + 1  # a beat on a seam may fall to either side
        assert len(marked) >= 2
        assert all(np.abs(np.array(take.beat_times) * store.fps - mark).min() <= 1.5 for mark in marked)
    assert AISTPP.prepare(aist, tmp_path / "store", settings=settings, workers=1).unchanged


def test_a_repeated_dance_goes_on_from_where_it_stopped():
    dance = swaying(50, 30.0)
    walking = dance.root_position + np.linspace(0, 1, 50)[:, None] * [0.0, 0.0, 1.0]
    repeated = repeat_motion(replace(dance, root_position=walking), 120)
    assert repeated.frames == 120
    steps = np.linalg.norm(np.diff(repeated.root_position[:, [0, 2]], axis=0), axis=1)
    assert steps.max() < 0.05
    np.testing.assert_allclose(repeated.root_position[100, 2] - repeated.root_position[0, 2], 2.0, atol=1e-9)


def test_a_complete_genre_has_as_many_takes_as_in_the_papers_table():
    """Made-up lengths of about the real number of sequences: 120 basic and 21 advanced dances of each genre."""
    records = []
    for code in GENRES:
        names = [f"{code}_sBM_cAll_d04_m{code[1:]}0_ch{i:03}" for i in range(120)]
        names += [f"{code}_sFM_cAll_d04_m{code[1:]}0_ch{i:03}" for i in range(21)]
        for name in names:
            frames = 600 if "sBM" in name else 2100
            records.append(
                {"clip": name, "split": "train", "frames": frames, "start": 0, "music_start": 0, "mirrored": False,
                 "beat_times": (1.0, 2.0, 30.0)}
            )  # fmt: skip
    part = (records, np.zeros((1, 1)), np.zeros((1, 1)))
    cut, notes = takes_of_windows([part], 600, AISTPPSettings())
    counts = {code: sum(take["clip"].startswith(code) for take in cut[0][0]) for code in GENRES}
    assert counts == {code: entry.windows for code, entry in GENRES.items()}
    assert len(cut[0][0]) == 1635
    assert any("Breaking: 172 takes" in note for note in notes)
    assert all(0 <= take["start"] <= 1500 for take in cut[0][0])
    plain, _ = takes_of_windows([part], 600, AISTPPSettings(windows="consecutive"))
    assert len(plain[0][0]) == 10 * (120 + 21 * 3)


def test_bad_files_are_left_out_named_and_the_exit_code_tells(tmp_path):
    folder = write_aistpp(tmp_path / "aist", SEQUENCES)
    (folder / "motions" / "gBR_sBM_cAll_d05_mBR0_ch02.pkl").write_bytes(b"no pickle")
    (folder / "music" / "mBR1.wav").write_bytes(b"no sound")
    (folder / "motions" / "stray.txt").touch()
    arguments = ["prepare", "aistpp", "--source", str(folder), "-o", str(tmp_path / "store"), "--workers", "1"]
    result = CliRunner().invoke(app, [*arguments, "window_seconds=2"])
    assert result.exit_code == SOME_FAILED, result.output
    for named in ("ch02.pkl", "mBR1.wav", "stray.txt"):
        assert named in result.stderr
    assert {take.clip for take in Store.open(tmp_path / "store").takes} == {
        "gBR_sBM_cAll_d04_mBR0_ch01",
        "gBR_sBM_cAll_d06_mBR2_ch04",
    }
    assert not (tmp_path / "store" / "parts").exists()


def test_a_run_cut_short_leaves_no_store_and_goes_on(aist, tmp_path):
    class Stop(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        raise Stop

    settings = AISTPPSettings(window_seconds=2.0)
    with pytest.raises(Stop):
        AISTPP.prepare(aist, tmp_path / "store", settings=settings, workers=1, progress=stop)
    assert not (tmp_path / "store" / "store.json").exists()
    kept = len(list((tmp_path / "store" / "parts").glob("*.npz")))
    assert kept
    seen = []
    AISTPP.prepare(
        aist, tmp_path / "store", settings=settings, workers=1, progress=lambda done, total, what: seen.append(what)
    )
    assert len(seen) == 3 - kept
    assert len(Store.open(tmp_path / "store").takes) == 5


def test_finedance_becomes_whole_dances_at_30_fps(tmp_path):
    folder = write_finedance(
        tmp_path / "fine", {"001": ("Breaking", 3.0), "010": ("Breaking", 3.0), "012": ("Breaking", 2.0)}
    )
    np.save(folder / "motion" / "002.npy", np.zeros((30, 300)))
    outcome = FINEDANCE.prepare(
        folder, tmp_path / "store", settings=FineDanceSettings(mirrored=True), workers=1
    )
    assert outcome.clips == 3
    assert len(outcome.failed) == 1
    store = Store.open(tmp_path / "store")
    assert (store.fps, store.layout.name) == (30.0, "smpl24")
    found = {(take.clip, take.mirrored): (take.split, take.frames) for take in store.takes}
    assert found == {
        ("001", False): ("train", 90),
        ("001", True): ("train", 90),
        ("010", False): ("train", 87),
        ("010", True): ("train", 87),
        ("012", False): ("test", 60),
    }
    assert {take.music_start for take in store.takes if take.clip == "001"} == {0}
    smaller = FINEDANCE.prepare(
        folder, tmp_path / "store22", settings=FineDanceSettings(layout="smpl22"), workers=1
    )
    assert smaller.clips == 3
    assert Store.open(tmp_path / "store22").motion.shape[1] == 139


def test_a_folder_of_bvh_with_and_without_songs(tmp_path):
    folder = tmp_path / "mine"
    for place in ("salsa/with song.bvh", "salsa/silent.bvh", "breaking/six-step/take.bvh", "polka/x.bvh", "loose.bvh"):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        save_bvh(swaying(100, 30.0, tempo_hz=1.5), path)
    write_clicks(folder / "salsa" / "with song.wav", seconds=2.0)
    outcome = BVH.prepare(folder, tmp_path / "store", settings=BVHSettings(variants=2), workers=1)
    assert outcome.clips == 3
    assert len(outcome.failed) == 2
    assert any("polka" in reason for reason in outcome.failed)
    assert any("loose.bvh" in reason and "try moving it" in reason for reason in outcome.failed)
    store = Store.open(tmp_path / "store")
    takes = {}
    for take in store.takes:
        takes.setdefault(take.clip, []).append(take)
    assert {take.frames for take in takes["salsa/with song"]} == {60}
    assert len(takes["salsa/with song"]) == 2
    assert len(takes["salsa/silent"]) == 4
    assert {take.movements for take in takes["breaking/six-step/take"]} == {("six-step",)}
    assert {take.genre for take in store.takes} == {"salsa", "breaking"}


def test_unknown_data_sets_and_settings_are_wrong_usage(tmp_path):
    run = CliRunner().invoke
    assert run(app, ["prepare", "kungfu", "--source", str(tmp_path), "-o", "x"]).exit_code == WRONG_USAGE
    with pytest.raises(InputError, match="held_out"):
        run(app, ["prepare", "aistpp", "--source", str(tmp_path), "-o", "x", "held_out=1"], catch_exceptions=False)


@pytest.mark.parametrize("dataset", ["aistpp", "finedance"])
def test_prepare_train_generate_measure(dataset, aist, tmp_path):
    """The whole way on made-up files: a store, a few training steps, a dance, and its measures."""
    import longdance
    from longdance.metrics.report import describe

    source, settings = aist, ["window_seconds=2", "fps=30"]
    if dataset == "finedance":
        source = write_finedance(tmp_path / "fine", {"001": ("Breaking", 3.0), "012": ("Breaking", 2.0)})
        settings = []
    run = CliRunner().invoke
    done = run(
        app,
        ["prepare", dataset, "--source", str(source), "-o", str(tmp_path / "store"), "--workers", "1", *settings,
         "music_encoder=plan", "layout=floor24"],
    )  # fmt: skip
    assert done.exit_code == SUCCESS, done.output
    small = ["steps=3", "network.width=32", "network.depth=1", "batch.size=2", "batch.window=30", "precision=32-true"]
    done = run(app, ["train", "tiny", "--data", str(tmp_path / "store"), "-o", str(tmp_path / "run"), *small])
    assert done.exit_code == SUCCESS, done.output
    song = next((source / ("music" if dataset == "aistpp" else "music_wav")).glob("*.wav"))
    dance = longdance.load(str(tmp_path / "run")).generate(song, genre="breaking", seconds=2, steps=2, cleanup=False)
    assert dance.frames == 60
    measured = describe(dance.joints(), dance.fps, dance.meta["beat_times"])
    assert np.isfinite(measured["physical_foot_contact"])
    assert np.isfinite(measured["beat_alignment"])
