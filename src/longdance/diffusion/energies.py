"""One mechanism for everything that is wished for during sampling, beside guidance and constraints.

An energy says of predicted clean joints how far they are from what is wished. Before each step of the sampler, after
guidance and before constraints, the prediction is moved against the gradients of all energies, so that the denoiser
answers to it at the next step.

Source: sampling guided by the gradient of a loss of the predicted clean motion, as in guided motion diffusion
(Karunratanakul et al. 2023, section 4.3) and Lodge++ (Li et al. 2024, section 3.4). Differs: each energy's gradient
by the joints is brought to unit size, so that a strength means the same at every noise level and for every dance, and
the root goes by the mean of what pulls its joints, its path over the floor by changes of its velocity.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from longdance.diffusion import energy_terms as terms
from longdance.diffusion.noise import NoiseSchedule
from longdance.motion.layout import Layout, Normaliser

RISE = 0.2
"""Metres by which the root rises for a mean unit pull, at full noise and strength 1."""
PACE = 0.1
"""The same for the metres per frame by which its velocity over the floor changes, per frame that is pulled."""


LONGEST = 0.125
"""Largest share of the noise schedule for which one push will do."""


class Body(NamedTuple):
    """What energies see of predicted clean motion."""

    joints: Float[Tensor, "batch frames joints 3"]
    """Metres; where over the floor a row begins does not matter."""
    contacts: Float[Tensor, "batch frames contacts"]
    """Predicted contact labels, in the order of the layout."""


class Cues(NamedTuple):
    """What energies take from the music, frame by frame; see `features.cues`."""

    rest: Float[Tensor, "batch frames"]
    """Positive where the body should rest from this frame to the next, negative where it should move."""
    energy: Float[Tensor, "batch frames"]
    """How much louder than usual the music is, about -2 to 2."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Energy:
    """A differentiable function of a body, and how strongly the prediction is drawn to where it is low."""

    value: Callable[[Body], Float[Tensor, " batch"]]
    """One number for each row, which depends on that row alone; gradients are taken by its joints."""
    strength: Float[Tensor, "batch frames"]
    """0 for no effect."""
    least: float
    """Root mean square over a row of its gradient below which the effect shrinks with the gradient."""
    above: float = 0.0
    """Noise level, as a fraction of the schedule, above which it acts."""
    below: float = 1.0
    """Noise level up to which it acts."""


@dataclass(frozen=True, eq=False)
class Energies:
    """All energies of one sampling run, on features of one layout."""

    energies: Sequence[Energy]
    layout: Layout
    normaliser: Normaliser

    def step(
        self, clean: Float[Tensor, "batch frames features"], *, schedule: NoiseSchedule, step: int, next_step: int
    ) -> Float[Tensor, "batch frames features"]:
        """The prediction of one step of a sampler, drawn as far as the noise between it and the next one allows.

        Long steps are taken in several smaller pushes: one that went all the way would go too far, and no network
        answers to the last.
        """
        level, width = schedule.level(step), schedule.level(step) - schedule.level(next_step)
        noise = (schedule.signal_and_noise(step)[1] + schedule.signal_and_noise(next_step)[1]) / 2
        pushes = math.ceil(width / LONGEST - 1e-9)
        for _ in range(pushes):
            clean = self.apply(clean, level=level, noise=noise / pushes)
        return clean

    def apply(
        self, clean: Float[Tensor, "batch frames features"], *, level: float, noise: float
    ) -> Float[Tensor, "batch frames features"]:
        """The predicted clean motion (normalised), moved to where the energies that act at ``level`` are lower.

        Each gradient by the joints is divided by its root mean square over the row and multiplied by strength and by
        ``noise``, how much of it is left; forward kinematics takes their sum to features in one pass.
        """
        active = [energy for energy in self.energies if energy.above < level <= energy.below]
        if not active:
            return clean
        with torch.enable_grad(), torch.autocast(clean.device.type, enabled=False):
            features = clean.detach().float().requires_grad_()
            real = self.normaliser.denormalise(features)
            joints = self.layout.joints(real)
            body = Body(joints.detach().requires_grad_(), real[..., self.layout["contact"]].detach())
            pull = torch.zeros_like(body.joints)
            for energy in active:
                pull += energy.strength[..., None, None] * unit_gradient(energy, body)
            # As the gradient of a number: given one by the joints, torch would import sympy first.
            [push] = torch.autograd.grad((joints * pull).sum(), features)
        root, turns = self.layout["root_position"], self.layout["rotations"]
        push[..., turns] *= certainty(real[..., turns].detach())
        push[..., root] = root_push(pull.mean(2)) / self.normaliser.scale[root]
        return clean - noise * push.to(clean.dtype)


