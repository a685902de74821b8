"""BVH files as programs and people leave them: whatever their blemishes, they read as they were meant."""

import logging
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longdance.errors import InputError
from longdance.motion.bvh import load_bvh_motion, read_bvh
from longdance.motion.bvh_text import frame_rate
from longdance.motion.directions import unit
from longdance.motion.landmarks import bvh_landmarks
from longdance.motion.skeleton import SMPL24
from sample_motions import foreign_bvh, standing, wandering

HIERARCHY = """\
HIERARCHY
ROOT Hips
{
  OFFSET 1.5 -2.25 3.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Head
  {
    OFFSET 0.0 10.5 0.0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0.0 5.0 0.0
    }
  }
}
"""
ROWS = np.array(
    [[1.25, -2.5, 3.125, 10.0, -20.5, 30.25, -1.0, 2.0, 0.5], [4.0, 5.5, -6.0, -7.5, 80.0, 9.0, 1.5, -2.5, 3.0]]
)


def written(rows: np.ndarray = ROWS, frame_time: str = "0.0333333") -> str:
    lines = [" ".join(f"{value:.6f}" for value in row) for row in rows]
    return HIERARCHY + f"MOTION\nFrames: {len(rows)}\nFrame Time: {frame_time}\n" + "\n".join(lines) + "\n"


def in_rows(change):
    """A change of what comes after the frame time."""

    def changed(text: str) -> str:
        head, time, body = re.split(r"(0[.,]0333333\s+)", text, maxsplit=1)
        return head + time + change(body)

    return changed


BLEMISHES = {
    "comments": lambda t: "# made by hand\n" + t.replace("MOTION", "// the movement\nMOTION\n; yes") + "# the end\n",
    "comment after numbers": lambda t: t.replace("0.500000\n", "0.500000 # first\n"),
    "blank tail": lambda t: t + "\n \t \n\n",
    "NUL tail": lambda t: t + "\0" * 700,
    "NULs between": lambda t: t.replace("\n", "\n\0"),
    "decimal commas": lambda t: re.sub(r"(\d)\.(\d)", r"\1,\2", t),
    "commas between": lambda t: re.sub(r"(?<=\d) (?=-?\d+\.\d{6})", ", ", t),
    "glued at signs": in_rows(lambda body: body.replace(" -", "-")),
    "stuck together": in_rows(lambda body: body.replace(" ", "")),
    "one frame more": lambda t: t.replace("Frames: 2", "Frames: 1"),
    "one frame fewer": lambda t: t.replace("Frames: 2", "Frames: 3"),
    "tabs": lambda t: t.replace(" ", "\t"),
    "old Macintosh": lambda t: t.replace("\n", "\r"),
    "Windows": lambda t: t.replace("\n", "\r\n"),
    "exponents": lambda t: t.replace("1.250000", "1.25E+00").replace("80.000000", "8e1"),
    "plus signs": lambda t: t.replace(" 4.0", " +4.0").replace("\n4.0", "\n+4.0"),
    "one number a line": in_rows(lambda body: re.sub(r"(?<=\d) (?=[-+\d])", "\n", body)),
}  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(sorted(BLEMISHES)), min_size=1, max_size=3, unique=True), st.sampled_from(ENCODINGS))
def test_blemishes_alone_and_together_change_nothing(tmp_path_factory, which, encoding):
    crossing = (
        {"decimal commas", "commas between"},
        {"stuck together", "glued at signs"},
        {"one frame more", "one frame fewer"},
    )
    if any(len(pair & set(which)) == 2 for pair in crossing):
        return  # each makes the other ambiguous
    if "stuck together" in which and set(which) & {
        "decimal commas",
        "commas between",
        "exponents",
        "tabs",
        "one number a line",
        "plus signs",
        "comment after numbers",
    }:
        return
    if "glued at signs" in which and set(which) & {"tabs", "one number a line", "commas between"}:
        return
    text = written()
    for name in sorted(which, key=lambda name: ("encod" in name, name in ("Windows", "old Macintosh"), name)):
        text = BLEMISHES[name](text)
    path = tmp_path_factory.mktemp("blemish") / "a.bvh"
    path.write_bytes(text.encode(encoding))
    back = read_bvh(path)
    assert back.fps == 30
    plain = tmp_path_factory.mktemp("plain") / "a.bvh"
    plain.write_text(written())
    for one, other in zip(back.forward_kinematics(), read_bvh(plain).forward_kinematics(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.rstrip()[:-9], "rows of 9 numbers, got 17"),
        (lambda t: t.replace("80.000000", "eighty"), "line 20.*eighty"),
        (lambda t: t.replace("80.000000", "1,2,3"), "got"),
        (lambda t: t.replace("80.000000", "8.0.0.0"), "got"),
    ],
)
def test_what_has_no_meaning_is_refused(tmp_path, change, match):
    path = tmp_path / "a.bvh"
    path.write_text(change(written()))
    with pytest.raises(InputError, match=match):
        read_bvh(path)


def test_a_wrong_number_of_frames_is_said(tmp_path, caplog):
    path = tmp_path / "a.bvh"
    path.write_text(written().replace("Frames: 2", "Frames: 9"))
    with caplog.at_level(logging.WARNING):
        read_bvh(path)
    assert "2 frames, not the 9" in caplog.text


