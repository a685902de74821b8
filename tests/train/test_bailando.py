"""Bailando from recipe to dance: three stages, rewards that mean what they say, an actor that follows them."""

import math

import numpy as np
import pytest
import torch

from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.models.bailando import codes_before
from longdance.models.generators import GeneratorCheckpoint
from longdance.motion.layout import LAYOUTS
from longdance.registry import RECIPES
from longdance.train.bailando import (
    CRITIC,
    BailandoStages,
    BeatSource,
    actor_loss,
    beat_reward,
    facing_agreement,
    temporal_errors,
)
from longdance.train.overrides import override
from longdance.train.stages import train_recipe
from longdance.train.task import KEPT

# Lightning and TensorBoard warn about their own use of other libraries; nothing of ours is at fault.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
]

COMMON = {
    "music_encoder": "plan", "batch.size": 2, "batch.window": 32, "precision": "32-true", "steps": 3,
    "checkpoint_every": 1, "warmup": 1,
}  # fmt: skip
GPT_SIZES = {"width": 16, "depth": 1, "feedforward": 16, "attention_heads": 2, "music_channels": 12, "context": 10}
STAGES = {
    "memory": COMMON | {"network.width": 16, "network.codes": 8},
    "gpt": COMMON | {f"network.{key}": value for key, value in GPT_SIZES.items()},
    "actor_critic": COMMON | {f"critic.{key}": value for key, value in GPT_SIZES.items()},
}
SETTINGS = [f"{stage}.{key}={value}" for stage, settings in STAGES.items() for key, value in settings.items()]


def exact():
    return torch.autocast("cpu", enabled=False)


@pytest.fixture(scope="module")
def run(small_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return train_recipe(override(RECIPES["bailando-open"](), SETTINGS), Store.open(small_store), folder)


@pytest.fixture(scope="module")
def song() -> Song:
    samples = np.sin(np.arange(5 * 22050) * 0.05).astype(np.float32)
    return Song.from_samples(samples, 22050, beat_times=np.arange(0, 5, 0.5))


def test_three_stages_make_a_model_that_dances(run, song):
    model = load(run)
    assert model.kind == "bailando"
    dance = model.generate(song)
    assert dance.frames == 150
    assert np.isfinite(dance.joints()).all()
    np.testing.assert_array_equal(dance.joints(), model.generate(song).joints())
    assert not np.array_equal(dance.joints(), model.generate(song, seed=1).joints())
    raw = model.generate(song, cleanup=False)
    np.testing.assert_allclose(raw.root_position[0, [0, 2]], 0, atol=1e-9)


def test_the_stage_before_dances_too_and_the_memory_does_not(run, song):
    assert load(run / "gpt").generate(song).frames == 150
    with pytest.raises(InputError, match="choreographic memory"):
        load(run / "memory")


def test_later_stages_leave_the_memory_as_it_is(run):
    memory = GeneratorCheckpoint.load(run / "memory").network.state_dict()
    whole = GeneratorCheckpoint.load(run).network.memory.state_dict()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in memory.items())


def test_stages_want_the_ones_before(small_store, run):
    store, stages = Store.open(small_store), override(RECIPES["bailando-open"](), SETTINGS)
    assert isinstance(stages, BailandoStages)
    with pytest.raises(InputError, match="initial"):
        stages.gpt.task(store)
    with pytest.raises(InputError, match="multiple of 4"):
        override(stages.memory, ["batch.window=30"]).task(store)
    with pytest.raises(InputError, match="context"):
        override(stages.gpt, [f"initial={run / 'memory'}", "batch.window=48"]).task(store)


def test_a_window_is_remembered(small_store):
    config = override(RECIPES["bailando-open"](), SETTINGS).memory
    config = override(config, ["network.width=32", "network.codes=64", "batch.size=1"])
    task = config.task(Store.open(small_store))
    batch, network = task.draw(0, rank=0), task.networks[KEPT]
    optimiser, reached = torch.optim.Adam(network.parameters(), lr=3e-3), []
    for _ in range(120):
        losses = task.losses(task.networks, batch, torch.Generator(), exact)[KEPT]
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
        reached.append({name: value.item() for name, value in losses.items()})
    assert reached[-1]["reconstruction"] < 0.1 * reached[0]["reconstruction"]
    assert reached[-1]["root_velocity"] < 0.3 * reached[0]["root_velocity"]


def test_codes_are_learnt(small_store, run):
    config = override(override(RECIPES["bailando-open"](), SETTINGS).gpt, [f"initial={run / 'memory'}"])
    task = override(config, ["network.dropout=0"]).task(Store.open(small_store))
    batch, gpt = task.draw(0, rank=0), task.networks[KEPT]
    task.memory.codebooks["upper"].vectors.add_(torch.randn(8, 16, generator=torch.Generator().manual_seed(0)))
    optimiser = torch.optim.Adam(gpt.parameters(), lr=1e-2)
    for _ in range(60):
        losses = task.losses(task.networks, batch, torch.Generator(), exact)[KEPT]
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
    assert losses["accuracy"] > 0.9


