"""Many pieces of work in several processes, on this machine or on Ray, where a process that dies takes nothing along.

What belongs here: who does which piece, what happens when somebody is killed, who may write into a folder. What does
not: what the pieces are, and what is already done; callers write results by rename and know what is missing.
"""

import errno
import logging
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from longdance.errors import InputError

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Do = Callable[[Any], Any]
"""Does one piece of work."""
Make = Callable[[], Do]
"""Called once in every process: loads what all pieces need. It travels to the processes, as the pieces do."""

LOCAL = "local"
"""Address that stands for a Ray of its own on this machine."""


class Done(NamedTuple, Generic[Item]):
    """A piece of work, and what came of it or why nothing did."""

    item: Item
    result: Any
    error: Exception | None


def work(
    make: Make,
    items: Sequence[Item],
    *,
    workers: int | None = 1,
    ray: str | None = None,
    gpus: bool = False,
    attempts: int = 3,
) -> Iterator[Done[Item]]:
    """Do all pieces; each comes back once, in whatever order they get done.

    One worker is this process; more (None: one per core) are processes of their own; with ``ray``, the address of a
    cluster or ``local``, they are actors of a Ray Data pipeline, with a GPU each where ``gpus`` are wanted and there.
    A piece whose process dies is tried again by a fresh one, ``attempts`` times in all, then its error is an
    ``InputError``. What ``make`` raises is raised here.
    """
    if not items:
        return
    if ray is not None:
        yield from _on_ray(make, items, address=ray, workers=workers, gpus=gpus, attempts=attempts)
    elif workers == 1:
        do = make()
        for item in items:
            yield Done(item, *_attempt(do, item))
    else:
        yield from _in_processes(make, items, workers=workers or os.cpu_count() or 1, attempts=attempts)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Context in which no other process is inside it for the same folder, however either ends; else ``InputError``."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(handle)
            raise InputError(f"{folder}: another run is at work there; wait for it, or use another folder") from error
        log.warning("%s: cannot be locked (%s); see to it that only one run works there", folder, error)
    try:
        yield
    finally:
        os.close(handle)


def lost(attempts: int) -> InputError:
    """What is told of a piece whose processes died every time."""
    return InputError(f"its process died {attempts} times, perhaps for want of memory; try again with fewer workers")


def _attempt(do: Do, item: object) -> tuple[Any, Exception | None]:
    try:
        return do(item), None
    except Exception as error:  # handed to the caller, who knows which are to be expected
        return None, error


@dataclass(eq=False)
class _Hand:
    """A process that works, and the number of the piece it has."""

    process: BaseProcess
    connection: Connection
    number: int | None = None


def _in_processes(make: Make, items: Sequence[Item], *, workers: int, attempts: int) -> Iterator[Done[Item]]:
    # Forking a process in which torch has started threads can hang: start fresh ones.
    context = multiprocessing.get_context("spawn")
    waiting, tried = deque(range(len(items))), [0] * len(items)

    def hire() -> _Hand:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, make), daemon=True)
        process.start()
        theirs.close()  # so that ours ends with the process
        return _Hand(process, ours)

    crew = [hire() for _ in range(min(workers, len(items)))]
    try:
        while waiting or any(hand.number is not None for hand in crew):
            for hand in crew:
                if hand.number is None and waiting:
                    hand.number = waiting.popleft()
                    tried[hand.number] += 1
                    try:
                        hand.connection.send(items[hand.number])
                    except OSError:
                        log.debug("a worker died while it waited")  # its end of the pipe tells below
            busy = {hand.connection: (hand, hand.number) for hand in crew if hand.number is not None}
            ready = wait(list(busy))
            for connection, (hand, number) in busy.items():
                if connection not in ready:
                    continue
                hand.number = None
                try:
                    made, result, error = connection.recv()
                except (EOFError, OSError):
                    hand.process.join()
                    connection.close()
                    crew[crew.index(hand)] = hire()
                    if tried[number] < attempts:
                        log.warning("a worker died (exit code %s); its work is done again", hand.process.exitcode)
                        waiting.appendleft(number)
                    else:
                        yield Done(items[number], None, lost(attempts))
                    continue
                if not made:
                    raise error
                yield Done(items[number], result, error)
    finally:
        for hand in crew:
            hand.process.terminate()
        for hand in crew:
            hand.process.join()
            hand.connection.close()


