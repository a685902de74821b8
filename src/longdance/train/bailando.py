"""Training of Bailando in its three stages: choreographic memory, transformer over codes, actor and critic.

Each stage is a training of its own, and begins with the run of the one before (``initial=RUN``).
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from longdance.data.store import Store, Take
from longdance.diffusion.losses import OPEN_LOSS_WEIGHTS, EDMGLossWeights, Weight, edmg_losses, masked_mean
from longdance.errors import InputError
from longdance.models.bailando import (
    Bailando,
    BailandoConfig,
    ChoreographicMemory,
    CodeTransformer,
    Critic,
    GPTConfig,
    MemoryConfig,
    codes_before,
    sample_codes,
)
from longdance.models.generators import GeneratorCheckpoint
from longdance.motion.layout import Layout
from longdance.train.batches import Batch, BatchConfig, BatchSource, Statistics
from longdance.train.generation import GenerationConfig, GenerationTask
from longdance.train.stages import Stages
from longdance.train.task import KEPT, Losses, TrainingConfig

REGISTER = {
    "recipe": (
        "bailando_memory_open", "bailando_gpt_open", "bailando_actor_critic_open", "bailando_open",
    ),
}  # fmt: skip

CRITIC = "critic"
SMOOTHING_SECONDS = 1 / 12
"""Standard deviation of the smoothing of a dance's speed before its pauses are looked for, as in beat alignment."""


class BailandoMemoryTraining(GenerationConfig):
    """Settings of the first stage."""

    network: MemoryConfig
    batch: BatchConfig = BatchConfig(size=32, window=240)
    losses: EDMGLossWeights = EDMGLossWeights(reconstruction=1.0, velocity=1.0, joints=1.0, contact=0.0)
    root_velocity: Weight = 1.0
    """Weight of the velocity branch's mean squared error in (m/s)^2."""
    commitment: Weight = 0.1
    learning_rate: PositiveFloat = 3e-5

    def task(self, store: Store) -> "BailandoMemoryTask":
        """Training on windows of the store."""
        return BailandoMemoryTask(self, store)


class BailandoMemoryTask(GenerationTask[BailandoMemoryTraining]):
    """The pose VQ-VAE (Bailando section 3.1)."""

    def __init__(self, config: BailandoMemoryTraining, store: Store):
        if config.network.layout != config.layout:
            raise InputError(f"expected layout and network.layout to agree, got {config.layout}; set both")
        super().__init__(config, store)
        check_window(config.batch, config.network)
        self.networks = {KEPT: ChoreographicMemory(config.network)}

    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: Batch,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """Restored motion and root velocity against the true ones, and commitment."""
        config, fps = self.config, self.store.fps
        normaliser = self.statistics.normaliser.to(batch.motion.device)
        with autocast():
            remembered = networks[KEPT](batch.motion, batch.valid)
        terms = edmg_losses(
            remembered.features, batch.motion, batch.valid, layout=self.layout, normaliser=normaliser, fps=fps,
            weights=config.losses,
        )  # fmt: skip
        path = normaliser.denormalise(batch.motion)[..., self.layout.horizontal]
        wrong = (remembered.velocity[:, 1:] - path.diff(dim=1) * fps) ** 2
        terms["root_velocity"] = masked_mean(wrong, (batch.valid[:, 1:] & batch.valid[:, :-1]).float())
        terms["commitment"] = remembered.commitment
        terms["total"] = (
            terms["total"]
            + config.root_velocity * terms["root_velocity"]
            + config.commitment * terms["commitment"]
        )
        return {KEPT: terms}


def check_window(batch: BatchConfig, memory: MemoryConfig) -> None:
    """``InputError`` for windows that are no whole number of codes."""
    if batch.window % memory.stride:
        raise InputError(f"expected batch.window to be a multiple of {memory.stride}, the frames of a code")


class BailandoGPTTraining(GenerationConfig):
    """Settings of the second stage."""

    network: GPTConfig
    batch: BatchConfig = BatchConfig(size=32, window=232)
    """``window`` is at most the context times the frames of a code."""
    initial: str = ""
    """A run or checkpoint of the stage before; it has to be given. A whole Bailando's also gives the transformer."""
    learning_rate: PositiveFloat = 3e-4

    def task(self, store: Store) -> "CodeTask":
        """Training on the codes of windows of the store."""
        return BailandoGPTTask(self, store)


Config = TypeVar("Config", bound=BailandoGPTTraining)


