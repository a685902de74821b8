"""What the computing process tells, and what it writes while it dances."""

import errno
import json
import multiprocessing
import os

import numpy as np
import pytest

from conftest import swaying
from longdance.errors import Cancelled, InputError
from longdance.motion.motion import Motion
from longdance.studio import worker


@pytest.fixture
def line():
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        yield worker.Line(theirs, 7), ours


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/data/p/0123/song.flac: expected sound", "the song: expected sound"),
        ("/models/mine/config.json: expected sizes", "mine/config.json: expected sizes"),
        ("no /home/user/.cache/hub/model.bin, got 4/4 and and/or", "no a file, got 4/4 and and/or"),
        ("C:\\Users\\me\\song.mp3: expected sound", "a file: expected sound"),
        ("expected 3 m/s, or 10 km/h", "expected 3 m/s, or 10 km/h"),
    ],
)
def test_no_folder_of_this_computer_is_told(text, said):
    arguments = {"song": "/data/p/0123/song.flac", "seed": 3}
    assert worker.without_paths(text, arguments, {"mine": "/models/mine"}) == said


def test_errors_are_told_for_people(caplog):
    assert worker.told(InputError("expected a song")) == "expected a song"
    assert worker.told(OSError(errno.ENOSPC, "No space left on device")) == worker.DISK_FULL
    assert "memory" in worker.told(MemoryError())
    assert worker.told(ZeroDivisionError("secret")) == worker.BROKEN_INSIDE
    assert "secret" in caplog.text  # whoever runs the studio is told


def test_a_cancelled_task_stops_at_its_next_report(line):
    told, ours = line
    told.progress(1, 10, "dancing")
    ours.send(("cancel", 6))  # another job's
    told.progress(2, 10, "dancing")
    ours.send(("cancel", 7))
    with pytest.raises(Cancelled):
        told.progress(3, 10, "dancing")


def test_a_task_stops_when_the_studio_is_gone(line):
    told, ours = line
    ours.close()
    with pytest.raises(Cancelled):
        told.progress(1, 10, "dancing")


def test_pieces_are_playable_while_they_come_and_whole_at_the_end(line, tmp_path):
    from longdance.studio import tracks

    told, ours = line
    dance, sizes = swaying(60, 30.0), []

    def pieces():
        for begin in (0, 20, 40):
            yield dance.slice(begin, begin + 20)
            sizes.append(len(tracks.read(tmp_path / "a.growing", first=0, final=False)))

    whole = worker._collected(pieces(), tmp_path / "a.track", told)
    np.testing.assert_allclose(whole.root_position, dance.root_position)
    assert sizes == sorted(set(sizes))
    assert [ours.recv()[2] for _ in range(3)] == pytest.approx([20 / 30, 40 / 30, 2.0], abs=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["a.track"]


def test_a_dance_cut_off_leaves_no_file(line, tmp_path):
    def pieces():
        yield swaying(20, 30.0)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        worker._collected(pieces(), tmp_path / "a.track", line[0])
    assert not list(tmp_path.iterdir())


def test_what_json_has_no_word_for_is_not_remembered(tmp_path):
    dance = swaying(20, 30.0)
    noted = Motion(dance.root_position, dance.rotations, fps=30.0, meta={"seam_gap": float("nan"), "beat_times": [0.5]})
    kept = worker._kept(noted, tmp_path / "a.npz")
    assert kept["record"] == {"seam_gap": None}
    json.dumps(kept, allow_nan=False)
