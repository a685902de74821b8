"""A report of an evaluation: JSON for machines, Markdown for people, and pictures."""

import json
import math
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longdance import __version__
from longdance.choreography.request import DanceRequest
from longdance.evaluate import plots
from longdance.evaluate.intervals import Estimate
from longdance.evaluate.measure import OFFSETS, SPECTRUM
from longdance.evaluate.papers import TABLES
from longdance.evaluate.run import Asked, Evaluation
from longdance.files import atomic_write
from longdance.metrics.distribution import standardise


class Measure(NamedTuple):
    """How a measure is shown."""

    title: str
    better: str
    """lower, higher, or real: as near to the ground truth as can be."""
    digits: int = 3


MEASURES = {
    "fid_k": Measure("FID_k", "lower", 2),
    "fid_g": Measure("FID_g", "lower", 2),
    "div_k": Measure("Div_k", "real", 2),
    "div_g": Measure("Div_g", "real", 2),
    "beat_alignment": Measure("beat alignment (corrected)", "higher"),
    "beat_alignment_by_chance": Measure("... by chance", "real"),
    "beat_alignment_p_value": Measure("... p value", "lower"),
    "beat_alignment_bailando": Measure("beat alignment (Bailando)", "higher"),
    "genre_recognised": Measure("genre recognised", "higher"),
    "multimodal_distance": Measure("multimodal distance", "lower"),
    "r_precision": Measure("R-precision (top 3)", "higher"),
    "physical_foot_contact": Measure("PFC", "lower"),
    "physical_body_contact": Measure("PBC", "higher", 2),
    "foot_skating_ratio": Measure("foot skating ratio (Lodge)", "lower"),
    "foot_skating_cm_per_second": Measure("feet slide, cm/s", "lower", 2),
    "foot_skating_share": Measure("share of contact that skates", "lower"),
    "foot_contact_share": Measure("feet on the floor, share", "real"),
    "floor_penetration_mean": Measure("below the floor, mean m", "lower", 4),
    "floor_penetration_deepest": Measure("below the floor, deepest m", "lower"),
    "self_penetration_mean": Measure("limbs in the body, mean m", "lower", 4),
    "self_penetration_share": Measure("limbs in the body, share of time", "lower"),
    "mean_joint_speed": Measure("mean joint speed, m/s", "real"),
    "mean_joint_speed_root_relative": Measure("... around the pelvis", "real"),
    "mean_jerk": Measure("jerk, m/s³", "real", 0),
    "mean_jerk_root_relative": Measure("... around the pelvis", "real", 0),
    "trembling": Measure("trembling (6 to 12 Hz), m/s³", "real", 0),
    "still_share": Measure("stands still, share of time", "real"),
    "root_height_range": Measure("range of the pelvis' height, m", "real"),
    "cost": Measure("seconds of computing per second", "lower"),
}
ARROWS = {"lower": "↓", "higher": "↑", "real": "→ real"}


def title_of(key: str) -> str:
    """A measure's title with its variant."""
    if key in MEASURES:
        return MEASURES[key].title
    base, _, variant = key.rpartition("_")
    return f"{MEASURES[base].title} ({variant})" if base in MEASURES else key


def measure_of(key: str) -> Measure:
    """How a measure is shown, with any variant."""
    return MEASURES.get(key) or MEASURES.get(key.rpartition("_")[0]) or Measure(key, "real")


def ordered(evaluation: Evaluation) -> list[str]:
    """The measures that any row has, in the order of the tables."""
    found = dict.fromkeys(key for row in evaluation.rows for key in row.estimates)
    place = list(MEASURES)

    def rank(key: str) -> int:
        base = key if key in MEASURES else key.rpartition("_")[0]
        return place.index(base) if base in place else len(place)

    return sorted(found, key=rank)


