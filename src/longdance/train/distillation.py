"""Distillation: a guided denoiser teaches a low-rank adapter of itself to predict once, without guidance.

The teacher draws dances to the music and words of the training windows and its states on the way are kept. The student
is the same network with an adapter. With as many steps as the teacher it learns what guidance makes of the teacher's
predictions. With fewer it predicts, from a state at one of its own steps, the clean motion for which a single DDIM step
leads to where the teacher has got by the student's next step.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Literal, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn

from longdance.choreography.long.stretches import Predictor
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.diffusion.guidance import guided
from longdance.diffusion.losses import EDMGLossWeights, edmg_losses
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import STEP_RULES, randn_like, sample
from longdance.errors import InputError
from longdance.models.adapter import Adapter, AdapterConfig, adapted, adapter_state, fingerprint
from longdance.models.checkpoint import Checkpoint, OwnEnergies
from longdance.models.conditions import Conditions
from longdance.models.strengths import USUAL
from longdance.train.batches import BatchConfig, BatchSource, Statistics
from longdance.train.recipes import edmg_open
from longdance.train.task import KEPT, Losses, Task, TrainingConfig

REGISTER = {
    "recipe": (
        "edmg_guidance_open", "edmg_fewstep_open",
    ),
}  # fmt: skip


class DistillationConfig(TrainingConfig):
    """A few-step student of a trained denoiser."""

    teacher: str = "edmg"
    """Name or folder of the model that teaches; its weights are what the adapter changes."""
    teacher_steps: PositiveInt = 20
    teacher_sampler: Literal["dpm2m", "ddim"] = "dpm2m"
    music_guidance: float = 1.0
    text_guidance: float = 6.0
    guidance_until: float = 0.0
    """With what the teacher is guided: the fields of ``Guidance``."""
    student_steps: PositiveInt = 4
    """Steps of the student; each spans equally many of the teacher's. As many as the teacher's: guidance alone is
    learnt, and the student may be drawn in any number of steps."""
    rank: PositiveInt = 10
    """Of the adapter's matrices."""
    energies: OwnEnergies | None = None
    """By which the student is drawn; the teacher's where none are given."""
    batch: BatchConfig = BatchConfig()
    losses: EDMGLossWeights = EDMGLossWeights()
    reuse: PositiveInt = 20
    """Training steps before the teacher draws another batch of dances; all that it has drawn are learnt from."""

    @model_validator(mode="after")
    def _steps_divide(self) -> "DistillationConfig":
        if self.teacher_steps % self.student_steps:
            raise ValueError(
                f"expected student_steps to divide teacher_steps {self.teacher_steps}, got {self.student_steps}"
            )
        return self

    def task(self, store: Store) -> "DistillationTask":
        """Training on dances that the teacher draws to the store's music and words."""
        return DistillationTask(self, store)


class Drawn(NamedTuple):
    """Dances that the teacher drew, at the student's steps."""

    states: Float[Tensor, "batch nodes frames features"]
    """From noise to the finished dance, in normalised features."""
    targets: Float[Tensor, "batch nodes-1 frames features"]
    """The clean motion that is to be predicted from each state but the last."""
    conditions: Conditions

    def to(self, device: torch.device | str) -> "Drawn":
        """The same on another device."""
        conditions = Conditions(*(field.to(device) for field in self.conditions))
        return Drawn(self.states.to(device), self.targets.to(device), conditions)