def unit_gradient(energy: Energy, body: Body) -> Float[Tensor, "batch frames joints 3"]:
    """The gradient of an energy by the joints, of unit size over each row unless it is less than ``least``."""
    [gradient] = torch.autograd.grad(energy.value(body).sum(), body.joints)
    size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
    return gradient / size.clamp_min(energy.least)


def certainty(sixd: Float[Tensor, "batch frames columns"]) -> Float[Tensor, "batch frames columns"]:
    """1 for the columns of rotations that are told apart, towards 0 where a prediction is a mean of many.

    The two rows of such a rotation are short or nearly parallel: a small change turns it anywhere, its gradient is
    large and leads nowhere. The area that the rows span, (batch, frames, columns), takes that back.
    """
    first, second = sixd.unflatten(-1, (-1, 2, 3)).unbind(-2)
    area = torch.linalg.cross(first, second).norm(dim=-1).clamp_max(1.0)
    return area.repeat_interleave(6, dim=-1)


def root_push(pull: Float[Tensor, "batch frames 3"]) -> Float[Tensor, "batch frames 3"]:
    """Metres by which the root goes for what its joints are pulled by on average, (batch, frames, x y z).

    All joints hang on the root: the sum of their pulls would move nothing but it. Over the floor the gradient is that
    by the velocity of its path, for a path that was bent frame by frame would tremble; the path's middle stays.
    """
    ground = pull[..., [0, 2]]
    path = ground.flip(1).cumsum(1).flip(1).cumsum(1)
    path = PACE * (path - path.mean(1, keepdim=True))
    return torch.stack((path[..., 0], RISE * pull[..., 1], path[..., 1]), -1)


class Kind(NamedTuple):
    """An energy by name: what it says of a body, and what strength 1 means."""

    make: Callable[[Cues, Layout, float], Callable[[Body], Tensor]]
    """From the music, the layout and the frame rate."""
    usual: float
    """Strength at which the gain is had and the rest of the dance is as good as without: what users call 1."""
    least: float
    above: float = 0.0
    below: float = 1.0


def _beats(cues: Cues, layout: Layout, fps: float) -> Callable[[Body], Tensor]:
    return lambda body: terms.rest_energy(body.joints, cues.rest[:, :-1], fps)


def _loudness(cues: Cues, layout: Layout, fps: float) -> Callable[[Body], Tensor]:
    return lambda body: terms.rest_energy(body.joints, -cues.energy[:, :-1], fps)


def _floor(cues: Cues, layout: Layout, fps: float) -> Callable[[Body], Tensor]:
    def value(body: Body) -> Tensor:
        flight = terms.in_flight(body.joints.detach(), fps)
        return terms.floor_energy(body.joints, flight, layout.skeleton) / fps

    return value


def _feet(cues: Cues, layout: Layout, fps: float) -> Callable[[Body], Tensor]:
    index = [layout.skeleton.index(name) for name in layout.contact_joints]

    def value(body: Body) -> Tensor:
        stands = terms.standing(body.joints.detach(), body.contacts, layout.contact_joints, layout.skeleton)
        return terms.sliding_energy(body.joints, stands, index, fps)

    return value


def _self(cues: Cues, layout: Layout, fps: float) -> Callable[[Body], Tensor]:
    return lambda body: terms.penetration_energy(body.joints) / fps


ENERGIES = {
    "beats": Kind(_beats, usual=0.35, least=1e-3),
    "loudness": Kind(_loudness, usual=0.04, least=0.015),
    "floor": Kind(_floor, usual=2.0, least=1e-3),
    "feet": Kind(_feet, usual=0.25, least=1.5e-3),
    "self": Kind(_self, usual=1.0, least=1e-4),
}
"""By their names; what each is for is said by ``Strengths``."""


def energies(
    strengths: Mapping[str, Float[Tensor, "batch frames"]],
    cues: Cues,
    *,
    layout: Layout,
    normaliser: Normaliser,
    fps: float,
) -> Energies:
    """The named energies for one batch; strengths are in units of each one's usual, 0 where it does not act."""
    found = [
        Energy(
            value=kind.make(cues, layout, fps),
            strength=kind.usual * strengths[name],
            least=kind.least,
            above=kind.above,
            below=kind.below,
        )
        for name, kind in ENERGIES.items()
        if name in strengths and bool((strengths[name] > 0).any())
    ]
    return Energies(found, layout, normaliser)