def write_report(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write ``report.json``, ``report.md`` and the pictures; the files written."""
    written = [folder / "report.json", folder / "report.md"]
    with atomic_write(written[0]) as temporary:
        temporary.write_text(json.dumps(as_record(evaluation), indent=1) + "\n", encoding="utf-8")
    pictures = draw(evaluation, folder)
    with atomic_write(written[1]) as temporary:
        temporary.write_text(as_markdown(evaluation, [path.name for path in pictures]), encoding="utf-8")
    return written + pictures


def as_asked(asked: Asked) -> dict:
    """What models were asked for, as JSON knows it."""
    told = {each.name: getattr(asked, each.name) for each in fields(asked)}
    return told | {"request": asked.request.record()}


def drawn(request: DanceRequest) -> str:
    """How dances were drawn and what was done to them, in words."""
    steps = f"{request.steps} steps" if request.steps else "steps"
    sampler = f"of {request.sampler}" if request.sampler else "and sampler each model's own" 
    after = [name for name, wanted in (("TRM", request.trm), ("cleanup", request.cleanup)) if wanted]
    return f"{steps} {sampler}, {'with ' + ' and '.join(after) if after else 'raw'}"


def as_record(evaluation: Evaluation) -> dict:
    """The report as JSON knows it; numbers that are not known are null."""
    return {
        "date": date.today().isoformat(),
        "longdance": __version__,
        "protocol": asdict(evaluation.protocol),
        "asked": as_asked(evaluation.asked),
        "about": evaluation.about,
        "rows": {
            row.name: {
                "dances": row.dances,
                "measures": {key: _record(estimate) for key, estimate in row.estimates.items()},
                "each": {
                    f"{m.name}" if f"-{m.seed}" in m.name else f"{m.name}-{m.seed}": {
                        key: _number(value) for key, value in m.values.items()
                    }
                    for m in row.measures
                },
            }
            for row in evaluation.rows
        },
        "papers": [table._asdict() for table in TABLES],
        "failed": evaluation.failed,
        "notes": evaluation.notes,
    }


def as_markdown(evaluation: Evaluation, pictures: list[str]) -> str:
    """The report for people."""
    rows, protocol, asked = evaluation.rows, evaluation.protocol, evaluation.asked
    windows = sum(len(next(iter(m.rows.values()))) for m in evaluation.reference)
    lines = ["# Evaluation", ""]
    lines += [
        f"{date.today().isoformat()}, longdance {__version__}. Every dance at {protocol.fps:g} fps; Fréchet distances "
        f"and diversity over windows of {protocol.window:g} s, one every {protocol.hop:g} s, against the real training "
        f"dances ({windows} windows). Behind ± is half of the 95 % confidence interval: over seeds "
        f"where a row has several, otherwise over dances (jackknife). "
        f"What each measure sees, and what it is blind to, is in docs/metrics.md.",
        "",
        f"Models danced with seeds {', '.join(map(str, asked.seeds))}, {drawn(asked.request)}, "
        f"{'with' if asked.words else 'without'} genre and movements of the held-out dance as words.",
        "",
        "| measure | | " + " | ".join(row.name for row in rows) + " |",
        "|---|---|" + "---|" * len(rows),
        "| dances | | " + " | ".join(str(row.dances) for row in rows) + " |",
    ]
    for key in ordered(evaluation):
        shown = measure_of(key)
        cells = [_cell(row.estimates.get(key), shown.digits) for row in rows]
        lines.append(f"| {title_of(key)} | {ARROWS[shown.better]} | " + " | ".join(cells) + " |")
    lines += ["", *(f"![{name}]({name})" for name in pictures)]
    if evaluation.failed:
        lines += ["", "## Left out", "", *(f"- {name}: {reason}" for name, reason in evaluation.failed.items())]
    if evaluation.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in evaluation.notes)]
    lines += [
        "",
        "## What papers print",
        "",
        "Other data, other skeletons, other feature code: these numbers tell how systems rank within one table, and "
        "are not to be compared with the table above.",
    ]
    for table in TABLES:
        keys = list(dict.fromkeys(key for cells in table.rows.values() for key in cells))
        lines += ["", f"{table.source}: {table.data}", "", "| system | " + " | ".join(map(_paper_title, keys)) + " |"]
        lines.append("|---|" + "---|" * len(keys))
        for system, cells in table.rows.items():
            lines.append(f"| {system} | " + " | ".join(f"{cells[k]:g}" if k in cells else "–" for k in keys) + " |")
    return "\n".join(lines) + "\n"


def draw(evaluation: Evaluation, folder: Path) -> list[Path]:
    """The pictures: every measure as bars, pauses around beats, features, spectrum of speed."""
    rows = evaluation.rows
    names = [row.name for row in rows]
    written = [folder / "measures.png", folder / "beats.png", folder / "spectrum.png"]
    nothing = Estimate(math.nan, math.nan, "")
    panels = [
        (title_of(key), [row.estimates.get(key, nothing)[:2] for row in rows])
        for key in ordered(evaluation)
        if any(math.isfinite(row.estimates.get(key, nothing).value) for row in rows)
    ]
    plots.draw_bars(panels, names, written[0])
    middles = (OFFSETS[1:] + OFFSETS[:-1]) / 2
    curves = [
        (middles, np.mean([m.offsets for m in row.measures if m.offsets.any()] or [0 * middles], 0)) for row in rows
    ]
    plots.draw_lines(
        curves, names, written[1], title="Share of beats", x_label="nearest pause of the dance after the beat, seconds"
    )
    # To another song the real dances are the same dances.
    shown = [row for number, row in enumerate(rows) if number != 1]
    spectra = [(SPECTRUM[1:], np.mean([m.spectrum for m in row.measures], 0)[1:]) for row in shown]
    plots.draw_lines(
        spectra,
        [row.name for row in shown],
        written[2],
        title="Amplitude of joint speed around the pelvis, m/s per √Hz",
        x_label="hertz",
    )
    for family, word in (("k", "kinetic"), ("g", "geometric")):
        key = f"{family}_{evaluation.protocol.variants[-1]}"
        real = np.concatenate([m.rows[key] for m in evaluation.reference])
        own = [np.concatenate([m.rows[key] for m in row.measures]) for row in shown]
        written.append(folder / f"features_{word}.png")
        plots.draw_points(
            principal(real, own), ["training dances", *(row.name for row in shown)], written[-1],
            title=f"{word} features, their two main directions among real dances", x_label="",
        )  # fmt: skip
    return written


def principal(real: np.ndarray, others: list[np.ndarray]) -> list[np.ndarray]:
    """(n, 2) places of the real rows and of all others on the real rows' first two principal axes."""
    axes = np.linalg.svd(standardise(real, real), full_matrices=False)[2][:2]
    return [standardise(rows, real) @ axes.T for rows in (real, *others)]


def _cell(estimate: Estimate | None, digits: int) -> str:
    if estimate is None or not math.isfinite(estimate.value):
        return "–"
    margin = f" ± {estimate.margin:.{digits}f}" if math.isfinite(estimate.margin) else ""
    return f"{estimate.value:.{digits}f}{margin}"


def _record(estimate: Estimate) -> dict:
    return {"value": _number(estimate.value), "margin": _number(estimate.margin), "over": estimate.over}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _paper_title(key: str) -> str:
    return {"seconds": "seconds", "wins": "wins", "beat_alignment": "BAS"}.get(key) or title_of(key)