class CodeTask(GenerationTask[Config]):
    """A transformer over the codes of a choreographic memory that stays as it is."""

    def __init__(self, config: Config, store: Store):
        if not config.initial:
            raise InputError(f"expected initial=FOLDER, the run of Bailando's stage before {config.recipe}")
        initial = GeneratorCheckpoint.load(config.initial)
        network, layout = initial.network, initial.config.layout
        if not isinstance(network, ChoreographicMemory | Bailando):
            raise InputError(f"{config.initial}: expected a stage of Bailando, got {initial.config.generator}")
        self.memory = network if isinstance(network, ChoreographicMemory) else network.memory
        whole = network if isinstance(network, Bailando) else None
        if whole is not None:
            config = config.model_copy(update={"network": whole.config.gpt})
        config = config.model_copy(update={"layout": layout})
        if initial.config.fps != store.fps:
            raise InputError(f"{config.initial}: expected a store at {initial.config.fps} fps, got {store.fps}")
        check_window(config.batch, self.memory.config)
        if config.batch.window > config.network.context * self.memory.config.stride:
            raise InputError(
                f"expected batch.window of at most {config.network.context * self.memory.config.stride} frames, "
                f"the transformer's context, got {config.batch.window}"
            )
        normaliser = initial.normaliser  # the music's may be new
        fresh = Statistics.of_store(store, initial.layout)
        super().__init__(config, store, statistics=fresh._replace(normaliser=normaliser))
        gpt = CodeTransformer(config.network, self.memory.config, outputs=self.memory.config.codes)
        if whole is not None:
            gpt.load_state_dict(whole.gpt.state_dict())
        self.networks = {KEPT: gpt}

    def as_checkpoint(self, network: nn.Module, step: int) -> GeneratorCheckpoint:
        """Memory and transformer."""
        config = BailandoConfig(memory=self.memory.config, gpt=self.config.network)
        whole = Bailando(config, memory=self.memory.cpu(), gpt=cast(CodeTransformer, network))
        return super().as_checkpoint(whole, step)


class BailandoGPTTask(CodeTask[BailandoGPTTraining]):
    """The cross-conditional transformer learns which codes come next (Bailando section 3.3)."""

    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: Batch,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """Cross-entropy of the codes of whole frames."""
        memory = self.memory.to(batch.motion.device)
        codes, valid = memory.encode(batch.motion), memory.valid_codes(batch.valid).float()
        with autocast():
            logits = networks[KEPT](batch.conditions.music, codes_before(codes, memory.config))
        wrong = nn.functional.cross_entropy(logits.permute(0, 3, 1, 2), codes, reduction="none")
        right = (logits.argmax(-1) == codes).float()
        return {KEPT: {"total": masked_mean(wrong, valid), "accuracy": masked_mean(right, valid)}}


class BailandoTraining(BailandoGPTTraining):
    """Settings of the third stage; ``network`` is the initial transformer's."""

    network: GPTConfig = GPTConfig()
    critic: GPTConfig = GPTConfig(depth=3)
    critic_learning_rate: PositiveFloat = 3e-4
    learning_rate: PositiveFloat = 3e-5
    discount: Annotated[float, Field(ge=0, le=1)] = 0.9
    """How much of a reward counts one code earlier."""
    beat_tolerance: PositiveFloat = 0.1
    """Seconds by which a pause may miss the beat; standard deviation of the reward."""
    consistency: Weight = 0.2
    """Weight of the penalty for hips and shoulders that face opposite ways."""

    def task(self, store: Store) -> "CodeTask":
        """Training on the music of windows of the store."""
        return BailandoTask(self, store)


class BeatBatch(NamedTuple):
    """Windows, and on which frames the music's beats are."""

    windows: Batch
    beats: Bool[Tensor, "batch frames"]

    def to(self, device: torch.device | str) -> "BeatBatch":
        """The same on another device."""
        return BeatBatch(self.windows.to(device), self.beats.to(device))


class BeatSource(BatchSource):
    """Windows with the beats of their takes."""

    def draw_beats(self, step: int, *, rank: int = 0) -> BeatBatch:
        """As ``draw``, with beats."""
        rng = np.random.default_rng([self.seed, step, rank])
        chosen = rng.choice(len(self.takes), size=self.config.size, p=self.probability)
        return self.with_beats([(self.takes[i], self._start(self.takes[i], rng.random())) for i in chosen], rng)

    def fixed_beats(self) -> list[BeatBatch]:
        """As ``fixed``, with beats."""
        places = [(take, start) for take in self.takes for start in self._starts(take)]
        size = self.config.size
        return [self.with_beats(places[i : i + size], None) for i in range(0, len(places), size)]

    def with_beats(self, places: list[tuple[Take, int]], rng: np.random.Generator | None) -> BeatBatch:
        """Windows that begin at (take, frame) each."""
        beats = torch.zeros(len(places), self.config.window, dtype=torch.bool)
        for row, (take, start) in enumerate(places):
            frames = np.round(np.array(take.beat_times) * self.store.fps).astype(int) - start
            beats[row, frames[(frames >= 0) & (frames < min(self.config.window, take.frames - start))]] = True
        return BeatBatch(self._collate(places, rng), beats)


