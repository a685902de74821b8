"""Training of Lodge: what it trains on, that it learns and resumes, and every switch of the paper's ablations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from longdance.data.store import Store
from longdance.errors import InputError
from longdance.models.checkpoint import Checkpoint
from longdance.models.discriminator import DiscriminatorConfig
from longdance.models.lodge_global import GlobalDenoiserConfig
from longdance.models.lodge_local import LocalDenoiserConfig
from longdance.models.pmd import PMDConfig
from longdance.models.primitives import PRIMITIVE_FRAMES
from longdance.motion.layout import LAYOUTS
from longdance.motion.skeleton import SMPL22
from longdance.registry import RECIPES
from longdance.train.batches import BatchConfig, Statistics
from longdance.train.lodge import (
    DISCRIMINATOR,
    LodgeGlobalConfig,
    LodgeGlobalTask,
    LodgeLocalConfig,
    LodgeLocalPMDConfig,
)
from longdance.train.loop import train
from longdance.train.overrides import override
from longdance.train.stages import LodgeStages, train_recipe
from longdance.train.task import KEPT

# Lightning and TensorBoard warn about their own use of other libraries; nothing of ours is at fault.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
]

LAYOUT = LAYOUTS["smpl22"]
SIZES = {"music_channels": 12, "width": 16, "depth": 1, "feedforward": 16, "attention_heads": 2, "dropout": 0.1}
RUN = {"music_encoder": "plan", "steps": 2, "learning_rate": 1e-3, "checkpoint_every": 1}
JUDGE = DiscriminatorConfig(width=8, depth=1, feedforward=8, attention_heads=2)
plainly = torch.enable_grad  # an autocast that does nothing


def local(window: int = 40, network: dict | None = None, **changes) -> LodgeLocalConfig:
    return LodgeLocalConfig(
        recipe="made up",
        network=LocalDenoiserConfig(**SIZES | (network or {})),
        batch=BatchConfig(size=2, window=window),
        **{**RUN, "precision": "32-true", **changes},
    )


def whole(length: int = 256, segment: int = 128, network: dict | None = None, **changes) -> LodgeGlobalConfig:
    return LodgeGlobalConfig(
        recipe="made up",
        network=GlobalDenoiserConfig(**SIZES | {"length": length, "segment": segment} | (network or {})),
        batch=BatchConfig(size=4, window=length),
        **{**RUN, "precision": "32-true", **changes},
    )


@pytest.fixture(scope="module")
def store(small_store) -> Store:
    return Store.open(small_store)


class Killed(Exception):
    pass


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_two_networks_resume_to_the_same_bits(precision, store, tmp_path):
    config = local(adversary=JUDGE, clean_edges=4, steps=5, checkpoint_every=2, precision=precision)

    def kill_after_three(done: int, total: int, what: str) -> None:
        if done == 3:
            raise Killed

    train(config, store, tmp_path / "whole")
    with pytest.raises(Killed):
        train(config, store, tmp_path / "killed", progress=kill_after_three)
    train(config, store, tmp_path / "killed", resume=True)
    first, second = (load_file(tmp_path / run / "last" / "state.safetensors") for run in ("whole", "killed"))
    assert first.keys() == second.keys()
    assert {name.partition(".")[0] for name in first} == {
        "average", "network", "optimiser", "discriminator", "discriminator-optimiser", "step"
    }  # fmt: skip
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_each_loss_teaches_its_own_network_alone(store):
    task = local(adversary=JUDGE).task(store)
    losses = task.losses(task.networks, task.draw(0, rank=0), torch.Generator().manual_seed(0), plainly)
    assert list(losses) == [KEPT, DISCRIMINATOR]
    for learner, other in ((KEPT, DISCRIMINATOR), (DISCRIMINATOR, KEPT)):
        losses[learner]["total"].backward()
        taught = [p.grad for p in task.networks[learner].parameters() if p.grad is not None]
        assert sum(g.abs().sum() for g in taught) > 0
        assert all(p.grad is None for p in task.networks[other].parameters())
        task.networks[learner].zero_grad(set_to_none=True)


def test_the_verdict_counts_with_its_weight(store):
    batch, totals = None, []
    for weight in (0.0, 2.0):
        config = local(adversary=JUDGE, network={"dropout": 0.0})
        torch.manual_seed(0)
        task = config.model_copy(update={"losses": config.losses.model_copy(update={"genre": weight})}).task(store)
        batch = batch or task.draw(0, rank=0)
        terms = task.losses(task.networks, batch, torch.Generator().manual_seed(0), plainly)[KEPT]
        totals.append((terms["total"].item(), terms["genre"].item()))
    assert totals[1][0] == pytest.approx(totals[0][0] + 2 * totals[0][1], rel=1e-5)


def test_fine_tuning_sees_clean_edges_and_says_so(store, generator):
    motion, noise = torch.randn(2, 40, 139, generator=generator), torch.randn(2, 40, 139, generator=generator)
    step = torch.tensor([500, 900])
    plain, tuned = (local(clean_edges=edges).task(store) for edges in (0, 4))
    noisy, mixed = (task.disturb(motion, step, noise) for task in (plain, tuned))
    assert torch.equal(mixed[:, :4], motion[:, :4])
    place = [LAYOUT["root_position"].start, LAYOUT["root_position"].stop - 1]  # x and z: where the segment will end
    pose = [column for column in range(LAYOUT.width) if column not in place]
    assert torch.equal(mixed[:, -4:, pose], motion[:, -4:, pose])
    assert torch.equal(mixed[:, -4:, place], noisy[:, -4:, place])
    assert torch.equal(mixed[:, 4:-4], noisy[:, 4:-4])
    assert tuned.as_checkpoint(tuned.networks[KEPT], 1).config.clean_edges == 4
    assert plain.as_checkpoint(plain.networks[KEPT], 1).config.clean_edges == 0


def test_fine_tuning_begins_with_the_weights_and_statistics_of_the_first_training(store, tmp_path):
    first = local()
    train(first, store, tmp_path / "first")
    kept = Checkpoint.load(tmp_path / "first")
    task = local(network={"width": 32}, initial=str(tmp_path / "first"), clean_edges=4).task(store)
    assert task.config.network == first.network
    for name, tensor in kept.network.state_dict().items():
        assert torch.equal(task.networks[KEPT].state_dict()[name], tensor), name
    assert torch.equal(task.statistics.normaliser.scale, kept.normaliser.scale)
    with pytest.raises(InputError, match="lodge-local"):
        pmd(initial=str(tmp_path / "first")).task(store)


def pmd(**changes) -> LodgeLocalPMDConfig:
    return LodgeLocalPMDConfig(
        recipe="made up",
        network=PMDConfig(
            features=139, music_channels=12, fps=30, width=16, depth=1, heads=4, state=4, attention_heads=2
        ),
        batch=BatchConfig(size=2, window=40),
        **{**RUN, "precision": "32-true", **changes},
    )


SWITCHES = {
    "no foot refine block (table 5)": local(network={"foot_refine": False}),
    "discriminator": local(adversary=JUDGE),
    "fine-tuning": local(clean_edges=4, adversary=JUDGE),
    "n = 32 (table 7)": local(window=32),
    "as EDMG": pmd(),
    "as EDMG, fine-tuned": pmd(clean_edges=4, adversary=JUDGE),
    "global": whole(),
    "discrete primitives (table 6)": whole(network={"soft_spacing": 4}),
    "N = 512 (table 7)": whole(512, 256),
    "open global": whole(network={"precondition": True, "frames_per_token": 4, "music_stride": 16}),
}


@pytest.mark.parametrize("config", SWITCHES.values(), ids=SWITCHES)
def test_every_switch_trains_and_its_folder_can_be_loaded(config, store, tmp_path):
    train(config, store, tmp_path)
    found = Checkpoint.load(tmp_path)
    assert found.config.trained_steps == 2
    assert found.config.layout == "smpl22"
    assert found.config.window == config.batch.window
    assert found.network.config == config.network
    assert found.config.genres == ("disco", "salsa")


def test_the_foot_refine_block_knows_the_metres(store):
    task = local().task(store)
    network = task.networks[KEPT]
    assert torch.equal(network.foot_refine.scale, task.statistics.normaliser.scale)
    batch = task.draw(0, rank=0)
    feet = network.foot_refine.feet_of(batch.motion, 30.0)
    heights = feet[..., [1, 4, 7, 10]]
    assert heights.min() > -0.1
    assert heights.max() < 0.5  # the made-up dance stays near the floor


def test_features_of_fewer_joints_are_those_of_the_motion_with_fewer_joints(store):
    take = store.takes[0]
    motion = store.layout.decode(np.array(store.motion_of(take)), store.fps)
    bare = replace(motion, rotations=motion.rotations[:, :22], skeleton=SMPL22)
    found = store.motion_of(take, LAYOUT)
    np.testing.assert_allclose(found, LAYOUT.encode(bare), atol=1e-5)


def test_a_batch_of_primitives_is_what_the_dance_does_there(store):
    task = whole().task(store)
    source = task.sources["train"]
    batch = task.draw(0, rank=0)
    assert batch.motion.shape == (4, 7 * PRIMITIVE_FRAMES, 139)
    assert batch.conditions.music.shape == (4, 256, 12)
    # Each take has 150 of 256 frames: some primitives, never all.
    shares = batch.valid.float().mean(1)
    assert bool(((shares > 0) & (shares < 1)).all())
    assert batch.motion[~batch.valid].abs().max() == 0
    real = source.normaliser.denormalise(batch.motion).unflatten(1, (-1, PRIMITIVE_FRAMES))
    present = batch.valid.unflatten(1, (-1, PRIMITIVE_FRAMES))[..., 0]
    root = LAYOUT["root_position"].start
    assert real[present][:, 0, [root, root + 2]].abs().max() < 1e-5
    # A hard primitive in the middle, found in the take by its heights.
    take, start = source.takes[0], -60
    cut = source._collate([(take, start)], None)
    expected = store.motion_of(take, LAYOUT)[128 - 4 + start : 128 + 4 + start]
    found = source.normaliser.denormalise(cut.motion)[0, 8:16].numpy()
    np.testing.assert_allclose(found[:, root + 1 :][:, :1], expected[:, root + 1 :][:, :1], atol=1e-5)


def test_music_goes_on_by_repeating_where_the_take_does_not(store):
    source = whole().task(store).sources["train"]
    take = source.takes[0]
    music = source._collate([(take, -60)], None).conditions.music[0]
    torch.testing.assert_close(music[60 : 60 + 46], music[60 + 150 :])
    torch.testing.assert_close(music[:60], music[150:210])


def test_longer_takes_give_windows_of_themselves(store):
    source = whole(128, 64).task(store).sources["train"]
    take = source.takes[0]
    assert [source._start(take, fraction) for fraction in (0.0, 0.999)] == [0, take.frames - 128]
    assert source._start(replace(take, frames=100), 0.0) == -28
    assert source._start(replace(take, frames=100), 0.999) == 0


@pytest.mark.parametrize("kind", ["local", "global"])
def test_one_example_is_learnt_to_near_zero(kind, store):
    calm = {"dropout": 0.0, "width": 48, "depth": 2, "feedforward": 96, "precondition": True}
    config = local(network=calm) if kind == "local" else whole(network=calm | {"frames_per_token": 4})
    batching = config.batch.model_copy(update={"size": 1, "drop_all": 0.0, "drop_text": 0.0})
    weights = dict.fromkeys(("joints", "joint_velocity", "joint_acceleration", "contact"), 0.0)
    losses = config.losses.model_copy(update=weights)
    torch.manual_seed(0)
    task = config.model_copy(update={"batch": batching, "losses": losses}).task(store)
    one = task.draw(0, rank=0)
    grow = lambda t: t.repeat(8, *[1] * (t.ndim - 1))  # noqa: E731
    conditions = type(one.conditions)(*map(grow, one.conditions))
    batch = type(one)(grow(one.motion), grow(one.valid), conditions, grow(one.genre))
    network = task.networks[KEPT]
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    values, generator = [], torch.Generator().manual_seed(0)
    for _ in range(150):
        optimiser.zero_grad()
        loss = task.losses(task.networks, batch, generator, plainly)[KEPT]["reconstruction"]
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert np.mean(values[-10:]) < 0.03 * values[0]


def test_lodge_from_nothing_is_a_folder_with_both_stages(store, tmp_path):
    stages = LodgeStages(
        recipe="made up", global_stage=whole(), local_stage=local(), finetuning=local(clean_edges=4, adversary=JUDGE)
    )
    told = []
    train_recipe(stages, store, tmp_path, progress=lambda done, total, what: told.append(what))
    assert Checkpoint.load(tmp_path / "global").config.denoiser == "lodge-global"
    assert Checkpoint.load(tmp_path / "local").config.clean_edges == 4
    assert len(told) == 6
    with pytest.raises(InputError, match="--resume"):
        train_recipe(stages, store, tmp_path)
    train_recipe(stages, store, tmp_path, resume=True, progress=lambda done, total, what: told.append(what))
    assert len(told) == 6


def test_settings_that_do_not_fit_are_refused(store):
    for config, message in (
        (whole().model_copy(update={"batch": BatchConfig(window=100)}), "batch.window"),
        (local(clean_edges=30), "clean_edges"),
        (RECIPES["lodge-finetune-open"](), "initial=FOLDER"),
        (local(layout="smpl24"), "motion features"),
        (local(layout="smpl55"), "a layout among"),
    ):
        with pytest.raises(InputError, match=message):
            config.task(store)


def test_primitives_are_normalised_as_primitives(store):
    task = whole().task(store)
    narrow, wide = task.statistics.normaliser.scale, Statistics.of_store(store, LAYOUT).normaliser.scale
    root = LAYOUT["root_position"].start
    assert narrow[root] < wide[root]  # eight frames go less far than five seconds


def test_the_papers_recipes_have_the_papers_numbers():
    for name, length, segment, primitives in (("finedance", 1024, 256, 13), ("aistpp", 256, 128, 7)):
        stages = RECIPES[f"lodge-{name}"]()
        first, second, third = stages.global_stage, stages.local_stage, stages.finetuning
        assert (first.network.length, first.network.segment, first.network.primitives) == (length, segment, primitives)
        assert second.batch.window == third.batch.window == segment
        assert first.network.music_channels == second.network.music_channels == 35
        assert first.learning_rate == second.learning_rate == 1e-4
        assert (second.clean_edges, third.clean_edges) == (0, 4)
        assert second.network.foot_refine
        assert second.adversary is not None
        assert not second.network.precondition
        assert not second.bias_correction


def test_stages_are_overridden_by_dots():
    stages = override(RECIPES["lodge-open"](), ["local_stage.steps=7", "global_stage.network.width=64"])
    assert (stages.local_stage.steps, stages.global_stage.network.width) == (7, 64)


def test_both_local_stages_differ_in_the_network_alone():
    transformer, mamba = RECIPES["lodge-local-open"](), RECIPES["lodge-local-pmd-open"]()
    assert isinstance(transformer.network, LocalDenoiserConfig)
    assert isinstance(mamba.network, PMDConfig)
    differing = {"recipe", "network"}
    assert transformer.model_dump(exclude=differing) == mamba.model_dump(exclude=differing)


def test_discrete_primitives_are_compared_at_their_own_rate(store):
    """Frames of a soft primitive lie four apart: its velocity loss is a sixteenth of what the same features a frame
    apart would give, that of a hard one is unchanged."""
    def compared(spacing: int, soft: bool) -> float:
        config = override(RECIPES["lodge-global-open"](), [f"network.soft_spacing={spacing}", "batch.size=2"])
        task = LodgeGlobalTask(config, store)
        batch = task.source("train").draw(0)
        batch = batch._replace(motion=torch.zeros_like(batch.motion), valid=torch.ones_like(batch.valid))
        predicted = torch.zeros_like(batch.motion)
        begin = task.plan.hard * PRIMITIVE_FRAMES if soft else 0
        places = slice(begin, begin + PRIMITIVE_FRAMES)
        root = task.layout["root_position"]
        predicted[:, places, root.start] = torch.arange(PRIMITIVE_FRAMES) * 0.1  # glides: nothing but speed
        return float(task.compare(predicted, batch, torch.ones(2))["joint_velocity"])

    assert compared(4, soft=True) == pytest.approx(compared(1, soft=True) / 16, rel=1e-3)
    assert compared(4, soft=False) == pytest.approx(compared(1, soft=False), rel=1e-6)
