"""Models by name: the shipped ones, and any folder that holds a run or a checkpoint.

What a folder holds decides what is loaded: one checkpoint is a model of one stage, two in ``global`` and ``local`` are
a Lodge, an adapter is the model that it adapts, in few steps.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from longdance.choreography.capabilities import DANCERS
from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.lodge import load as load_lodge
from longdance.diffusion.guidance import Guidance
from longdance.diffusion.sampler import STEP_RULES
from longdance.errors import InputError
from longdance.models.adapter import Adapter, holds_adapter
from longdance.models.checkpoint import Checkpoint, Led
from longdance.models.folders import GLOBAL, LOCAL, WEIGHTS, folder_of, kind_of, parts_of, shipped
from longdance.models.generators import GeneratorCheckpoint, holds_generator
from longdance.models.strengths import Strengths
from longdance.models.trm import Refiner
from longdance.motion.motion import Motion

REFINER = "trm"
"""Folder inside a model's that holds its Temporal Refinement Module."""
GUIDANCE = "guidance"
"""Folder inside a model's that holds the adapter with which one prediction does for its own guidance."""


def load(name: str | os.PathLike = "edmg") -> Dancer:
    """A shipped model by name, or the model in a folder (a training run, a checkpoint, or both stages of a Lodge).

    ``InputError`` for a name or folder that holds none.
    """
    folder, known = folder_of(name), Path(name).name
    if len(parts_of(folder)) > 1:
        return load_lodge(folder, name=known)
    if holds_adapter(folder):
        return _adapted(Adapter.load(folder), folder)
    forward = holds_generator(folder)
    checkpoint = GeneratorCheckpoint.load(folder) if forward else Checkpoint.load(folder)
    kind = kind_of(folder)
    if kind not in DANCERS:
        raise InputError(f"{folder}: expected a model that dances; {ALONE.get(kind, f'a {kind} does not')}")
    if not forward:
        checkpoint = replace(checkpoint, led=_led_by(folder, checkpoint))
    dancer = DANCERS[kind](checkpoint, name=known)
    refiner = None if forward else _refiner_of(folder, checkpoint)
    return dancer if refiner is None else replace(dancer, trm=refiner)


def maker_of(dance: Motion) -> Dancer:
    """The model that made a dance, as its record says; the default model where it says nothing.

    ``InputError`` for a model that is not here.
    """
    name = dance.meta.get("model")
    if name is None:
        return load()
    try:
        return load(str(name))
    except InputError as error:
        raise InputError(f"the dance was made by {name}: {error}; name a model with --model") from error


ALONE = {
    "lodge-global": f"a global stage only makes primitives. Put it in a folder as {GLOBAL}, a local stage beside it as "
    f"{LOCAL}, and load that",
    "bailando-memory": "a choreographic memory only knows poses. Train bailando-gpt-open with initial set to it",
}
"""What to do with networks that are a part of a model."""


def _adapted(adapter: Adapter, folder: Path) -> Dancer:
    """The model that an adapter belongs to, with the adapter in its weights and sampled as that asks for."""
    config = adapter.config
    base = WEIGHTS / config.adapts if config.adapts in shipped() else Path(config.adapts)
    if holds_adapter(base):
        raise InputError(f"{folder}: expected an adapter of a model, got one of another adapter, {config.adapts}")
    model = load(config.adapts)
    if model.kind != config.denoiser or config.sampler not in STEP_RULES:
        raise InputError(
            f"{folder}: expected an adapter of a {config.denoiser} with a known sampler, got one of {config.adapts}"
        )
    own: dict[str, Any] = {"steps": config.steps, "sampler": config.sampler, "guidance": Guidance(**config.guidance)}
    if config.energies is not None:
        own["energy"] = Strengths(**config.energies)
    sampling = replace(model.sampling, **own, guided=False)
    generator = replace(model.generator, checkpoint=adapter.on(model.checkpoint))
    return replace(model, generator=generator, name=folder.name, sampling=sampling)


def _led_by(folder: Path, checkpoint: Checkpoint) -> Led | None:
    """The network with the adapter of the folder ``guidance`` in it; ``InputError`` for one of another network."""
    folder = folder / GUIDANCE
    if not (folder / "config.json").is_file():
        return None
    adapter = Adapter.load(folder)
    try:
        network = adapter.on(checkpoint).network
    except InputError as error:
        raise InputError(f"{folder}: {error}, or remove it") from error
    return Led(Guidance(**adapter.config.guidance), network)


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
