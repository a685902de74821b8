"""Preparing the open data, end to end on files of its formats that the test makes."""

import json

import numpy as np
import pytest
import torch
from tests.conftest import swaying

from longdance.data.store import Store
from longdance.errors import InputError
from longdance.motion.bvh import save_bvh
from longdance.motion.motion import Motion
from longdance.motion.still_ends import without_still_ends
from longdance.prepare.open import OPEN, OpenSettings
from processes import KILLED, kill_at_rename, run_all

SETTINGS = OpenSettings(variants=2)
HEADER = "clip,source,file,fps,seconds,genre,movement,split\n"


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "source")


def write_source(folder):
    """The open data's files, with two short clips."""
    (folder / "cmu").mkdir(parents=True)
    rows = []
    for clip, genre, movement, split, tempo in (
        ("one", "salsa", "salsa dance", "train", 1.5),
        ("two", "disco", "disco", "test", 1.0),
    ):
        save_bvh(swaying(120, 30.0, tempo_hz=tempo), folder / "cmu" / f"{clip}.bvh")
        rows.append(f"{clip},cmu,cmu/{clip}.bvh,30,4.0,{genre},{movement},{split}\n")
    (folder / "labels.csv").write_text(HEADER + "".join(rows))
    return folder


def test_clips_become_takes_with_copies_for_training_only(source, tmp_path):
    outcome = OPEN.prepare(source, tmp_path / "store", settings=SETTINGS, workers=2)
    assert outcome.clips == 2
    assert not outcome.failed
    store = Store.open(tmp_path / "store")
    kinds = {(take.clip, take.variant, take.mirrored) for take in store.takes}
    assert kinds == {("one", v, m) for v in (0, 1) for m in (False, True)} | {("two", 0, False)}
    for take in store.takes:
        assert np.isfinite(store.motion_of(take)).all()
        assert np.isfinite(store.music_of(take)).all()
    # The first copy keeps the tempo: its beat channel has a mark wherever the take says a beat is.
    take = next(take for take in store.takes if take.clip == "one" and take.variant == 0)
    marked = np.flatnonzero(store.music_of(take)[:, 2]) / store.fps
    assert all(np.abs(marked - beat).min() < 1 / store.fps for beat in take.beat_times if beat < 3.9)

    again = OPEN.prepare(source, tmp_path / "store", settings=SETTINGS, workers=1)
    assert again.unchanged
    changed = OPEN.prepare(source, tmp_path / "store", settings=OpenSettings(variants=1), workers=1)
    assert not changed.unchanged
    assert len(Store.open(tmp_path / "store").takes) == 3


def test_labels_that_the_catalogue_does_not_know_are_kept_and_told_in_one_line(source, tmp_path):
    table = source / "labels.csv"
    table.write_text(table.read_text().replace("salsa dance", "moon hop").replace("disco,disco", "polka,half step"))
    outcome = OPEN.prepare(source, tmp_path / "store", settings=OpenSettings(variants=1), workers=1)
    assert not outcome.failed
    (note,) = outcome.notes
    assert all(word in note for word in ("3 labels", "'moon hop'", "'polka'", "'half step'"))
    takes = {take.clip: (take.genre, take.movements) for take in Store.open(tmp_path / "store").takes}
    assert takes == {"one": ("salsa", ("moon hop",)), "two": ("polka", ("half step",))}


def test_a_broken_clip_is_left_out_and_named_and_taken_in_once_mended(source, tmp_path):
    good = (source / "cmu" / "two.bvh").read_text()
    (source / "cmu" / "two.bvh").write_text("HIERARCHY nonsense")
    outcome = OPEN.prepare(source, tmp_path / "store", settings=SETTINGS, workers=1)
    assert outcome.clips == 1
    assert len(outcome.failed) == 1
    assert "two.bvh" in outcome.failed[0]
    (source / "cmu" / "two.bvh").write_text(good)
    assert OPEN.prepare(source, tmp_path / "store", settings=SETTINGS, workers=1).clips == 2


