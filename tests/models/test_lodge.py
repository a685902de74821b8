"""Lodge's networks: shapes, what they see, and that they come back from a checkpoint."""

import pytest
import torch
from pydantic import ValidationError

from longdance.models.checkpoint import Checkpoint, CheckpointConfig, build, denoiser_name
from longdance.models.conditions import Conditions
from longdance.models.lodge_global import GlobalDenoiser, GlobalDenoiserConfig
from longdance.models.lodge_local import LocalDenoiser, LocalDenoiserConfig
from longdance.models.primitives import PrimitivePlan
from longdance.motion.layout import Normaliser

SIZES = {
    "music_channels": 5, "text_width": 384, "width": 16, "depth": 2, "feedforward": 16, "attention_heads": 2,
    "dropout": 0.0,
}  # fmt: skip


def local(**changes) -> LocalDenoiser:
    torch.manual_seed(0)
    return settle(LocalDenoiser(LocalDenoiserConfig(**SIZES | changes)))


def whole(**changes) -> GlobalDenoiser:
    torch.manual_seed(0)
    return settle(GlobalDenoiser(GlobalDenoiserConfig(**{**SIZES, "length": 256, "segment": 128} | changes)))


def settle(network):
    """What begins as nothing becomes something, so that it can be seen."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.abs().sum():
                parameter.normal_(0, 0.1)
    return network.eval()


def conditions(frames: int, generator, *, batch: int = 2) -> Conditions:
    return Conditions(
        torch.randn(batch, frames, 5, generator=generator),
        torch.randn(batch, 3, 384, generator=generator),
        torch.ones(batch, 3, dtype=torch.bool),
        torch.ones(batch, dtype=torch.bool),
    )


LOCALS = {
    "plain": {},
    "without foot refine block": {"foot_refine": False},
    "preconditioned": {"precondition": True},
    "aligned music": {"aligned_music": True},
    "shared tokens": {"frames_per_token": 2, "music_stride": 2, "aligned_music": True, "precondition": True},
}


@pytest.mark.parametrize("changes", LOCALS.values(), ids=LOCALS)
@pytest.mark.parametrize("frames", [1, 24, 25])
def test_the_local_network_keeps_frames_and_hears_and_reads(changes, frames, generator):
    network, given = local(**changes), conditions(frames, generator)
    noisy, step = torch.randn(2, frames, 139, generator=generator), torch.tensor([3, 700])
    clean = network(noisy, step, given)
    assert clean.shape == noisy.shape
    assert clean.dtype == torch.float32
    for other in (
        given._replace(music=given.music + 1),
        given._replace(text=given.text.flip(-1)),
        given.without(music=True),
        given.without(text=True),
    ):
        assert (network(noisy, step, other) - clean).abs().max() > 1e-4
    assert (network(noisy, step + 100, given) - clean).abs().max() > 1e-4


def test_dropped_conditions_do_not_leak(generator):
    network, given = local(aligned_music=True), conditions(20, generator).without(music=True, text=True)
    noisy, step = torch.randn(2, 20, 139, generator=generator), torch.tensor([3, 700])
    other = given._replace(music=given.music * 3, text=given.text + 1)
    assert torch.equal(network(noisy, step, given), network(noisy, step, other))


def test_rows_of_a_batch_do_not_mix(generator):
    network, given = local(frames_per_token=2), conditions(20, generator)
    noisy, step = torch.randn(2, 20, 139, generator=generator), torch.tensor([3, 700])
    both = network(noisy, step, given)
    for row in range(2):
        cut = slice(row, row + 1)
        torch.testing.assert_close(network(noisy[cut], step[cut], given.rows(cut)), both[cut], atol=1e-5, rtol=1e-4)


def test_music_reaches_the_frames_it_sounds_in(generator):
    """With music at one moment alone, nearby frames change most once it is added frame by frame."""
    network, given = local(aligned_music=True, foot_refine=False), conditions(60, generator, batch=1)
    noisy, step = torch.randn(1, 60, 139, generator=generator), torch.tensor([500])
    struck = given.music.clone()
    struck[:, 30] += 3.0
    change = (network(noisy, step, given._replace(music=struck)) - network(noisy, step, given)).abs().mean(-1)[0]
    assert change.argmax() == 30


def test_the_foot_refine_block_adds_to_the_decoder(generator):
    network, given = local(), conditions(20, generator)
    noisy, step = torch.randn(2, 20, 139, generator=generator), torch.tensor([3, 700])
    refined = network(noisy, step, given)
    with torch.no_grad():
        network.foot_refine.output.weight.zero_()
        network.foot_refine.output.bias.zero_()
    plain = local(foot_refine=False)
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("foot_refine")})
    torch.testing.assert_close(network(noisy, step, given), plain(noisy, step, given))
    assert (refined - plain(noisy, step, given)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("length", "segment", "count"), [(1024, 256, 13), (1024, 128, 25), (512, 256, 7), (256, 128, 7)]
)
@pytest.mark.parametrize("spacing", [1, 4])
def test_primitives_lie_where_the_choreography_cuts_them(length, segment, count, spacing):
    config = GlobalDenoiserConfig(**SIZES, length=length, segment=segment, soft_spacing=spacing)
    plan = PrimitivePlan(frames=length, segment=segment, soft_spacing=spacing)
    assert config.primitives == plan.count == count
    frames = config.frames().numpy()
    assert (frames[: plan.hard, 0] == plan.hard_starts()).all()
    middles = segment / 4 + segment / 2 * torch.arange(plan.soft)
    assert torch.equal(config.frames()[plan.hard :, 4].float(), middles)
    assert set((frames[plan.hard :, 1] - frames[plan.hard :, 0]).tolist()) == {spacing}


@pytest.mark.parametrize(
    "changes", [{}, {"precondition": True}, {"frames_per_token": 4, "music_stride": 16}, {"soft_spacing": 4}]
)
def test_the_global_network_tells_all_primitives_from_the_whole_music(changes, generator):
    network, given = whole(**changes), conditions(256, generator)
    noisy, step = torch.randn(2, 7 * 8, 139, generator=generator), torch.tensor([3, 700])
    clean = network(noisy, step, given)
    assert clean.shape == noisy.shape
    late = given.music.clone()
    late[:, 200:] += 1
    assert (network(noisy, step, given._replace(music=late)) - clean)[:, :8].abs().max() > 1e-5
    assert (network(noisy, step, given.without(text=True)) - clean).abs().max() > 1e-4


def test_the_filter_stays_within_a_primitive(generator):
    network = whole(precondition=True)
    step_vector = torch.randn(1, 16, generator=generator)
    noisy = torch.randn(1, 7 * 8, 139, generator=generator)
    changed = noisy.clone()
    changed[:, 8:16] += 1
    difference = (network._filtered(changed, step_vector) - network._filtered(noisy, step_vector)).abs().amax((0, 2))
    assert difference[8:16].min() > 0
    assert difference[:8].max() == difference[16:].max() == 0


def test_sizes_that_do_not_fit_are_refused():
    for wrong in ({"length": 1000}, {"frames_per_token": 3}, {"attention_heads": 3}, {"features": 151}):
        with pytest.raises(ValidationError):
            GlobalDenoiserConfig(**SIZES | wrong)


@pytest.mark.parametrize("network", [local(), whole()], ids=["local", "global"])
@pytest.mark.parametrize("half", [False, True])
def test_a_checkpoint_brings_back_the_network_and_its_metres(network, half, tmp_path, generator):
    normaliser = Normaliser(torch.randn(139, generator=generator), torch.rand(139, generator=generator) + 0.5)
    config = network.config.model_copy(update={"music_channels": 35})
    network = build(config)
    if isinstance(network, LocalDenoiser):
        network.use(normaliser)
    Checkpoint(
        CheckpointConfig(
            denoiser=denoiser_name(config), network=config.model_dump(), layout="smpl22", fps=30.0, window=256,
            diffusion_steps=1000, music_encoder="librosa35", text_encoder="all-MiniLM-L6-v2", clean_edges=4,
        ),
        network, normaliser, torch.zeros(35), torch.ones(35),
    ).save(tmp_path, half=half)  # fmt: skip
    again = Checkpoint.load(tmp_path)
    assert again.network.config == config
    assert again.config.clean_edges == 4
    for name, tensor in network.state_dict().items():
        exact = not half or (name.endswith(("mean", "scale")) and "foot_refine" in name)
        if exact:
            assert torch.equal(again.network.state_dict()[name], tensor), name
        else:
            torch.testing.assert_close(again.network.state_dict()[name], tensor, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize(("network", "timeline"), [(local(), 40), (whole(), 256)], ids=["local", "global"])
def test_music_heard_before_is_the_music_heard_now(network, timeline, generator):
    frames = 40 if timeline == 40 else network.config.frames().numel()
    noisy, step = torch.randn(2, frames, 139, generator=generator), torch.tensor([3, 700])
    given = conditions(timeline, generator)
    torch.testing.assert_close(network(noisy, step, given, network.hear(given)), network(noisy, step, given))
    other = network.hear(conditions(timeline, generator))
    assert not torch.allclose(network(noisy, step, given, other), network(noisy, step, given), atol=1e-3)
