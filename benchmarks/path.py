"""Where the time goes from a song file to files of a dance, stage by stage, and how soon a streamed dance begins.

    OMP_NUM_THREADS=1 python benchmarks/path.py SONG --seconds 180 -o benchmarks/results/path.json

Seconds on the wall and of CPU. Stages that lie within another are indented below it. Nothing is rendered unless asked
for by --render. Every stage runs once, after a short dance that warms everything up but the caches of the song.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from common import environment, write_report

from longdance.choreography import refinement
from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.cleanup import feet, floor, root
from longdance.features import song as songs
from longdance.features.song import Song
from longdance.motion.motion import Motion

WITHIN = {
    songs: {"_loudness": "decoding, loudness", "_tracked_beats": "beats", "_downbeat_indices": "bars"},
    refinement: {"refined_positions": "refinement module", "solve_ik": "inverse kinematics"},
    floor: {"floor_height": "floor"},
    root: {"leading_shift": "path of the root"},
    feet: {"lock_feet": "feet held"},
}
"""Functions that are timed where their module calls them, and what they do. Decoding is done while loudness is told."""
START_UP = {
    "longdance --help": [sys.executable, "-m", "longdance", "--help"],
    "import of all that dances": [sys.executable, "-c", "import longdance.choreography.pretrained"],
}
FORMATS = ("npz", "bvh", "glb", "fbx")


class Clock:
    """Seconds by stage, in the order in which stages began."""

    def __init__(self):
        self.stages: dict[str, dict[str, float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds what its body takes."""
        spent = self.stages.setdefault(name, {"wall": 0.0, "cpu": 0.0})
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        spent["wall"] += time.perf_counter() - wall
        spent["cpu"] += time.process_time() - cpu

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, a stage of its own whenever it is called."""

        def call(*given: Any, **named: Any) -> Any:
            with self.stage(name):
                return function(*given, **named)

        return call

    def within(self, module: Any) -> ExitStack:
        """Times the functions of ``WITHIN`` in a module while it is entered."""
        stack = ExitStack()
        for function, name in WITHIN[module].items():
            stack.enter_context(patch.object(module, function, self.timed(f"  {name}", getattr(module, function))))
        return stack


def start_up() -> dict[str, float]:
    """Seconds on the wall of fresh processes, the fastest of three each."""
    found = {}
    for name, command in START_UP.items():
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - begin)
        found[name] = min(times)
    return found


def generated(model: Dancer, path: Path, seconds: float, genre: str | None, *, render: bool) -> dict:
    """Every stage of a dance that is made as a whole."""
    clock = Clock()
    with clock.stage("listening"), clock.within(songs):
        song = Song.load(path, seconds=seconds)
    prepared = model.prepare(DanceRequest(song=song, genre=genre, device="cpu"))
    with clock.stage("denoising"):
        made = model.generator.generate(prepared, None)
    with clock.stage("refinement"), contextlib.ExitStack() as stack:
        for module in (refinement, floor, root, feet):
            stack.enter_context(clock.within(module))
        dance = model.finish(prepared, made)
    with tempfile.TemporaryDirectory() as folder:
        for ending in (*FORMATS, *(("mp4",) if render else ())):
            with clock.stage(f"export {ending}"):
                dance.save(Path(folder) / f"dance.{ending}")
    return {"seconds_of_dance": dance.seconds, "stages": clock.stages}


def streamed(model: Dancer, path: Path, seconds: float, genre: str | None) -> dict:
    """When the first frames are there, and whether playing them would ever have to wait."""
    wall, cpu = time.perf_counter(), time.process_time()
    pieces: list[Motion] = []
    first, slack, played_until = {}, float("inf"), 0.0
    for piece in model.stream(path, seconds=seconds, genre=genre):
        now = time.perf_counter() - wall
        if not pieces:
            first = {"wall": now, "cpu": time.process_time() - cpu, "seconds_of_dance": piece.seconds}
        else:
            slack = min(slack, first["wall"] + played_until - now)
        played_until += piece.seconds
        pieces.append(piece)
    return {
        "first_piece": first,
        "least_slack": slack,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "pieces": len(pieces),
    }


def show(report: dict) -> None:
    """The report as a table."""
    print(", ".join(f"{key} {value}" for key, value in environment().items()), f"threads {report['threads']}")
    for name, seconds in report["start_up"].items():
        print(f"{name:30} {seconds:8.2f} s")
    dance = report["generate"]["seconds_of_dance"]
    print(f"\n{dance:.0f} s of dance, {report['model']}      wall s    cpu s   cpu ms per s")
    for name, spent in report["generate"]["stages"].items():
        print(f"{name:30} {spent['wall']:8.2f} {spent['cpu']:8.2f} {1000 * spent['cpu'] / dance:10.2f}")
    first, stream = report["stream"]["first_piece"], report["stream"]
    began = f"{first['wall']:.2f} s ({first['cpu']:.2f} s of CPU)"
    print(f"\nstream: first {first['seconds_of_dance']:.1f} s after {began}")
    print(f"all {stream['pieces']} pieces after {stream['wall']:.1f} s ({stream['cpu']:.1f} s of CPU)")
    print(f"least time that a piece was there before it was due: {stream['least_slack']:.1f} s")


def main() -> None:
    """Measure, print a table and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("song", type=Path)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--model", default="edmg")
    parser.add_argument("--genre", default="salsa")
    parser.add_argument("--render", action="store_true", help="Write a video as well.")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    started = start_up()
    clock = Clock()
    with clock.stage("model"):
        model = load(arguments.model)
    asked = (arguments.song, arguments.seconds, arguments.genre)
    next(model.stream(arguments.song, seconds=5.0, genre=arguments.genre))
    report = {
        "model": arguments.model,
        "threads": torch.get_num_threads(),
        "start_up": started,
        "load_model": clock.stages["model"],
        "generate": generated(model, *asked, render=arguments.render),
        "stream": streamed(model, *asked),
    }
    show(report)
    write_report(arguments.out, report)


if __name__ == "__main__":
    main()
