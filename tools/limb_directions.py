"""Measures how well limbs of characters saved in any pose follow a dance, over a grid made at random.

    python tools/limb_directions.py --seed 1 --count 200

Prints a Markdown table: degrees between the directions of the written file's bones and the dance's, median and worst,
by what the grid varies; how far the lowest ankle is off its height at rest; how quickly standing feet slide.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tools.export_readers import Fbx, Glb  # noqa: E402

from export.test_rig_poses import ARMS, LEGS, directions, trunk  # noqa: E402
from longdance.export.formats import export  # noqa: E402
from longdance.export.rig_path import ours  # noqa: E402
from longdance.export.takes import ExportOptions  # noqa: E402
from longdance.motion.contacts import speeds  # noqa: E402
from longdance.motion.ik import lock_feet  # noqa: E402
from longdance.motion.motion import Motion  # noqa: E402
from longdance.motion.skeleton import SMPL24  # noqa: E402
from longdance.motion.stances import CONTACT_ORDER, stances  # noqa: E402
from posed_rigs import some_rig, write_posed_fbx, write_posed_glb  # noqa: E402
from sample_motions import wandering  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    rows: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    rates = (24.0, 30.0, 60.0)
    dances = {fps: lock_feet(wandering(np.random.default_rng(11), frames=round(1.5 * fps), fps=fps)) for fps in rates}
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(options.count):
            form = ("glb", "fbx")[number % 2]
            rng = np.random.default_rng((options.seed, number))
            rig = some_rig(rng, form)
            fps = float(rng.choice(list(dances)))
            dance = dances[fps]
            path, out = Path(temporary) / f"rig.{form}", Path(temporary) / f"out.{form}"
            if form == "glb":
                write_posed_glb(rig, path, skins=int(rng.integers(1, 4)))
            else:
                write_posed_fbx(rig, path)
            export(dance, out, options=ExportOptions(rig=path))
            places = (Glb if form == "glb" else Fbx)(out).joints()[0]
            found = {joint: places[rig.bones[bone].name] @ rig.heading for joint, bone in rig.joints.items()}
            arms, legs = directions(found, dance, ARMS), directions(found, dance, LEGS)
            ankles = min(found[f"{side}_ankle"][:, 1].min() for side in ("left", "right"))
            size = SMPL24.leg_length / rig.leg
            slide = 100 * (slides(found, dance, size) - slides(ours(dance).places, dance, 1.0))
            over = 100 * (ankles - rig.ankle)
            row = (arms.max(), np.median(legs), legs.max(), trunk(found, dance).max(), over, slide)
            for key in (
                ("all", ""),
                ("pose", str(rig.described["pose"])),
                ("above the hips", str(rig.described["parents"])),
                ("mesh space", str(rig.described["space"])),
                ("form", form),
                ("units to the metre", f"{rig.described['unit']:g}"),
                ("names", str(rig.described["names"])),
                ("fps", f"{fps:g}"),
            ):
                rows[key].append(row)
    print(
        "| grid | rigs | arms worst | legs median | legs worst | shoulder line worst | ankles over rest, worst cm | "
        "standing feet slide more than the dance's, median cm/s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for (what, which), values in sorted(rows.items()):
        table = np.array(values)
        print(
            f"| {what} {which} | {len(table)} | {table[:, 0].max():.2f} | {np.median(table[:, 1]):.2f} | "
            f"{table[:, 2].max():.2f} | {table[:, 3].max():.2f} | {np.abs(table[:, 4]).max():.1f} | "
            f"{np.median(table[:, 5]):.1f} |"
        )


def slides(places: dict[str, np.ndarray], dance: Motion, size: float) -> float:
    """Mean speed over the floor (m/s) of foot joints while they stand."""
    rests = zip(CONTACT_ORDER, stances(dance).T, strict=True)
    quick = [speeds(places[name][:, [0, 2]], dance.fps)[stands] for name, stands in rests]
    return size * float(np.concatenate(quick).mean())


if __name__ == "__main__":
    main()
