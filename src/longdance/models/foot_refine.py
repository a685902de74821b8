"""Lodge's foot refine block: where the feet are, how they move and whether they stand, and a correction from that.

Source: Lodge section 3.4 and figure 3. The contact score is ours (the paper refers to LEMO for one): in metres and
metres per second, with the limits by which the training data's contact labels are made.
"""

from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from longdance.models.blocks import Entrance, ExactBuffers
from longdance.models.film import DecoderLayer, fold, unfold
from longdance.motion import rotations as rot
from longdance.motion.contacts import STANDING_SPEED, contact_height
from longdance.motion.kinematics import forward_kinematics
from longdance.motion.layout import Layout, Normaliser
from longdance.motion.skeleton import Skeleton

HEIGHT_SOFTNESS = 0.01
"""Metres over which the score of a foot's height fades."""
SPEED_SOFTNESS = 0.05
"""Metres per second over which the score of a foot's speed fades."""


class FootState(NamedTuple):
    """The contact joints of a layout, in its order."""

    positions: Float[Tensor, "batch frames joints 3"]
    """Metres."""
    velocities: Float[Tensor, "batch frames joints 3"]
    """Metres per second."""
    contact: Float[Tensor, "batch frames joints"]
    """1 for a joint that stands on the floor, towards 0 the higher it is or the faster it moves."""


class Legs:
    """Forward kinematics of what carries the contact joints of a layout, and of nothing else."""

    def __init__(self, layout: Layout):
        self.layout = layout
        whole = layout.skeleton
        chain = set()
        for name in layout.contact_joints:
            joint = whole.index(name)
            while joint >= 0:
                chain.add(joint)
                joint = whole.parents[joint]
        self.joints = sorted(chain)
        self.skeleton = Skeleton(
            tuple(whole.names[joint] for joint in self.joints),
            tuple(self.joints.index(whole.parents[joint]) if joint else -1 for joint in self.joints),
            whole.offsets[self.joints],
        )

    @cached_property
    def height_limits(self) -> list[float]:
        """Metres below which each contact joint can stand."""
        return [contact_height(name) for name in self.layout.contact_joints]

    def state(self, features: Float[Tensor, "batch frames features"], fps: float) -> FootState:
        """The feet of denormalised features, differentiable."""
        sixd = features[..., self.layout["rotations"]].unflatten(-1, (-1, 6))[..., self.joints, :]
        root = features[..., self.layout["root_position"]]
        joints = forward_kinematics(root, rot.matrix_from_6d(sixd), self.skeleton)[0]
        positions = joints[..., [self.skeleton.index(name) for name in self.layout.contact_joints], :]
        velocities = central_differences(positions) * fps
        limits = positions.new_tensor(self.height_limits)
        low = torch.sigmoid((limits - positions[..., 1]) / HEIGHT_SOFTNESS)
        slow = torch.sigmoid((STANDING_SPEED - velocities.norm(dim=-1)) / SPEED_SOFTNESS)
        return FootState(positions, velocities, low * slow)


def central_differences(values: Float[Tensor, "batch frames *axes"]) -> Float[Tensor, "batch frames *axes"]:
    """Change per frame, one-sided at both ends; zero for a single frame."""
    if values.shape[1] < 2:
        return torch.zeros_like(values)
    steps = values.diff(dim=1)
    return torch.cat((steps[:, :1], (steps[:, 1:] + steps[:, :-1]) / 2, steps[:, -1:]), 1)


class FootRefineBlock(ExactBuffers):
    """A correction of the motion from the state of its feet; begins as none.

    Decoder layers whose queries are the motion's frames and whose memory are the feet. The state of the feet is
    information: no gradient goes back through the kinematics into the motion.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        layout: Layout,
        width: int,
        *,
        depth: int,
        heads: int,
        feedforward: int,
        dropout: float,
        frames_per_token: int = 1,
    ):
        super().__init__()
        self.legs, self.frames_per_token = Legs(layout), frames_per_token
        self.motion = Entrance(frames_per_token * layout.width, width)
        self.feet = Entrance(frames_per_token * 7 * len(layout.contact_joints), width)
        self.layers = nn.ModuleList(
            DecoderLayer(width, heads=heads, feedforward=feedforward, dropout=dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, frames_per_token * layout.width)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        # Kept with the weights: the block needs metres, and the network is handed normalised features.
        self.register_buffer("mean", torch.zeros(layout.width))
        self.register_buffer("scale", torch.ones(layout.width))

    def use(self, normaliser: Normaliser) -> None:
        """Set what turns the network's features into metres."""
        self.mean.copy_(normaliser.mean)
        self.scale.copy_(normaliser.scale)

    def feet_of(self, motion: Float[Tensor, "batch frames features"], fps: float) -> Float[Tensor, "batch frames feet"]:
        """Positions as seen from below the root, velocities and contact scores of normalised motion."""
        with torch.no_grad(), torch.autocast(motion.device.type, enabled=False):
            real = motion.float() * self.scale + self.mean
            state = self.legs.state(real, fps)
            below = real[..., None, self.legs.layout["root_position"]] * real.new_tensor([1.0, 0.0, 1.0])
            return torch.cat(
                ((state.positions - below).flatten(-2), state.velocities.flatten(-2), state.contact), -1
            )

    def forward(
        self,
        motion: Float[Tensor, "batch frames features"],
        seconds: Float[Tensor, " tokens"],
        condition: Float[Tensor, "batch width"],
        *,
        fps: float,
    ) -> Float[Tensor, "batch frames features"]:
        """What to add to normalised motion; ``seconds`` are those of its tokens."""
        folded = self.frames_per_token
        memory = self.feet(fold(self.feet_of(motion, fps), folded))
        tokens = self.motion(fold(motion, folded)) + memory
        for layer in self.layers:
            tokens = layer(tokens, seconds, memory, seconds, condition)
        return unfold(self.output(self.norm(tokens)), folded, frames=motion.shape[1]).float()