def _serve(connection: Connection, make: Make) -> None:
    """What a worker's process does until it is ended; it does not outlive the one that gives it work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other one is told too, and ends this one
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        do = make()
    except Exception as error:  # raised where the work is wanted
        connection.recv()
        connection.send((False, None, _fit_to_travel(error)))
        return
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        result, error = _attempt(do, item)
        connection.send((True, result, error and _fit_to_travel(error)))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _fit_to_travel(error: Exception) -> Exception:
    """The error with its traceback as a note, as another kind if it cannot be pickled."""
    story = "".join(traceback.format_exception(error))
    try:
        error = pickle.loads(pickle.dumps(error))
    except Exception:  # whatever an error of somebody else's making may do
        error = RuntimeError(f"{type(error).__name__}: {error}")
    if not isinstance(error, InputError):
        error.add_note(story)
    return error


class Tally:
    """How often each piece was begun; kept apart from the workers, so that it outlives them."""

    def __init__(self):
        self.begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """Note one more beginning; all that there were."""
        self.begun[number] += 1
        return self.begun[number]


class RayHand:
    """A worker on Ray: pieces and results travel as bytes, so that no table format needs to know them.

    Ray itself tries again for ever where a process dies; the tally ends that.
    """

    def __init__(self, make: bytes, tally: Any, attempts: int):
        self.do, self.tally, self.attempts = pickle.loads(make)(), tally, attempts

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The outcome of a row's piece."""
        import ray

        begun: Any = ray.get(self.tally.begin.remote(int(row["number"])))
        if begun > self.attempts:
            result, error = None, lost(self.attempts)
        else:
            result, error = _attempt(self.do, pickle.loads(row["item"]))
        return {"number": row["number"], "outcome": pickle.dumps((result, error and _fit_to_travel(error)))}


def _on_ray(
    make: Make, items: Sequence[Item], *, address: str, workers: int | None, gpus: bool, attempts: int
) -> Iterator[Done[Item]]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    try:
        import ray
        import ray.data
        from ray.exceptions import RayError
    except ImportError as error:
        raise InputError("expected Ray to be installed; try: pip install 'longdance[ray]'") from error
    own = not ray.is_initialized()
    if own:
        local = {"include_dashboard": False, "num_cpus": workers or os.cpu_count()} if address == LOCAL else {}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except Exception as error:  # Ray raises bare ones here
            raise InputError(
                f"{address}: expected a Ray that answers, at the address of a cluster or {LOCAL} ({error}); see "
                "whether the cluster is up, or this machine too busy"
            ) from error
    try:
        there = ray.cluster_resources()
        each_gpu = 1 if gpus and there.get("GPU", 0) >= 1 else 0
        size = workers or int(there["GPU"] if each_gpu else there["CPU"])
        context = ray.data.DataContext.get_current()
        context.max_errored_blocks = -1  # a piece that is lost is told as such below
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        rows = [{"number": number, "item": pickle.dumps(item)} for number, item in enumerate(items)]
        tally = ray.remote(num_cpus=0)(Tally).remote()
        outcomes = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            cast(Any, RayHand),
            fn_constructor_args=(pickle.dumps(make), tally, attempts),
            compute=ray.data.ActorPoolStrategy(size=min(size, len(rows))),
            num_cpus=1,
            num_gpus=each_gpu,
        )
        missing = set(range(len(items)))
        try:
            for batch in outcomes.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
                for number, outcome in zip(batch["number"].tolist(), batch["outcome"], strict=True):
                    missing.discard(number)
                    yield Done(items[number], *pickle.loads(outcome))
        except RayError as error:
            if isinstance(cause := getattr(error, "cause", None), InputError):
                raise cause from error
            log.warning("Ray gave up: %s", error)
        for number in sorted(missing):
            yield Done(items[number], None, lost(attempts))
    finally:
        if own:
            ray.shutdown()
