"""The training loop, readable from top to bottom.

Batches, noise and diffusion steps are functions of the seed and the step number, so a run that is killed and resumed
ends with the same weights, to the last bit, as one that was not.
"""

import json
import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from longdance.data.store import Store
from longdance.diffusion.losses import edmg_losses
from longdance.diffusion.noise import NoiseSchedule
from longdance.errors import InputError
from longdance.features.music import MUSIC_CHANNELS
from longdance.models.checkpoint import Checkpoint, CheckpointConfig
from longdance.models.pmd import ParallelMambaDenoiser
from longdance.motion.motion import atomic_write
from longdance.train.batches import Batch, BatchSource
from longdance.train.recipes import TrainConfig

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]


def train(
    config: TrainConfig,
    store: Store,
    run: str | os.PathLike,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train the recipe on a store into the folder ``run``, which ``longdance.load`` can then open.

    With ``resume`` a run that was cut short goes on from its last checkpoint. ``progress(step, steps, what)`` may
    raise to stop; what has been trained so far is kept.
    """
    from lightning.fabric import Fabric

    run = Path(run)
    check_fits(config, store)
    last = run / "last"
    resuming = resume and (last / "state.json").is_file()
    if not resume and (last / "state.json").is_file():
        raise InputError(f"{run}: already holds a run; add --resume to go on with it, or choose another folder")

    fabric = Fabric(precision=config.precision, accelerator="auto", devices="auto")
    fabric.launch()
    fabric.seed_everything(config.seed, verbose=False)
    bare = ParallelMambaDenoiser(config.network)
    average = AveragedModel(bare, multi_avg_fn=running_average(config.ema))
    optimiser = torch.optim.Adam(bare.parameters(), lr=config.learning_rate)
    network, optimiser = fabric.setup(bare, optimiser)
    average = average.to(fabric.device)
    begin = load_state(last, bare, average, optimiser) if resuming else 0

    schedule = NoiseSchedule.cosine(config.diffusion_steps)
    normaliser = store.normaliser.to(fabric.device)
    sources = {
        split: BatchSource(store, config.batch, split=split, text_encoder=config.text_encoder, seed=config.seed)
        for split in ("train", "val")
        if store.select(split)
    }

    def losses_of(model: torch.nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        batch = batch.to(fabric.device)
        step = torch.randint(schedule.steps, (len(batch.motion),), generator=generator)
        noise = torch.randn(batch.motion.shape, generator=generator)
        noisy = schedule.add_noise(batch.motion, step.to(fabric.device), noise.to(fabric.device))
        with fabric.autocast():
            predicted = model(noisy, step.to(fabric.device), batch.conditions)
        return edmg_losses(
            predicted,
            batch.motion,
            batch.valid,
            layout=store.layout,
            normaliser=normaliser,
            fps=store.fps,
            weights=config.losses,
            importance=schedule.importance(step, cap=config.importance_cap).to(fabric.device),
        )

    def checkpoint(step: int) -> None:
        if fabric.is_global_zero:
            save_state(last, bare, average, optimiser, config, step)
            as_checkpoint(config, store, average.module, step).save(run)

    writer = _summary_writer(run) if fabric.is_global_zero else None
    clock = time.perf_counter()
    for step in range(begin, config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(step, config)
        generator = torch.Generator().manual_seed(_seed_of(config.seed, step, fabric.global_rank))
        losses = losses_of(network, sources["train"].draw(step, rank=fabric.global_rank), generator)
        fabric.backward(losses["total"])
        norm = fabric.clip_gradients(network, optimiser, max_norm=config.gradient_clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update_parameters(bare)

        done = step + 1
        if writer is not None and done % 10 == 0:
            for name, value in losses.items():
                writer.add_scalar(f"train/{name}", value.item(), done)
            writer.add_scalar("train/gradient_norm", float(norm), done)
            writer.add_scalar("train/steps_per_second", 10 / (time.perf_counter() - clock), done)
            clock = time.perf_counter()
        if "val" in sources and (done % config.validate_every == 0 or done == config.steps):
            values = validate(average.module, sources["val"], losses_of)
            log.info("step %d: validation %s", done, {k: round(v, 4) for k, v in values.items()})
            if writer is not None:
                for name, value in values.items():
                    writer.add_scalar(f"val/{name}", value, done)
        if done % config.checkpoint_every == 0 or done == config.steps:
            checkpoint(done)
        if progress is not None:
            progress(done, config.steps, f"loss {losses['total'].item():.3f}")
    if writer is not None:
        writer.close()
    return run


@torch.no_grad()
def validate(model: torch.nn.Module, source: BatchSource, losses_of: Callable) -> dict[str, float]:
    """Mean losses over all validation windows, with the same noise and steps every time."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    batches = source.fixed()
    sums: dict[str, float] = {}
    for batch in batches:
        for name, value in losses_of(model, batch, generator).items():
            sums[name] = sums.get(name, 0.0) + value.item() / len(batches)
    model.train()
    return sums


def check_fits(config: TrainConfig, store: Store) -> None:
    """``InputError`` where recipe and store do not belong together, naming the field and the remedy."""
    network = config.network
    for name, expected, got in (
        ("fps", network.fps, store.fps),
        ("motion features", network.features, store.layout.width),
        ("music encoder", config.music_encoder, store.music_encoder),
    ):
        if expected != got:
            raise InputError(
                f"{store.folder}: the recipe {config.recipe} expects {name} {expected}, the store has {got}; "
                "prepare the data with matching settings"
            )
    if network.precondition and network.diffusion_steps != config.diffusion_steps:
        raise InputError(
            f"expected network.diffusion_steps and diffusion_steps to agree, got {network.diffusion_steps} and "
            f"{config.diffusion_steps}; set both"
        )
    if network.music_channels != MUSIC_CHANNELS[config.music_encoder]:
        raise InputError(
            f"expected network.music_channels={MUSIC_CHANNELS[config.music_encoder]} for {config.music_encoder}, "
            f"got {network.music_channels}"
        )


def learning_rate_factor(step: int, config: TrainConfig) -> float:
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


def as_checkpoint(config: TrainConfig, store: Store, network: torch.nn.Module, step: int) -> Checkpoint:
    """What a user needs of the run: the averaged network and the statistics of its data."""
    mean, scale = store.music_statistics
    genres = {take.genre for take in store.select("train")} - {"none"}
    return Checkpoint(
        CheckpointConfig(
            denoiser="pmd",
            network=config.network.model_dump(),
            layout=store.layout.name,
            fps=store.fps,
            window=config.batch.window,
            diffusion_steps=config.diffusion_steps,
            music_encoder=config.music_encoder,
            text_encoder=config.text_encoder,
            genres=tuple(sorted(genres)),
            recipe=config.recipe,
            trained_steps=step,
            licence=store.licence,
        ),
        network,
        store.normaliser,
        torch.from_numpy(mean),
        torch.from_numpy(scale),
    )


def save_state(folder: Path, network, average, optimiser, config: TrainConfig, step: int) -> None:
    """Everything needed to go on; one file, so that a kill in between cannot leave halves of two steps."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in state.items()}
    tensors["step"] = torch.tensor(step)
    with atomic_write(folder / "state.safetensors") as temporary:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, temporary)
    with atomic_write(folder / "state.json") as temporary:
        temporary.write_text(json.dumps(config.model_dump(), indent=2))


def load_state(folder: Path, network, average, optimiser) -> int:
    """Restore what ``save_state`` wrote; returns the step to go on with."""
    tensors = load_file(folder / "state.safetensors")
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimiser": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        if part in parts:
            parts[part][rest] = tensor
    network.load_state_dict(parts["network"])
    average.load_state_dict(parts["average"])
    record = optimiser.state_dict()
    record["state"] = {}
    for name, tensor in parts["optimiser"].items():
        index, _, key = name.partition(".")
        record["state"].setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict(record)
    return int(tensors["step"])


def _summary_writer(run: Path):
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run / "tensorboard"))


def _seed_of(seed: int, step: int, rank: int) -> int:
    return (seed * 1_000_003 + step * 1_009 + rank) % (2**63 - 1)
