"""Draws how time and memory of a denoising step grow with length, from what `benchmarks/length.py` measured.

    python tools/plot_speed.py benchmarks/results/length.json -o docs/images/speed.svg
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

from longdance.files import atomic_write

COLOURS = {"pmd": "#1f7a8c", "edge": "#d1662b", "pmd without PMM": "#9aa7b1"}
NAMES = {"pmd": "EDMG's PMD", "edge": "EDGE transformer", "pmd without PMM": "PMD, scan frame by frame"}
INK, GRID = "#22303c", "#e3e8eb"
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 460, 330, 64, 44, 52


def panel(rows: dict[str, dict[int, dict]], key: str, title: str, unit: Callable[[float], str], x: float) -> list[str]:
    """SVG of one measure over frames, both axes logarithmic."""
    frames = sorted({length for found in rows.values() for length in found})
    values = [row[key] for found in rows.values() for row in found.values()]
    low, high = (10.0 ** f(math.log10(v)) for f, v in ((math.floor, min(values)), (math.ceil, max(values))))
    place = lambda v, a, b: (math.log(v) - math.log(a)) / (math.log(b) - math.log(a))  # noqa: E731
    across = lambda n: x + LEFT + place(n, frames[0], frames[-1]) * (WIDTH - LEFT - 24)  # noqa: E731
    up = lambda v: HEIGHT - BOTTOM - place(v, low, high) * (HEIGHT - TOP - BOTTOM)  # noqa: E731
    parts = [text(x + LEFT, 22, title, size=14)]
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        y = up(10.0**power)
        parts.append(line([(across(frames[0]), y), (across(frames[-1]), y)], GRID))
        parts.append(text(x + LEFT - 8, y + 4, unit(10.0**power), anchor="end"))
    for length in frames:
        parts.append(line([(across(length), up(low)), (across(length), up(high))], GRID))
        parts.append(text(across(length), HEIGHT - BOTTOM + 18, str(length), anchor="middle"))
    parts.append(text(x + LEFT, HEIGHT - 12, "frames"))
    for name, found in rows.items():
        points = [(across(length), up(row[key])) for length, row in found.items()]
        parts.append(line(points, COLOURS[name], width=2))
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{COLOURS[name]}"/>' for a, b in points]
    return parts


def line(points: list[tuple[float, float]], colour: str, *, width: float = 1.0) -> str:
    """A polyline."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'


def text(x: float, y: float, words: str, *, size: int = 11, anchor: str = "start", colour: str = INK) -> str:
    """A line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def main() -> None:
    """Read a result, write a picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("result", type=Path)
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    measured = json.loads(arguments.result.read_text())
    result, rows = measured[0], {name: {} for name in COLOURS if any(row["network"] == name for row in measured)}
    for row in measured:
        rows[row["network"]][row["frames"]] = row
    parts = panel(rows, "seconds", f"{result['clock'].split(' of')[0]} per step", "{:g} s".format, 0)
    parts += panel(rows, "peak_mib", "peak memory beyond the weights", "{:g} MiB".format, WIDTH)
    for number, name in enumerate(rows):
        y = TOP + 16 + 18 * number
        parts.append(line([(LEFT + 16, y - 4), (LEFT + 40, y - 4)], COLOURS[name], width=2))
        parts.append(text(LEFT + 48, y, NAMES[name]))
    said = f"{result['hardware']}, {result['threads']} thread, {result['dtype']}, torch {result['torch']}"
    parts.append(text(2 * WIDTH - 24, HEIGHT - 12, f"{said}, {result['date']}", size=10, anchor="end"))
    with atomic_write(arguments.out) as temporary:
        temporary.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" font-family="sans-serif">'
            f'<rect width="100%" height="100%" fill="white"/>' + "\n".join(parts) + "</svg>\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
