"""The text of BVH files: what stands where, with the blemishes that programs and people leave in it.

Comments, NULs, other encodings of Unicode, decimal commas, numbers without a space between them, a wrong number of
frames: read as they are meant. Numbers that are none, half rows and broken hierarchies are refused with their line.
"""

import logging
import re
from collections import Counter
from pathlib import Path

import numpy as np

from longdance.errors import InputError

LARGEST_NUMBER = 1e9
"""Of any unit or degrees; what calculations bear."""
LARGEST_FILE = 2**31
"""Bytes."""
COMMENTS = ("#", "//", ";")
USUAL_RATES = (30, 60, 120, 24, 25, 50, 100, 240, 90, 48, 72, 15, 12, 10, 20, 200, 150, 30000 / 1001, 60000 / 1001)
USUAL_RATES += (24000 / 1001, 120000 / 1001, 1, 2, 5)
"""Frames per second that a frame time of few digits stands for; the likelier ones first."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_GLUED = re.compile(rf"{_NUMBER}(?:[-+](?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)+")
_COMMAS = re.compile(r"[-+]?\d+,\d+(?:[-+]\d+,\d+)*")
_DECIMAL_COMMA = re.compile(r"^([-+]?\d+),(\d+)$")


def read_lines(path: Path) -> list[str]:
    """The lines of a file, whatever Unicode it is in, without NULs."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(f"{path}: expected at most {LARGEST_FILE} bytes; try cutting the clip")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a readable BVH file ({error.strerror})") from error
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return data.decode("utf-16" if wide else "utf-8-sig", errors="replace").replace("\0", "").splitlines()