def test_nothing_readable_for_training_is_an_error(source, tmp_path):
    (source / "cmu" / "one.bvh").unlink()
    with pytest.raises(InputError, match="at least one readable training clip"):
        OPEN.prepare(source, tmp_path / "store", settings=SETTINGS, workers=1)
    assert not (tmp_path / "store" / "store.json").exists()


def test_settings_that_do_not_exist_are_named(source, tmp_path):
    for field, value in (("layout", "smpl99"), ("music_encoder", "ears")):
        with pytest.raises(InputError, match=value):
            OPEN.prepare(source, tmp_path / "store", settings=OpenSettings(**{field: value}))


def test_a_run_cut_short_goes_on_with_the_clips_it_lacks(source, tmp_path):
    class Stop(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        raise Stop

    with pytest.raises(Stop):
        OPEN.prepare(source, tmp_path / "store", settings=SETTINGS, workers=1, progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "store" / "parts").glob("*.npz")}
    assert kept
    seen = []
    OPEN.prepare(
        source, tmp_path / "store", settings=SETTINGS, workers=1, progress=lambda _done, _total, what: seen.append(what)
    )
    assert len(seen) == 2 - len(kept)
    assert json.loads((tmp_path / "store" / "store.json").read_text())["settings"]["variants"] == 2


def prepare_until_rename(source, store, rename) -> None:
    """Prepare on one thread, and be killed before the given rename, if any."""
    torch.set_num_threads(1)
    if rename is not None:
        kill_at_rename(rename)
    OPEN.prepare(source, store, settings=SETTINGS, workers=1)


# The list of parts, two parts, then the store's three files: killed with one part, with both, and with half a store.
@pytest.mark.parametrize("rename", [3, 4, 6])
def test_a_run_killed_at_any_rename_goes_on_to_the_same_store(source, whole, tmp_path, rename):
    store = tmp_path / "store"
    assert run_all(prepare_until_rename, [(source, store, rename)]) == [KILLED]
    assert len(list((store / "parts").glob("[!.]*.npz"))) == min(rename - 2, 2)
    assert run_all(prepare_until_rename, [(source, store, None)]) == [0]
    assert {path.name: path.read_bytes() for path in store.iterdir()} == whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """The files of a store whose making nothing disturbed; in a process like the others, for the last bits' sake."""
    folder = tmp_path_factory.mktemp("whole")
    assert run_all(prepare_until_rename, [(write_source(folder / "source"), folder / "store", None)]) == [0]
    return {path.name: path.read_bytes() for path in (folder / "store").iterdir()}


def test_parts_of_a_run_with_other_settings_go_and_files_of_others_stay(source, tmp_path):
    store = tmp_path / "store"
    (store / "parts").mkdir(parents=True)
    (store / "parts" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="files of another kind"):
        OPEN.prepare(source, store, settings=SETTINGS, workers=1)
    (store / "parts" / "notes.txt").rename(store / "notes.txt")
    assert run_all(prepare_until_rename, [(source, store, 3)]) == [KILLED]
    (store / "notes.txt").rename(store / "parts" / "notes.txt")
    assert OPEN.prepare(source, store, settings=OpenSettings(variants=1), workers=1).clips == 2
    assert [path.name for path in (store / "parts").iterdir()] == ["notes.txt"]
    assert (store / "store.json").is_file()


def test_waiting_at_both_ends_is_cut_and_the_dance_kept():
    dance = swaying(90, 30.0)
    hold = lambda index, count: (  # noqa: E731
        np.repeat(dance.root_position[index : index + 1], count, 0),
        np.repeat(dance.rotations[index : index + 1], count, 0),
    )
    before, after = hold(0, 60), hold(89, 60)
    padded = Motion(
        np.concatenate((before[0], dance.root_position, after[0])),
        np.concatenate((before[1], dance.rotations, after[1])),
        fps=30.0,
    )
    trimmed = without_still_ends(padded)
    assert 90 <= trimmed.frames <= 90 + 2 * (12 + 8)
    still = Motion(*hold(0, 50), fps=30.0)
    assert without_still_ends(still).frames == 50
