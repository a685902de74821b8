"""What a training tells: curves for TensorBoard, lines for the person who waits, and how it ended.

Only the process that writes keeps one. Losses are read from the device every tenth step, so that telling costs nothing.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from longdance.train.task import KEPT

log = logging.getLogger(__name__)
EVERY = 10
"""Steps between points of the curves."""
LINES = 20
"""Lines about losses in a whole run, beside those of validations."""


class Journal:
    """The journal of one run, from step ``begin`` to ``steps``."""

    def __init__(self, run: Path, *, begin: int, steps: int):
        from torch.utils.tensorboard import SummaryWriter

        self.run, self.begin, self.steps = run, begin, steps
        self._writer = SummaryWriter(str(run / "tensorboard"))
        self._started = self._clock = time.perf_counter()
        self._recent: list[dict[str, float]] = []
        self._lately: dict[str, float] = {}
        self._held_out: list[tuple[float, int]] = []
        """Validation losses and their steps."""

    def step(self, done: int, losses: Mapping[str, Mapping[str, Tensor]], norms: Mapping[str, object]) -> None:
        """A step was done, with these terms of each network's loss and norms of its gradients."""
        last = done == self.steps
        if done % EVERY and not last:
            return
        for name, terms in losses.items():
            prefix = "train" if name == KEPT else f"train/{name}"
            for term, value in terms.items():
                self._writer.add_scalar(f"{prefix}/{term}", value.item(), done)
            self._writer.add_scalar(f"{prefix}/gradient_norm", float(norms[name]), done)  # type: ignore[arg-type]
        self._recent.append({term: value.item() for term, value in losses[KEPT].items()})
        now = time.perf_counter()
        pace = EVERY / max(now - self._clock, 1e-9)
        self._clock = now
        self._writer.add_scalar("train/steps_per_second", pace, done)
        every = max(EVERY, self.steps // LINES // EVERY * EVERY)
        if last or done % every == 0:
            self._lately = mean_of(self._recent)
            self._recent = []
            log.info("step %d of %d: loss %s; %.2g steps/s", done, self.steps, in_words(self._lately), pace)

    def validated(self, done: int, values: Mapping[str, float]) -> None:
        """Held-out losses after so many steps; nothing if there are no held-out examples."""
        if not values:
            return
        for name, value in values.items():
            self._writer.add_scalar(f"val/{name}", value, done)
        self._held_out.append((values["total"], done))
        log.info("step %d: validation %s", done, in_words(values))

    def close(self) -> None:
        """The run is over: tell how it ended."""
        self._writer.close()
        seconds = time.perf_counter() - self._started
        parts = [f"{self.steps - self.begin} steps in {in_time(seconds)}"]
        if self.begin:
            parts[0] += f" after the first {self.begin}"
        if self._lately:
            parts.append(f"loss {self._lately['total']:.4g}")
        if self._held_out:
            lowest, at = min(self._held_out)
            parts.append(f"validation {self._held_out[-1][0]:.4g} (lowest {lowest:.4g} at step {at})")
        log.info("%s; checkpoint in %s", ", ".join(parts), self.run)


def mean_of(losses: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each term; empty if there is nothing."""
    return {name: sum(each[name] for each in losses) / len(losses) for name in (losses[0] if losses else ())}


def in_words(terms: Mapping[str, float]) -> str:
    """The total, and what it is made of."""
    parts = ", ".join(f"{name} {value:.3g}" for name, value in terms.items() if name != "total")
    return f"{terms['total']:.4g}" + (f" ({parts})" if parts else "")


def in_time(seconds: float) -> str:
    """A time for people."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
