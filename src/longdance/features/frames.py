"""From the tokens of a pretrained audio network to motion frames: windows over a song, and the time of each token."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy import sparse

from longdance.files import atomic_write, user_cache_folder
from longdance.motion.motion import UNREADABLE

VERSION = 1
"""Raised whenever cached numbers change."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """How a network looks at a song that is longer than it can hear at once. All in seconds but the token rate."""

    seconds: float
    """Length of a window."""
    before: float
    """Beginning of a window that only gives context, except at the start of the song."""
    after: float
    """End of a window that only gives context, except at the end of the song."""
    token_rate: float
    """Tokens per second."""
    first_token: float
    """Middle of the first token's stretch of sound, from the beginning of the window."""


def at_frames(
    tokens: Float[np.ndarray, "tokens channels"], rate: float, fps: float, times: Float[np.ndarray, " frames"]
) -> Float[np.ndarray, "frames channels"]:
    """What the tokens say at ``times`` (seconds from the middle of the first token), as float32.

    Each frame is the mean over one frame's duration, or one token's if that is longer; tokens count as constant over
    their own duration. Frames beyond the tokens repeat the last one.
    """
    width = max(rate / fps, 1.0)
    low, high = times * rate - width / 2, times * rate + width / 2  # in tokens; token k covers k - 1/2 to k + 1/2
    first = np.floor(low + 0.5).astype(int)
    count = int(np.ceil(width)) + 1
    index = first[:, None] + np.arange(count)
    overlap = np.minimum(index + 0.5, high[:, None]) - np.maximum(index - 0.5, low[:, None])
    weight = np.clip(overlap, 0.0, None) / width
    rows = np.repeat(np.arange(len(times)), count)
    columns = np.clip(index, 0, len(tokens) - 1).ravel()
    matrix = sparse.csr_array((weight.ravel(), (rows, columns)), shape=(len(times), len(tokens)))
    return (matrix @ tokens).astype(np.float32)


def encode_in_windows(
    encode: Callable[[np.ndarray], np.ndarray],
    samples: Float[np.ndarray, " samples"],
    sample_rate: int,
    *,
    window: Window,
    fps: float | int,
    frames: int,
) -> Float[np.ndarray, "frames channels"]:
    """Features of a whole song at ``fps``, its windows encoded one after the other.

    ``encode`` makes (tokens, channels) of the samples of one window, which at the end of a song may be shorter.
    """
    length = round(window.seconds * sample_rate)
    rows: list[np.ndarray] = []
    done = 0
    while done < frames:
        begin = max(0, round((done / fps - window.before) * sample_rate))
        piece = samples[begin : begin + length]
        last = begin + length >= len(samples)
        stop = frames if last else min(frames, int((begin / sample_rate + window.seconds - window.after) * fps))
        times = np.arange(done, stop) / fps - begin / sample_rate - window.first_token
        rows.append(at_frames(encode(piece), window.token_rate, fps, times))
        done = stop
    return np.concatenate(rows)


def cached(
    make: Callable[[], np.ndarray], *parts: str | bytes, folder: str | os.PathLike | None = None
) -> np.ndarray:
    """The array that ``make`` makes, or that an earlier call with the same ``parts`` made.

    A file that cannot be read counts as absent. ``folder`` is the user's cache if not given.
    """
    digest = hashlib.sha256(f"{VERSION}".encode())
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8) + content)
    path = (Path(folder) if folder is not None else user_cache_folder("music")) / f"{digest.hexdigest()}.npy"
    try:
        return np.load(path, allow_pickle=False)
    except UNREADABLE:
        result = make()
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.save(file, result)
    return result


@contextmanager
def without_bars(transformers) -> Iterator[None]:
    """Keeps the package transformers from drawing its own progress bars among the caller's."""
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def identity(folder: Path) -> str:
    """What tells a model's files from others: the configuration, and size and beginning of every weights file."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors", ".bin"):
            digest.update(f"{path.name} {path.stat().st_size}".encode())
            with open(path, "rb") as file:
                digest.update(file.read(1 << 20))
    return digest.hexdigest()
