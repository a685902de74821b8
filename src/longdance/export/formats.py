"""Writing a dance in a format named by the file's ending."""

import os
from collections.abc import Callable
from pathlib import Path

from longdance.errors import InputError
from longdance.motion.bvh import save_bvh
from longdance.motion.motion import Motion

FORMATS = ("npz", "bvh", "mp4")
"""Endings that can be written."""


def export(
    motion: Motion,
    path: str | os.PathLike,
    *,
    song_path: str | os.PathLike | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Write ``motion`` to ``path``; videos get the sound of ``song_path`` if given.

    The stretch of the song and the beats come from the dance's ``meta``. ``InputError`` for an ending that is none of
    ``FORMATS``. A failed or cancelled export leaves no file.
    """
    path = Path(path)
    ending = path.suffix.lower().removeprefix(".")
    if ending == "npz":
        motion.save(path)
    elif ending == "bvh":
        save_bvh(motion, path)
    elif ending == "mp4":
        from longdance.export.video import render_video

        render_video(
            motion,
            path,
            song_path=song_path,
            start=float(motion.meta.get("start", 0.0)),
            beat_times=motion.meta.get("beat_times") or None,
            title=_title(motion),
            progress=progress,
        )
    else:
        raise InputError(f"{path}: expected a file ending among {', '.join(FORMATS)}, got {path.suffix or 'none'}")


def _title(motion: Motion) -> str | None:
    """Genre and movements, as a caption."""
    words = [motion.meta.get("genre"), *motion.meta.get("movements", ())]
    return ", ".join(word for word in words if word) or None
