"""Distillation: leaps that end where the teacher got, an adapter that learns them, and a model that dances with it."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from longdance.choreography.long.stretches import Predictor
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.diffusion.guidance import guided
from longdance.diffusion.sampler import DDIM, DPMSolver2M, sample
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.models import precision
from longdance.registry import RECIPES
from longdance.train.distillation import DistillationConfig, DistillationTask
from longdance.train.loop import train
from longdance.train.overrides import override
from longdance.train.task import KEPT

# Lightning and TensorBoard warn about their own use of other libraries; nothing of ours is at fault.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
]


@pytest.fixture(scope="module")
def teacher(small_store, tmp_path_factory):
    config = override(
        RECIPES["tiny"](),
        ["network.width=16", "network.depth=1", "network.heads=2", "network.state=4", "batch.size=2", "batch.window=40",
         "precision=32-true", "steps=3", "checkpoint_every=3"],
    )  # fmt: skip
    return train(config, Store.open(small_store), tmp_path_factory.mktemp("teacher"))


def recipe(teacher, *changes: str) -> DistillationConfig:
    return override(
        RECIPES["edmg-fewstep-open"](),
        [f"teacher={teacher}", "batch.size=3", "batch.window=40", "precision=32-true", "rank=2", "teacher_steps=6",
         "student_steps=2", "warmup=0", "music_guidance=2.5", "text_guidance=2.5", "guidance_until=0.2", *changes],
    )  # fmt: skip


def rows_through(network: type, monkeypatch) -> list[int]:
    """Filled with the rows of every call of a kind of network from now on."""
    rows, forward = [], network.forward

    def counted(self, noisy, *rest):
        rows.append(len(noisy))
        return forward(self, noisy, *rest)

    monkeypatch.setattr(network, "forward", counted)
    return rows


@pytest.fixture(scope="module")
def task(teacher, small_store) -> DistillationTask:
    return recipe(teacher).task(Store.open(small_store))


def test_a_leap_ends_where_the_teacher_got(task):
    drawn = task.draw(0, rank=0)
    assert drawn.states.shape == (3, 3, 40, 155)
    assert task.nodes == [999, 499, -1]
    for states in drawn.states:
        for node in range(2):
            reached = DDIM().step(
                states[node], task.leap(states[node], states[node + 1], node), schedule=task.schedule,
                step=task.nodes[node], next_step=task.nodes[node + 1], generator=torch.Generator(),
            )  # fmt: skip
            torch.testing.assert_close(reached, states[node + 1], rtol=0, atol=1e-4)


def test_the_teacher_s_dances_are_those_of_the_model(teacher, small_store, monkeypatch):
    """The same noise, music and words through the public sampler, guided, end in the same dance."""
    monkeypatch.setattr(precision, "multiplies_bf16", lambda kind: False)  # guidance multiplies what is rounded
    task = recipe(teacher).task(Store.open(small_store))
    drawn = task._batch(0, 0)
    model = load(teacher)
    with torch.no_grad():
        end = sample(
            guided(
                Predictor(model.checkpoint), drawn.conditions, music_weight=2.5, text_weight=2.5, plain_below=200
            ),
            drawn.states[:, 0],
            schedule=task.schedule,
            rule=DPMSolver2M(),
            steps=6,
            generator=torch.Generator(),
        )
    torch.testing.assert_close(end, drawn.states[:, -1], rtol=1e-3, atol=1e-4)


def test_batches_are_a_function_of_the_step_whatever_was_drawn_before(task, teacher, small_store):
    fresh = recipe(teacher).task(Store.open(small_store))
    for step in (25, 3):  # in another order, from a task that has drawn nothing yet
        again, first = fresh.draw(step, rank=0), task.draw(step, rank=0)
        torch.testing.assert_close(again.states, first.states, rtol=0, atol=0)
        torch.testing.assert_close(again.conditions.text, first.conditions.text, rtol=0, atol=0)
    assert not torch.equal(task.draw(4, rank=0).states, task.draw(3, rank=0).states)
    # The pool grows: by step 25 a second batch has been drawn.
    assert {number for number, _ in fresh._drawn} == {0, 1}


def test_the_leaps_of_one_batch_are_learnt(task):
    network = task.networks[KEPT]
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=2e-2)
    drawn, losses = task.draw(0, rank=0), []
    for _ in range(60):
        terms = task.losses(task.networks, drawn, torch.Generator().manual_seed(0), nullcontext)[KEPT]
        optimiser.zero_grad()
        terms["total"].backward()
        optimiser.step()
        losses.append(terms["reconstruction"].item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_distilled_run_dances_in_few_unguided_steps(teacher, small_store, tmp_path, monkeypatch):
    run = train(recipe(teacher, "steps=2", "checkpoint_every=1"), Store.open(small_store), tmp_path / "fast")
    model = load(run)
    assert model.kind == "pmd"
    assert model.name == "fast"
    samples = np.sin(np.arange(2 * 22050) * 0.05).astype(np.float32)
    song = Song.from_samples(samples, 22050, beat_times=np.arange(0, 2, 0.5))
    rows = rows_through(type(model.checkpoint.network), monkeypatch)
    dance = model.generate(song, genre="salsa")
    assert sum(rows) == 2 * model.generator.plan(dance.frames).count
    assert (dance.meta["steps"], dance.meta["sampler"]) == (2, "ddim")
    assert dance.meta["guidance"] == {"music": 2.5, "text": 2.5, "until": 0.2}
    assert dance.meta["energy"] == {"beats": 0.5, "loudness": 1, "floor": 1, "feet": 1, "self": 1}
    other = model.generate(song, genre="salsa", text_guidance=3.0)
    np.testing.assert_array_equal(other.joints(), dance.joints())
    assert any("no other" in note for note in other.meta["notes"])


def test_with_the_teacher_s_steps_its_guided_predictions_are_learnt(teacher, small_store):
    task = recipe(teacher, "student_steps=6").task(Store.open(small_store))
    drawn = task.draw(0, rank=0)
    assert drawn.targets.shape == (3, 6, 40, 155)
    predict = Predictor(load(teacher).checkpoint)
    for node, step in enumerate(task.nodes[:-1]):
        weights = 2.5 if step >= 200 else 1.0
        with torch.no_grad():
            expected = guided(predict, drawn.conditions, music_weight=weights, text_weight=weights)
            clean = expected(drawn.states[:, node], step)
        torch.testing.assert_close(drawn.targets[:, node], clean, rtol=2e-2, atol=2e-2)


def test_a_model_with_its_guidance_learnt_predicts_once_and_follows_any_other(
    teacher, small_store, tmp_path, monkeypatch
):
    model_folder = tmp_path / "model"
    shutil.copytree(teacher, model_folder)
    config = recipe(teacher, "student_steps=6", "steps=2", "learning_rate=0.01")
    train(config, Store.open(small_store), model_folder / "guidance")
    plain, model = load(teacher), load(model_folder)
    song = Song.from_samples(np.zeros(2 * 22050, np.float32), 22050, beat_times=np.arange(0, 2, 0.5))
    rows = rows_through(type(model.checkpoint.network), monkeypatch)
    own = {"steps": 3, "music_guidance": 2.5, "text_guidance": 2.5, "guidance_until": 0.2}
    learnt = model.generate(song, genre="salsa", **own)
    assert sum(rows) == 3 * model.generator.plan(learnt.frames).count
    assert learnt.meta["guidance"] == {"music": 2.5, "text": 2.5, "until": 0.2}
    assert not np.array_equal(learnt.joints(), plain.generate(song, genre="salsa", **own).joints())
    rows.clear()
    other = own | {"text_guidance": 3.0, "guidance_until": 0.0}
    dance = model.generate(song, genre="salsa", **other)
    assert sum(rows) == 3 * 3 * model.generator.plan(dance.frames).count
    np.testing.assert_array_equal(dance.joints(), plain.generate(song, genre="salsa", **other).joints())


def test_a_learnt_guidance_of_other_weights_is_refused(teacher, small_store, tmp_path):
    model_folder = tmp_path / "model"
    train(recipe(teacher, "student_steps=6", "steps=1"), Store.open(small_store), model_folder / "guidance")
    train(
        override(RECIPES["tiny"](), ["network.width=16", "network.depth=1", "network.heads=2", "network.state=4",
                                     "batch.size=2", "batch.window=40", "precision=32-true", "steps=1", "seed=5"]),
        Store.open(small_store), tmp_path / "other",
    )  # fmt: skip
    shutil.copytree(tmp_path / "other", model_folder, dirs_exist_ok=True)
    with pytest.raises(InputError, match=r"guidance: expected the weights.*remove it"):
        load(model_folder)


def test_an_adapter_of_an_adapter_is_refused(teacher, small_store, tmp_path):
    run = train(recipe(teacher, "steps=1"), Store.open(small_store), tmp_path / "fast")
    shutil.copytree(run, tmp_path / "again")
    record = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(record | {"adapts": str(tmp_path / "again")}))
    with pytest.raises(InputError, match="another adapter"):
        load(run)


def test_settings_that_do_not_fit_are_refused(teacher, small_store):
    with pytest.raises(InputError, match="divide"):
        override(RECIPES["edmg-fewstep-open"](), ["student_steps=3"])
    for change, told in (({"fps": 60.0}, "fps"), ({"music_encoder": "rhythm"}, "music encoder")):
        with pytest.raises(InputError, match=told):
            recipe(teacher).task(replace(Store.open(small_store), **change))
