"""Measures every export format on three minutes of dance: another reader's joint error, the size, the time.

    PYTHONPATH=.:tests python tools/check_exports.py DANCE.npz [--song SONG] [--blender PROGRAM] -o exports.md

The dance is repeated to three minutes at 60 fps. Errors are the largest distance in metres, over all frames and joints,
between where a reader that shares no code with the writer finds a joint and where the dance has it. With --blender (see
``check_blender.py``) Blender's bones are compared as well. A second table puts the dance on characters of other builds.
"""

import argparse
import importlib.metadata
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
from tools.check_blender import measure
from tools.export_readers import Fbx, Glb, Read, Usd, read_amass, read_bvhio, read_pybvh

from export.test_rig_poses import ARMS, LEGS, directions
from longdance.export.formats import export
from longdance.export.rig_path import Placed, ours
from longdance.export.takes import ExportOptions
from longdance.motion.contacts import speeds
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24
from longdance.motion.stances import CONTACT_ORDER, stances
from sample_characters import character, write_glb

SECONDS, FPS = 180, 60.0
BUILDS = {
    "ours": {},
    "legs 1.4 times as long": {"leg": 1.4},
    "legs 0.6 times as long": {"leg": 0.6},
    "shins 1.3 times as long": {"shin": 1.3},
    "hips 1.8 times as wide": {"hips": 1.8},
    "feet 1.7 times as long": {"foot": 1.7},
    "shins 0.8 times as long": {"shin": 0.8},
    "a child's: legs 0.8, hips 0.9, feet 0.9": {"leg": 0.8, "hips": 0.9, "foot": 0.9},
    "arms down 45 degrees at rest, facing back": {"arms_down": 45.0, "facing": 180.0},
}


def three_minutes(dance: Motion) -> Motion:
    """The dance again and again, to the length and the rate that are measured."""
    dance = dance.resample(FPS)
    times = int(np.ceil(SECONDS * FPS / dance.frames))
    root, rotations = (np.concatenate([part] * times) for part in (dance.root_position, dance.rotations))
    return Motion(root, rotations, fps=FPS, skeleton=dance.skeleton, meta=dance.meta).slice(0, int(SECONDS * FPS))


def readers(dance: Motion) -> list[tuple[str, str, Callable[[Path], Read], list[int] | None]]:
    """Rows: file, reader, how it reads, the frames that it reads (None: all)."""
    few = [0, 3000, dance.frames - 1]
    return [
        ("dance.bvh", "pybvh", read_pybvh, None),
        ("dance.bvh", f"bvhio ({len(few)} frames)", lambda path: read_bvhio(path, frames=few), few),
        ("dance.glb", "pygltflib", lambda path: Glb(path).joints(), None),
        ("dance.vrma", "pygltflib", _vrma, None),
        ("dance.fbx", "own parser of the checks", lambda path: Fbx(path).joints(), None),
        ("dance.usd", "usd-core", lambda path: Usd(path).joints(), None),
        ("dance.usdz", "usd-core", lambda path: Usd(path).joints(), None),
        (
            "dance.amass.npz",
            "numpy, scipy",
            lambda path: read_amass(path, SMPL22.names, SMPL22.parents, SMPL22.offsets),
            None,
        ),
    ]


def _vrma(path: Path) -> Read:
    as_glb = path.with_suffix(".copy.glb")  # the library goes by the ending
    as_glb.write_bytes(path.read_bytes())
    return Glb(as_glb).joints()


def error(found: dict[str, np.ndarray], dance: Motion, frames: list[int] | None) -> float:
    """Largest distance of a joint in metres."""
    ours = dance.joints() if frames is None else dance.joints()[frames]
    pairs = [(found[name], ours[:, joint]) for joint, name in enumerate(dance.skeleton.names) if name in found]
    return max(float(np.linalg.norm(one - two, axis=-1).max()) for one, two in pairs)


def formats_table(dance: Motion, song: Path | None, folder: Path) -> list[str]:
    """Markdown rows of all formats."""
    lines = ["| file | reader | largest joint error (m) | frame rate read | size (MB) | time to write (s) |"]
    lines.append("|---|---|---|---|---|---|")
    sizes: dict[str, str] = {}
    for name, reader, read, frames in readers(dance):
        path = folder / name
        if name not in sizes:
            clock = time.perf_counter()
            export(dance, path)
            sizes[name] = f"{path.stat().st_size / 1e6:.1f} | {time.perf_counter() - clock:.2f}"
        found, fps = read(path)
        lines.append(f"| {name} | {reader} | {error(found, dance, frames):.1e} | {fps:.3f} | {sizes[name]} |")
        print(lines[-1], flush=True)
    clock = time.perf_counter()
    export(dance, folder / "dance.html", song_path=song)
    took = time.perf_counter() - clock
    size = (folder / "dance.html").stat().st_size / 1e6
    sound = "with sound" if song else "without sound"
    lines.append(
        f"| dance.html | tests, in Chromium | (holds the GLB) | {dance.fps:g} | {size:.1f} ({sound}) | {took:.2f} |"
    )
    return lines


