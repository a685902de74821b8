"""A report of an evaluation: JSON for machines, Markdown for people, and pictures."""

import json
import math
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longdance import __version__
from longdance.evaluate import plots
from longdance.evaluate.intervals import Estimate
from longdance.evaluate.measure import OFFSETS, SPECTRUM, Row
from longdance.evaluate.run import OTHER, Asked, Evaluation
from longdance.evaluate.systems import EXCHANGE_SECONDS, EXCHANGE_SEEDS, EXCHANGED_SONGS, EXCHANGED_WORDS
from longdance.files import atomic_write
from longdance.metrics.distribution import standardise
from longdance.metrics.tables import PaperTable, paper_tables


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
    "exchange": Measure("exchange of songs, in seconds", "higher", 2),
    "exchange_in_beats": Measure("exchange of songs, in beats", "higher", 2),
    "exchange_of_words": Measure("exchange of words", "higher", 2),
    "movement_beat_alignment": Measure("movement meets beats", "higher"),
    "on_the_beat": Measure("dances on the beat, share", "higher", 2),
    "loud_over_soft": Measure("speed, loud over soft", "real", 2),
    "beat_alignment": Measure("beat alignment (corrected)", "higher"),
    "beat_alignment_p_value": Measure("beat alignment, p value", "lower"),
    "beat_alignment_bailando": Measure("beat alignment (Bailando)", "higher"),
    "genre_recognised": Measure("genre recognised", "higher"),
    "multimodal_distance": Measure("multimodal distance", "lower"),
    "r_precision": Measure("R-precision (top 3)", "higher"),
    "physical_foot_contact": Measure("PFC", "lower"),
    "physical_body_contact": Measure("PBC", "higher", 2),
    "foot_skating_ratio": Measure("foot skating ratio (Lodge)", "lower"),
    "foot_skating_cm_per_second": Measure("feet slide, cm/s", "lower", 2),
    "foot_skating_share": Measure("contact that skates, share", "lower"),
    "standing_slide_cm_per_second": Measure("all that stands slides, cm/s", "lower", 2),
    "foot_contact_share": Measure("feet on the floor, share", "real"),
    "hands_on_floor_share": Measure("hand on the floor, share", "real"),
    "knees_on_floor_share": Measure("knee on the floor, share", "real"),
    "air_share": Measure("in the air, share", "real"),
    "air_share_own_floor": Measure("in the air, own floor, share", "real"),
    "longest_flight_s": Measure("longest flight, s", "real", 2),
    "longest_flight_fall": Measure("longest flight falls, g", "real", 2),
    "hover_share": Measure("hovers, share", "lower"),
    "below_floor_worst_hundredth": Measure("below the floor, worst 1 %, m", "lower"),
    "floor_penetration_mean": Measure("below the floor, mean m", "lower", 4),
    "floor_penetration_deepest": Measure("below the floor, deepest m", "lower"),
    "self_penetration_mean": Measure("limbs in the body, mean m", "lower", 4),
    "self_penetration_share": Measure("limbs in the body, share", "lower"),
    "mean_joint_speed": Measure("mean joint speed, m/s", "real"),
    "mean_joint_speed_root_relative": Measure("speed around the pelvis, m/s", "real"),
    "mean_jerk": Measure("jerk, m/s³", "real", 0),
    "mean_jerk_root_relative": Measure("jerk around the pelvis, m/s³", "real", 0),
    "trembling": Measure("trembling 6-12 Hz, m/s³", "real", 0),
    "shaking_cm_per_second": Measure("shaking above 8 Hz, cm/s", "real", 2),
    "still_share": Measure("stands still, share", "real"),
    "root_height_range": Measure("range of pelvis height, m", "real"),
    "cost": Measure("computing, s per s", "lower"),
}
BESIDE = {
    key: f"{key}_by_chance" for key in ("movement_beat_alignment", "beat_alignment", "beat_alignment_bailando")
}
"""What is never shown without another number: how well a dance meets beats, and how well it meets shifted ones. Time
that is bent, or energies that draw to beats, say nothing of the network."""
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
    """The measures that any row has, in the order of the tables; what stands beside another one is left out."""
    found = dict.fromkeys(key for row in evaluation.rows for key in row.estimates if key not in BESIDE.values())
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
        "papers": [
            {"source": source_of(table), "data": table.data, "rows": dict(table.rows)} for table in comparisons()
        ],
        "failed": evaluation.failed,
        "notes": evaluation.notes,
    }


