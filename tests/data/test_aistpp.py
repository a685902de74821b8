"""AIST++'s files as published: what is read, what is refused, how windows and movements are dealt out."""

import pickle
from collections import Counter

import numpy as np
import pytest
from tests.conftest import swaying
from tests.official_formats import aistpp_record, write_aistpp

from longdance.data import aistpp
from longdance.data.catalogue import load_catalogue
from longdance.errors import InputError
from longdance.motion.contacts import foot_contacts
from longdance.motion.skeleton import SMPL24

NAME = "gBR_sBM_cAll_d04_mBR0_ch01"


def written(path, record, protocol=2):
    path.write_bytes(pickle.dumps(record, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_a_sequence_comes_back_as_it_was_danced(tmp_path, protocol):
    dance = swaying(120, 60.0)
    found = aistpp.read_motion(written(tmp_path / "a.pkl", aistpp_record(dance), protocol))
    assert found.fps == 60.0
    moved = dance.root_position - dance.root_position[0] * [1, 0, 1]
    np.testing.assert_allclose(found.rotations, dance.rotations, atol=1e-5)
    # Where the floor is was not in the file: it lies where the feet rest.
    np.testing.assert_allclose(found.root_position, moved, atol=0.01)
    names = ("left_ankle", "left_foot", "right_ankle", "right_foot")
    contacts, danced = (
        foot_contacts(motion.joints(), motion.fps, skeleton=SMPL24, joint_names=names) for motion in (found, dance)
    )
    assert (contacts == danced).mean() > 0.95


def test_poses_by_joint_are_read_as_well(tmp_path):
    record = aistpp_record(swaying(30, 60.0))
    plain = aistpp.read_motion(written(tmp_path / "a.pkl", record))
    record["smpl_poses"] = record["smpl_poses"].reshape(30, 24, 3)
    np.testing.assert_array_equal(aistpp.read_motion(written(tmp_path / "b.pkl", record)).rotations, plain.rotations)


@pytest.mark.parametrize(
    ("field", "change", "told"),
    [
        ("smpl_poses", lambda a: a[:, :71], "smpl_poses"),
        ("smpl_poses", lambda a: a.astype(str), "smpl_poses"),
        ("smpl_poses", lambda a: np.where(np.arange(len(a))[:, None] == 7, np.nan, a), "first in frame 7"),
        ("smpl_trans", lambda a: a[:-1], "smpl_trans"),
        ("smpl_trans", lambda a: np.where(np.arange(len(a))[:, None] == 3, np.inf, a), "first in frame 3"),
        ("smpl_trans", lambda a: a * 10_000, "path in metres"),
        ("smpl_scaling", lambda a: -a, "positive"),
        ("smpl_scaling", lambda a: None, "smpl_scaling"),
    ],
)
def test_what_cannot_be_used_is_named_with_file_and_remedy(tmp_path, field, change, told):
    record = aistpp_record(swaying(30, 60.0))
    record[field] = change(record[field])
    path = written(tmp_path / "broken.pkl", record)
    with pytest.raises(InputError, match=told) as error:
        aistpp.read_motion(path)
    assert str(path) in str(error.value)
    assert "; try " in str(error.value)


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_come_back_whatever_their_order_in_memory(tmp_path, protocol, rng):
    plain = rng.normal(size=(2, 3, 4)).astype(np.float32)
    for array in (plain, np.asfortranarray(plain), plain.transpose(1, 0, 2), plain[:, ::2]):
        found = aistpp.read_pickle(written(tmp_path / "a.pkl", {"joints": array}, protocol))
        np.testing.assert_array_equal(found["joints"], array, strict=True)



class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path, protocol):
    mark = tmp_path / "mark"
    for record in (Evil(mark), {"smpl_poses": Evil(mark)}, np.array([Evil(mark)], dtype=object)):
        path = written(tmp_path / "evil.pkl", record, protocol)
        with pytest.raises(InputError, match="only arrays are read"):
            aistpp.read_pickle(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'touch mark'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.",
        b"c_codecs\nencode\n(S'x'\nS'utf-8'\ntR.",
        b"c_codecs\ndecode\n(S'x'\ntR.",
    ],
)
def test_no_other_function_can_be_reached(tmp_path, code):
    path = tmp_path / "evil.pkl"
    path.write_bytes(code)
    with pytest.raises(InputError, match="pickle of arrays"):
        aistpp.read_pickle(path)


def test_damaged_pickles_are_named(tmp_path, rng):
    whole = pickle.dumps(aistpp_record(swaying(3, 60.0)), protocol=3)
    path = tmp_path / "damaged.pkl"
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"damaged\.pkl"):
            aistpp.read_pickle(path)
    for place in range(0, 200, 5):
        path.write_bytes(whole[:place] + bytes([rng.integers(256)]) + whole[place + 1 :])
        try:
            aistpp.read_pickle(path)
        except InputError:
            continue


def test_names_are_taken_apart():
    assert aistpp.parse_name("gWA_sFM_cAll_d27_mWA2_ch21") == ("gWA", False, "d27", "mWA2", 21)
    for wrong in ("gWA_sFM_c01_d27_mWA2_ch21", "gXX_sBM_cAll_d04_mBR0_ch01", "gBR_sBM_cAll_d04_mBR0_ch00", "notes"):
        with pytest.raises(InputError, match="sequence name"):
            aistpp.parse_name(wrong)


def test_the_table_counts_what_the_paper_counts():
    assert sum(entry.windows for entry in aistpp.GENRES.values()) == 1635


