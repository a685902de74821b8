"""``longdance prepare``: a data set on disk into a prepared store.

Dances without music are prepared with the rhythm plan alone, which is measured from their movement as it is from a
user's song. Dances with music keep it, for any music encoder.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from longdance.data import aistpp, bvh_folder, finedance
from longdance.data import open as open_data
from longdance.data.catalogue import movements_of_label, unknown_words
from longdance.data.paired import Listing, PairedClip
from longdance.data.store import is_prepared, write_store
from longdance.errors import InputError
from longdance.features.beats import beats_of_motion
from longdance.features.music import MUSIC_ENCODERS, PLAN
from longdance.features.rhythm_plan import CurveScale, plan_of_motion
from longdance.features.song import Song
from longdance.files import atomic_write, remove_leftovers
from longdance.motion.layout import LAYOUTS
from longdance.motion.motion import Motion
from longdance.motion.still_ends import without_still_ends
from longdance.progress import Progress
from longdance.workers import sole_writer, work

REGISTER = {
    "dataset": {
        "open": {"make": "OPEN", "about": "CMU motion capture and G1 Moves, openly licensed", "order": 1},
        "aistpp": {"make": "AISTPP", "about": "AIST++ as published", "order": 2},
        "finedance": {"make": "FINEDANCE", "about": "FineDance as published", "order": 3},
        "bvh": {"make": "BVH", "about": "a folder of BVH files of your own", "order": 4},
    },
}

VERSION = 3
"""Raised whenever prepared numbers change, so that old stores are made again."""

TABLE_SHARE = 0.7
"""Share of the takes in EDMG's table 1 from which on a genre counts as complete, and is brought to that number."""

OPEN_LICENCE = (
    "Motion from mocap.cs.cmu.edu (created with funding from NSF EIA-0196217; do not resell the data itself) and from "
    "G1 Moves (CC BY 4.0, Experiential Technologies, dancers Jasmine Coro and Mitch Chaiet)."
)


class StoreSettings(BaseModel):
    """What every store holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: Annotated[float, Field(gt=0, le=240)] = 30.0
    """Frames per second of motion and music features."""
    layout: str = "floor24"
    music_encoder: str = PLAN


class PrepareSettings(StoreSettings):
    """What a store of dances without music holds: the open data, or the user's own BVH files."""

    variants: Annotated[int, Field(ge=1)] = 6
    """Copies of each training clip, all but the first at another tempo."""
    mirrored: bool = True
    """Whether every training take also appears with left and right swapped."""
    slowest: Annotated[float, Field(ge=0.25, le=4)] = 0.85
    fastest: Annotated[float, Field(ge=0.25, le=4)] = 1.18
    """Range of tempo factors of the further copies."""
    seed: Annotated[int, Field(ge=0)] = 0


class BVHSettings(PrepareSettings):
    """What a store of the user's own BVH files holds, with or without songs."""

    held_out: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of each genre's clips for validation, and again for test."""


class AISTPPSettings(StoreSettings):
    """What a store of AIST++ holds. Defaults are the paper's (EDMG section 4.1) but for the music encoder."""

    fps: Annotated[float, Field(gt=0, le=240)] = 60.0
    layout: str = "smpl24"
    music_encoder: str = "librosa35"
    """The paper's is jukebox."""
    mirrored: bool = False
    """Whether every training take also appears with left and right swapped."""
    window_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Length of the takes; shorter dances are repeated to it, longer ones cut."""
    windows: Literal["table1", "consecutive"] = "table1"
    """Either as many takes per genre as EDMG's table 1 counts, spread evenly over its sequences, or simply one after
    the other."""


class FineDanceSettings(StoreSettings):
    """What a store of FineDance holds: whole dances."""

    layout: str = "smpl24"
    music_encoder: str = "librosa35"
    mirrored: bool = False
    """Whether every training take also appears with left and right swapped."""
    split: Literal["genre", "dancer"] = "genre"
    """FineDance@Genre, on which the papers report, or FineDance@Dancer."""


PairedSettings = AISTPPSettings | FineDanceSettings | BVHSettings


class Outcome(NamedTuple):
    """What preparing did: how many clips were read, which were not and why, or that nothing was to do."""

    clips: int
    failed: list[str]
    unchanged: bool = False
    notes: tuple[str, ...] = ()
    """What else is worth knowing."""


Part = tuple[list[dict], np.ndarray, np.ndarray]
"""Records of takes, with starts relative to the part's motion rows and music rows."""