class BailandoTask(CodeTask[BailandoTraining]):
    """Actor-critic learning on dances of its own (Bailando section 3.4)."""

    def __init__(self, config: BailandoTraining, store: Store):
        super().__init__(config, store)
        if config.critic.music_channels != self.config.network.music_channels:
            raise InputError(f"expected critic.music_channels={self.config.network.music_channels}")
        self.networks[CRITIC] = Critic(config.critic, self.memory.config)

    def source(self, split: str) -> BeatSource:
        """Windows of a split, with beats."""
        return BeatSource(self.store, self.config.batch, split=split, **self.reading)

    def draw(self, step: int, *, rank: int) -> BeatBatch:
        """The batch of a training step."""
        return cast(BeatSource, self.sources["train"]).draw_beats(step, rank=rank)

    def validation(self) -> list[BeatBatch]:
        """All windows of the validation split."""
        return cast(BeatSource, self.sources["val"]).fixed_beats() if "val" in self.sources else []

    def optimiser(self, name: str, parameters) -> torch.optim.Optimizer:
        """Adam, faster for the critic."""
        rate = self.config.critic_learning_rate if name == CRITIC else self.config.learning_rate
        return torch.optim.Adam(parameters, lr=rate)

    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: BeatBatch,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """Dances are drawn and rewarded; the actor leans towards what went better than the critic thought."""
        windows, config = batch.windows, self.config
        memory, music = self.memory.to(windows.motion.device), windows.conditions.music
        with autocast():
            codes = sample_codes(networks[KEPT], music, generator=generator)
            before = codes_before(codes, memory.config)
            logits, values = networks[KEPT](music, before), networks[CRITIC](music, before)
        reward = self.reward(memory, codes, batch.beats)
        errors = temporal_errors(reward, values, discount=config.discount)
        return {
            KEPT: {"total": actor_loss(logits, codes, errors.detach()), "reward": reward.mean()},
            CRITIC: {"total": errors.square().mean()},
        }

    @torch.no_grad()
    def reward(
        self,
        memory: ChoreographicMemory,
        codes: Int[Tensor, "batch tokens halves"],
        beats: Bool[Tensor, "batch frames"],
    ) -> Float[Tensor, "batch tokens"]:
        """Of every code: beats met in its frames, less the halves' disagreement."""
        features, _ = memory.decode(codes)
        joints = self.layout.joints(self.statistics.normaliser.to(features.device).denormalise(features))
        met = beat_reward(joints, beats, fps=self.store.fps, tolerance=self.config.beat_tolerance)
        at_odds = facing_agreement(joints, self.layout).clamp(max=0)
        per_code = lambda t: t.unflatten(1, (-1, memory.config.stride))  # noqa: E731
        return per_code(met).sum(-1) + self.config.consistency * per_code(at_odds).mean(-1)


def temporal_errors(
    reward: Float[Tensor, "batch tokens"], values: Float[Tensor, "batch tokens"], *, discount: float
) -> Float[Tensor, "batch tokens"]:
    """By how much reward and next value exceed each value; gradients reach ``values`` at their own time alone."""
    coming = torch.cat((values[:, 1:], torch.zeros_like(values[:, :1])), 1).detach()
    return reward + discount * coming - values


def actor_loss(
    logits: Float[Tensor, "batch tokens halves codes"],
    codes: Int[Tensor, "batch tokens halves"],
    advantage: Float[Tensor, "batch tokens"],
) -> Float[Tensor, ""]:
    """Lowered by making codes with a positive advantage more likely, and others less. Source: Bailando eq. 10."""
    chosen = logits.log_softmax(-1).gather(-1, codes[..., None])[..., 0].sum(-1)
    return -(chosen * advantage).mean()


