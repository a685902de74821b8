"""Make the pictures of docs/outlets: poses on downbeats, hands, a group, parts of a loop.

    python tools/make_outlets.py DANCE.npz -o docs/images/outlets     # a dance of 16 s or more, with its record
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

from longdance.export import hands
from longdance.export.groups import group_of
from longdance.export.markers import markers
from longdance.export.takes import ExportOptions, prepared
from longdance.export.video import contact_sheet, render_still, render_video
from longdance.files import atomic_write
from longdance.motion.motion import Motion

TILE = (176, 235)


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dance", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    dance = Motion.load(options.dance)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = {
            "downbeats": row(folder, downbeats(dance)),
            "hands": closer(row(folder, posed_hands(dance), size=(900, 1200), tile=(352, 470))),
            "group": group(folder, dance),
            "loop": row(folder, loop(dance)),
        }
    for name, picture in pictures.items():
        path = options.out / f"{name}.webp"
        with atomic_write(path) as temporary:
            picture.save(temporary, "WEBP", quality=70, method=6)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def row(
    folder: Path, stills: list[tuple[Motion, int]], *, size: tuple[int, int] = (480, 640), tile: tuple[int, int] = TILE
) -> Image.Image:
    """Frames of dances side by side."""
    picture = Image.new("RGB", (len(stills) * tile[0], tile[1]))
    for number, (motion, frame) in enumerate(stills):
        path = folder / "still.png"
        render_still(hands.with_knuckles(motion), frame, path, width=size[0], height=size[1])
        picture.paste(Image.open(path).convert("RGB").resize(tile, Image.Resampling.LANCZOS), (number * tile[0], 0))
    return picture


def downbeats(dance: Motion) -> list[tuple[Motion, int]]:
    """The frames of the first bars."""
    bars = [mark for mark in markers(dance) if mark.kind == "bar"]
    return [(dance, round(mark.seconds * dance.fps)) for mark in bars[1:7]]


def posed_hands(dance: Motion) -> list[tuple[Motion, int]]:
    """One frame with hands of several poses."""
    found = []
    for pose in ("flat", "relaxed", "fist"):
        hands.STYLES[pose] = hands.Style(pose, pose, pose)
        found.append((replace(dance, meta={"genre": pose}), dance.frames // 2))
    return found


def closer(picture: Image.Image) -> Image.Image:
    """The upper bodies of the row."""
    return picture.crop((0, 60, picture.width, 300))


def group(folder: Path, dance: Motion) -> Image.Image:
    """Two moments of five dancers in a V, mirrored, two beats after one another."""
    dancers = group_of(dance, 5, canon=2.0, mirror_pairs=True, formation="v")
    part = [hands.with_knuckles(each.slice(240, 360)) for each in dancers]
    video = folder / "group.mp4"
    render_video(part[0], video, group=part[1:], width=640, height=360, fps=10)
    contact_sheet(video, folder / "group.png", count=2, tile_width=480)
    return Image.open(folder / "group.png").convert("RGB")


def loop(dance: Motion) -> list[tuple[Motion, int]]:
    """Six frames of a loop on the spot, the last of which is the first."""
    cycle = prepared(dance, ExportOptions(start=4.0, seconds=8.0, loop=True, in_place=True))
    return [(cycle, round(share * (cycle.frames - 1) / 5)) for share in range(6)]


if __name__ == "__main__":
    main()
