"""Training of EDMG's Temporal Refinement Module on what a Parallel Mamba Denoiser makes of known dances.

The module needs pairs: a motion as the denoiser leaves it, and the same motion as it should be. A dance made from noise
has no such twin. Therefore windows of the data are noised up to a low diffusion step and denoised from there with their
own music and words by the sampler's own last steps: the result is the same dance with the denoiser's own jitter. The
jitter comes from those last steps alone: measured with the open weights, it is as strong from 5 % of the noise schedule
as from 50 %, and as from pure noise, with guidance and without. Higher steps only lose the pose, and a module trained
on poses that cannot be known learns to hold back.

Samples are made once per denoiser and kept in a folder.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from longdance.choreography.long.stretches import Predictor
from longdance.data.store import Store
from longdance.diffusion.guidance import guided
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.refinement_losses import RefinementLossWeights, refinement_losses
from longdance.diffusion.sampler import STEP_RULES
from longdance.errors import InputError
from longdance.files import atomic_write
from longdance.models.checkpoint import Checkpoint
from longdance.models.trm import Refiner, RefinerConfig, TemporalRefinementModule, TRMConfig
from longdance.motion.rotations import matrix_from_axis_angle
from longdance.progress import Progress
from longdance.train.batches import Batch as DenoiserBatch
from longdance.train.batches import BatchConfig, BatchSource, Statistics
from longdance.train.task import KEPT, Losses, Task, TrainingConfig

REGISTER = {
    "recipe": (
        "edmg_trm_open", "edmg_trm_aistpp",
    ),
}  # fmt: skip



class SampleSettings(BaseModel):
    """How a denoiser's samples are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: PositiveInt = 768
    """Windows of the training split; of the validation split a sixteenth of them, at most all."""
    lowest_level: float = Field(default=0.05, ge=0, le=1)
    highest_level: float = Field(default=0.15, ge=0, le=1)
    """Fractions of the noise schedule between which windows are noised."""
    sampler_steps: PositiveInt = 20
    """Steps of a whole sampling, whose last ones are used, as in ordinary use."""
    steps: PositiveInt = 4
    """Steps from the noised window to the sample, at most."""
    sampler: Literal["dpm2m", "ddim", "ddpm"] = "dpm2m"
    music_guidance: float = 1.0
    text_guidance: float = 1.0
    rows: PositiveInt = 16
    """Windows denoised at a time."""
    seed: NonNegativeInt = 0


class Pairs(NamedTuple):
    """Joint positions (windows, frames, joints, 3) in metres, as the denoiser left them and as they should be."""

    predicted: np.ndarray
    target: np.ndarray
    valid: np.ndarray
    """(windows, frames) False on frames that only pad a short take."""


