"""Draw the README's moving picture: dances to one song next to each other, as an animated WebP.

    python tools/make_teaser.py a.npz b.npz c.npz --start 8 --seconds 8 -o docs/images/teaser.webp
"""

import argparse
import tempfile
from pathlib import Path

import av
from PIL import Image

from longdance.export.video import render_side_by_side
from longdance.files import atomic_write
from longdance.motion.motion import Motion

RATE = 15
"""Frames per second of the picture."""


def main() -> None:
    """Render, thin out, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dances", nargs="+", type=Path)
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--width", type=int, default=880)
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    motions = {}
    for path in arguments.dances:
        motion = Motion.load(path)
        first, last = (round(t * motion.fps) for t in (arguments.start, arguments.start + arguments.seconds))
        motions[str(motion.meta["genre"])] = motion.slice(first, last)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "dances.mp4"
        render_side_by_side(motions, video, width=480, height=480)
        pictures = []
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            for frame in container.decode(stream):
                if frame.time * RATE >= len(pictures):
                    picture: Image.Image = frame.to_image()
                    size = arguments.width, round(picture.height * arguments.width / picture.width)
                    pictures.append(picture.resize(size, Image.Resampling.LANCZOS))
    with atomic_write(arguments.out) as temporary:
        pictures[0].save(
            temporary, "WEBP", save_all=True, append_images=pictures[1:], duration=1000 // RATE, loop=0, quality=55
        )
    print(f"{arguments.out}: {len(pictures)} frames, {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
