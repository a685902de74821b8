"""Dances with music, heard once per song, and those among them that came without."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from longdance.data.paired import Listing, PairedClip
from longdance.errors import InputError
from longdance.features.music import MUSIC_ENCODERS, PLAN
from longdance.features.song import Song
from longdance.motion.layout import LAYOUTS
from longdance.motion.motion import Motion
from longdance.prepare.parts import Part
from longdance.prepare.silent import SilentSettings, silent_takes
from longdance.prepare.stores import Job, Plan, StoreSettings


class PairedSettings(StoreSettings):
    """What a store of a published data set with music holds."""

    layout: str = "smpl24"
    music_encoder: str = "librosa35"
    mirrored: bool = False
    """Whether every training take also appears with left and right swapped."""


def plan_paired(
    listing: Listing,
    read: Callable[[Path], Motion],
    settings: PairedSettings | SilentSettings,
    licence: str,
    *,
    least_frames: int = 1,
    cut: Callable[[list[Part]], tuple[list[Part], list[str]]] | None = None,
) -> Plan:
    """Listed clips into a store: one job per song, so that each is listened to once; one per clip without a song."""
    groups: dict[str, list[PairedClip]] = {}
    for clip in listing.clips:
        groups.setdefault(f"{clip.song}" if clip.song else f"{clip.clip} alone", []).append(clip)
    jobs = []
    for key, clips in groups.items():
        names = tuple(clip.clip for clip in clips)
        part = hashlib.sha256(key.encode()).hexdigest()[:24]
        if clips[0].song is None and isinstance(settings, SilentSettings):
            if settings.music_encoder != PLAN:
                raise InputError(
                    f"{clips[0].path}: expected a song of the same name for the music encoder "
                    f"{settings.music_encoder!r}; try {PLAN}, which is measured from the movement where there is none"
                )
            jobs.append(Job(part, names, _lone_clip, (clips[0], read, settings)))
        else:
            jobs.append(Job(part, names, _clips_of_song, (clips, read, settings, least_frames)))
    return Plan(
        jobs,
        licence,
        [path for clip in listing.clips for path in (clip.path, clip.song) if path is not None],
        labels=[(c.clip, c.split, c.genre, c.movements, c.start) for c in listing.clips],
        failed=listing.failed,
        notes=listing.notes,
        cut=cut,
    )


def _lone_clip(
    clip: PairedClip, read: Callable[[Path], Motion], settings: SilentSettings
) -> tuple[Part, dict[str, str]]:
    """The takes of a clip that came without music."""
    return silent_takes(clip.clip, clip.split, clip.genre, clip.movements, read(clip.path), settings), {}


def _clips_of_song(
    clips: list[PairedClip],
    read: Callable[[Path], Motion],
    settings: PairedSettings | SilentSettings,
    least_frames: int,
) -> tuple[Part, dict[str, str]]:
    """The takes of all clips that were danced to one song; a clip's first frame is the song's first.

    Clips shorter than ``least_frames`` are repeated to that length, and their music with them.
    """
    layout, fps = LAYOUTS[settings.layout], settings.fps
    song = Song.load(cast(Path, clips[0].song))  # clips without a song were left out
    heard = MUSIC_ENCODERS[settings.music_encoder](song, fps)
    failed: dict[str, str] = {}
    records, motions, musics = [], [], [heard]
    repeated: dict[tuple[int, int], int] = {}
    rows, music_rows = 0, len(heard)
    for clip in clips:
        try:
            motion = read(clip.path)
            skip = round(clip.start * fps)
            motion = motion.slice(round(clip.start * motion.fps), motion.frames)
            motion = motion.first_joints(layout.skeleton).resample(fps)
            frames = min(motion.frames, len(heard) - skip)
            if frames < fps:
                raise InputError(
                    f"{clip.path}: expected at least a second of dance with music, got {motion.frames} frames of dance "
                    f"and {len(heard) - skip} of {clip.song}; try another file"
                )
        except InputError as error:
            failed[clip.clip] = str(error)
            continue
        motion, music_start = motion.slice(0, frames), skip
        beats = song.beat_times - skip / fps
        beats = beats[(beats >= 0) & (beats < frames / fps)]
        if frames < least_frames:
            motion = repeat_motion(motion, least_frames)
            turns = -(-least_frames // frames)
            beats = (beats + np.arange(turns)[:, None] * frames / fps).ravel()
            beats = beats[beats < least_frames / fps]
            if (skip, frames) not in repeated:
                repeated[skip, frames] = music_rows
                musics.append(np.tile(heard[skip : skip + frames], (turns, 1))[:least_frames])
                music_rows += least_frames
            music_start = repeated[skip, frames]
        for mirrored in (False, True) if clip.split == "train" and settings.mirrored else (False,):
            records.append(
                {
                    "clip": clip.clip,
                    "split": clip.split,
                    "genre": clip.genre,
                    "movements": clip.movements,
                    "frames": motion.frames,
                    "start": rows,
                    "music_start": music_start,
                    "mirrored": mirrored,
                    "variant": 0,
                    "beat_times": tuple(round(float(t), 4) for t in beats),
                    "song": str(Path(cast(Path, clip.song)).absolute()),
                    "song_start": skip / fps,
                }
            )
            motions.append(layout.encode(motion.mirror() if mirrored else motion))
            rows += motion.frames
    encoded = np.concatenate(motions) if motions else np.zeros((0, layout.width), np.float32)
    return (records, encoded, np.concatenate(musics)), failed


def repeat_motion(motion: Motion, frames: int) -> Motion:
    """The motion over and over up to ``frames`` frames, as EDMG section 4.1 does with short dances.

    The path goes on from where it stopped: a dancer who would be set back to the start leaps in no time.
    """
    turns = -(-frames // motion.frames)
    step = (motion.root_position[-1] - motion.root_position[0]) * np.array([1.0, 0.0, 1.0])
    root = np.concatenate([motion.root_position + turn * step for turn in range(turns)])
    rotations = np.tile(motion.rotations, (turns, 1, 1, 1))
    return replace(motion, root_position=root[:frames], rotations=rotations[:frames])
