"""Models by name: the shipped ones, and any folder that holds a run or a checkpoint.

What a folder holds decides what is loaded: one checkpoint is a model of one stage, two in ``global`` and ``local`` are
a Lodge, an adapter is the model that it adapts, in few steps.
"""

import os
from dataclasses import replace
from pathlib import Path

from longdance.choreography.autoregressive import Autoregressive, dancer
from longdance.choreography.edge import EDGE
from longdance.choreography.edmg import EDMG
from longdance.choreography.lodge import GLOBAL, LOCAL, Lodge
from longdance.diffusion.guidance import Guidance
from longdance.diffusion.sampler import STEP_RULES
from longdance.errors import InputError
from longdance.models.adapter import Adapter, holds_adapter
from longdance.models.checkpoint import Checkpoint
from longdance.models.generators import GeneratorCheckpoint, holds_generator
from longdance.models.trm import Refiner

DANCERS: dict[str, type[EDMG]] = {"edge": EDGE}
"""Kinds of denoisers that dance otherwise than EDMG's."""
REFINER = "trm"
"""Folder inside a model's that holds its Temporal Refinement Module."""
WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


def shipped() -> tuple[str, ...]:
    """Names of the models whose weights come with the package."""
    return tuple(sorted({folder.name for folder in WEIGHTS.glob("*") if parts_of(folder)}))


def parts_of(folder: Path) -> tuple[Path, ...]:
    """The checkpoints that make the model in a folder: one, or Lodge's two; none for a folder without a model."""
    if (folder / "config.json").is_file():
        return (folder,)
    stages = (folder / GLOBAL, folder / LOCAL)
    return stages if all((stage / "config.json").is_file() for stage in stages) else ()


def folder_of(name: str | os.PathLike) -> Path:
    """Where a model lies, shipped or not; ``InputError`` for a name or folder that holds none."""
    folder = WEIGHTS / str(name) if str(name) in shipped() else Path(name)
    if not parts_of(folder):
        known = " or ".join((*shipped(), "a folder with a trained model"))
        raise InputError(f"{name}: expected {known}")
    return folder


def load(name: str | os.PathLike = "edmg") -> EDMG | Lodge | Autoregressive:
    """A shipped model by name, or the model in a folder (a training run, a checkpoint, or both stages of a Lodge).

    ``InputError`` for a name or folder that holds none.
    """
    folder = folder_of(name)
    if len(parts_of(folder)) > 1:
        return Lodge.load(folder, name=Path(name).name)
    if holds_adapter(folder):
        return _adapted(Adapter.load(folder), folder)
    if holds_generator(folder):
        return dancer(GeneratorCheckpoint.load(folder), name=Path(name).name)
    checkpoint = _usable_alone(Checkpoint.load(folder), folder)
    refiner = _refiner_of(folder, checkpoint)
    return DANCERS.get(checkpoint.config.denoiser, EDMG)(checkpoint, name=Path(name).name, refiner=refiner)


def _adapted(adapter: Adapter, folder: Path) -> EDMG:
    """The model that an adapter belongs to, with the adapter in its weights and sampled as that asks for."""
    config = adapter.config
    base = WEIGHTS / config.adapts if config.adapts in shipped() else Path(config.adapts)
    if holds_adapter(base):
        raise InputError(f"{folder}: expected an adapter of a model, got one of another adapter, {config.adapts}")
    model = load(config.adapts)
    if type(model) is not EDMG or config.sampler not in STEP_RULES:
        raise InputError(f"{folder}: expected an adapter of an EDMG with a known sampler, got one of {config.adapts}")
    return replace(
        model,
        checkpoint=adapter.on(model.checkpoint),
        name=folder.name,
        steps=config.steps,
        sampler=config.sampler,
        learnt_guidance=Guidance(**config.guidance),
    )


def _refiner_of(folder: Path, checkpoint: Checkpoint) -> Refiner | None:
    """The Temporal Refinement Module that lies in a model's folder; ``InputError`` if it cannot serve that model."""
    folder = folder / REFINER
    if not (folder / "config.json").is_file():
        return None
    refiner = Refiner.load(folder)
    config, joints = refiner.config.network, len(checkpoint.layout.skeleton)
    if (config.fps, config.joints) != (checkpoint.config.fps, joints):
        raise InputError(
            f"{folder}: expected a module for {checkpoint.config.fps:g} fps and {joints} joints, as its model has, got "
            f"{config.fps:g} and {config.joints}; train it again, or remove it"
        )
    return refiner


def _usable_alone(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    if checkpoint.config.denoiser == "lodge-global":
        raise InputError(
            f"{folder}: expected a model that dances; a global stage only makes primitives. Put it in a folder as "
            f"{GLOBAL}, a local stage beside it as {LOCAL}, and load that"
        )
    return checkpoint
