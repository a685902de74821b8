"""Pictures of a report, drawn with Pillow: bars, lines, points and steps on plain axes.

Data go in as arrays and come out as PNG; nothing here measures anything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from longdance.export.overlay import font_of_size
from longdance.files import atomic_write

COLOURS = ("#222831", "#9aa0a8", "#1f7a8c", "#e07a2f", "#6a4c93", "#4f9d4f", "#c4405a", "#b08900")
"""Of the rows in order; real dances come first."""
INK, FAINT, PAPER = "#30343b", "#dfe2e6", "#ffffff"
SCALE = 2
"""Everything is drawn this much larger and brought down, which smooths edges."""


@dataclass(eq=False)
class Axes:
    """A frame on a picture in which x and y are data; made by ``axes``."""

    draw: ImageDraw.ImageDraw
    box: tuple[float, float, float, float]
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float | int, y: float | int) -> tuple[float, float]:
        """Pixel of a place in the data."""
        left, top, right, bottom = self.box
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return left + across * (right - left), bottom - up * (bottom - top)

    def line(
        self, xs: Sequence[float] | np.ndarray, ys: Sequence[float] | np.ndarray, colour: str, *, width: float | int = 2
    ) -> None:
        """A line through the places that are finite."""
        points = [self.at(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
        if len(points) > 1:
            self.draw.line(points, colour, round(width * SCALE), joint="curve")

    def points(self, places: np.ndarray, colour: str, *, radius: float = 2.5) -> None:
        """A dot at each of (n, 2) places."""
        for x, y in places:
            across, up = self.at(float(x), float(y))
            reach = radius * SCALE
            self.draw.ellipse((across - reach, up - reach, across + reach, up + reach), colour)

    def bar(
        self, x: float | int, height: float | int, margin: float | int, colour: str, *, width: float, beside: float
    ) -> None:
        """A bar from zero with the margin of its value as a whisker, and a line across it at ``beside`` if finite."""
        if not math.isfinite(height):
            return
        left, top = self.at(x - width / 2, max(height, 0.0))
        right, bottom = self.at(x + width / 2, min(height, 0.0))
        self.draw.rectangle((left, top, max(right, left + 1), max(bottom, top)), colour)
        if math.isfinite(margin) and margin > 0:
            middle, high = self.at(x, min(height + margin, self.y[1]))
            low = self.at(x, max(height - margin, self.y[0]))[1]
            self.draw.line((middle, high, middle, low), INK, SCALE)
        if math.isfinite(beside):
            level = self.at(x, beside)[1]
            self.draw.line((left, level, right, level), INK, 2 * SCALE)


def canvas(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty picture, ``SCALE`` times as large as it will be."""
    picture = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
    return picture, ImageDraw.Draw(picture)


def axes(
    draw: ImageDraw.ImageDraw,
    box: tuple[float | int, ...],
    *,
    x: tuple[float | int, float | int],
    y: tuple[float | int, float | int],
    title: str = "",
    x_label: str = "",
    x_ticks: bool = True,
) -> Axes:
    """A frame with ticks at round numbers; ``box`` (left, top, right, bottom) is in pixels of the finished picture."""
    left, top, right, bottom = (SCALE * side for side in box)
    frame = Axes(draw, (left, top, right, bottom), x, y)
    small, large = font_of_size(10 * SCALE), font_of_size(12 * SCALE)
    for value in ticks(*y):
        height = frame.at(x[0], value)[1]
        draw.line((left, height, right, height), FAINT, SCALE)
        draw.text((left - 4 * SCALE, height), f"{value:g}", INK, small, anchor="rm")
    if x_ticks:
        for value in ticks(*x):
            across = frame.at(value, y[0])[0]
            draw.line((across, bottom, across, bottom + 3 * SCALE), INK, SCALE)
            draw.text((across, bottom + 5 * SCALE), f"{value:g}", INK, small, anchor="ma")
    draw.line((left, bottom, right, bottom), INK, SCALE)
    draw.text((left, top - 8 * SCALE), title, INK, large, anchor="ls")
    draw.text(((left + right) / 2, bottom + 20 * SCALE), x_label, INK, small, anchor="ma")
    return frame


def ticks(low: float | int, high: float | int, *, most: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most about ``most``."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return []
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + number) * step, 12) for number in range(count)]


