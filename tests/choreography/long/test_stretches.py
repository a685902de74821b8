"""Long dances stay on the device of their model."""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from choreography.test_dancer import checkpoint_of, dance, song_of
from dancers import drawn
from longdance.choreography.devices import device_of, placed
from longdance.choreography.generators.edmg import edmg
from longdance.choreography.long import stretches as stretches_module
from longdance.choreography.long.windows import Stitcher
from longdance.choreography.request import DanceRequest
from longdance.choreography.score_file import parse_score
from longdance.errors import InputError
from longdance.motion.layout import Normaliser

SCORE = parse_score(
    "timeline: [{from: 0, to: 2.1, genre: salsa, poses: [{at: 1, pose: crouch}]},"
    "{from: 2.1, genre: disco, guidance: {text: 2}}]"
)


class OneDevice(TorchDispatchMode):
    """Fails at an operation on tensors of several devices, as a GPU would; copies and scalars may mix."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, torch.Tensor)]
        devices = {tensor.device.type for tensor in tensors if tensor.dim()}
        assert len(devices) <= 1 or "copy" in str(func), f"{func} on {devices}"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("held", [False, True])
def test_no_operation_mixes_devices(held, monkeypatch):
    """Tensors on the meta device have shapes only, which is enough to see where each operation happens."""
    model = drawn(edmg(checkpoint_of()), stretch=2)
    prepared = model.prepare(DanceRequest(song=song_of(6.0), score=SCORE, steps=2))
    plan = model.generator.plan(prepared.frames)
    there = model.checkpoint
    there = replace(
        there,
        network=checkpoint_of().network.to("meta"),
        normaliser=Normaliser(*(t.to("meta") for t in (there.normaliser.mean, there.normaliser.scale))),
    )
    given = None
    if held:
        mask = torch.zeros(plan.frames, 151)
        mask[:10] = 1
        given = stretches_module.Held(torch.zeros(plan.frames, 151), mask)
    found = torch.Tensor.nonzero
    monkeypatch.setattr(
        torch.Tensor, "nonzero", lambda t: torch.zeros(1, 1).long() if t.device.type == "meta" else found(t)
    )
    monkeypatch.setattr(torch.Tensor, "cpu", lambda t: torch.zeros(t.shape))
    monkeypatch.setattr(Stitcher, "gap", lambda stitcher, windows: 0.0)
    with OneDevice():
        parts = list(
            stretches_module.stretches(
                there,
                prepared.conditioner.with_cues(prepared.song, plan.frames),
                prepared.timeline,
                plan,
                sampling=prepared.sampling,
                held=given,
            )
        )
    assert sum(len(track) for track, _ in parts) == plan.frames


def test_devices_that_are_not_there_are_refused():
    model = edmg(checkpoint_of())
    for device in ("tpu", "cuda:999", "cuda:x", "meta"):
        with pytest.raises(InputError, match="cpu"):
            device_of(device)
    assert placed(model.checkpoint, "cpu") is model.checkpoint


@pytest.mark.requires_cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_dance_on_cuda_is_the_dance_on_the_cpu():
    model, song = drawn(edmg(checkpoint_of()), stretch=2), song_of(6.0)
    here, there = (dance(model, song, score=SCORE, device=device) for device in ("cpu", "cuda"))
    assert abs(here.joints() - there.joints()).max() < 0.05  # bf16
