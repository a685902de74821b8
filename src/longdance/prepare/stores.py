"""What all data sets share: settings of a store, and jobs done by several processes into one, resumably."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

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


class Job(NamedTuple):
    """Work for one process: some clips into one file."""

    part: str
    """Name of the file."""
    clips: tuple[str, ...]
    work: Callable[..., tuple[Part, dict[str, str]]]
    """Gives the part, and for clips that cannot be used the reasons."""
    arguments: tuple


class Plan(NamedTuple):
    """What there is to do for a store."""

    jobs: list[Job]
    licence: str
    files: list[Path]
    """All that is read."""
    labels: Iterable[object] = ()
    """What else the result depends on."""
    failed: Mapping[str, str] = MappingProxyType({})
    """Clips that are known not to be usable, and why."""
    notes: Iterable[str] = ()
    cut: Callable[[list[Part]], tuple[list[Part], list[str]]] | None = None
    """What is done to the parts together in the end, with notes on it."""


@dataclass(frozen=True)
class Dataset:
    """A data set that ``longdance prepare`` knows."""

    settings: type[StoreSettings]
    plan: Callable[[Path, Any], Plan]
    """Of its folder and settings of that type."""

    def prepare(
        self,
        source: str | os.PathLike,
        folder: str | os.PathLike,
        *,
        settings: StoreSettings | None = None,
        workers: int | None = None,
        ray: str | None = None,
        progress: Progress | None = None,
    ) -> Outcome:
        """Read the data set in ``source`` into a store.

        Nothing is done if the store was made from the same files with the same settings. A run that was cut short goes
        on where it stopped. Broken clips are left out and named. ``workers`` processes share the work (None: one per
        core), or actors on the Ray whose address ``ray`` is (see ``longdance.workers``).
        """
        settings = settings or self.settings()
        _check(settings)
        plan = self.plan(Path(source), settings)
        return _prepare(plan, Path(folder), Path(source), settings, workers=workers, ray=ray, progress=progress)


def _check(settings: StoreSettings) -> None:
    """``InputError`` for a layout or a music encoder that is none."""
    if settings.layout not in LAYOUTS:
        raise InputError(f"expected a layout among {', '.join(LAYOUTS)}, got {settings.layout!r}")
    if settings.music_encoder not in MUSIC_ENCODERS:
        raise InputError(
            f"expected a music encoder among {', '.join(MUSIC_ENCODERS)}, got {settings.music_encoder!r}"
        )


def _prepare(
    plan: Plan,
    folder: Path,
    source: Path,
    settings: StoreSettings,
    *,
    workers: int | None,
    ray: str | None,
    progress: Progress | None,
) -> Outcome:
    """Do the jobs that are not yet done, and write the store from their parts."""
    jobs, failed = plan.jobs, dict(plan.failed)
    clips = sum(len(job.clips) for job in jobs)
    fingerprint = fingerprint_of(settings, plan.files, plan.labels)
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
        notes = list(plan.notes)
        if plan.cut is not None:
            parts, found = plan.cut(parts)
            notes += found
        for name in ("motion.npy", "music.npy", "store.json"):
            remove_leftovers(folder / name)
        write_store(
            folder,
            fps=settings.fps,
            layout=LAYOUTS[settings.layout],
            music_encoder=settings.music_encoder,
            fingerprint=fingerprint if not failed else f"{fingerprint}-incomplete",
            licence=plan.licence,
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