def characters_table(dance: Motion, folder: Path) -> list[str]:
    """Markdown rows of the dance on other builds: how well what stands stays, and where limbs point."""
    standing, joints = stances(dance), dance.joints()
    over = np.maximum(ours(dance).lowest_soles(), 0)
    lines = [
        "| build | standing feet slide (cm/s) | lowest foot off the dance's (cm), 95 % and worst | "
        "higher of two standing feet floats (cm), 95 % and worst | legs off (degrees), median and worst | arms off |",
        "|---|---|---|---|---|---|",
    ]

    def slide(tracks: list[np.ndarray]) -> float:
        quick = [speeds(track[:, [0, 2]], dance.fps)[rests] for track, rests in zip(tracks, standing.T, strict=True)]
        return 100 * float(np.concatenate(quick).mean())

    own = slide([joints[:, SMPL24.index(name)] for name in CONTACT_ORDER])
    lines.append(f"| the dance itself | {own:.2f} | | | | |")
    for number, (what, build) in enumerate(BUILDS.items()):
        body = character("mixamo", np.random.default_rng(number), **build)
        write_glb(body, folder / "rig.glb")
        export(dance, folder / "on_rig.glb", options=ExportOptions(rig=folder / "rig.glb"))
        read = Glb(folder / "on_rig.glb").joints()[0]
        turn = np.diag([-1.0, 1.0, -1.0]) if build.get("facing") else np.eye(3)
        leg = np.linalg.norm(body.places["left_knee"] - body.places["left_hip"])
        size = SMPL24.leg_length / (leg + np.linalg.norm(body.places["left_ankle"] - body.places["left_knee"]))
        found = {name: size * read[bone] @ turn for name, bone in body.names.items()}
        feet = dance.global_rotations()[:, [SMPL24.index(f"{side}_ankle") for side in ("left", "right")]]
        soles = []
        for side in ("left", "right"):
            ankle, ball = (size * body.places[f"{side}_{joint}"] @ turn for joint in ("ankle", "foot"))
            soles.append(np.stack((np.array([0, -ankle[1], 0]), [0, -ankle[1], (ball - ankle)[2]])))
        low = Placed(found, feet, (soles[0], soles[1])).lowest_soles()
        both = standing.reshape(-1, 2, 2).any(2)
        lowest = 100 * np.abs(low.min(1) - over.min(1))[both.any(1)]
        floats = 100 * (low - over).max(1)[both.all(1)]
        arms, legs = (directions(found, dance, limbs) for limbs in (ARMS, LEGS))
        lines.append(
            f"| {what} | {slide([found[name] for name in CONTACT_ORDER]):.2f} | {np.percentile(lowest, 95):.2f} / "
            f"{lowest.max():.2f} | {np.percentile(floats, 95):.2f} / {floats.max():.2f} | {np.median(legs):.2f} / "
            f"{legs.max():.2f} | {arms.max():.3f} |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dance", type=Path)
    parser.add_argument("--song", type=Path)
    parser.add_argument("--blender")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    dance = Motion.load(options.dance)
    long = three_minutes(dance)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("pybvh", "bvhio", "pygltflib", "usd-core")
    )
    with tempfile.TemporaryDirectory() as name:
        lines = [
            "# Exports, measured",
            "",
            f"`tools/check_exports.py`, {date.today()}, {platform.machine()}, Python {platform.python_version()}, "
            f"{versions}.",
            f"{SECONDS} s of dance at {FPS:g} fps, {long.frames} frames; times on a busy machine of two cores.",
            "",
            *formats_table(long, options.song, Path(name)),
            "",
            "## On other characters",
            "",
            f"{dance.seconds:.0f} s at {dance.fps:g} fps; speeds and heights for legs as long as ours.",
            "",
            *characters_table(dance, Path(name)),
        ]
    if options.blender:
        lines += ["", "## In Blender", "", "Plain files, and the mannequin as somebody's own character (`on_rig`).", ""]
        lines += ["| file | scene rate after import | length (s) | largest bone error (m) |", "|---|---|---|---|"]
        for row in measure(options.dance, options.blender):
            lines.append(f"| {row['file']} | {row['rate']:g} | {row['seconds']:.2f} | {row['largest']:.1e} |")
    options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
