"""Make the gallery's moving pictures by the commands that the gallery names, and print those commands.

    python tools/make_gallery.py -o docs/images/gallery     # some minutes; dances are kept in out/gallery

Each exhibit is a film, of which a few seconds become an animated WebP that runs over and over.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image

from longdance.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
SONG = ROOT / "src" / "longdance" / "assets" / "demo_song.ogg"
RATE = 12
"""Frames per second of a picture."""
QUALITY = 42


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A picture: commands in the folder of the dances, and the film that the last of them writes."""

    commands: tuple[str, ...]
    film: str
    begin: float = 0.0
    """Second of the film at which the picture begins."""
    seconds: float = 5.0
    width: int = 480


GALLERY = {
    "two-genres": Exhibit(
        commands=(
            "longdance generate song.ogg --model edmg-fast --genre modern --seconds 12 -o modern",
            "longdance generate song.ogg --model edmg-fast --genre salsa --seconds 12 -o salsa",
            "longdance evaluate modern/song.npz salsa/song.npz --side-by-side --song song.ogg -o two.mp4",
        ),
        film="two.mp4", begin=5.0,
    ),
    "edit": Exhibit(
        commands=(
            "longdance edit modern/song.npz --redo 5:10 --joints upper --genre breaking -o edited.npz",
            "longdance evaluate modern/song.npz edited.npz --side-by-side --song song.ogg -o edit.mp4",
        ),
        film="edit.mp4", begin=5.0,
    ),
    "phrases": Exhibit(
        commands=(
            "longdance generate song.ogg --genre commercial --phrases 1 -o phrases",
            "longdance export phrases/song.npz --start 10 --seconds 6 -o phrases.mp4",
        ),
        film="phrases.mp4", width=400,
    ),
    "group": Exhibit(
        commands=(
            "longdance export phrases/song.npz --start 18 --seconds 6 --dancers 5 --formation v --canon 1 -o group.mp4",
        ),
        film="group.mp4",
    ),
}  # fmt: skip
"""Pictures by the names of their files; later ones use the dances of earlier ones."""


def main() -> None:
    """Dance, film, thin out, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(GALLERY)}; all if none")
    parser.add_argument("-o", "--out", required=True, type=Path, help="folder of the pictures")
    parser.add_argument("--dances", default=ROOT / "out" / "gallery", type=Path, help="folder of the dances")
    arguments = parser.parse_args()
    arguments.dances.mkdir(parents=True, exist_ok=True)
    (arguments.dances / "song.ogg").write_bytes(SONG.read_bytes())
    for name in arguments.names or GALLERY:
        exhibit, target = GALLERY[name], arguments.out / f"{name}.webp"
        for command in exhibit.commands:
            made = shlex.split(command)[-1]
            if not (arguments.dances / made).exists():
                print(command, flush=True)
                program = [sys.executable, "-m", "longdance", *shlex.split(command)[1:]]
                subprocess.run(program, cwd=arguments.dances, check=True)
        write_picture(list(frames_of(arguments.dances / exhibit.film, exhibit)), target)
        print(f"{target}: {target.stat().st_size / 1e3:.0f} kB", flush=True)


def frames_of(film: Path, exhibit: Exhibit) -> Iterator[Image.Image]:
    """Frames of the film at ``RATE``, as wide as the exhibit."""
    taken = 0
    with av.open(str(film)) as container:
        for frame in container.decode(container.streams.video[0]):
            if exhibit.begin + taken / RATE <= frame.time + 1e-3 and taken < round(exhibit.seconds * RATE):
                picture: Image.Image = frame.to_image()
                height = round(picture.height * exhibit.width / picture.width)
                yield picture.resize((exhibit.width, height), Image.Resampling.LANCZOS)
                taken += 1


def write_picture(frames: list[Image.Image], target: Path) -> None:
    """An animated WebP that runs over and over."""
    with atomic_write(target) as temporary:
        frames[0].save(
            temporary, "WEBP", save_all=True, append_images=frames[1:], duration=1000 // RATE, loop=0, quality=QUALITY,
            method=4,
        )  # fmt: skip


if __name__ == "__main__":
    main()