class Job(NamedTuple):
    """Work for one process: some clips into one file."""

    part: str
    """Name of the file."""
    clips: tuple[str, ...]
    work: Callable[..., tuple[Part, dict[str, str]]]
    """Gives the part, and for clips that cannot be used the reasons."""
    arguments: tuple


def prepare_open(
    source: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    settings: PrepareSettings | None = None,
    workers: int | None = None,
    ray: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Read the open data (``labels.csv``, BVH, keypoints) into a store.

    Nothing is done if the store was made from the same files with the same settings. A run that was cut short goes on
    where it stopped. Broken clips are left out and named. ``workers`` processes share the work (None: one per core), or
    actors on the Ray whose address ``ray`` is (see ``longdance.workers``).
    """
    settings = settings or PrepareSettings()
    source = Path(source)
    _check(settings)
    labels = open_data.read_labels(source)
    labels = [label for label in labels if label.clip not in open_data.OFF_THE_FLOOR]
    return _prepare(
        [Job(label.clip, (label.clip,), _open_clip, (label, settings)) for label in labels],
        folder,
        source=source,
        settings=settings,
        licence=OPEN_LICENCE,
        files=[source / "labels.csv", *(label.path for label in labels)],
        notes=_unknown_labels(labels),
        cut=_with_standardised_curves,
        workers=workers,
        ray=ray,
        progress=progress,
    )


def _unknown_labels(labels: Iterable[open_data.ClipLabel]) -> list[str]:
    """One line on the labels that the catalogue does not know, if there are any."""
    words = Counter(word for label in labels for word in unknown_words(label.genre, label.movement))
    if not words:
        return []
    named = ", ".join(repr(word) for word, _ in words.most_common(5)) + (", ..." if len(words) > 5 else "")
    return [f"{len(words)} labels that the catalogue does not know are kept as free words: {named}"]


def prepare_aistpp(
    source: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    settings: AISTPPSettings | None = None,
    workers: int | None = None,
    ray: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Read AIST++ (see ``longdance.data.aistpp`` for the folder) into a store of takes of ten seconds.

    As with ``prepare_open`` a second run does nothing, a run cut short goes on, broken files are left out and named.
    Where the whole data set is there, ``notes`` put the number of takes of each genre beside EDMG's table 1.
    """
    settings = settings or AISTPPSettings()
    _check(settings)
    frames = round(settings.window_seconds * settings.fps)
    return _prepare_paired(
        aistpp.list_clips(source),
        aistpp.read_motion,
        folder,
        source=source,
        settings=settings,
        licence=aistpp.LICENCE,
        least_frames=frames,
        cut=lambda parts: _aistpp_takes(parts, frames, settings),
        workers=workers,
        ray=ray,
        progress=progress,
    )


def prepare_finedance(
    source: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    settings: FineDanceSettings | None = None,
    workers: int | None = None,
    ray: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Read FineDance (see ``longdance.data.finedance`` for the folder) into a store of whole dances.

    As with ``prepare_open`` a second run does nothing, a run cut short goes on, broken files are left out and named.
    """
    settings = settings or FineDanceSettings()
    _check(settings)
    return _prepare_paired(
        finedance.list_clips(source, rule=settings.split),
        finedance.read_motion,
        folder,
        source=source,
        settings=settings,
        licence=finedance.LICENCE,
        workers=workers,
        ray=ray,
        progress=progress,
    )


def prepare_bvh(
    source: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    settings: BVHSettings | None = None,
    workers: int | None = None,
    ray: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Read a folder of BVH files, with or without songs (see ``longdance.data.bvh_folder``), into a store.

    As with ``prepare_open`` a second run does nothing, a run cut short goes on, broken files are left out and named.
    """
    settings = settings or BVHSettings()
    _check(settings)
    return _prepare_paired(
        bvh_folder.list_clips(source, held_out=settings.held_out),
        bvh_folder.read_motion,
        folder,
        source=source,
        settings=settings,
        licence=bvh_folder.LICENCE,
        cut=_with_standardised_curves,
        workers=workers,
        ray=ray,
        progress=progress,
    )


class Dataset(NamedTuple):
    """A data set that ``longdance prepare`` knows."""

    settings: type[StoreSettings]
    prepare: Callable[..., Outcome]


OPEN = Dataset(PrepareSettings, prepare_open)
AISTPP = Dataset(AISTPPSettings, prepare_aistpp)
FINEDANCE = Dataset(FineDanceSettings, prepare_finedance)
BVH = Dataset(BVHSettings, prepare_bvh)


def _check(settings: StoreSettings) -> None:
    if settings.layout not in LAYOUTS:
        raise InputError(f"expected a layout among {', '.join(LAYOUTS)}, got {settings.layout!r}")
    if settings.music_encoder not in MUSIC_ENCODERS:
        raise InputError(
            f"expected a music encoder among {', '.join(MUSIC_ENCODERS)}, got {settings.music_encoder!r}"
        )
    if type(settings) is PrepareSettings and settings.music_encoder != PLAN:
        raise InputError(
            f"expected the music encoder {PLAN}, since these dances have no music, got {settings.music_encoder!r}"
        )


def _prepare_paired(
    listing: Listing,
    read: Callable[[Path], Motion],
    folder: str | os.PathLike,
    *,
    source: str | os.PathLike,
    settings: PairedSettings,
    licence: str,
    least_frames: int = 1,
    cut: Callable[[list[Part]], tuple[list[Part], list[str]]] | None = None,
    workers: int | None,
    ray: str | None,
    progress: Progress | None,
) -> Outcome:
    """Listed clips into a store: one job per song, so that each is listened to once; one per clip without a song."""
    groups: dict[str, list[PairedClip]] = {}
    for clip in listing.clips:
        groups.setdefault(f"{clip.song}" if clip.song else f"{clip.clip} alone", []).append(clip)
    jobs = []
    for key, clips in groups.items():
        names = tuple(clip.clip for clip in clips)
        part = hashlib.sha256(key.encode()).hexdigest()[:24]
        if clips[0].song is None and isinstance(settings, PrepareSettings):
            if settings.music_encoder != PLAN:
                raise InputError(
                    f"{clips[0].path}: expected a song of the same name for the music encoder "
                    f"{settings.music_encoder!r}; try {PLAN}, which is measured from the movement where there is none"
                )
            jobs.append(Job(part, names, _lone_clip, (clips[0], read, settings)))
        else:
            jobs.append(Job(part, names, _clips_of_song, (clips, read, settings, least_frames)))
    return _prepare(
        jobs,
        folder,
        source=source,
        settings=settings,
        licence=licence,
        files=[path for clip in listing.clips for path in (clip.path, clip.song) if path is not None],
        labels=[(c.clip, c.split, c.genre, c.movements, c.start) for c in listing.clips],
        failed=listing.failed,
        notes=listing.notes,
        cut=cut,
        workers=workers,
        ray=ray,
        progress=progress,
    )


def _prepare(
    jobs: list[Job],
    folder: str | os.PathLike,
    *,
    source: str | os.PathLike,
    settings: StoreSettings,
    licence: str,
    files: list[Path],
    labels: Iterable[object] = (),
    failed: dict[str, str] | None = None,
    notes: Iterable[str] = (),
    cut: Callable[[list[Part]], tuple[list[Part], list[str]]] | None = None,
    workers: int | None,
    ray: str | None,
    progress: Progress | None,
) -> Outcome:
    """Do the jobs that are not yet done, and write the store from their parts.

    ``failed`` are clips that are known not to be usable; ``labels`` is what else the result depends on.
    """
    folder, failed = Path(folder), dict(failed or {})
    clips = sum(len(job.clips) for job in jobs)
    fingerprint = _fingerprint(settings, files, labels)
    if is_prepared(folder, fingerprint):
        if _parts_made(folder / "parts") is not None:  # a run that was killed at its very end
            _clear_parts(folder / "parts")
        return Outcome(clips, [], unchanged=True)
    encoder = MUSIC_ENCODERS[settings.music_encoder]
    encoder.check()

    parts_folder = folder / "parts"
    with sole_writer(folder):
        names = [job.part for job in jobs]
        if _parts_made(parts_folder) != (fingerprint, names):
            _clear_parts(parts_folder)
            with atomic_write(parts_folder / MARKER) as temporary:
                temporary.write_text(json.dumps({"fingerprint": fingerprint, "parts": names}))
        waiting = [job for job in jobs if not (parts_folder / f"{job.part}.npz").is_file()]
        done = clips - sum(len(job.clips) for job in waiting)
        few = 1 if encoder.heavy and ray is None else workers
        doing = _Doing(parts_folder, alone=few == 1 and ray is None)
        for job, _, error in work(doing, waiting, workers=few, ray=ray, gpus=encoder.heavy):
            if error is not None and not isinstance(error, InputError):
                raise error
            done += len(job.clips)
            if error is not None:
                failed.update(dict.fromkeys(job.clips, str(error)))
            if progress is not None:
                progress(done, clips, job.clips[0])
        parts = []
        for job in jobs:
            path = parts_folder / f"{job.part}.npz"
            if path.is_file():
                part, unusable = _load_part(path)
                parts.append(part)
                failed.update(unusable)
        read = {record["clip"] for records, *_ in parts for record in records}
        if not any(record["split"] == "train" for records, *_ in parts for record in records):
            reasons = "".join(f"\n  {clip}: {why}" for clip, why in list(failed.items())[:3])
            raise InputError(f"{source}: expected at least one readable training clip, found none{reasons}")
        notes = list(notes)
        if cut is not None:
            parts, found = cut(parts)
            notes += found
        for name in ("motion.npy", "music.npy", "store.json"):
            remove_leftovers(folder / name)
        write_store(
            folder,
            fps=settings.fps,
            layout=LAYOUTS[settings.layout],
            music_encoder=settings.music_encoder,
            fingerprint=fingerprint if not failed else f"{fingerprint}-incomplete",
            licence=licence,
            settings=settings.model_dump(),
            parts=parts,
        )
        _clear_parts(parts_folder)
        return Outcome(len(read), [f"{clip}: {why}" for clip, why in failed.items()], notes=tuple(notes))


@dataclass(frozen=True)
class _Doing:
    """How a worker does jobs: on one thread, unless it is alone."""

    parts_folder: Path
    alone: bool

    def __call__(self) -> Callable[[Job], None]:
        if not self.alone:
            import torch

            torch.set_num_threads(1)
        return partial(_do, parts_folder=self.parts_folder)


MARKER = "longdance.json"
"""File that makes a folder of parts ours, and lists them."""


def _parts_made(folder: Path) -> tuple[str, list[str]] | None:
    """Fingerprint and names of the parts that a run keeps in the folder; None for a folder that no run made."""
    try:
        record = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return record["fingerprint"], record["parts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _clear_parts(folder: Path) -> None:
    """Remove the parts that a run made, and nothing else; ``InputError`` for a folder with files of somebody else."""
    made = _parts_made(folder)
    if made is None:
        if folder.is_dir() and any(not path.name.startswith(f".{Path(MARKER).stem}-") for path in folder.iterdir()):
            raise InputError(
                f"{folder}: expected room for unfinished parts of the store, found files of another kind; move them, "
                "or choose another folder"
            )
        remove_leftovers(folder / MARKER)
        return
    for path in (folder / f"{name}.npz" for name in made[1]):
        if path.parent == folder:  # whatever the list may say
            remove_leftovers(path)
            path.unlink(missing_ok=True)
    remove_leftovers(folder / MARKER)
    (folder / MARKER).unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _do(job: Job, parts_folder: Path) -> None:
    """One job's part into its file."""
    remove_leftovers(parts_folder / f"{job.part}.npz")
    (records, motion, music), failed = job.work(*job.arguments)
    with atomic_write(parts_folder / f"{job.part}.npz") as temporary, open(temporary, "wb") as file:
        np.savez(
            file, records=np.array(json.dumps(records)), failed=np.array(json.dumps(failed)), motion=motion, music=music
        )


def _clips_of_song(
    clips: list[PairedClip], read: Callable[[Path], Motion], settings: PairedSettings, least_frames: int
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
            motion = _on_skeleton(motion.slice(round(clip.start * motion.fps), motion.frames), settings.layout)
            motion = motion.resample(fps)
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


def _aistpp_takes(parts: list[Part], window: int, settings: AISTPPSettings) -> tuple[list[Part], list[str]]:
    """Clips cut into takes of one window each, and the number of takes per genre beside EDMG's table 1."""
    clips = [record for records, *_ in parts for record in records]
    starts = {id(record): aistpp.consecutive_windows(record["frames"], window) for record in clips}
    notes = []
    for code, entry in aistpp.GENRES.items():
        own = [record for record in clips if record["clip"].startswith(code) and not record["mirrored"]]
        if not own:
            continue
        count = sum(len(starts[id(record)]) for record in own)
        if settings.windows == "table1" and count >= TABLE_SHARE * entry.windows:
            # In the order of names: a song's file name must not decide what is kept.
            own.sort(key=lambda record: record["clip"])
            spread = aistpp.spread_windows([record["frames"] for record in own], window, entry.windows)
            chosen = {record["clip"]: begins for record, begins in zip(own, spread, strict=True)}
            for record in clips:
                if record["clip"] in chosen:
                    starts[id(record)] = chosen[record["clip"]]
            count = sum(map(len, spread))
        notes.append(f"{entry.title}: {count} takes (EDMG's table 1: {entry.windows})")
    cut = []
    for records, motion, music in parts:
        takes = [_cut(record, begin, window, settings.fps) for record in records for begin in starts[id(record)]]
        cut.append((takes, motion, music))
    kept = Counter(record["split"] for records, *_ in cut for record in records)
    notes.append("takes: " + ", ".join(f"{count} {split}" for split, count in kept.items()))
    return cut, notes


def _cut(record: dict, begin: int, frames: int, fps: float) -> dict:
    """The record of a stretch of a take."""
    beats = np.array(record["beat_times"]) - begin / fps
    return {
        **record,
        "frames": frames,
        "start": record["start"] + begin,
        "music_start": record["music_start"] + begin,
        "beat_times": tuple(round(float(t), 4) for t in beats[(beats >= 0) & (beats < frames / fps)]),
        "song_start": record.get("song_start", 0.0) + begin / fps,
    }


def _lone_clip(
    clip: PairedClip, read: Callable[[Path], Motion], settings: PrepareSettings
) -> tuple[Part, dict[str, str]]:
    """The takes of a clip that came without music."""
    return _silent(clip.clip, clip.split, clip.genre, clip.movements, read(clip.path), settings), {}


def _open_clip(label: open_data.ClipLabel, settings: PrepareSettings) -> tuple[Part, dict[str, str]]:
    """The takes of a clip of the open data."""
    movements = movements_of_label(label.genre, label.movement)
    return _silent(label.clip, label.split, label.genre, movements, open_data.read_clip(label), settings), {}


def _silent(
    clip: str, split: str, genre: str, movements: tuple[str, ...], source: Motion, settings: PrepareSettings
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
        motion = _on_skeleton(replace(source, fps=source.fps * speed).resample(settings.fps), settings.layout)
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


def _with_standardised_curves(parts: list[Part]) -> tuple[list[Part], list[str]]:
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


def _on_skeleton(motion: Motion, layout_name: str) -> Motion:
    """The motion with the layout's joints; the 22-joint layout drops the hands."""
    skeleton = LAYOUTS[layout_name].skeleton
    return replace(motion, rotations=motion.rotations[:, : len(skeleton)], skeleton=skeleton)


def _fit_length(music: np.ndarray, frames: int) -> np.ndarray:
    """Cut or repeat the last frame: rounding may leave music a frame longer or shorter than the motion."""
    if len(music) >= frames:
        return music[:frames]
    return np.concatenate((music, np.repeat(music[-1:], frames - len(music), axis=0)))


def _load_part(path: Path) -> tuple[Part, dict[str, str]]:
    with np.load(path, allow_pickle=False) as file:
        records = json.loads(str(file["records"]))
        for record in records:
            record["movements"] = tuple(record["movements"])
            record["beat_times"] = tuple(record["beat_times"])
        return (records, file["motion"], file["music"]), json.loads(str(file["failed"]))


def _fingerprint(settings: StoreSettings, files: Iterable[Path], labels: Iterable[object]) -> str:
    digest = hashlib.sha256(f"{VERSION} {settings.model_dump_json()}".encode())
    for path in dict.fromkeys(files):  # a song may have many dances
        digest.update(path.name.encode())
        if not path.is_file():
            digest.update(b"missing")
            continue
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    for label in labels:
        digest.update(repr(label).encode())
    return digest.hexdigest()
