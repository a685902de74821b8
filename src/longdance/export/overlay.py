"""What is written over the picture: the title, and the beat as a bar along the bottom and a dot beside it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from longdance.export import scene

FLASH_SECONDS = 0.11
"""Time in which a beat's flash falls to 37 per cent."""


class Overlay:
    """Draws over pictures of ``width`` x ``height`` pixels; ``beat_times`` are seconds."""

    def __init__(
        self, width: int, height: int, *, title: str | None, beat_times: Sequence[float] | np.ndarray | None
    ):
        self.beats = np.sort(np.asarray(() if beat_times is None else beat_times, dtype=float))
        radius = max(2, height // 48)
        self.bar = slice(height - max(2, height // 120), height)
        inset = 2 * radius
        self.dot = (
            slice(height - inset - 2 * radius, height - inset),
            slice(width - inset - 2 * radius, width - inset),
        )
        y, x = np.mgrid[-radius:radius, -radius:radius] + 0.5
        self.dot_mask = np.clip(radius - np.hypot(x, y), 0, 1)[..., None].astype(np.float32)
        along = np.linspace(-1, 1, width, dtype=np.float32)
        self.bar_mask = np.exp(-2.0 * along**2)[None, :, None]
        self.colour = 255 * np.array(scene.BEAT, np.float32)
        self.title = _title_mask(title, width, height) if title else None

    def draw(self, picture: np.ndarray, seconds: float, *, frame_seconds: float = 0.0) -> None:
        """Writes into ``picture`` (height, width, 3) uint8 what belongs to the moment ``seconds``.

        A beat lights the frame whose time is nearest to it, for frames that last ``frame_seconds``.
        """
        if len(self.beats):
            flash = self.flash(seconds + frame_seconds / 2)
            _blend(picture[self.bar], self.colour, self.bar_mask * np.float32(0.12 + 0.88 * flash))
            _blend(picture[self.dot], self.colour, self.dot_mask * np.float32(0.22 + 0.78 * flash))
        if self.title is not None:
            (rows, columns), mask = self.title
            _blend(picture[rows, columns], np.full(1, 245, np.float32), mask)

    def flash(self, seconds: float) -> float:
        """Brightness of the beat, 1 at a beat and fading to 0."""
        passed = np.searchsorted(self.beats, seconds, side="right")
        if passed == 0:
            return 0.0
        return float(np.exp(-(seconds - self.beats[passed - 1]) / FLASH_SECONDS))


def _blend(region: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> None:
    region[...] = (region + (colour - region) * alpha + 0.5).astype(np.uint8)


def font_of_size(pixels: float | int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The system's DejaVu Sans, which knows most scripts' letters, or else Pillow's own font."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", pixels)
    except OSError:
        return ImageFont.load_default(pixels)


def _title_mask(title: str, width: int, height: int) -> tuple[tuple[slice, slice], np.ndarray]:
    """Where the title stands, and its opacity (rows, columns, 1); a long title is set smaller to fit."""
    size = max(8, height / 26)
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    widest = 0.9 * width
    length = probe.textlength(title, font_of_size(size))
    font = font_of_size(size * min(1.0, widest / max(length, 1.0)))
    left, top, right, bottom = (int(v) for v in probe.textbbox((0, 0), title, font))
    mask = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(mask).text((1 - left, 1 - top), title, 255, font)
    inset = height // 24
    picture = np.asarray(mask, np.float32)[: height - inset, : width - inset, None] / 255 * 0.92
    place = (slice(inset, inset + picture.shape[0]), slice(inset, inset + picture.shape[1]))
    return place, picture
