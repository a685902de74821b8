"""Make the gallery's pictures: dances of several genres and models to the bundled song, as strips of stills.

    python tools/make_gallery.py -o docs/images/gallery     # some minutes; dances are kept in out/gallery

A strip shows one pose every 0.8 seconds, from left to right, each seen by the camera of the video at that moment.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image

from longdance.choreography.pretrained import load
from longdance.export.video import render_video
from longdance.files import atomic_write
from longdance.motion.motion import Motion

ROOT = Path(__file__).resolve().parents[1]
SONG = ROOT / "src" / "longdance" / "assets" / "demo_song.ogg"
TILES, EVERY, BEGIN = 8, 0.8, 4.0
"""Stills of a strip, the seconds between them, and the second of the first."""
WIDTH, HEIGHT, FPS = 240, 320, 10
"""Of the video that stills are taken from."""
TILE_WIDTH = 176


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A picture: what to ask of which model."""

    model: str = "edmg"
    genre: str


GALLERY = {
    "breaking": Exhibit(genre="breaking"),
    "salsa": Exhibit(genre="salsa"),
    "modern": Exhibit(genre="modern"),
    "disco": Exhibit(genre="disco"),
    "lodge-salsa": Exhibit(model="lodge", genre="salsa"),
}
"""Pictures by the names of their files."""


def main() -> None:
    """Dance, render, cut, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(GALLERY)}; all if none")
    parser.add_argument("-o", "--out", required=True, type=Path, help="folder of the pictures")
    parser.add_argument("--dances", default=ROOT / "out" / "gallery", type=Path, help="folder of the dances")
    arguments = parser.parse_args()
    total = 0
    for name in arguments.names or GALLERY:
        exhibit, path = GALLERY[name], arguments.dances / f"{name}.npz"
        if not path.is_file():
            load(exhibit.model).generate(SONG, seconds=16, seed=0, genre=exhibit.genre).save(path)
        picture = strip(Motion.load(path))
        target = arguments.out / f"{name}.webp"
        with atomic_write(target) as temporary:
            picture.save(temporary, "WEBP", quality=60, method=6)
        total += target.stat().st_size
        print(f"{target}: {target.stat().st_size / 1e3:.0f} kB")
    print(f"{total / 1e3:.0f} kB in all")


def strip(motion: Motion) -> Image.Image:
    """Stills of a dance side by side, from ``BEGIN`` seconds on."""
    first = round(BEGIN * motion.fps)
    stretch = motion.slice(first, first + round((TILES * EVERY + 0.1) * motion.fps))
    height = round(TILE_WIDTH * HEIGHT / WIDTH)
    picture = Image.new("RGB", (TILES * TILE_WIDTH, height))
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "dance.mp4"
        render_video(stretch, video, width=WIDTH * 2, height=HEIGHT * 2, fps=FPS)
        taken = 0
        with av.open(str(video)) as container:
            for frame in container.decode(container.streams.video[0]):
                if taken < TILES and frame.time >= taken * EVERY - 1e-3:
                    tile = frame.to_image().resize((TILE_WIDTH, height), Image.Resampling.LANCZOS)
                    picture.paste(tile, (taken * TILE_WIDTH, 0))
                    taken += 1
    return picture


if __name__ == "__main__":
    main()