def make_samples(
    checkpoint: Checkpoint,
    store: Store,
    folder: str | os.PathLike,
    *,
    settings: SampleSettings,
    progress: Progress | None = None,
) -> dict[str, Pairs]:
    """The pairs of the splits ``train`` and ``val``, from ``folder`` if they are there, else made and kept there.

    Samples are taken from the folder only if denoiser, store and settings are the same; else they are made anew.
    """
    folder = Path(folder)
    fingerprint = hashlib.sha256(
        f"{denoiser_checksum(checkpoint)} {store.fingerprint} {settings.model_dump_json()}".encode()
    ).hexdigest()
    record = folder / "samples.json"
    splits = [split for split in ("train", "val") if store.select(split)]
    if not record.is_file() or json.loads(record.read_text()).get("fingerprint") != fingerprint:
        record.unlink(missing_ok=True)
        counts = {split: settings.windows if split == "train" else max(1, settings.windows // 16) for split in splits}
        done, total = 0, sum(counts.values())
        for number, split in enumerate(splits):
            parts = []
            for pairs in _draw_pairs(checkpoint, store, split, counts[split], settings, seed=settings.seed + number):
                parts.append(pairs)
                done += len(pairs.valid)
                if progress is not None:
                    progress(min(done, total), total, "samples")
            for name in Pairs._fields:
                with atomic_write(folder / f"{split}_{name}.npy") as temporary, open(temporary, "wb") as file:
                    np.save(file, np.concatenate([getattr(part, name) for part in parts]))
        with atomic_write(record) as temporary:
            temporary.write_text(json.dumps({"fingerprint": fingerprint, "settings": settings.model_dump()}))
    return {
        split: Pairs(*(np.load(folder / f"{split}_{name}.npy", mmap_mode="r") for name in Pairs._fields))
        for split in splits
    }


def denoiser_checksum(checkpoint: Checkpoint) -> str:
    """Checksum of a denoiser's tensors."""
    digest = hashlib.sha256()
    for name, tensor in checkpoint.network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def _draw_pairs(
    checkpoint: Checkpoint, store: Store, split: str, count: int, settings: SampleSettings, *, seed: int
) -> Iterable[Pairs]:
    """Pairs of ``count`` windows, some at a time."""
    config, layout, normaliser = checkpoint.config, checkpoint.layout, checkpoint.normaliser
    source = BatchSource(
        store,
        BatchConfig(size=min(settings.rows, count), window=config.window, drop_all=0.0, drop_text=0.0),
        split=split,
        text_encoder=config.text_encoder,
        seed=seed,
        layout=layout,
        statistics=Statistics.of_checkpoint(checkpoint),
    )
    for number in range(-(-count // source.config.size)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        batch = source.draw(number)
        sample = partly_denoised(checkpoint, batch, settings, generator=generator)
        joints = (layout.joints(normaliser.denormalise(motion)) for motion in (sample, batch.motion))
        yield Pairs(*(track.numpy() for track in joints), valid=batch.valid.numpy())


@torch.no_grad()
def partly_denoised(
    checkpoint: Checkpoint, batch: DenoiserBatch, settings: SampleSettings, *, generator: torch.Generator
) -> Float[Tensor, "batch frames features"]:
    """The windows noised to one step, drawn from the settings' range, and denoised from there.

    Of the sampler's timesteps below that step at most ``settings.steps`` are used, evenly spread, always with the last.
    """
    schedule = NoiseSchedule.cosine(checkpoint.config.diffusion_steps)
    usual = schedule.timesteps(min(settings.sampler_steps, schedule.steps))
    level = torch.empty(()).uniform_(settings.lowest_level, settings.highest_level, generator=generator).item()
    below = [step for step in usual if schedule.level(step) <= level] or usual[-1:]
    chosen = np.unique(np.linspace(0, len(below) - 1, settings.steps).round().astype(int))
    steps = [below[i] for i in chosen]
    predict = guided(
        Predictor(checkpoint),
        batch.conditions,
        music_weight=settings.music_guidance,
        text_weight=settings.text_guidance,
        rows=settings.rows,
    )
    noise = torch.randn(batch.motion.shape, generator=generator)
    motion = schedule.add_noise(batch.motion, torch.full((len(noise),), steps[0]), noise)
    rule = STEP_RULES[settings.sampler]()
    for step, next_step in zip(steps, [*steps[1:], -1], strict=True):
        clean = predict(motion, step)
        motion = rule.step(motion, clean, schedule=schedule, step=step, next_step=next_step, generator=generator)
    return motion


class RefinementConfig(TrainingConfig):
    """A Temporal Refinement Module and what it is trained on."""

    network: TRMConfig
    denoiser: str = ""
    """Folder of the denoiser's run or checkpoint; it has to be given."""
    samples: str = ""
    """Folder for the denoiser's samples; by default ``trm_samples`` in the denoiser's folder."""
    sampling: SampleSettings = SampleSettings()
    losses: RefinementLossWeights = RefinementLossWeights()
    batch_size: PositiveInt = 32
    """Windows per step."""

    def task(self, store: Store) -> "RefinementTask":
        """Training on the denoiser's samples of windows of the store, made if they are not there."""
        if not self.denoiser:
            raise InputError("expected denoiser=FOLDER, the run of the denoiser whose dances are to be refined")
        return RefinementTask(self, store)


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Windows of joint positions in metres, before and after."""

    predicted: Float[Tensor, "batch frames joints 3"]
    target: Float[Tensor, "batch frames joints 3"]
    valid: Bool[Tensor, "batch frames"]

    def to(self, device: torch.device | str) -> "PairBatch":
        """The same on another device."""
        return PairBatch(self.predicted.to(device), self.target.to(device), self.valid.to(device))


class RefinementTask(Task):
    """EDMG's second stage, eq. 11-13."""

    def __init__(self, config: RefinementConfig, store: Store, *, progress: Progress | None = None):
        denoiser = Checkpoint.load(config.denoiser)
        joints = len(denoiser.layout.skeleton)
        for name, expected, got in (
            ("fps", denoiser.config.fps, config.network.fps),
            ("joints", joints, config.network.joints),
            ("fps of the store", denoiser.config.fps, store.fps),
            ("music encoder of the store", denoiser.config.music_encoder, store.music_encoder),
        ):
            if expected != got:
                raise InputError(f"{config.denoiser}: expected the {name} to be {expected}, got {got}; set both alike")
        if config.network.window > denoiser.config.window:
            raise InputError(
                f"expected network.window of at most {denoiser.config.window}, the denoiser's, got "
                f"{config.network.window}"
            )
        self.config, self.store = config, store
        self.checksum = denoiser_checksum(denoiser)
        self.networks: dict[str, nn.Module] = {KEPT: TemporalRefinementModule(config.network)}
        folder = Path(config.samples or Path(config.denoiser) / "trm_samples")
        self.pairs = make_samples(denoiser, store, folder, settings=config.sampling, progress=progress)

    def optimiser(self, name: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam (EDMG section 4.1)."""
        return torch.optim.Adam(parameters, lr=self.config.learning_rate)

    def draw(self, step: int, *, rank: int) -> PairBatch:
        """Windows cut at random from the samples, each turned about the vertical axis by a random angle."""
        rng = np.random.default_rng([self.config.seed, step, rank])
        pairs, window = self.pairs["train"], self.config.network.window
        rows = rng.integers(len(pairs.valid), size=self.config.batch_size)
        starts = rng.integers(pairs.valid.shape[1] - window + 1, size=len(rows))
        yaw = torch.zeros(len(rows), 3)
        yaw[:, 1] = torch.from_numpy(rng.uniform(0, 2 * np.pi, len(rows)))
        turn = matrix_from_axis_angle(yaw)
        batch = _cut(pairs, list(zip(rows.tolist(), starts.tolist(), strict=True)), window)
        turned = (torch.einsum("bxy,bljy->bljx", turn, track) for track in (batch.predicted, batch.target))
        return PairBatch(*turned, valid=batch.valid)

    def validation(self) -> Sequence[PairBatch]:
        """The validation samples, cut into windows side by side."""
        if "val" not in self.pairs:
            return ()
        pairs, window = self.pairs["val"], self.config.network.window
        starts = range(0, pairs.valid.shape[1] - window + 1, window)
        places = [(row, start) for row in range(len(pairs.valid)) for start in starts]
        size = self.config.batch_size
        return [_cut(pairs, places[i : i + size], window) for i in range(0, len(places), size)]

    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: PairBatch,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """Eq. 11 of the refined windows, in full precision: millimetres are what counts here."""
        refined = networks[KEPT](batch.predicted)
        return {
            KEPT: refinement_losses(
                refined, batch.target, batch.valid, fps=self.config.network.fps, weights=self.config.losses
            )
        }

    def as_checkpoint(self, network: nn.Module, step: int) -> Refiner:
        """The module with the checksum of the denoiser that it belongs to."""
        config = RefinerConfig(
            network=self.config.network,
            recipe=self.config.recipe,
            trained_steps=step,
            denoiser=self.checksum,
            licence=self.store.licence,
        )
        return Refiner(config, cast(TemporalRefinementModule, network))


def _cut(pairs: Pairs, places: list[tuple[int, int]], window: int) -> PairBatch:
    """Windows that begin at (row, frame) each."""
    cuts = (
        torch.from_numpy(np.stack([track[row, start : start + window] for row, start in places])) for track in pairs
    )
    return PairBatch(*cuts)


def edmg_trm_open() -> RefinementConfig:
    """The second stage of the default weights.

    `longdance train edmg-trm-open denoiser=RUN --data STORE -o RUN/trm`, with RUN a finished `edmg-open`; as ``trm`` in
    its folder it is used from then on. Some minutes on two CPU cores, samples included. Windows of two seconds, a
    quarter of the width and a higher learning rate than the paper's: what there is to learn is how this denoiser
    trembles.
    """
    return RefinementConfig(
        recipe="edmg-trm-open",
        network=TRMConfig(fps=30, window=64, width=128, domain="cosine"),
        steps=2000,
        learning_rate=3e-3,
        warmup=50,
        cooldown=0.6,
        ema=0.98,
        gradient_clip=1.0,
        precision="32-true",
        validate_every=250,
        checkpoint_every=250,
    )


def edmg_trm_aistpp() -> RefinementConfig:
    """The paper's second stage: `longdance train edmg-trm-aistpp denoiser=RUN --data STORE -o RUN/trm`.

    M, the non-linearity, optimiser, learning rate, batch and losses are the paper's, and the receptive field is the
    whole window; width and length of the training are ours, as the paper gives none.
    """
    return RefinementConfig(
        recipe="edmg-trm-aistpp",
        network=TRMConfig(window=600),
        sampling=SampleSettings(windows=8192),
        steps=50_000,
        precision="32-true",
    )