def beat_reward(
    joints: Float[Tensor, "batch frames joints 3"],
    beats: Bool[Tensor, "batch frames"],
    *,
    fps: float,
    tolerance: float,
) -> Float[Tensor, "batch frames"]:
    """On frames with a beat, exp(-d^2 / 2 tolerance^2) with d seconds to the dance's nearest pause; 0 elsewhere.

    Pauses are local minima of the joints' mean speed, smoothed as in beat alignment.
    """
    speed = joints.diff(dim=1).norm(dim=-1).mean(-1)
    sigma = SMOOTHING_SECONDS * fps
    reach = int(3 * sigma) + 1
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=joints.device) / sigma) ** 2)
    padded = nn.functional.pad(speed[:, None], (reach, reach), mode="replicate")
    speed = nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None].to(speed.dtype))[:, 0]
    pause = torch.zeros_like(beats)
    pause[:, 1:-2] = (speed[:, 1:-1] < speed[:, :-2]) & (speed[:, 1:-1] <= speed[:, 2:])
    frame = torch.arange(beats.shape[1], device=joints.device)
    # The speed between two frames belongs to the middle between them.
    apart = (frame[:, None] - frame[None, :] - 0.5).abs().expand(len(beats), -1, -1) / fps
    nearest = apart.masked_fill(~pause[:, None, :], torch.inf).min(-1).values
    return torch.exp(-0.5 * (nearest / tolerance) ** 2) * beats


def facing_agreement(
    joints: Float[Tensor, "batch frames joints 3"], layout: Layout
) -> Float[Tensor, "batch frames"]:
    """Cosine between the ways that hips and shoulders face, seen from above."""
    across = lambda name: (  # noqa: E731
        joints[..., layout.skeleton.index(f"left_{name}"), :] - joints[..., layout.skeleton.index(f"right_{name}"), :]
    )[..., [0, 2]]
    return nn.functional.cosine_similarity(across("hip"), across("shoulder"), dim=-1, eps=1e-4)


def bailando_memory_open() -> BailandoMemoryTraining:
    """First of three: `longdance train bailando-memory-open --data STORE -o RUN/memory`, 30 frames per second.

    Codes of four frames, as long as the paper's eight at 60 frames per second.
    """
    return BailandoMemoryTraining(
        recipe="bailando-memory-open",
        network=MemoryConfig(fps=30, width=128, halvings=2, codes=256, decay=0.97),
        batch=BatchConfig(size=32, window=96),
        losses=OPEN_LOSS_WEIGHTS.model_copy(update={"contact": 0.0}),
        music_encoder="plan",
        steps=1000,
        learning_rate=1e-3,
        warmup=50,
        cooldown=0.3,
        ema=0.99,
        gradient_clip=1.0,
        validate_every=250,
        checkpoint_every=100,
    )  # fmt: skip


def bailando_gpt_open() -> BailandoGPTTraining:
    """Second of three: `longdance train bailando-gpt-open initial=RUN/memory --data STORE -o RUN/gpt`. It dances."""
    return BailandoGPTTraining(
        recipe="bailando-gpt-open",
        network=GPTConfig(
            music_channels=12, width=192, depth=6, feedforward=768, attention_heads=6, context=40, dropout=0.1
        ),
        batch=BatchConfig(size=16, window=160),
        music_encoder="plan",
        steps=1000,
        learning_rate=1e-3,
        warmup=50,
        cooldown=0.5,
        ema=0.99,
        gradient_clip=1.0,
        validate_every=250,
        checkpoint_every=100,
    )


def bailando_actor_critic_open() -> BailandoTraining:
    """Last of three: `longdance train bailando-actor-critic-open initial=RUN/gpt --data STORE -o RUN`. It meets beats.

    The step takes longer than those before: every dance that is rewarded is first drawn code by code.
    """
    return BailandoTraining(
        recipe="bailando-actor-critic-open",
        critic=GPTConfig(
            music_channels=12, width=96, depth=2, feedforward=192, attention_heads=4, context=40, dropout=0.0
        ),
        batch=BatchConfig(size=16, window=96, other_share=0.0),
        music_encoder="plan",
        steps=150,
        critic_learning_rate=1e-3,
        learning_rate=3e-5,
        warmup=20,
        ema=0.95,
        gradient_clip=1.0,
        validate_every=50,
        checkpoint_every=25,
    )


class BailandoStages(Stages):
    """Bailando from nothing: the folder becomes the last stage's run and holds ``memory`` and ``gpt``, those before."""

    memory: BailandoMemoryTraining
    gpt: BailandoGPTTraining
    actor_critic: BailandoTraining

    def in_order(self, run: Path) -> list[tuple[Path, TrainingConfig]]:
        """Every stage and the folder of its run."""
        memory, gpt = run / "memory", run / "gpt"
        return [
            (memory, self.memory),
            (gpt, self.gpt.model_copy(update={"initial": str(memory)})),
            (run, self.actor_critic.model_copy(update={"initial": str(gpt)})),
        ]


def bailando_open() -> BailandoStages:
    """All of Bailando on the open data: `longdance train bailando-open --data STORE -o RUN`, the stages one by one."""
    return BailandoStages(
        recipe="bailando-open",
        memory=bailando_memory_open(),
        gpt=bailando_gpt_open(),
        actor_critic=bailando_actor_critic_open(),
    )
