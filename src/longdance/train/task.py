"""What the training loop must be told about a kind of training: its settings, its networks, its data and its losses."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from longdance.data.store import Store

KEPT = "network"
"""The network whose weights are averaged, validated and kept; others only help to train it."""

Losses = dict[str, dict[str, Tensor]]
"""Name of a network to the terms of its loss, the sum to be lowered under ``total``."""


class TrainingConfig(BaseModel, ABC):
    """A whole run. ``longdance train RECIPE key=value`` overrides any field, nested ones by dots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    steps: PositiveInt = 100_000
    """Optimiser steps."""
    learning_rate: PositiveFloat = 2e-4
    """Of the kept network."""
    warmup: NonNegativeInt = 0
    """Steps over which the learning rate rises from zero."""
    cooldown: float = Field(default=0.0, ge=0, le=1)
    """Share of the steps, at the end, over which the learning rate falls linearly to zero."""
    gradient_clip: PositiveFloat | None = None
    """Largest norm of the gradient; none is clipped without, as in the papers."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the running average of the weights, which is what is used; with 0 it is the weights themselves."""
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    validate_every: PositiveInt = 500
    """Steps between validations."""
    checkpoint_every: PositiveInt = 100
    """Steps between checkpoints."""
    seed: NonNegativeInt = 0

    @abstractmethod
    def task(self, store: Store) -> "Task":
        """What these settings train on a store; ``InputError`` where the two do not belong together."""


@runtime_checkable
class Batch(Protocol):
    """Training examples; the loop only moves them to the device."""

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        ...


@runtime_checkable
class Savable(Protocol):
    """What a training leaves behind: a checkpoint, a refiner, an adapter."""

    def save(self, folder: str | os.PathLike) -> None:
        """Write it into a folder."""
        ...


class Task(ABC):
    """A kind of training. The loop knows nothing else about what is trained."""

    networks: dict[str, nn.Module]
    """What is trained, ``KEPT`` first. In every step they are updated one after the other, in this order."""

    @abstractmethod
    def optimiser(self, name: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser of one network, with its highest learning rate."""

    @abstractmethod
    def draw(self, step: int, *, rank: int) -> Batch:
        """A batch of a training step, a pure function of the arguments.

        ``rank`` is its number among the batches that processes and accumulation share a step into.
        """

    @abstractmethod
    def validation(self) -> Sequence[Batch]:
        """The same batches every time; empty if there is nothing to validate on."""

    @abstractmethod
    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: Any,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """The losses of all ``networks`` (those of the task, or their averages) on a batch of the task's own kind.

        All randomness comes from ``generator``, on the CPU. Each network's loss must send gradients into that network
        alone, and must not need its weights after an earlier one's update: the loop goes backward through one loss
        after the other. ``autocast`` opens the stretch that may be computed with less precision.
        """

    @abstractmethod
    def as_checkpoint(self, network: nn.Module, step: int) -> Savable:
        """What a user needs of the run: the kept network with all that is needed to use it."""