def as_markdown(evaluation: Evaluation, pictures: list[str]) -> str:
    """The report for people."""
    rows = evaluation.rows
    lines = ["# Evaluation", "", *heading(evaluation), "", "| measure | | " + " | ".join(r.name for r in rows) + " |"]
    lines += ["|---|---|" + "---|" * len(rows), "| dances | | " + " | ".join(str(row.dances) for row in rows) + " |"]
    for key in ordered(evaluation):
        cells = [cell(row, key) for row in rows]
        lines.append(f"| {shown_title(key)} | {ARROWS[measure_of(key).better]} | " + " | ".join(cells) + " |")
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
    for table in comparisons():
        keys = [column.key for column in table.columns]
        titles = " | ".join(column.title for column in table.columns)
        lines += ["", f"{source_of(table)}: {table.data}", "", f"| system | {titles} |", "|---|" + "---|" * len(keys)]
        for system, cells in table.rows.items():
            numbers = ("–" if cells[key] is None else f"{cells[key]:g}" for key in keys)
            lines.append(f"| {system} | " + " | ".join(numbers) + " |")
        lines += ["", *table.notes] if table.notes else []
    return "\n".join(lines) + "\n"


def heading(evaluation: Evaluation) -> list[str]:
    """What the numbers rest on, in paragraphs."""
    protocol, asked, about = evaluation.protocol, evaluation.asked, evaluation.about
    rows = sum(len(next(iter(m.rows.values()))) for m in evaluation.reference)
    over = "whole dances" if protocol.window is None else f"WINDOWS of {protocol.window:g} s, not whole dances"
    lines = [
        f"{date.today().isoformat()}, longdance {__version__}. Every dance at {protocol.fps:g} fps; Fréchet distances "
        f"and diversity over {over}, against the real training dances ({rows} rows). Behind ± is half of the 95 % "
        "confidence interval: over seeds where a row has several, otherwise over dances (jackknife). In brackets "
        "behind a score of beats is that of the same dance on beats shifted by chance, without which it means nothing. "
        "What each measure sees, and what it is blind to, is in docs/metrics.md.",
    ]
    models = {name: each["rows"] for name, each in about["systems"].items() if each["kind"] == "model"}
    if not models:
        return lines
    request = asked.request
    steps = f"{request.steps} steps" if request.steps else "each model's own number of steps"
    sampler = f"of {request.sampler}" if request.sampler else "and sampler"
    heard = ", ".join(f"{count} songs with beats {known}" for known, count in about["beats"].items())
    lines += [
        "",
        f"Models danced with seeds {', '.join(map(str, asked.seeds))}, {steps} {sampler}, "
        f"{'with' if asked.words else 'without'} genre and movements of the held-out dance as words; {heard}. Rows of "
        "one model that share their energies are one sample.",
        "",
        *(f"- {row}: {what}" for rows_of in models.values() for row, what in rows_of.items()),
    ]
    if asked.exchange:
        lines += [
            "",
            f"Exchange: at most {EXCHANGED_SONGS} songs, and {EXCHANGED_WORDS} genres to the first of them, with "
            f"{len(EXCHANGE_SEEDS)} seeds each, {EXCHANGE_SECONDS:g} s or less; the distance of dances to two songs "
            "(words) over that of two seeds. 0: the song changes nothing; 1: as much as a seed.",
        ]
    return lines


def comparisons() -> tuple[PaperTable, ...]:
    """The tables in which the papers compare systems."""
    return (*(paper_tables("edmg")[number] for number in (2, 3)), *(paper_tables("lodge")[number] for number in (1, 2)))


def source_of(table: PaperTable) -> str:
    """Paper and number of a table."""
    return f"{table.paper.upper() if table.paper == 'edmg' else table.paper.title()}, table {table.number}"


def draw(evaluation: Evaluation, folder: Path) -> list[Path]:
    """The pictures: every measure as bars, pauses around beats, features, spectrum of speed."""
    rows = evaluation.rows
    names = [row.name for row in rows]
    written = [folder / "measures.png", folder / "beats.png", folder / "spectrum.png"]
    nothing = Estimate(math.nan, math.nan, "")
    panels = [
        (
            title_of(key),
            [
                (*row.estimates.get(key, nothing)[:2], row.estimates.get(BESIDE.get(key, ""), nothing).value)
                for row in rows
            ],
        )
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
    shown = [row for row in rows if row.name != OTHER]
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


def cell(row: Row, key: str) -> str:
    """A row's number with its margin, and behind it what must stand beside it."""
    estimate, digits = row.estimates.get(key), measure_of(key).digits
    if estimate is None or not math.isfinite(estimate.value):
        return "–"
    margin = f" ± {estimate.margin:.{digits}f}" if math.isfinite(estimate.margin) else ""
    beside = row.estimates.get(BESIDE.get(key, ""))
    chance = "" if beside is None else f" ({beside.value:.{digits}f} on shifted beats)"
    return f"{estimate.value:.{digits}f}{margin}{chance}"


def shown_title(key: str) -> str:
    """A measure's title, saying so where two numbers stand in a cell."""
    return f"{title_of(key)} (on shifted beats)" if key in BESIDE else title_of(key)


def _record(estimate: Estimate) -> dict:
    return {"value": _number(estimate.value), "margin": _number(estimate.margin), "over": estimate.over}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