def test_beats_come_with_the_windows(small_store):
    store = Store.open(small_store)
    config = override(RECIPES["bailando-open"](), SETTINGS).memory
    source = BeatSource(store, config.batch, split="train", text_encoder=config.text_encoder, seed=0)
    take = store.select("train")[0]
    beats = source.with_beats([(take, 7)], None).beats[0].nonzero()[:, 0] + 7
    expected = [round(beat * 30) for beat in take.beat_times if 7 <= round(beat * 30) < 7 + 32]
    assert beats.tolist() == expected


def bobbing(frames: int, beat: int, *, late: int = 0) -> torch.Tensor:
    """Joints that stand still once every ``beat`` frames, between frames ``late`` - 1 and ``late``."""
    phase = (torch.arange(frames) - late + 0.5) * (math.pi / beat)
    joints = torch.zeros(1, frames, 24, 3)
    joints[0, :, :, 1] = -phase.cos()[:, None]
    return joints


def test_pauses_on_the_beat_are_rewarded_and_nothing_else():
    beats = torch.zeros(1, 90, dtype=torch.bool)
    beats[0, 15::15] = True
    rewards = [
        beat_reward(bobbing(90, 15, late=late), beats, fps=30.0, tolerance=0.1) for late in (0, 2, 5)
    ]
    assert all(not reward[~beats].any() for reward in rewards)
    on, near, off = (float(reward[0, 30:75].sum() / 3) for reward in rewards)
    assert on > 0.95
    assert on > near > off
    frozen = torch.zeros(1, 90, 24, 3)
    assert not beat_reward(frozen, beats, fps=30.0, tolerance=0.1).any()


def test_facing_agreement_is_the_cosine_between_hips_and_shoulders():
    layout = LAYOUTS["smpl24"]
    joints = torch.from_numpy(layout.skeleton.rest_positions).float().repeat(1, 3, 1, 1)
    for frame, angle in enumerate((0.0, math.pi / 3, math.pi)):
        for side, sign in (("left", 1), ("right", -1)):
            place = torch.tensor([math.cos(angle), 0.0, math.sin(angle)]) * 0.2 * sign
            joints[0, frame, layout.skeleton.index(f"{side}_shoulder")] = place
    torch.testing.assert_close(facing_agreement(joints, layout), torch.tensor([[1.0, 0.5, -1.0]]), atol=1e-3, rtol=0)


def test_temporal_errors_are_those_of_a_hand_count():
    values = torch.tensor([[1.0, 2.0, 4.0]], requires_grad=True)
    errors = temporal_errors(torch.tensor([[0.5, 0.0, 1.0]]), values, discount=0.5)
    assert errors.tolist() == [[0.5 + 1 - 1, 0 + 2 - 2, 1 - 4]]
    (gradient,) = torch.autograd.grad(errors.sum(), values)
    assert gradient.tolist() == [[-1.0, -1.0, -1.0]]


def test_what_went_better_than_expected_becomes_likelier():
    logits = torch.zeros(1, 2, 2, 3, requires_grad=True)
    codes = torch.tensor([[[0, 1], [2, 2]]])
    loss = actor_loss(logits, codes, torch.tensor([[1.0, -1.0]]))
    (gradient,) = torch.autograd.grad(loss, logits)
    after = (logits - gradient).softmax(-1)
    assert after[0, 0, 0, 0] > 1 / 3
    assert after[0, 0, 1, 1] > 1 / 3
    assert (after[0, 1, :, 2] < 1 / 3).all()


def test_an_actor_finds_the_rewarded_codes(small_store, run, monkeypatch):
    """A toy: code 3 of the upper half is worth 1, whatever the music; the actor learns to choose it."""
    config = override(RECIPES["bailando-open"](), SETTINGS).actor_critic
    config = override(config, [f"initial={run / 'gpt'}", "batch.size=8", "learning_rate=0.02", "discount=0"])
    task = config.task(Store.open(small_store))
    monkeypatch.setattr(type(task), "reward", lambda self, memory, codes, beats: (codes[..., 0] == 3).float())
    actor, critic = task.networks[KEPT].eval(), task.networks[CRITIC].eval()
    optimisers = [task.optimiser(name, network.parameters()) for name, network in task.networks.items()]
    generator, batch, gained = torch.Generator().manual_seed(0), task.draw(0, rank=0), []
    for _ in range(30):
        losses = task.losses(task.networks, batch, generator, exact)
        gained.append(losses[KEPT]["reward"].item())
        for network, optimiser in zip((KEPT, CRITIC), optimisers, strict=True):
            losses[network]["total"].backward()
            optimiser.step()
            optimiser.zero_grad()
    assert gained[0] < 0.3
    assert min(gained[-5:]) > 0.9
    codes = torch.full((8, 8, 2), 3)
    music = batch.windows.conditions.music
    likely = actor(music, codes_before(codes, task.memory.config)).softmax(-1)[..., 0, 3].mean()
    assert likely > 0.5
    assert critic(music, codes).mean() > 0.2
