"""Draws the sheet of moving previews that the studio shows beside genres and movements, from training takes.

    python tools/draw_previews.py STORE [-o src/longdance/studio/web]

Each preview is a row of FRAMES pictures of a stick figure over SECONDS: the liveliest stretch of the longest take whose
source names the movement, or of the genre's longest take. Writes previews.webp and previews.json (row of each
"genre/movement" and "genre/").
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from longdance.data.catalogue import movements_of_label
from longdance.data.store import Store, Take

FRAMES, SECONDS = 12, 2.4
WIDTH, HEIGHT, FINER = 48, 56, 4
"""Pixels of a picture, and how many times finer it is drawn."""
METRES = 1.95
"""From the picture's lower edge to its upper one."""
LEFT, RIGHT, MIDDLE = (108, 182, 255), (255, 168, 66), (214, 221, 233)


def chosen(store: Store) -> dict[str, Take]:
    """The take of each preview."""
    found: dict[str, Take] = {}
    for take in sorted(store.select("train", original=True), key=lambda take: -take.frames):
        if take.genre == "none":
            continue
        found.setdefault(f"{take.genre}/", take)
        for label in take.movements:
            for movement in movements_of_label(take.genre, label):
                found.setdefault(f"{take.genre}/{movement}", take)
    return dict(sorted(found.items()))


def drawn(store: Store, take: Take) -> list[Image.Image]:
    """The pictures of a take's liveliest stretch, seen from where its pelvis looks."""
    motion = store.layout.decode(np.array(store.motion_of(take)), store.fps)
    joints, length = motion.joints(), min(round(SECONDS * store.fps), motion.frames)
    speed = np.linalg.norm(np.diff(joints, axis=0, prepend=joints[:1]), axis=-1).mean(1)
    begin = int(np.argmax(np.convolve(speed, np.ones(length), "valid")))
    sideways = motion.rotations[begin + length // 2, 0, :, 0] * np.array([1.0, 0.0, 1.0])
    sideways /= max(float(np.linalg.norm(sideways)), 1e-6)
    pictures = []
    for frame in np.linspace(begin, begin + length - 1, FRAMES).astype(int):
        across = (joints[frame] - joints[frame, 0]) @ sideways
        scale = HEIGHT * FINER / METRES
        points = np.stack((WIDTH * FINER / 2 + across * scale, (METRES - 0.06 - joints[frame, :, 1]) * scale), axis=1)
        picture = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), (18, 22, 29))
        pen = ImageDraw.Draw(picture)
        for joint, parent in enumerate(motion.skeleton.parents):
            if joint:
                name = motion.skeleton.names[joint]
                colour = LEFT if name.startswith("left") else RIGHT if name.startswith("right") else MIDDLE
                pen.line([tuple(points[parent]), tuple(points[joint])], fill=colour, width=2 * FINER)
        head = points[motion.skeleton.index("head")]
        size = 3.2 * FINER
        pen.ellipse([head[0] - size, head[1] - 1.6 * size, head[0] + size, head[1] + 0.4 * size], fill=MIDDLE)
        pictures.append(picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))
    return pictures


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("src/longdance/studio/web"))
    options = parser.parse_args()
    store = Store.open(options.store)
    takes = chosen(store)
    clips = list(dict.fromkeys(take.clip for take in takes.values()))
    by_clip = {take.clip: take for take in takes.values()}
    sheet = Image.new("RGB", (FRAMES * WIDTH, len(clips) * HEIGHT))
    for row, clip in enumerate(clips):
        for column, picture in enumerate(drawn(store, by_clip[clip])):
            sheet.paste(picture, (column * WIDTH, row * HEIGHT))
    sheet.save(options.out / "previews.webp", quality=70, method=6)
    record = {
        "frames": FRAMES, "seconds": SECONDS, "width": WIDTH, "height": HEIGHT, "licence": store.licence,
        "rows": {key: clips.index(take.clip) for key, take in takes.items()},
    }  # fmt: skip
    (options.out / "previews.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