class DistillationTask(Task):
    """An adapter that learns to leap where its teacher walks.

    Source: the distillation of guidance (Meng et al. 2023, section 3.1) on the teacher's own trajectories, and, where
    the student takes fewer steps, together with it progressive distillation (Salimans and Ho 2022, appendix G) from the
    teacher's steps to the student's in one round.
    """

    def __init__(self, config: DistillationConfig, store: Store):
        self.config, self.store = config, store
        self.teacher = cast(Checkpoint, load(config.teacher).checkpoint)
        check_fits(config, store, self.teacher.config)
        self.layout = self.teacher.layout
        self.schedule = NoiseSchedule.cosine(self.teacher.config.diffusion_steps)
        self.nodes = [*self.schedule.timesteps(config.student_steps), -1]
        self.statistics = Statistics.of_checkpoint(self.teacher)
        self.networks = {KEPT: adapted(self.teacher.network, config.rank, seed=config.seed)}
        self.sources = {split: self.source(split) for split in ("train", "val") if store.select(split)}
        self._drawn: dict[tuple[int, int], Drawn] = {}

    def source(self, split: str) -> BatchSource:
        """Music and words of a split."""
        return BatchSource(
            self.store,
            self.config.batch,
            split=split,
            text_encoder=self.teacher.config.text_encoder,
            seed=self.config.seed,
            layout=self.layout,
            statistics=self.statistics,
        )

    def optimiser(self, name: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam on the adapter alone."""
        return torch.optim.Adam([p for p in parameters if p.requires_grad], lr=self.config.learning_rate)

    def draw(self, step: int, *, rank: int) -> Drawn:
        """Dances chosen at random from all that the teacher has drawn by this step.

        What the teacher draws is a function of the seed; it is kept, and drawn again where a run is resumed.
        """
        rng = np.random.default_rng([self.config.seed, step, rank])
        known = 1 + step // self.config.reuse
        pool = [self._batch(number, rank) for number in range(known)]
        rows = rng.integers((known, self.config.batch.size), size=(self.config.batch.size, 2))
        pick = lambda parts: torch.stack([parts[chunk][row] for chunk, row in rows])  # noqa: E731
        fields = (pick([drawn.conditions[i] for drawn in pool]) for i in range(len(Conditions._fields)))
        states, targets = (pick([getattr(drawn, name) for drawn in pool]) for name in ("states", "targets"))
        return Drawn(states, targets, Conditions(*fields))

    def _batch(self, number: int, rank: int) -> Drawn:
        if (number, rank) not in self._drawn:
            generator = torch.Generator().manual_seed((self.config.seed * 1_000_003 + number) * 1_009 + rank)
            conditions = self.sources["train"].draw(number, rank=rank).conditions
            self._drawn[number, rank] = self.walk(conditions, generator)
        return self._drawn[number, rank]

    def validation(self) -> Sequence[Drawn]:
        """Dances to one batch of the validation split."""
        if "val" not in self.sources:
            return ()
        conditions = self.sources["val"].draw(0).conditions
        return (self.walk(conditions, torch.Generator().manual_seed(self.config.seed)),)

    def walk(self, conditions: Conditions, generator: torch.Generator) -> Drawn:
        """What the teacher draws to these conditions, guided, with all its steps."""
        config, window = self.config, self.config.batch.window
        start = randn_like(torch.empty(len(conditions.music), window, self.layout.width), generator)
        states, predictions = [], []
        predict = guided(
            Predictor(self.teacher),
            conditions,
            music_weight=config.music_guidance,
            text_weight=config.text_guidance,
            plain_below=round(config.guidance_until * self.schedule.steps),
            rows=config.batch.size,
        )

        def watched(noisy: Tensor, step: int) -> Tensor:
            clean = predict(noisy, step)
            if step in self.nodes:
                states.append(noisy)
                predictions.append(clean)
            return clean

        with torch.no_grad():
            end = sample(
                watched,
                start,
                schedule=self.schedule,
                rule=STEP_RULES[config.teacher_sampler](),
                steps=config.teacher_steps,
                generator=generator,
            )
        states.append(end)
        targets = predictions
        if config.student_steps < config.teacher_steps:
            targets = [self.leap(state, later, node) for node, (state, later) in enumerate(pairwise(states))]
        return Drawn(torch.stack(states, 1), torch.stack(targets, 1), conditions)

    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: Drawn,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """EDMG's losses between the student's clean motion and the one that is to be predicted."""
        states = batch.states
        node = torch.randint(batch.targets.shape[1], (len(states),), generator=generator)
        rows = torch.arange(len(states))
        noisy = states[rows, node]
        step = torch.tensor(self.nodes)[node].to(noisy.device)
        with autocast():
            predicted = networks[KEPT](noisy, step, batch.conditions)
        target = batch.targets[rows, node]
        return {
            KEPT: edmg_losses(
                predicted.float(),
                target,
                torch.ones(target.shape[:2], dtype=torch.bool, device=target.device),
                layout=self.layout,
                normaliser=self.statistics.normaliser.to(predicted.device),
                fps=self.store.fps,
                weights=self.config.losses,
            )
        }

    def leap(
        self, state: Float[Tensor, "*batch frames features"], later: Float[Tensor, "*batch frames features"], node: int
    ) -> Float[Tensor, "*batch frames features"]:
        """The clean motion from which one DDIM step leads from the state at a node to that at the next.

        Source: Salimans and Ho 2022, eq. 8, solved for x_0 as in their algorithm 2.
        """
        signal, noise = self.schedule.signal_and_noise(self.nodes[node])
        next_signal, next_noise = self.schedule.signal_and_noise(self.nodes[node + 1])
        kept = next_noise / noise
        return (later - kept * state) / (next_signal - kept * signal)

    def as_checkpoint(self, network: nn.Module, step: int) -> Adapter:
        """The adapter with how it is to be used."""
        config, teacher = self.config, self.teacher.config
        return Adapter(
            AdapterConfig(
                adapts=config.teacher,
                adapts_tensors=fingerprint(self.teacher.network),
                rank=config.rank,
                steps=config.student_steps,
                sampler=config.teacher_sampler if config.student_steps == config.teacher_steps else "ddim",
                guidance={
                    "music": config.music_guidance, "text": config.text_guidance, "until": config.guidance_until,
                },
                energies=config.energies,
                denoiser=teacher.denoiser,
                music_encoder=teacher.music_encoder,
                fps=teacher.fps,
                genres=teacher.genres,
                recipe=config.recipe,
                trained_steps=step,
                licence=teacher.licence,
            ),
            adapter_state(network),
        )


def check_fits(config: DistillationConfig, store: Store, teacher) -> None:
    """``InputError`` where teacher, recipe and store do not belong together."""
    for name, expected, got in (
        ("fps", teacher.fps, store.fps),
        ("music encoder", teacher.music_encoder, store.music_encoder),
    ):
        if expected != got:
            raise InputError(
                f"{store.folder}: the teacher {config.teacher} expects {name} {expected}, the store has {got}; "
                "prepare the data with matching settings"
            )


def edmg_guidance_open() -> DistillationConfig:
    """EDMG's own guidance in one prediction: `longdance train edmg-guidance-open --data STORE -o RUN`, after edmg-open.

    The shipped edmg teaches. In the folder ``guidance`` of the model, what was learnt halves the cost of a step where
    the model's own guidance is asked for; under any other guidance the model is as it was.
    """
    steps = edmg_open().sampling.steps
    return edmg_fewstep_open().model_copy(
        update={
            "recipe": "edmg-guidance-open",
            "teacher_steps": steps,
            "student_steps": steps,
            "energies": None,
            "rank": 16,
        }
    )


def edmg_fewstep_open() -> DistillationConfig:
    """EDMG in few steps: `longdance train edmg-fewstep-open --data STORE -o RUN`, after edmg-open.

    The shipped edmg teaches; its own weights stay as they are, and what is learnt travels in under a megabyte. About
    half an hour on two CPU cores, half of it for the teacher's dances.
    """
    own = edmg_open().sampling
    return DistillationConfig(
        recipe="edmg-fewstep-open",
        music_guidance=own.music_guidance,
        text_guidance=own.text_guidance,
        guidance_until=own.guidance_until,
        energies=USUAL._replace(beats=0.5).record(),  # no step answers to the last pushes: at 1 stops are jerks
        batch=BatchConfig(size=16, window=150, drop_all=0.0, drop_text=0.1, drop_movement=0.5, other_share=0.05),
        losses=EDMGLossWeights(
            reconstruction=1.0, velocity=1.0, joints=8.0, contact=0.3, joint_velocity=0.15,
            joint_acceleration=0.0002,
        ),
        steps=400,
        learning_rate=1e-3,
        warmup=20,
        cooldown=0.4,
        ema=0.98,
        gradient_clip=1.0,
        validate_every=50,
        checkpoint_every=25,
    )  # fmt: skip
