"""The training loop, readable from top to bottom; it serves every kind of training.

Three parts, so that a new kind of training needs no loop of its own:

- `task` says what the loop must be told: a `TrainingConfig` makes a `Task` from a store, and the task has the networks
  with their optimisers, draws batches, computes losses and turns the kept network into a checkpoint;
- one module per kind of training holds its configuration and its task (`edmg`, `lodge`, ...);
- `recipes` names complete configurations.

The loop owns what all kinds share: precision, learning rate, clipping, the running average, validation, logging, and
state from which a run goes on. A task with several networks (a denoiser and its discriminator) has each updated once
per step, each with its own optimiser.

Batches, noise, diffusion steps and dropout are functions of the seed, the step number and the number of the batch
within the step, so a run that is killed and resumed ends with the same weights, to the last bit, as one that was not.
Several processes share the batches of a step among them: two processes with one batch each do what one process does
that accumulates the gradients of two, up to the rounding of sums. Only the first process writes.
"""

import json
import logging
import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from longdance.choreography.devices import device_of
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.files import atomic_write, remove_leftovers
from longdance.models.precision import multiplies_bf16
from longdance.progress import Progress
from longdance.train.journal import Journal, mean_of
from longdance.train.task import KEPT, Batch, Task, TrainingConfig

if TYPE_CHECKING:
    from lightning.fabric import Fabric



log = logging.getLogger(__name__)
BATCHES_PER_STEP = "batches_per_step"
STORE = "store"

FULL_PRECISION = "32-true"

FREE_TO_CHANGE = {"steps", "validate_every", "checkpoint_every", "initial", "samples"}
"""Settings that may differ when a run goes on: how long and how often, and where things lie that were read already."""


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
    devices: int | None = None,
    nodes: int = 1,
    accumulate: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Train the recipe on a store into the folder ``run``, a checkpoint that can be loaded at any time.

    With ``resume`` a run that was cut short goes on from its last checkpoint. ``progress(step, steps, what)`` may
    raise to stop; what has been trained so far is kept.

    ``devices`` processes on each of ``nodes`` machines share the work, one per GPU where there are GPUs: all of this
    machine's GPUs, or one process without, if not given. Under ``torchrun`` its processes are used, and both are to be
    left out. Each process averages the gradients of ``accumulate`` batches per step, so a step sees processes times
    ``accumulate`` batches. ``InputError`` if the run was begun with other settings.
    """
    if accumulate < 1:
        raise InputError(f"expected at least one batch per step to accumulate, got {accumulate}")
    run = Path(run)
    last = run / "last"
    begun = (last / "state.json").is_file()
    if begun and not resume:
        raise InputError(f"{run}: already holds a run; add --resume to go on with it, or choose another folder")

    fabric = fabric_for(config, devices=devices, nodes=nodes)
    fabric.launch()
    settings = settings_of(config, store, batches=fabric.world_size * accumulate)
    if begun:
        check_unchanged(run, last / "state.json", settings)
    fabric.seed_everything(config.seed, verbose=False)
    with fabric.rank_zero_first():  # what a task makes for itself is made once
        task = config.task(store)
    average = AveragedModel(task.networks[KEPT], multi_avg_fn=running_average(config.ema))
    learners = {name: learner_of(name, task, fabric) for name in task.networks}
    average = average.to(fabric.device)
    try:
        begin = load_state(last, learners, average) if begun else 0
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{run}: its state cannot be read ({error}); begin again in another folder") from error
    if fabric.is_global_zero:
        for path in (last / "state.safetensors", last / "state.json", run / "model.safetensors", run / "config.json"):
            remove_leftovers(path)
    held_out = list(enumerate(task.validation()))[fabric.global_rank :: fabric.world_size]
    held_out = [(number, batch.to(fabric.device)) for number, batch in held_out]
    fabric.barrier()

    journal = Journal(run, begin=begin, steps=config.steps) if fabric.is_global_zero else None
    for step in range(begin, config.steps):
        losses = backward(task, learners, fabric, step, seed=config.seed, accumulate=accumulate)
        norms = {name: update(each, fabric, step, config) for name, each in learners.items()}
        average.update_parameters(learners[KEPT].bare)

        done = step + 1
        if journal is not None:
            journal.step(done, losses, norms)
        if done % config.validate_every == 0 or done == config.steps:
            networks = {name: each.bare for name, each in learners.items()} | {KEPT: average.module}
            values = mean_of(gathered(validate(task, networks, held_out, fabric.autocast), fabric))
            if journal is not None:
                journal.validated(done, values)
        if fabric.is_global_zero and (done % config.checkpoint_every == 0 or done == config.steps):
            # The state last: a run that is killed in between does these steps again, and writes both.
            task.as_checkpoint(average.module, done).save(run)
            save_state(last, learners, average, settings, done)
        if progress is not None and fabric.is_global_zero:
            progress(done, config.steps, f"loss {losses[KEPT]['total'].item():.3f}")
    if journal is not None:
        journal.close()
    fabric.barrier()  # nobody may read the checkpoint before it is written
    return run


def learner_of(name: str, task: Task, fabric: "Fabric") -> Learner:
    """A network of a task with its optimiser, wrapped for the device."""
    bare = task.networks[name]
    network, optimiser = fabric.setup(bare, task.optimiser(name, bare.parameters()))
    return Learner(bare, network, optimiser, optimiser.param_groups[0]["lr"])


def update(learner: Learner, fabric: "Fabric", step: int, config: TrainingConfig) -> Tensor:
    """One step of a network's optimiser; the norm of its gradient before clipping."""
    for group in learner.optimiser.param_groups:
        group["lr"] = learner.learning_rate * learning_rate_factor(step, config)
    limit = math.inf if config.gradient_clip is None else config.gradient_clip
    norm = fabric.clip_gradients(learner.network, learner.optimiser, max_norm=limit)
    learner.optimiser.step()
    learner.optimiser.zero_grad(set_to_none=True)
    return norm