def legend(
    draw: ImageDraw.ImageDraw, names: Sequence[str], *, left: float | int, top: float | int, width: float | int
) -> None:
    """The rows' names in their colours, along a line."""
    font = font_of_size(11 * SCALE)
    across, down = left * SCALE, top * SCALE
    for number, name in enumerate(names):
        length = draw.textlength(name, font) + 26 * SCALE
        if across + length > (left + width) * SCALE:
            across, down = left * SCALE, down + 16 * SCALE
        draw.rectangle((across, down, across + 10 * SCALE, down + 10 * SCALE), colour(number))
        draw.text((across + 14 * SCALE, down + 5 * SCALE), name, INK, font, anchor="lm")
        across += length


def colour(number: int) -> str:
    """Of the row with this number."""
    return COLOURS[number % len(COLOURS)]


def save(picture: Image.Image, path: Path) -> None:
    """Write the finished picture."""
    small = picture.resize((picture.width // SCALE, picture.height // SCALE), Image.Resampling.LANCZOS)
    with atomic_write(path) as temporary:
        small.save(temporary, "PNG", optimize=True)


def draw_bars(panels: Sequence[tuple[str, Sequence[tuple[float, ...]]]], names: Sequence[str], path: Path) -> None:
    """One small bar chart per measure; ``panels`` are (title, one (value, margin, value beside) per row of ``names``).

    The value beside is that of chance, a line across the bar; NaN for none.
    """
    columns, wide, high = 4, 230, 150
    rows = -(-len(panels) // columns)
    picture, draw = canvas(columns * wide + 20, rows * high + 60)
    legend(draw, names, left=20, top=12, width=columns * wide - 20)
    for number, (title, values) in enumerate(panels):
        left, top = 20 + number % columns * wide + 36, 60 + number // columns * high + 20
        known = [value for value, *_ in values if math.isfinite(value)]
        certain = [(v, m) for v, m, _ in values if math.isfinite(v) and math.isfinite(m)]
        whiskers = [v + m for v, m in certain if m < 3 * max(map(abs, known))]
        highest = max([*known, *whiskers, 0.0]) or 1.0
        lowest = min([*known, 0.0])
        frame = axes(
            draw, (left, top, left + wide - 56, top + high - 50), x=(0, len(names)), y=(lowest, 1.05 * highest),
            title=title, x_ticks=False,
        )  # fmt: skip
        for place, (value, margin, beside) in enumerate(values):
            frame.bar(place + 0.5, value, margin, colour(place), width=0.7, beside=beside)
    save(picture, path)


def draw_lines(
    curves: Sequence[tuple[np.ndarray, np.ndarray]],
    names: Sequence[str],
    path: Path,
    *,
    title: str,
    x_label: str,
) -> None:
    """Curves (x, y), one per row of ``names``."""
    picture, draw = canvas(720, 420)
    legend(draw, names, left=60, top=12, width=640)
    xs = [x for curve in curves for x, y in zip(*curve, strict=True) if math.isfinite(y)]
    ys = [y for curve in curves for y in curve[1] if math.isfinite(y)]
    if xs:
        xs, ys = [float(x) for x in xs], [float(y) for y in ys]
        box = (60, 70, 700, 370)
        frame = axes(draw, box, x=(min(xs), max(xs)), y=(0.0, 1.05 * max(ys)), title=title, x_label=x_label)
        for number, (x, y) in enumerate(curves):
            frame.line(x, y, colour(number))
    save(picture, path)


def draw_points(clouds: Sequence[np.ndarray], names: Sequence[str], path: Path, *, title: str, x_label: str) -> None:
    """Clouds of places (n, 2), one per row of ``names``, on axes of one scale."""
    picture, draw = canvas(720, 560)
    legend(draw, names, left=60, top=12, width=640)
    every = np.concatenate([cloud for cloud in clouds if len(cloud)]).astype(np.float64)
    low, high = np.percentile(every, 0.5, axis=0), np.percentile(every, 99.5, axis=0)
    room = 0.06 * (high - low + 1e-9)
    (left, lowest), (right, highest) = (low - room).tolist(), (high + room).tolist()
    box = (60, 70, 700, 510)
    frame = axes(draw, box, x=(left, right), y=(lowest, highest), title=title, x_label=x_label)
    for number, cloud in enumerate(clouds):
        inside = cloud[((cloud >= low - room) & (cloud <= high + room)).all(axis=1)] if len(cloud) else cloud
        frame.points(inside, colour(number))
    save(picture, path)