@pytest.mark.parametrize("kind", ["sBM", "sFM"])
def test_every_movement_stands_for_some_choreography_and_few_for_each(kind):
    genre = aistpp.catalogue_genre("gBR")
    names = {movement.name for movement in genre.fundamentals}
    count = 10 if kind == "sBM" else 21
    dealt = [
        aistpp.movements_of(aistpp.parse_name(f"gBR_{kind}_cAll_d04_mBR0_ch{number:02}"), genre)
        for number in range(1, count + 1)
    ]
    assert {name for movements in dealt for name in movements} == names
    sizes = Counter(len(movements) for movements in dealt)
    assert max(sizes) - min(sizes) <= 1
    # Dancer and music do not matter.
    other = aistpp.movements_of(aistpp.parse_name(f"gBR_{kind}_cAll_d06_mBR5_ch01"), genre)
    assert other == dealt[0]
    assert dealt[0][0] == genre.fundamentals[0].name


def test_every_genre_code_has_a_catalogue_entry():
    codes = {genre.aist_code for genre in load_catalogue().values()} - {None}
    for code in codes:
        assert aistpp.catalogue_genre(code).aist_code == code
    missing = set(aistpp.GENRES) - codes
    for code in missing:
        with pytest.raises(InputError, match=code):
            aistpp.catalogue_genre(code)


def test_splits_ignored_and_unlisted_sequences(tmp_path):
    names = [f"gBR_sBM_cAll_d04_mBR0_ch{number:02}" for number in range(1, 6)]
    folder = write_aistpp(
        tmp_path / "aist",
        dict(zip(names, [("train", 1), ("val", 1), ("test", 1), ("train", 1), ("train", 1)], strict=True)),
        ignored=(names[3],),
    )
    train = folder / "splits" / "crossmodal_train.txt"
    train.write_text(train.read_text().replace(names[4] + "\n", "\n"))
    listing = aistpp.list_clips(folder)
    assert {clip.clip: clip.split for clip in listing.clips} == dict(zip(names, ("train", "val", "test"), strict=False))
    assert not listing.failed
    assert {clip.song for clip in listing.clips} == {folder / "music" / "mBR0.wav"}
    assert any("1 sequences are on the official ignore list" in note for note in listing.notes)
    assert any("1 sequences belong to no" in note for note in listing.notes)
    # Music cut to a sequence, as other packagings have it, comes first.
    (folder / "wavs").mkdir()
    (folder / "wavs" / f"{names[0]}.mp3").touch()
    assert aistpp.list_clips(folder).clips[-1].song == folder / "wavs" / f"{names[0]}.mp3"


def test_missing_and_extra_files_are_named(tmp_path):
    folder = write_aistpp(
        tmp_path / "aist",
        {NAME: ("train", 1), "gBR_sBM_cAll_d04_mBR1_ch02": ("train", 1), "gBR_sBM_cAll_d04_mBR2_ch03": ("test", 1)},
    )
    (folder / "motions" / f"{NAME}.pkl").unlink()
    (folder / "music" / "mBR1.wav").unlink()
    (folder / "motions" / "readme.txt").touch()
    (folder / "motions" / "mystery.pkl").touch()
    listing = aistpp.list_clips(folder)
    assert [clip.clip for clip in listing.clips] == ["gBR_sBM_cAll_d04_mBR2_ch03"]
    assert f"{NAME}.pkl" in listing.failed[NAME]
    assert "mBR1.wav" in listing.failed["gBR_sBM_cAll_d04_mBR1_ch02"]
    assert "readme.txt" in listing.failed["readme.txt"]
    assert "mystery.pkl" in listing.failed["mystery.pkl"]
    assert all("; try " in reason for reason in listing.failed.values())


@pytest.mark.parametrize("gone", ["splits", "motions", "splits/crossmodal_val.txt", "ignore_list.txt"])
def test_a_folder_that_is_not_aistpp_is_told_so(tmp_path, gone):
    folder = write_aistpp(tmp_path / "aist", {NAME: ("train", 1)})
    (folder / gone).rename(tmp_path / "away")
    with pytest.raises(InputError, match=gone.split("/")[-1]):
        aistpp.list_clips(folder)


def test_a_sequence_in_two_splits_is_an_error(tmp_path):
    folder = write_aistpp(tmp_path / "aist", {NAME: ("train", 1)})
    (folder / "splits" / "crossmodal_test.txt").write_text(NAME)
    with pytest.raises(InputError, match="in one split"):
        aistpp.list_clips(folder)


def test_windows_are_as_many_as_asked_and_inside_their_takes():
    frames = [600, 720, 600, 2400, 2880, 1800]
    for total in range(0, 40):
        spread = aistpp.spread_windows(frames, 600, total)
        assert sum(map(len, spread)) == total
        if total >= len(frames):
            assert all(spread)
        for length, starts in zip(frames, spread, strict=True):
            assert starts == sorted(starts)
            assert all(0 <= start <= length - 600 for start in starts)
    # Longer takes get more, and what fits without overlap does not overlap.
    spread = aistpp.spread_windows(frames, 600, 14)
    assert [len(starts) for starts in spread] == [1, 1, 1, 4, 4, 3]
    assert all(np.diff(starts).min() >= 600 for starts in spread[3:])


def test_windows_in_a_row_leave_a_rest_out():
    assert aistpp.consecutive_windows(600, 600) == [0]
    assert aistpp.consecutive_windows(1799, 600) == [0, 600]
    assert aistpp.consecutive_windows(10, 600) == [0]