def backward(
    task: Task, learners: dict[str, Learner], fabric: "Fabric", step: int, *, seed: int, accumulate: int
) -> dict[str, dict[str, Tensor]]:
    """Gradients of this process's batches of a step, averaged over them, and the losses of each network likewise."""
    losses: dict[str, dict[str, Tensor]] = {}
    for turn in range(accumulate):
        number = fabric.global_rank * accumulate + turn
        own = _seed_of(seed, step, number)
        generator = torch.Generator().manual_seed(own)
        torch.manual_seed(own)  # dropout has no generator of its own
        batch = task.draw(step, rank=number).to(fabric.device)
        with ExitStack() as stack:
            for each in learners.values():
                stack.enter_context(fabric.no_backward_sync(each.network, enabled=turn + 1 < accumulate))
            networks = {name: each.network for name, each in learners.items()}
            for name, terms in task.losses(networks, batch, generator, fabric.autocast).items():
                fabric.backward(terms["total"] / accumulate)
                for term, value in terms.items():
                    earlier = losses.setdefault(name, {}).get(term, 0.0)
                    losses[name][term] = earlier + value.detach() / accumulate
    return losses


def fabric_for(config: TrainingConfig, *, devices: int | None, nodes: int) -> "Fabric":
    """What places networks on devices and processes, as told or as ``torchrun`` has it; not yet launched."""
    from lightning.fabric import Fabric
    from lightning.fabric.strategies.ddp import DDPStrategy

    if torch.distributed.is_available() and torch.distributed.is_torchelastic_launched():
        if devices is not None or nodes != 1:
            raise InputError("expected processes to be counted once; leave out --devices and --nodes under torchrun")
        processes, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        if processes % here:
            raise InputError(f"expected as many processes on every node, got {here} of {processes} here")
        devices, nodes = here, processes // here
    several = nodes > 1 or (devices or 1) > 1
    strategy = DDPStrategy() if several else "auto"
    precision = config.precision
    if precision != FULL_PRECISION and not multiplies_bf16(device_of("auto")):
        log.info("This processor has no bf16 products: training computes in float32")
        precision = FULL_PRECISION
    return Fabric(
        precision=precision, accelerator="auto", devices=devices or "auto", num_nodes=nodes, strategy=strategy
    )


def is_first_process() -> bool:
    """Whether this is the process that reports: the only one, or the first of those that a launcher started."""
    for name in ("RANK", "SLURM_PROCID"):
        if name in os.environ:
            return os.environ[name] == "0"
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


def settings_of(config: TrainingConfig, store: Store, *, batches: int) -> dict[str, Any]:
    """All that the result of a run depends on, as JSON holds it."""
    record = config.model_dump() | {BATCHES_PER_STEP: batches, STORE: store.fingerprint}
    return json.loads(json.dumps(record))


def check_unchanged(run: Path, state: Path, settings: dict[str, Any]) -> None:
    """``InputError`` if a run was begun with other settings than those it is to go on with, naming all of them."""
    try:
        before = flat_fields(json.loads(state.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(f"{state}: expected the settings of the run ({error}); begin again elsewhere") from error
    before = {BATCHES_PER_STEP: 1} | before
    now = flat_fields(settings)
    # What only one of the two knows came or went with a version of this program.
    changed = [
        f"{name} was {json.dumps(before[name])}, is {json.dumps(now[name])}"
        for name in now
        if name in before and name not in FREE_TO_CHANGE and before[name] != now[name]
    ]
    if changed:
        raise InputError(
            f"{run}: its run does not fit these settings: {'; '.join(changed)}. Go on with those it was begun with, "
            "or choose another folder"
        )


def flat_fields(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by names such as ``network.width``."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        found |= flat_fields(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


@torch.no_grad()
def validate(
    task: Task,
    networks: dict[str, nn.Module],
    batches: Sequence[tuple[int, Batch]],
    autocast: Callable[[], AbstractContextManager],
) -> dict[int, dict[str, float]]:
    """Losses of the kept network for each numbered batch, with the same noise and steps every time."""
    was_training = {name: network.training for name, network in networks.items()}
    for network in networks.values():
        network.eval()
    found = {}
    for number, batch in batches:
        generator = torch.Generator().manual_seed(number)
        terms = task.losses(networks, batch, generator, autocast)[KEPT]
        found[number] = {name: value.item() for name, value in terms.items()}
    for name, network in networks.items():
        network.train(was_training[name])
    return found


def gathered(values: dict[int, dict[str, float]], fabric: "Fabric") -> list[dict[str, float]]:
    """The losses of all processes' batches, in the order of their numbers."""
    parts: list[Any] = [values]
    if fabric.world_size > 1:
        parts = [None] * fabric.world_size
        torch.distributed.all_gather_object(parts, values)
    together = {number: losses for part in parts for number, losses in part.items()}
    return [together[number] for number in sorted(together)]


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
        for mean, value in zip(averaged, current, strict=True):
            mean.lerp_(value, 1 - now)

    return update


def save_state(
    folder: Path, learners: dict[str, Learner], average: AveragedModel, settings: dict[str, Any], step: int
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
        temporary.write_text(json.dumps(settings, indent=2))


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


def _seed_of(seed: int, step: int, number: int) -> int:
    return (seed * 1_000_003 + step * 1_009 + number) % (2**63 - 1)
