"""Sharing work: every piece comes back once, whatever dies on the way."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from longdance.errors import InputError
from longdance.workers import sole_writer, work
from processes import CONTEXT, KILLED, run_all


@dataclass(frozen=True)
class Doubling:
    """Doubles numbers, notes each try in a folder, and dies over some numbers: once, or every time."""

    folder: Path
    dies_once: tuple[int, ...] = ()
    dies_always: tuple[int, ...] = ()

    def __call__(self):
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: expected a folder")
        return self.double

    def double(self, number: int) -> int:
        again = bool(list(self.folder.glob(f"{number}-*")))
        (self.folder / f"{number}-{os.getpid()}").touch()
        if number in self.dies_always or (number in self.dies_once and not again):
            os.kill(os.getpid(), signal.SIGKILL)
        if number < 0:
            raise InputError(f"{number}: expected a number from 0")
        if number > 99:
            raise ZeroDivisionError(number)
        return 2 * number


@pytest.mark.parametrize("workers", [1, 2])
def test_every_piece_comes_back_once_with_its_result_or_error(tmp_path, workers):
    done = {d.item: d for d in work(Doubling(tmp_path), [0, 1, 2, 3, -1, 100], workers=workers)}
    assert {n: d.result for n, d in done.items()} == {0: 0, 1: 2, 2: 4, 3: 6, -1: None, 100: None}
    assert {n: type(d.error) for n, d in done.items() if d.error} == {-1: InputError, 100: ZeroDivisionError}
    assert len(list(tmp_path.iterdir())) == 6
    with pytest.raises(InputError, match="expected a folder"):
        list(work(Doubling(tmp_path / "none"), [1, 2], workers=workers))


def test_a_killed_worker_is_replaced_and_only_its_own_piece_is_done_again(tmp_path):
    make = Doubling(tmp_path, dies_once=(1,), dies_always=(2,))
    done = list(work(make, [0, 1, 2, 3], workers=2, attempts=2))
    assert sorted((d.item, d.result) for d in done if d.error is None) == [(0, 0), (1, 2), (3, 6)]
    (lost,) = (d for d in done if d.error is not None)
    assert lost.item == 2
    assert isinstance(lost.error, InputError)
    tries = {n: len(list(tmp_path.glob(f"{n}-*"))) for n in range(4)}
    assert tries == {0: 1, 1: 2, 2: 2, 3: 1}


def test_ray_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match="longdance\\[ray\\]"):
        list(work(Doubling(Path()), [1], ray="local"))


def hold(folder: Path, ready, killed: bool) -> None:
    with sole_writer(folder):
        ready.set()
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


def test_one_run_at_a_time_writes_into_a_folder_and_a_killed_one_leaves_it(tmp_path):
    ready = CONTEXT.Event()
    process = CONTEXT.Process(target=hold, args=(tmp_path, ready, False))
    process.start()
    assert ready.wait(300)
    with pytest.raises(InputError, match="another run"), sole_writer(tmp_path):
        pytest.fail("two runs in one folder")
    process.kill()
    process.join()
    assert run_all(hold, [(tmp_path, CONTEXT.Event(), True)]) == [KILLED]
    with sole_writer(tmp_path):
        assert not list(tmp_path.iterdir())