class BvhText:
    """The HIERARCHY section, read line by line into flat lists; ``read_motion`` reads the rest.

    There may be several ROOTs, one after the other: dancers captured together. ``actors`` holds where each one's joints
    begin.
    """

    def __init__(self, path: Path, lines: list[str]):
        self.path, self.lines, self.at = path, lines, 0
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[np.ndarray | None] = []
        self.channels: list[tuple[str, ...]] = []
        self.end_parents: list[int] = []
        self.end_offsets: list[np.ndarray] = []
        self.actors: list[int] = []
        self._read()

    def error(self, expected: str, line: int | None = None) -> InputError:
        number = self.at if line is None else line
        got = self.lines[number - 1].strip()[:60] if 0 < number <= len(self.lines) else "the end of the file"
        return InputError(f"{self.path}, line {number}: expected {expected}, got {got!r}")

    def words(self) -> list[str]:
        """The next line that is not empty; braces at its ends become words of their own."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if line.lstrip().startswith(COMMENTS):
                continue
            words = line.replace("{", " { ").replace("}", " } ").split()
            if words:
                return words
        self.at = len(self.lines) + 1
        raise self.error("the hierarchy to be closed and a MOTION section")

    def _numbers(self, words: list[str]) -> np.ndarray:
        try:
            values = np.array([float(_DECIMAL_COMMA.sub(r"\1.\2", word)) for word in words])
        except ValueError:
            values = np.empty(0)
        if values.shape != (3,) or not (np.abs(values) < LARGEST_NUMBER).all():
            raise self.error(f"OFFSET and three numbers below {LARGEST_NUMBER:g}")
        return values

    def _read(self) -> None:
        if not any(map(str.strip, self.lines)) or self.words()[0].upper() != "HIERARCHY":
            raise self.error("a BVH file that starts with HIERARCHY")
        stack: list[int] = []  # open joints; an open End Site is on top as -1
        pending: list[str] = []
        while True:
            words = pending or self.words()
            pending = []
            key = words[0].upper()
            if key == "MOTION":
                if stack or not self.names:
                    raise self.error("a complete hierarchy before MOTION")
                return
            if key in ("ROOT", "JOINT"):
                if (key == "ROOT") != (not stack) or (stack and stack[-1] < 0):
                    raise self.error("one ROOT, and every JOINT inside it")
                if key == "ROOT":
                    self.actors.append(len(self.names))
                opened = "{" in words
                name = " ".join(words[1 : words.index("{") if opened else None])
                if not name:
                    raise self.error(f"a name after {key}")
                self.parents.append(stack[-1] if stack else -1)
                self.names.append(name)
                self.offsets.append(None)
                self.channels.append(())
                pending = self._open(words)
                stack.append(len(self.names) - 1)
            elif key == "END":
                if not stack or stack[-1] < 0:
                    raise self.error("an End Site inside a joint")
                self.end_parents.append(stack[-1])
                self.end_offsets.append(np.zeros(3))
                pending = self._open(words)
                stack.append(-1)
            elif key == "OFFSET" and stack:
                values = self._numbers(words[1:4])
                pending = words[4:]
                if stack[-1] < 0:
                    self.end_offsets[-1] = values
                else:
                    self.offsets[stack[-1]] = values
            elif key == "CHANNELS" and stack and stack[-1] >= 0:
                pending = self._channels(words, stack[-1])
            elif key == "}" and stack:
                closed = stack.pop()
                if closed >= 0 and self.offsets[closed] is None:
                    raise self.error(f"an OFFSET in joint {self.names[closed]}")
                pending = words[1:]
            else:
                raise self.error("JOINT, End Site, OFFSET, CHANNELS, a brace or MOTION")

    def _open(self, words: list[str]) -> list[str]:
        """Take the opening brace from this line or the next; what follows it on the line is returned."""
        if "{" not in words:
            words = self.words()
            if words[0] != "{":
                raise self.error("{")
        return words[words.index("{") + 1 :]

    def _channels(self, words: list[str], joint: int) -> list[str]:
        try:
            count = int(words[1])
        except (IndexError, ValueError) as error:
            raise self.error("CHANNELS and their number") from error
        channels = tuple(word.lower() for word in words[2 : 2 + max(count, 0)])
        known = all(c[:1] in "xyz" and c[1:] in ("position", "rotation") for c in channels)
        if not 0 <= count <= 6 or len(channels) != count or not known or len(set(channels)) != count:
            raise self.error("CHANNELS, their number, and as many of Xposition ... Zrotation")
        self.channels[joint] = channels
        return words[2 + count :]

    def read_motion(self) -> tuple[np.ndarray, float]:
        """(frames, channels) values of all joints, and frames per second."""
        frames = self._frames()
        fps = self._rate()
        width = sum(map(len, self.channels))
        if width == 0:
            raise InputError(f"{self.path}: expected joints with CHANNELS, got none")
        values = self._values()
        rows, rest = divmod(len(values), width)
        if rest or not rows:
            raise InputError(
                f"{self.path}, line {self.at + 1}: expected rows of {width} numbers, got {len(values)} numbers in all; "
                "the file may be cut short"
            )
        if rows != frames:
            logging.getLogger(__name__).warning("%s: has %d frames, not the %d it says", self.path, rows, frames)
        return values.reshape(rows, width), fps

    def _frames(self) -> int:
        words = " ".join(self.words()).replace(":", " : ").split()
        try:
            if [words[0].lower(), words[1]] != ["frames", ":"]:
                raise ValueError
            frames = int(words[2])
        except (IndexError, ValueError) as error:
            raise self.error("Frames: and their number") from error
        if frames < 1:
            raise self.error("at least one frame")
        return frames

    def _rate(self) -> float:
        words = " ".join(self.words()).replace(":", " : ").split()
        try:
            if [word.lower() for word in words[:3]] != ["frame", "time", ":"]:
                raise ValueError
            written = _DECIMAL_COMMA.sub(r"\1.\2", words[3])
            frame_time = float(written)
        except (IndexError, ValueError) as error:
            raise self.error("Frame Time: and seconds") from error
        if not (1e-5 < frame_time < 1e4):
            raise self.error("a frame time between 0.00001 and 10000 seconds")
        return frame_rate(written)

    def _values(self) -> np.ndarray:
        lines = self.lines[self.at :]
        text = "\n".join(lines)
        if any(mark in text for mark in COMMENTS):
            text = re.sub(r"(?:#|//|;)[^\n]*", "", text)
        words = text.split()
        try:
            values = np.array(words, dtype=np.float64)
        except ValueError:
            words = _mended(words)
            try:
                values = np.array(words, dtype=np.float64)
            except ValueError:
                values = np.full(1, np.nan)
        if not (np.abs(values) < LARGEST_NUMBER).all():
            for number, line in enumerate(lines, self.at + 1):
                for word in _mended(re.sub(r"(?:#|//|;).*", "", line).split()):
                    try:
                        good = abs(float(word)) < LARGEST_NUMBER
                    except ValueError:
                        good = False
                    if not good:
                        raise InputError(
                            f"{self.path}, line {number}: expected numbers below {LARGEST_NUMBER:g}, got {word[:60]!r}"
                        )
        return values


def _mended(words: list[str]) -> list[str]:
    """Numbers as they are meant: commas for points or between numbers, and numbers without a space between them."""
    if any("," in word for word in words):
        if any("." in word for word in words):
            words = " ".join(words).replace(",", " ").split()
        else:
            words = [word.replace(",", ".") if _COMMAS.fullmatch(word) else word for word in words]
    places = Counter(len(word) - word.rindex(".") - 1 for word in words if "." in word)
    decimals = places.most_common(1)[0][0] if places else 0
    fixed = rf"[-+]?\d+\.\d{{{decimals}}}"
    mended: list[str] = []
    for word in words:
        if word.count(".") > 1 and decimals and re.fullmatch(rf"(?:{fixed})+", word):
            mended += re.findall(fixed, word)
        else:
            mended += re.findall(_NUMBER, word) if _GLUED.fullmatch(word) else [word]
    return mended


def frame_rate(frame_time: str) -> float:
    """Frames per second that a frame time, as it is written, stands for.

    Seconds of few digits may mean any rate that rounds, or is cut, to them: the usual one among these is meant.
    """
    seconds = float(frame_time)
    exact = 1 / seconds
    mantissa, _, exponent = frame_time.lower().partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    unit = min(unit, 0.12 * seconds)
    # Exactly, rounded to that many digits, cut after them.
    for low, high in ((1e-9 * seconds, 1e-9 * seconds), (unit / 2, unit / 2), (1e-9 * seconds, unit)):
        for rate in USUAL_RATES:
            if seconds - low <= 1 / rate <= seconds + high:
                return float(rate)
    whole = round(exact)
    return float(whole) if whole and abs(exact / whole - 1) < 2e-4 else exact
