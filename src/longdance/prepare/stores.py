"""What all data sets share: settings of a store, and jobs done by several processes into one, resumably."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from longdance.data.store import is_prepared, write_store
from longdance.errors import InputError
from longdance.features.music import MUSIC_ENCODERS, PLAN
from longdance.files import remove_leftovers
from longdance.motion.layout import LAYOUTS
from longdance.prepare.parts import Part, begin_parts, clear_parts, fingerprint_of, load_part, parts_made, save_part
from longdance.progress import Progress
from longdance.workers import sole_writer, work


class StoreSettings(BaseModel):
    """What every store holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: Annotated[float, Field(gt=0, le=240)] = 30.0
    """Frames per second of motion and music features."""
    layout: str = "floor24"
    music_encoder: str = PLAN


class Outcome(NamedTuple):
    """What preparing did: how many clips were read, which were not and why, or that nothing was to do."""

    clips: int
    failed: list[str]
    unchanged: bool = False
    notes: tuple[str, ...] = ()
    """What else is worth knowing."""


class Dataset(NamedTuple):
    """A data set that ``longdance prepare`` knows."""

    settings: type[StoreSettings]
    prepare: Callable[..., Outcome]


class Job(NamedTuple):
    """Work for one process: some clips into one file."""

    part: str
    """Name of the file."""
    clips: tuple[str, ...]
    work: Callable[..., tuple[Part, dict[str, str]]]
    """Gives the part, and for clips that cannot be used the reasons."""
    arguments: tuple


def check(settings: StoreSettings) -> None:
    """``InputError`` for a layout or a music encoder that is none."""
    if settings.layout not in LAYOUTS:
        raise InputError(f"expected a layout among {', '.join(LAYOUTS)}, got {settings.layout!r}")
    if settings.music_encoder not in MUSIC_ENCODERS:
        raise InputError(
            f"expected a music encoder among {', '.join(MUSIC_ENCODERS)}, got {settings.music_encoder!r}"
        )


def prepare_jobs(
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
    fingerprint = fingerprint_of(settings, files, labels)
    if is_prepared(folder, fingerprint):
        if parts_made(folder / "parts") is not None:  # a run that was killed at its very end
            clear_parts(folder / "parts")
        return Outcome(clips, [], unchanged=True)
    encoder = MUSIC_ENCODERS[settings.music_encoder]
    encoder.check()

    parts_folder = folder / "parts"
    with sole_writer(folder):
        begin_parts(parts_folder, fingerprint, [job.part for job in jobs])
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
                part, unusable = load_part(path)
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
        clear_parts(parts_folder)
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


def _do(job: Job, parts_folder: Path) -> None:
    """One job's part into its file."""
    save_part(parts_folder / f"{job.part}.npz", *job.work(*job.arguments))
