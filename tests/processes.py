"""Work in processes of its own that can be killed in the middle, as a cluster would, for tests of going on afterwards.

The processes are forked from a server that has imported what they need, so that each starts in no time.
"""

import multiprocessing
import os
import signal
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longdance.train.task import TrainingConfig

KILLED = -signal.SIGKILL

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.preloaded"])


def train_in_processes(
    config: "TrainingConfig", store: Path, run: Path, *, processes: int = 1, kill_at: int | None = None, **named
) -> list[int]:
    """Train with environments like those of ``torchrun``; exit codes.

    All processes are killed when ``kill_at`` steps are done.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [(config, store, run, rank, processes, port, kill_at, named) for rank in range(processes)]
    return run_all(_train, arguments)


def run_all(work: Callable, arguments: list[tuple]) -> list[int]:
    """One process for each tuple of arguments; when one of them is killed all are."""
    running = [CONTEXT.Process(target=work, args=each) for each in arguments]
    for process in running:
        process.start()
    for process in running:
        process.join(600)
        if process.exitcode != 0:
            for other in running:
                other.kill()
    for process in running:
        process.join()
    return [process.exitcode for process in running]


def kill_this_process() -> None:
    """As ``kill -9`` does: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_rename(number: int) -> None:
    """Have this process killed just before it gives a file its name for the ``number``-th time, from 1."""
    replace, seen = os.replace, 0

    def replace_or_die(source, target) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            kill_this_process()
        replace(source, target)

    os.replace = replace_or_die


def train_until_rename(config: "TrainingConfig", store: Path, run: Path, number: int) -> list[int]:
    """Train in one process that is killed at a rename; its exit code."""
    return run_all(_train_until_rename, [(config, store, run, number)])


def _train_until_rename(config, store, run, number) -> None:
    kill_at_rename(number)
    _train(config, store, run, 0, 1, 0, None, {})


def _train(config, store, run, rank, processes, port, kill_at, named) -> None:
    import torch

    from longdance.data.store import Store
    from longdance.train.loop import train

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if processes > 1:
        world = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GROUP_RANK": 0, "TORCHELASTIC_RUN_ID": "test"}
        os.environ.update({name: str(value) for name, value in (world | place).items()})

    def stop(done: int, total: int, what: str) -> None:
        if done == kill_at:
            kill_this_process()

    train(config, Store.open(store), run, progress=stop, **named)
