"""The training loop, readable from top to bottom; it serves every kind of training.

Three parts, so that a new kind of training needs no loop of its own:

- `task` says what the loop must be told: a `TrainingConfig` makes a `Task` from a store, and the task has the networks
  with their optimisers, draws batches, computes losses and turns the kept network into a checkpoint;
- one module per kind of training holds its configuration and its task (`edmg`, `lodge`, ...);
- `recipes` names complete configurations.

The loop owns what all kinds share: precision, learning rate, clipping, the running average, validation, logging, and
state from which a run goes on. A task with several networks (a denoiser and its discriminator) has each updated once
per step, each with its own optimiser.

Batches, noise, diffusion steps and dropout are functions of the seed and the step number, so a run that is killed and
resumed ends with the same weights, to the last bit, as one that was not.
"""

import json
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from longdance.data.store import Store
from longdance.errors import InputError
from longdance.files import atomic_write
from longdance.train.task import KEPT, Batch, Task, TrainingConfig

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Learner:
    """A network in training and its optimiser, bare (for state and averages) and as wrapped for the device."""

    bare: nn.Module
    network: nn.Module
    optimiser: torch.optim.Optimizer
    learning_rate: float


def train(
    config: TrainingConfig,
    store: Store,
    run: str | os.PathLike,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train the recipe on a store into the folder ``run``, a checkpoint that can be loaded at any time.

    With ``resume`` a run that was cut short goes on from its last checkpoint. ``progress(step, steps, what)`` may
    raise to stop; what has been trained so far is kept.
    """
    from lightning.fabric import Fabric

    run = Path(run)
    last = run / "last"
    resuming = resume and (last / "state.json").is_file()
    if not resume and (last / "state.json").is_file():
        raise InputError(f"{run}: already holds a run; add --resume to go on with it, or choose another folder")

    fabric = Fabric(precision=config.precision, accelerator="auto", devices="auto")
    fabric.launch()
    fabric.seed_everything(config.seed, verbose=False)
    task = config.task(store)
    average = AveragedModel(task.networks[KEPT], multi_avg_fn=running_average(config.ema))
    learners = {}
    for name, bare in task.networks.items():
        network, optimiser = fabric.setup(bare, task.optimiser(name, bare.parameters()))
        learners[name] = Learner(bare, network, optimiser, optimiser.param_groups[0]["lr"])
    average = average.to(fabric.device)
    try:
        begin = load_state(last, learners, average) if resuming else 0
    except (KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{run}: its run does not fit these settings; try those of {last / 'state.json'}") from error
    held_out = [batch.to(fabric.device) for batch in task.validation()]

    writer = _summary_writer(run) if fabric.is_global_zero else None
    clock = time.perf_counter()
    for step in range(begin, config.steps):
        seed = _seed_of(config.seed, step, fabric.global_rank)
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout has no generator of its own
        batch = task.draw(step, rank=fabric.global_rank).to(fabric.device)
        losses = task.losses({name: each.network for name, each in learners.items()}, batch, generator, fabric.autocast)
        norms = {}
        for name, each in learners.items():
            for group in each.optimiser.param_groups:
                group["lr"] = each.learning_rate * learning_rate_factor(step, config)
            fabric.backward(losses[name]["total"])
            norms[name] = fabric.clip_gradients(each.network, each.optimiser, max_norm=config.gradient_clip)
            each.optimiser.step()
            each.optimiser.zero_grad(set_to_none=True)
        average.update_parameters(learners[KEPT].bare)

        done = step + 1
        if writer is not None and done % 10 == 0:
            for name, terms in losses.items():
                prefix = "train" if name == KEPT else f"train/{name}"
                for term, value in terms.items():
                    writer.add_scalar(f"{prefix}/{term}", value.item(), done)
                writer.add_scalar(f"{prefix}/gradient_norm", float(norms[name]), done)
            writer.add_scalar("train/steps_per_second", 10 / (time.perf_counter() - clock), done)
            clock = time.perf_counter()
        if held_out and (done % config.validate_every == 0 or done == config.steps):
            networks = {name: each.bare for name, each in learners.items()} | {KEPT: average.module}
            values = validate(task, networks, held_out, fabric.autocast)
            log.info("step %d: validation %s", done, {k: round(v, 4) for k, v in values.items()})
            if writer is not None:
                for name, value in values.items():
                    writer.add_scalar(f"val/{name}", value, done)
        if fabric.is_global_zero and (done % config.checkpoint_every == 0 or done == config.steps):
            save_state(last, learners, average, config, done)
            task.as_checkpoint(average.module, done).save(run)
        if progress is not None:
            progress(done, config.steps, f"loss {losses[KEPT]['total'].item():.3f}")
    if writer is not None:
        writer.close()
    return run


@torch.no_grad()
def validate(
    task: Task,
    networks: dict[str, nn.Module],
    batches: Sequence[Batch],
    autocast: Callable[[], AbstractContextManager],
) -> dict[str, float]:
    """Mean losses of the kept network over the batches, with the same noise and steps every time."""
    was_training = {name: network.training for name, network in networks.items()}
    for network in networks.values():
        network.eval()
    generator = torch.Generator().manual_seed(0)
    sums: dict[str, float] = {}
    for batch in batches:
        for name, value in task.losses(networks, batch, generator, autocast)[KEPT].items():
            sums[name] = sums.get(name, 0.0) + value.item() / len(batches)
    for name, network in networks.items():
        network.train(was_training[name])
    return sums


def learning_rate_factor(step: int, config: TrainingConfig) -> float:
    """Linear rise over ``warmup`` steps, then constant, then a linear fall over the last ``cooldown`` share."""
    rise = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    falling = math.ceil(config.steps * config.cooldown)
    fall = min(1.0, (config.steps - step) / falling) if falling else 1.0
    return rise * fall


def running_average(decay: float) -> Callable:
    """Update rule of an exponential average that forgets faster at first, so that the random start fades early."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        now = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(averaged, current, 1 - now)

    return update


def save_state(
    folder: Path, learners: dict[str, Learner], average: AveragedModel, config: TrainingConfig, step: int
) -> None:
    """Everything needed to go on; one file, so that a kill in between cannot leave halves of two steps."""
    tensors = {f"average.{k}": v for k, v in average.state_dict().items()}
    for name, learner in learners.items():
        tensors |= {f"{name}.{k}": v for k, v in learner.bare.state_dict().items()}
        for index, state in learner.optimiser.state_dict()["state"].items():
            tensors |= {f"{_optimiser_name(name)}.{index}.{k}": v for k, v in state.items()}
    tensors["step"] = torch.tensor(step)
    with atomic_write(folder / "state.safetensors") as temporary:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, temporary)
    with atomic_write(folder / "state.json") as temporary:
        temporary.write_text(json.dumps(config.model_dump(), indent=2))


def load_state(folder: Path, learners: dict[str, Learner], average: AveragedModel) -> int:
    """Restore what ``save_state`` wrote; returns the step to go on with."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load_file(folder / "state.safetensors").items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    average.load_state_dict(parts["average"])
    for name, learner in learners.items():
        learner.bare.load_state_dict(parts[name])
        record = learner.optimiser.state_dict()
        record["state"] = {}
        for key, tensor in parts[_optimiser_name(name)].items():
            index, _, field = key.partition(".")
            record["state"].setdefault(int(index), {})[field] = tensor
        learner.optimiser.load_state_dict(record)
    return int(parts["step"][""])


def _optimiser_name(network: str) -> str:
    return "optimiser" if network == KEPT else f"{network}-optimiser"


def _summary_writer(run: Path):
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run / "tensorboard"))


def _seed_of(seed: int, step: int, rank: int) -> int:
    return (seed * 1_000_003 + step * 1_009 + rank) % (2**63 - 1)
