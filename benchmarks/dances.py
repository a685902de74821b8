"""Do generated dances move like the real ones? Measures dances for a folder of songs against the training dances.

    python benchmarks/dances.py --model edmg --data STORE --songs FOLDER -o benchmarks/results/dances.json

For every song and prompt one dance; each bound is written beside its measured value. Needs a prepared store of the open
data; takes some minutes on two cores. Whether words are followed is measured by control.py.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from common import real_dances, songs_in, write_report

from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.diffusion.guidance import Guidance
from longdance.features.song import Song
from longdance.metrics.report import describe
from longdance.motion.motion import Motion

PROMPTS = (
    ("salsa", "partner salsa"),
    ("commercial", "sassy"),
    ("modern", "pirouette"),
    ("breaking", "fancy footwork"),
)
"""Genre and movement; "sassy" and "fancy footwork" are only in held-out clips."""

BOUNDS = {
    "mean_joint_speed": (0.6, 1.4),
    "mean_jerk": (0.0, 1.5),
    "foot_skating_cm_per_second": (0.0, 1.5),
    "still_share": (0.0, 2.0),
}
"""Allowed ratio to the training dances (median; mean for the share of still half-seconds)."""


def reference(dances: dict[str, tuple[str, Motion]]) -> dict:
    """What the training dances do, as the bounds need it, over all and per genre."""
    rows = {clip: describe(motion.joints(), motion.fps) for clip, (_, motion) in dances.items()}
    heights = np.concatenate([motion.root_position[:, 1] for _, motion in dances.values()])

    def summary(clips: list[str]) -> dict[str, float]:
        return {
            key: float((np.nanmean if key == "still_share" else np.nanmedian)([rows[clip][key] for clip in clips]))
            for key in BOUNDS
        }

    genres = sorted({genre for genre, _ in dances.values()})
    return {
        "all": summary(list(rows)),
        "genres": {g: summary([clip for clip in rows if dances[clip][0] == g]) for g in genres},
        "root_height": [float(heights.min()), float(heights.max())],
    }


def judge(dance: Motion, real: dict) -> dict:
    """The measures of one dance with their ratios to the reference and whether they hold."""
    beats = dance.meta["beat_times"]
    joints = dance.joints()
    values = describe(joints, dance.fps, beats)
    height = dance.root_position[:, 1]
    low, high = real["root_height"]
    offsets = dance.skeleton.offsets
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, list(dance.skeleton.parents[1:])], axis=-1)
    row = {
        "finite": bool(np.isfinite(joints).all()),
        "bone_length_error": float(np.abs(lengths - np.linalg.norm(offsets[1:], axis=-1)).max()),
        "root_height": [float(height.min()), float(height.max())],
        "root_height_ok": bool(low - 0.05 <= height.min() and height.max() <= high + 0.05),
        "seam_gap_of_raw_predictions": dance.meta["seam_gap"],
        "beat_alignment": values["beat_alignment"],
        "beat_alignment_p_value": values["beat_alignment_p_value"],
        **{key: values[key] for key in BOUNDS},
    }
    genre = dance.meta["genre"]
    for scope, numbers in (("all", real["all"]), ("own_genre", real["genres"][genre])):
        row[f"ratio_to_{scope}"] = {key: round(values[key] / max(numbers[key], 1e-9), 3) for key in BOUNDS}
    row["within"] = {
        scope: {key: bool(low <= row[f"ratio_to_{scope}"][key] <= high) for key, (low, high) in BOUNDS.items()}
        for scope in ("all", "own_genre")
    }
    return row


def seams(dance: Motion, model: Dancer) -> dict[str, float]:
    """Speed and acceleration where windows begin and end, against the 99th percentile of everywhere else.

    ``..._ratio`` is the mean at the seams over that percentile, ``..._beyond`` the share of seam frames above it.
    """
    plan = model.generator.plan(dance.frames)
    starts = np.arange(1, plan.count) * plan.hop
    at = np.unique(np.concatenate((starts, starts + plan.overlap)))
    velocity = np.gradient(dance.joints(), axis=0) * dance.fps
    acceleration = np.gradient(velocity, axis=0) * dance.fps
    found = {}
    for name, track in (("speed", velocity), ("acceleration", acceleration)):
        size = np.linalg.norm(track, axis=-1).mean(1)
        seam = np.zeros(dance.frames, bool)
        seam[at[at < dance.frames]] = True
        limit = np.percentile(size[~seam], 99)
        found[f"{name}_ratio"] = round(float(size[seam].mean() / limit), 3)
        found[f"{name}_beyond"] = round(float((size[seam] > limit).mean()), 3)
    return found


def main() -> None:
    """Run everything and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="edmg")
    parser.add_argument("--data", required=True)
    parser.add_argument("--songs", required=True, type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--music", type=float, default=Guidance().music)
    parser.add_argument("--text", type=float, default=Guidance().text)
    parser.add_argument("--keep", type=Path, help="folder for the dances themselves")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()

    model, store = load(arguments.model), Store.open(arguments.data)
    guidance = Guidance(arguments.music, arguments.text)
    train = real_dances(store, "train")
    real = reference(train)
    print("reference", json.dumps(real["all"]), real["root_height"], flush=True)
    paths = songs_in(arguments.songs)
    rows = []
    for path in paths:
        song = Song.load(path, seconds=arguments.seconds)
        for genre, movement in PROMPTS:
            clock = time.perf_counter()
            weights = {"music_guidance": guidance.music, "text_guidance": guidance.text}
            dance = model.generate(song, genre=genre, movement=movement, **weights)
            seconds = time.perf_counter() - clock
            row = {"song": path.name, "genre": genre, "movement": movement, "took_seconds": round(seconds, 1)}
            rows.append({**row, **judge(dance, real), "seams": seams(dance, model)})
            if arguments.keep:
                dance.save(arguments.keep / f"{path.stem}-{genre}.npz")
            print(json.dumps(rows[-1]), flush=True)
    report = {
        "model": model.checkpoint.config.recipe,
        "trained_steps": model.checkpoint.config.trained_steps,
        "guidance": guidance._asdict(),
        "reference": real,
        "dances": rows,
    }
    write_report(arguments.out, report)


if __name__ == "__main__":
    main()
