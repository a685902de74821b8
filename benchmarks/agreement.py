"""How far our metrics are from the published code: largest relative difference per metric and variant.

    python benchmarks/agreement.py --reference FOLDER -o benchmarks/results/agreement.md

``FOLDER`` holds ``motions.npz`` and ``expected.json``, six synthetic dances at 60 and 30 fps and what the systems' own
code returns for them; the tests compare the same values.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from common import environment

from longdance import metrics
from longdance.files import atomic_write

PREFIX = {"aistpp": "", "bailando": "bailando_", "lodge": "lodge_", "popdg": "popdg_"}


def main() -> None:
    """Compare everything and write one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reference", required=True, type=Path)
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    expected = json.loads((arguments.reference / "expected.json").read_text())
    with np.load(arguments.reference / "motions.npz") as arrays:
        found = compare(expected, dict(arrays))
    lines = [
        "# Agreement with the published code", "",
        f"Six synthetic dances at 60 and 30 fps. {environment()['date']}. Differences are relative to the published "
        "value (at least 1e-6; at least 1 for Fréchet distances, whose originals are noisy near 0).", "",
        "| metric | variant | values | largest relative difference |", "|---|---|---|---|",
    ]  # fmt: skip
    for (metric, variant), differences in sorted(found.items()):
        lines.append(f"| {metric} | {variant} | {len(differences)} | {max(differences):.1e} |")
    with atomic_write(arguments.out) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def compare(expected: dict, arrays: dict[str, np.ndarray]) -> dict[tuple[str, str], list[float]]:
    """(metric, variant) to the relative differences of all values."""
    found: dict[tuple[str, str], list[float]] = {}

    def note(metric: str, variant: str, ours, theirs, *, floor: float = 1e-6) -> None:
        ours, theirs = np.atleast_1d(ours).astype(float), np.atleast_1d(theirs).astype(float)
        found.setdefault((metric, variant), []).extend(np.abs(ours - theirs) / np.maximum(np.abs(theirs), floor))

    for fps in (60, 30):
        part = expected[f"{fps}fps"]
        dances = [arrays[f"joints_{fps}fps_{i}"].astype(np.float64) for i in range(6)]
        beats = [arrays[f"beat_times_{i}"] for i in range(6)]
        rows: dict[tuple[str, str], list[np.ndarray]] = {}
        for joints, times, values in zip(dances, beats, part["motions"], strict=True):
            for variant, prefix in PREFIX.items():
                kinetic = metrics.kinetic_features(joints, fps, variant=variant)
                geometric = metrics.geometric_features(joints, fps, variant=variant)
                note("kinetic features", variant, kinetic, values[f"{prefix}kinetic"])
                note("geometric features", variant, geometric, np.float32(values[f"{prefix}manual"]))
                rows.setdefault((variant, "kinetic"), []).append(kinetic)
                rows.setdefault((variant, "manual"), []).append(geometric)
            old = metrics.geometric_features(joints, fps, variant="fact")
            note("geometric features", "fact", old, np.float32(values["manual_old_bailando"]))
            for variant in ("bailando", "lodge", "mint", "popdg"):
                score = metrics.beat_alignment(joints, times, fps, variant=variant)
                note("beat alignment", variant, score, values["beats"][f"bas_{variant}"])
            note("PFC", "edge", metrics.physical_foot_contact(joints, fps), values["pfc_zup"])
            note("PBC", "popdg", metrics.physical_body_contact(joints, fps), values["pbc_zup"])
            note("foot skating", "lodge", metrics.foot_skating_ratios(joints, fps), values["fsr_left_right"])
        sets = part["sets"]
        for variant, name in (("aistpp", "mint"), ("popdg", "popdg"), ("bailando", "bailando"), ("lodge", "lodge")):
            for kind in ("kinetic", "manual"):
                real, own = np.stack(rows[variant, kind][3:]), np.stack(rows[variant, kind][:3])
                distance, spread = metrics.frechet_distance(real, own), metrics.diversity(own, reference=real)
                letter = "k" if kind == "kinetic" else "g"
                if name == "mint":
                    theirs, their_spread = sets["mint"][kind], None
                elif name == "popdg":
                    theirs, their_spread = sets["popdg"][kind]["fid"], sets["popdg"][kind]["div_gen"]
                else:
                    theirs, their_spread = sets[name][f"fid_{kind[0]}"], sets[name][f"div_{kind[0]}"]
                theirs = theirs["real"] if isinstance(theirs, dict) else theirs
                note(f"FID_{letter}", variant, distance, theirs, floor=1.0)
                if their_spread is not None:
                    note(f"Div_{letter}", variant, spread, their_spread)
    return found


if __name__ == "__main__":
    main()