@pytest.mark.parametrize(
    ("frame_time", "fps"),
    [
        ("0.033", 30), ("0.0333", 30), ("0.03333", 30), ("0.0333333", 30), ("0.03", 30), ("0.00833", 120),
        ("0.0083", 120), ("0.008", 120), ("0.008333333", 120), ("0.0167", 60), ("0.017", 60), ("0.016", 60),
        ("0.04", 25), ("0.0417", 24), ("0.042", 24), ("0.041708", 24000 / 1001), ("0.0333667", 30000 / 1001),
        ("0.02", 50), ("0.01", 100), ("0.016694", 1 / 0.016694), ("3.33333e-2", 30), ("1", 1), ("0.1", 10),
    ],
)  # fmt: skip
def test_frame_times_of_few_digits_mean_the_usual_rates(frame_time, fps):
    assert frame_rate(frame_time) == pytest.approx(fps, rel=1e-9)


@pytest.mark.parametrize("fps", [24, 25, 30, 48, 50, 60, 72, 90, 100, 120, 240])
@pytest.mark.parametrize("digits", [4, 5, 6, 7, 8])
def test_rounded_and_cut_frame_times_come_back(fps, digits):
    if fps > 120 and digits < 5:
        return
    assert frame_rate(f"{1 / fps:.{digits}f}") == fps
    cut = f"{1 / fps:.12f}"[: digits + 2]
    assert frame_rate(cut) == pytest.approx(fps, rel=0.02 if digits < 5 else 1e-9)


def two_dancers(rng) -> tuple[str, list]:
    """Two dancers in one file, and each alone."""
    motions = [wandering(rng, frames=12), wandering(rng, frames=12)]
    texts = [foreign_bvh(motion, "cmu") for motion in motions]
    heads = [text.partition("MOTION")[0].removeprefix("HIERARCHY\n") for text in texts]
    rows = [text.splitlines()[-12:] for text in texts]
    tail = texts[0][texts[0].index("MOTION") :].splitlines()[:3]
    both = [" ".join(pair) for pair in zip(*rows, strict=True)]
    return "\n".join(["HIERARCHY", heads[0] + heads[1].rstrip(), *tail, *both]) + "\n", texts


def test_several_dancers_are_read_one_by_one(tmp_path, rng, caplog):
    text, alone = two_dancers(rng)
    path = tmp_path / "pair.bvh"
    path.write_text(text)
    for actor in (1, 2):
        one = tmp_path / "one.bvh"
        one.write_text(alone[actor - 1])
        np.testing.assert_allclose(
            load_bvh_motion(path, actor=actor).joints(), load_bvh_motion(one).joints(), atol=1e-6
        )
    assert not caplog.text
    with caplog.at_level(logging.WARNING):
        first = load_bvh_motion(path)
    assert "2 dancers" in caplog.text
    np.testing.assert_array_equal(first.rotations, load_bvh_motion(path, actor=1).rotations)
    with pytest.raises(InputError, match="actor from 1 to 2"):
        load_bvh_motion(path, actor=3)


def test_the_true_rate_and_axis_can_be_told(tmp_path):
    path = tmp_path / "a.bvh"
    path.write_text(foreign_bvh(standing(10), "cmu"))
    assert load_bvh_motion(path, fps=24.5).fps == 24.5
    told = load_bvh_motion(path, up="z")
    assert np.ptp(told.joints()[0, :, 1]) < 0.6  # upright along y, it lies where z is up


CASES = {"one_more": 30, "comma": 30, "ft00833": 120, "ft033": 30, "ft0333": 30, "cats_vrchat": 30, "cesium": 30}


@pytest.mark.parametrize("name", CASES)
def test_files_that_failed_once_are_read(shared_cases, name):
    motion = load_bvh_motion(shared_cases / f"{name}.bvh")
    assert (motion.frames, motion.fps) == (60, CASES[name])
    joints = motion.joints()
    assert joints[0, SMPL24.index("head"), 1] > 1.3
    assert joints[0, SMPL24.index("left_wrist"), 0] > joints[0, SMPL24.index("right_wrist"), 0]


@pytest.mark.parametrize(
    ("name", "limit"),
    [("hyper2", 15), ("hyper4", 15), ("hyper4_30", 15), ("hyper_sway60", 15), ("kick", 8), ("lying", 8)],
)
def test_limbs_point_where_they_did_in_files_that_failed_once(shared_cases, name, limit):
    path = shared_cases / f"{name}.bvh"
    joints, points = load_bvh_motion(path).joints(), bvh_landmarks(read_bvh(path)).positions
    for side in ("left", "right"):
        for one, two in (("hip", "knee"), ("knee", "ankle"), ("ankle", "foot"), ("shoulder", "elbow")):
            start, end = f"{side}_{one}", f"{side}_{two}"
            ours = unit(joints[:, SMPL24.index(end)] - joints[:, SMPL24.index(start)])
            cosine = (ours * unit(points[end] - points[start])).sum(-1)
            assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < limit, (start, end)


def test_lying_floor_work_lies(shared_cases):
    joints = load_bvh_motion(shared_cases / "lying.bvh").joints()
    assert 0 < joints[..., 1].min() < 0.12
    assert joints[:, SMPL24.index("head"), 1].max() < 0.2
    assert joints[:, 0, 1].max() < 0.2
