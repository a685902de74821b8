"""Trainings in several stages, one after the other, into one model folder."""

import os
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from longdance.data.store import Store
from longdance.train.lodge import LodgeGlobalConfig, LodgeLocalConfig
from longdance.train.loop import Progress, train
from longdance.train.task import TrainingConfig


class Stages(BaseModel, ABC):
    """Trainings that follow each other, every one a field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str

    @abstractmethod
    def in_order(self, run: Path) -> list[tuple[Path, TrainingConfig]]:
        """Every stage and the folder of its run."""


class LodgeStages(Stages):
    """Lodge from nothing: the folder gets ``global`` and ``local``, and ``local-first``, from which ``local`` began."""

    global_stage: LodgeGlobalConfig
    local_stage: LodgeLocalConfig
    finetuning: LodgeLocalConfig

    def in_order(self, run: Path) -> list[tuple[Path, TrainingConfig]]:
        """Every stage and the folder of its run."""
        first = run / "local-first"
        return [
            (run / "global", self.global_stage),
            (first, self.local_stage),
            (run / "local", self.finetuning.model_copy(update={"initial": str(first)})),
        ]


def train_recipe(
    config: TrainingConfig | Stages,
    store: Store,
    run: str | os.PathLike,
    *,
    resume: bool = False,
    devices: int | None = None,
    nodes: int = 1,
    accumulate: int = 1,
    progress: Progress | None = None,
) -> Path:
    """``train``, for recipes of one stage and of several; with ``resume`` finished stages are passed over."""
    begin = partial(train, resume=resume, devices=devices, nodes=nodes, accumulate=accumulate)
    if isinstance(config, TrainingConfig):
        return begin(config, store, run, progress=progress)
    for folder, stage in config.in_order(Path(run)):

        def named(done: int, total: int, what: str, stage=stage) -> None:
            if progress is not None:
                progress(done, total, f"{stage.recipe}: {what}")

        begin(stage, store, folder, progress=named)
    return Path(run)
