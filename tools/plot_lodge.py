"""Draws the pictures of docs/lodge.md: how key motions are found, and a dance between and after the two stages.

    python tools/plot_lodge.py --data STORE --song SONG --model lodge --genre salsa -o docs/images
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from longdance.choreography.augment import mirror
from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.lodge import Draft
from longdance.choreography.key_motions import find_key_motions, kinetic_energy
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.data.store import Store
from longdance.features.song import Song
from longdance.files import atomic_write
from longdance.models.primitives import PRIMITIVE_FRAMES
from longdance.motion.skeleton import Skeleton

INK, GREY, HARD, SOFT, MIRRORED = "#22303c", "#9aa7b1", "#22303c", "#1f7a8c", "#d1662b"
MARGIN = 24
VIEW = 0.5
"""Radians by which the camera stands to the side."""


class Drawing:
    """An SVG picture, built line by line; pixels, y down."""

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.parts: list[str] = []

    def line(self, points: Sequence[tuple[float, float]], colour: str, *, width: float = 1.0) -> None:
        """A polyline."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>')

    def text(self, x: float, y: float, words: str, *, size: int = 12, colour: str = INK, anchor: str = "start") -> None:
        """A line of text."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{words}</text>'
        )

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
        )

    def figure(
        self,
        joints: np.ndarray,
        skeleton: Skeleton,
        x: float,
        floor: float,
        *,
        scale: float,
        colour: str,
        fade: float = 1.0,
    ) -> None:
        """A stick figure that stands at ``x`` on ``floor``; ``joints`` (joints, 3) metres."""
        seen = joints - joints[0] * [1, 0, 1]
        right = seen[:, 0] * np.cos(VIEW) + seen[:, 2] * np.sin(VIEW)
        at = np.stack([x + scale * right, floor - scale * seen[:, 1]], axis=1)
        bones = "".join(
            f"M{at[parent, 0]:.1f} {at[parent, 1]:.1f}L{at[joint, 0]:.1f} {at[joint, 1]:.1f}"
            for joint, parent in enumerate(skeleton.parents)
            if parent >= 0
        )
        head = at[skeleton.index("head")]
        self.parts.append(
            f'<g opacity="{fade:.2f}" stroke="{colour}" fill="{colour}">'
            f'<path d="{bones}" stroke-width="1.6" stroke-linecap="round" fill="none"/>'
            f'<circle cx="{head[0]:.1f}" cy="{head[1] - 0.04 * scale:.1f}" r="{0.085 * scale:.1f}"/></g>'
        )

    def movement(self, joints: np.ndarray, skeleton: Skeleton, x: float, floor: float, *, colour: str) -> None:
        """Three poses of a primitive (frames, joints, 3) beside each other, the last one clearest."""
        for k in range(1, PRIMITIVE_FRAMES, 3):
            self.figure(joints[k], skeleton, x + 8 * (k - 4), floor, scale=80, colour=colour, fade=0.3 + 0.1 * k)

    def save(self, path: Path) -> None:
        """Write the SVG."""
        with atomic_write(path) as temporary:
            temporary.write_text(
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" '
                f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>'
                + "\n".join(self.parts)
                + "</svg>\n",
                encoding="utf-8",
            )


def draw_key_motions(store: Store, clip: str | None, *, seconds: float = 8.0) -> Drawing:
    """The kinetic energy of a few seconds of a training dance, and the poses at its key motions."""
    takes = [take for take in store.select("train", original=True) if take.genre != "none"]
    take = next((take for take in takes if take.clip == clip), max(takes, key=lambda take: take.frames))
    frames = min(take.frames, round(seconds * store.fps))
    begin = (take.frames - frames) // 2
    whole = store.layout.decode(np.array(store.motion_of(take)), store.fps)
    found, energy = find_key_motions(whole.joints(), store.fps), kinetic_energy(whole.joints(), store.fps)
    motion = whole.slice(begin, begin + frames)
    joints, energy = motion.joints(), energy[begin : begin + frames]
    drawing = Drawing(1000, 330)
    scale = (1000 - 2 * MARGIN) / frames
    top, bottom = 200.0, 300.0
    drawing.text(MARGIN, 20, f"Key motions of {seconds:g} s of {take.genre}: poses between energetic movements")
    drawing.line(
        [(MARGIN + k * scale, bottom - (bottom - top) * e / energy.max()) for k, e in enumerate(energy)], INK, width=1.5
    )
    drawing.text(MARGIN, bottom + 20, "kinetic energy", colour=GREY)
    for frame in found.frames[(found.frames >= begin) & (found.frames < begin + frames)] - begin:
        x = MARGIN + frame * scale
        drawing.line([(x, 190), (x, bottom)], SOFT, width=1)
        drawing.figure(joints[frame], motion.skeleton, x, 182, scale=75, colour=SOFT)
    for frame in range(8, frames, 24):
        x = MARGIN + frame * scale
        if np.abs(found.frames - begin - frame).min() > 8:
            drawing.figure(joints[frame], motion.skeleton, x, 182, scale=75, colour=GREY, fade=0.45)
    return drawing


def draw_primitives(model: Dancer, draft: Draft, song: Song) -> Drawing:
    """What the global stage gives for one window, on the beats of the song."""
    plan, layout = draft.plan, model.checkpoint.layout
    frames = min(plan.primitives.frames, plan.frames)
    drawing = Drawing(1400, 420)
    scale = (1400 - 2 * MARGIN - 60) / frames
    at = lambda frame: MARGIN + 30 + frame * scale  # noqa: E731
    drawing.text(MARGIN, 20, "Stage one: hard primitives where segments meet, soft ones on beats")
    draw_beats(drawing, song, model.fps, frames, at, y=230)
    for number, start in enumerate(plan.primitives.hard_starts()):
        if start + PRIMITIVE_FRAMES > frames:
            continue
        middle = start + PRIMITIVE_FRAMES // 2
        drawing.line([(at(middle), 215), (at(middle), 245)], HARD, width=3)
        drawing.movement(layout.joints(draft.hard[0, number]).numpy(), layout.skeleton, at(middle), 205, colour=HARD)
    for segment, placed in zip(plan.segments, draft.placed, strict=True):
        if segment.window:
            continue
        for centre, number, swapped in zip(*placed, strict=True):
            features = draft.soft[segment.window, segment.slot, int(number)]
            features = mirror(features, layout) if swapped else features
            colour, frame = (MIRRORED if swapped else SOFT), segment.start + int(centre)
            if frame >= frames:
                continue
            drawing.line([(at(frame), 222), (at(frame), 238)], colour, width=3)
            drawing.movement(layout.joints(features).numpy(), layout.skeleton, at(frame), 390, colour=colour)
    drawing.text(MARGIN, 410, "soft primitives", colour=SOFT)
    drawing.text(MARGIN + 110, 410, "and their mirror images", colour=MIRRORED)
    return drawing


def draw_dance(model: Dancer, draft: Draft, joints: np.ndarray, song: Song) -> Drawing:
    """The first segment of the dance, and the frames that its cues led."""
    plan, skeleton = draft.plan, model.checkpoint.layout.skeleton
    frames = min(plan.primitives.segment, plan.frames)
    hard, soft = model.generator.cues_of(draft, 0, 0)
    colours = {int(frame): HARD for cue in hard for frame in cue.frames}
    for cue, swapped in zip(soft, draft.placed[0].mirrored, strict=True):
        colours |= {int(frame): MIRRORED if swapped else SOFT for frame in cue.frames}
    drawing = Drawing(1400, 270)
    scale = (1400 - 2 * MARGIN - 60) / frames
    at = lambda frame: MARGIN + 30 + frame * scale  # noqa: E731
    drawing.text(MARGIN, 20, "Stage two: the first segment; coloured where a primitive led")
    draw_beats(drawing, song, model.fps, frames, at, y=245)
    for frame in range(0, frames, 6):
        colour, fade = (colours[frame], 1.0) if frame in colours else (GREY, 0.6)
        drawing.figure(joints[frame], skeleton, at(frame), 215, scale=85, colour=colour, fade=fade)
    return drawing


def draw_beats(drawing: Drawing, song: Song, fps: float, frames: int, at, *, y: float) -> None:
    """A time line with a tick on every beat, a longer one on downbeats."""
    drawing.line([(at(0), y), (at(frames), y)], GREY)
    for times, size in ((song.beat_times, 4), (song.downbeat_times, 9)):
        for beat in times[times * fps < frames]:
            drawing.line([(at(beat * fps), y - size), (at(beat * fps), y + size)], GREY, width=1.2)


def main() -> None:
    """Draw all three pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--clip")
    parser.add_argument("--song", required=True)
    parser.add_argument("--start", type=float, default=20.0)
    parser.add_argument("--model", default="lodge")
    parser.add_argument("--genre", default="salsa")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    model = load(arguments.model)
    song = Song.load(arguments.song, start=arguments.start, seconds=model.generator.primitives.frames / model.fps)
    request = DanceRequest(song=song, genre=arguments.genre, seed=arguments.seed, device="cpu").raw()
    with torch.no_grad():
        (draft,) = model.generator.draft([model.prepare(request)])
        dance = model.generate(request)
    arguments.out.mkdir(parents=True, exist_ok=True)
    draw_key_motions(Store.open(arguments.data), arguments.clip).save(arguments.out / "lodge-key-motions.svg")
    draw_primitives(model, draft, song).save(arguments.out / "lodge-primitives.svg")
    draw_dance(model, draft, dance.joints(), song).save(arguments.out / "lodge-dance.svg")


if __name__ == "__main__":
    main()
