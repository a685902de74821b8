"""Dances without music: takes at several tempi, each with the rhythm plan that its movement follows."""

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from longdance.features.beats import beats_of_motion
from longdance.features.rhythm_plan import CurveScale, plan_of_motion
from longdance.motion.layout import LAYOUTS
from longdance.motion.motion import Motion
from longdance.motion.still_ends import without_still_ends
from longdance.prepare.parts import Part
from longdance.prepare.stores import StoreSettings


class SilentSettings(StoreSettings):
    """What a store of dances without music holds."""

    variants: Annotated[int, Field(ge=1)] = 6
    """Copies of each training clip, all but the first at another tempo."""
    mirrored: bool = True
    """Whether every training take also appears with left and right swapped."""
    slowest: Annotated[float, Field(ge=0.25, le=4)] = 0.85
    fastest: Annotated[float, Field(ge=0.25, le=4)] = 1.18
    """Range of tempo factors of the further copies."""
    seed: Annotated[int, Field(ge=0)] = 0


def silent_takes(
    clip: str, split: str, genre: str, movements: tuple[str, ...], source: Motion, settings: SilentSettings
) -> Part:
    """Every take of one clip without music, with the plan that its movement follows.

    Movement that is no dance has beats only where it keeps them.
    """
    layout = LAYOUTS[settings.layout]
    rng = np.random.default_rng([settings.seed, *clip.encode()])
    if genre != "none":
        source = without_still_ends(source)
    beats = beats_of_motion(source.joints(), source.fps) if source.frames > 1 else None
    if beats is not None and genre == "none" and not beats.is_steady:
        beats = None
    training = split == "train"
    records, motions, musics, rows = [], [], [], 0
    for variant in range(settings.variants if training else 1):
        speed = 1.0 if variant == 0 else float(rng.uniform(settings.slowest, settings.fastest))
        motion = replace(source, fps=source.fps * speed).resample(settings.fps).first_joints(layout.skeleton)
        own = None if beats is None else replace(beats, beat_times=beats.beat_times / speed)
        times = np.zeros(0) if own is None else own.beat_times
        inside = times[(times >= 0) & (times < motion.seconds)]
        for mirrored in (False, True) if training and settings.mirrored else (False,):
            danced = motion.mirror() if mirrored else motion
            records.append(
                {
                    "clip": clip,
                    "split": split,
                    "genre": genre,
                    "movements": movements,
                    "frames": motion.frames,
                    "start": rows,
                    "music_start": rows,
                    "mirrored": mirrored,
                    "variant": variant,
                    "beat_times": tuple(round(float(t), 4) for t in inside),
                    "silent": True,
                }
            )
            motions.append(layout.encode(danced))
            musics.append(plan_of_motion(danced, own))
            rows += motion.frames
    return records, np.concatenate(motions), np.concatenate(musics)


def with_standardised_curves(parts: list[Part]) -> tuple[list[Part], list[str]]:
    """Curves of plans that were measured from movement, standardised within each genre by its training takes."""
    own: dict[str, list[np.ndarray]] = {}
    for split in ("train", "val", "test"):  # of a genre without training takes, by what there is
        found: dict[str, list[np.ndarray]] = {}
        for records, _, music in parts:
            for take in records:
                if take.get("silent") and take["split"] == split and take["genre"] not in own:
                    rows = music[take["music_start"] : take["music_start"] + take["frames"]]
                    found.setdefault(take["genre"], []).append(rows)
        own |= found
    scales = {genre: CurveScale.of(plans) for genre, plans in own.items()}
    scaled = []
    for records, motion, music in parts:
        music = music.copy()
        for take in records:
            if take.get("silent"):
                rows = slice(take["music_start"], take["music_start"] + take["frames"])
                music[rows] = scales[take["genre"]].applied(music[rows])
        scaled.append((records, motion, music))
    return scaled, []
