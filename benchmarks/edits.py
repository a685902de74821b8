"""Do edits leave the rest alone, and do their seams show? Every operation of `longdance edit`, in one table.

    python benchmarks/edits.py --model edmg --songs SONG ... -o benchmarks/results/edits.json

For each operation: whether every kept frame is bit-identical, and the acceleration (mean over joints) of the frames
around the seams as a share of the 99th percentile of all other frames. A minute a song on two cores.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from common import environment, write_report

from longdance.choreography import edit
from longdance.choreography.dancer import Dancer
from longdance.choreography.edits.making import frames_of
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.features.song import Song
from longdance.files import atomic_write
from longdance.motion.motion import Motion


def seams(dance: Motion, free: np.ndarray) -> dict:
    """Acceleration at the seams against the 99th percentile of elsewhere."""
    size = np.linalg.norm(np.diff(dance.joints(), 2, axis=0), axis=-1).mean(1) * dance.fps**2
    seam = np.zeros(len(size), bool)
    for border in np.flatnonzero(np.diff(free.astype(int))) + 1:
        seam[max(0, border - 2) : border + 1] = True
    limit = float(np.percentile(size[~seam], 99))
    return {
        "seams": int(np.abs(np.diff(free.astype(int))).sum()),
        "acceleration_limit": round(limit, 2),
        "worst_seam_share": round(float(size[seam].max()) / limit, 3),
        "seam_frames_beyond": round(float((size[seam] > limit).mean()), 3),
    }


def compared(before: Motion, after: Motion, free: np.ndarray, joints: np.ndarray | None = None) -> dict:
    """What was to stay, and what changed."""
    kept = ~free[: min(before.frames, after.frames)]
    root = np.array_equal(before.root_position[: len(kept)][kept], after.root_position[: len(kept)][kept])
    turns = np.array_equal(before.rotations[: len(kept)][kept], after.rotations[: len(kept)][kept])
    found = {"kept_frames": int(kept.sum()), "kept_identical": bool(root and turns)}
    if joints is not None:
        found["kept_joints_identical"] = bool(np.array_equal(before.rotations[:, ~joints], after.rotations[:, ~joints]))
    return found | seams(after, free)


def operations(model: Dancer, path: Path, *, seconds: float, genre: str, other: str) -> dict:
    """Every operation on one dance."""
    song = Song.load(path, seconds=seconds)
    dance = model.generate(song, genre=genre)
    second = model.generate(song, genre=other, seed=1)
    wish, end = DanceRequest(song=song, seed=7), dance.seconds
    middle = edit.nearest_beat(dance, end / 2)

    def within(*ranges: tuple[float, float]) -> np.ndarray:
        return frames_of(ranges, dance)

    stretch, long = (0.4 * end, 0.4 * end + 3), (0.2 * end, 0.8 * end)
    keys = [(0.3 * end, 0.35 * end), (0.45 * end, 0.45 * end), (0.6 * end, end)]
    short = dance.slice(0, round(0.7 * dance.frames))
    rows = {}

    def row(name: str, make, before: Motion, free: np.ndarray, joints: np.ndarray | None = None) -> None:
        clock = time.perf_counter()
        after = make()
        took = round(time.perf_counter() - clock, 1)
        rows[name] = {**compared(before, after, free, joints), "took_seconds": took}
        print(name, json.dumps(rows[name]), flush=True)

    def redo(ranges, **options):
        return lambda: edit.redo(dance, model, wish, stretches=ranges, **options)

    upper, lower = (edit.free_joints(part, dance.skeleton) for part in ("upper", "lower"))
    row("redo 3 s", redo([stretch]), dance, within(stretch))
    row("redo most of it", redo([long]), dance, within(long))
    row("upper body", redo([stretch], joints="upper"), dance, within(stretch), upper)
    row("lower body", redo([stretch], joints="lower"), dance, within(stretch), lower)
    row("keep the feet", redo([stretch], keep_feet=True), dance, within(stretch))
    row(
        "in-between",
        lambda: edit.in_between(dance, model, wish, keep=keys),
        dance,
        ~within(*keys),
    )
    row(
        "another genre from here on",
        lambda: edit.from_here_on(dance, model, wish.changed(genre=other), at=middle),
        dance,
        within((middle, end)),
    )
    row(
        "go on",
        lambda: edit.go_on(short, model, wish, seconds=0.3 * end - 0.1),
        short,
        np.arange(short.frames + round((0.3 * end - 0.1) * dance.fps)) >= short.frames,
    )
    changing = np.abs(np.arange(dance.frames) - round(middle * dance.fps)) < round(edit.BLEND * dance.fps)
    # Only what is before the change is compared: what follows is the second dance, moved to where the first stands.
    row(
        "blend at a beat",
        lambda: edit.blend(dance, model, wish, other=second, at=middle),
        dance.slice(0, int(np.flatnonzero(changing)[0])),
        changing,
    )
    return rows


def main() -> None:
    """Run every operation on one dance a song; write JSON, and a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="edmg")
    parser.add_argument("--songs", type=Path, required=True, nargs="+")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--genre", default="salsa")
    parser.add_argument("--other", default="modern")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    model = load(arguments.model)
    songs = {
        path.name: operations(
            model, path, seconds=arguments.seconds, genre=arguments.genre, other=arguments.other
        )
        for path in arguments.songs
    }  # fmt: skip
    report = {
        **environment(),
        "model": model.checkpoint.config.recipe,
        "trained_steps": model.checkpoint.config.trained_steps,
        "dance_seconds": arguments.seconds,
        "songs": songs,
    }
    write_report(arguments.out, report)
    lines = ["# Edits", "", ", ".join(f"{key}: {value}" for key, value in environment().items()), "", *table(songs)]
    with atomic_write(arguments.out.with_suffix(".md")) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(songs: dict[str, dict]) -> list[str]:
    """A line per operation; of several songs the worst."""
    lines = [
        "| operation | kept frames identical | seams | worst acceleration at a seam, share of the 99th percentile |",
        "|---|---|---|---|",
    ]
    for name in next(iter(songs.values())):
        rows = [found[name] for found in songs.values()]
        same = all(row["kept_identical"] and row.get("kept_joints_identical", True) for row in rows)
        worst = max(row["worst_seam_share"] for row in rows)
        seams = sum(row["seams"] for row in rows)
        lines.append(f"| {name} | {'yes' if same else 'no'} | {seams} | {worst:.2f} |")
    return lines


if __name__ == "__main__":
    main()
