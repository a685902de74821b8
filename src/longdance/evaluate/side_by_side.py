"""Several dances to one song in one video, for the judgement that numbers miss."""

from collections.abc import Sequence
from pathlib import Path

from longdance.errors import InputError
from longdance.export.sound import find_song, song_start
from longdance.motion.motion import Motion
from longdance.progress import Progress


def write_video(
    dances: Sequence[Path],
    out: Path,
    *,
    song: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """An MP4 of the dances next to each other; the song is found beside the first dance if it is not given.

    Dances of one file name get their folders' names as well. ``InputError`` for another ending and broken dances.
    """
    if out.suffix.lower() != ".mp4":
        raise InputError(f"{out}: expected a name ending in .mp4")
    if not dances:
        raise InputError("expected dances to show next to each other, got none")
    from longdance.export.video import render_side_by_side

    plain = [path.stem for path in dances]
    motions = {
        path.stem if plain.count(path.stem) == 1 else str(path.with_suffix("")): Motion.load(path) for path in dances
    }
    first = next(iter(motions.values()))
    heard = song or find_song(first, [dances[0].parent, Path()])
    render_side_by_side(motions, out, song_path=heard, start=song_start(first), progress=progress)
