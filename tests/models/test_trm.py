"""The refinement module as a function: what may influence what, its sizes, what it can learn, and its checkpoints."""

import json

import pytest
import torch

from longdance.errors import InputError
from longdance.models.trm import Refiner, RefinerConfig, TemporalRefinementModule, TRMConfig, cosine_basis

SMALL = TRMConfig(joints=3, fps=30, window=20, width=16)


def module(config: TRMConfig = SMALL, *, trained: bool = True) -> TemporalRefinementModule:
    torch.manual_seed(0)
    network = TemporalRefinementModule(config).eval()
    if trained:  # parts that begin at zero would hide what depends on what
        with torch.no_grad():
            network.correction.weight.normal_(std=0.1)
            network.identity.normal_()
    return network.requires_grad_(False)


@pytest.fixture
def tracks(generator) -> torch.Tensor:
    return 0.1 * torch.randn(2, 20, 3, 3, generator=generator)


def test_a_new_module_changes_nothing(tracks):
    assert torch.equal(module(trained=False)(tracks), tracks)


def test_the_paper_s_number_of_blocks_in_both_streams():
    network = TemporalRefinementModule(TRMConfig())
    assert len(network.position_stream.blocks) == len(network.motion_stream.blocks) == 5
    assert network.position_stream.encode.in_features == 128
    assert network.motion_stream.encode.in_features == 2 * 128


def test_where_the_dance_is_does_not_matter(tracks):
    network, far = module(), torch.tensor([30.0, 0.5, -20.0])
    torch.testing.assert_close(network(tracks + far), network(tracks) + far, atol=1e-4, rtol=1e-4)


def test_every_frame_influences_every_frame_of_its_joint_and_no_other_joint(tracks):
    network = module()
    moved = tracks.clone()
    moved[0, 4, 1, 0] += 0.5
    change = (network(moved) - network(tracks)).abs()
    assert (change[0, :, 1, 0] > 0).all()
    change[0, :, 1, 0] = 0
    assert not change.any()


def test_joints_and_the_vertical_are_told_apart_but_not_the_two_horizontals(tracks):
    network = module()
    same = tracks[:, :, :1, :1].expand(-1, -1, 3, 3).contiguous()
    refined = network(same)
    torch.testing.assert_close(refined[..., 0], refined[..., 2])
    assert not torch.allclose(refined[..., 0], refined[..., 1], atol=1e-3)
    assert not torch.allclose(refined[:, :, 0], refined[:, :, 1], atol=1e-3)


def test_both_streams_lead_to_the_result(tracks):
    for stream in ("position_stream", "motion_stream"):
        network = module()
        before = network(tracks)
        getattr(network, stream).encode.weight.zero_()
        assert not torch.allclose(before, network(tracks), atol=1e-4)


def test_it_learns_to_take_jitter_off_a_sway():
    """Overfits one batch: clean sines out of noisy ones."""
    torch.manual_seed(0)
    network = TemporalRefinementModule(SMALL)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    time = torch.arange(20) / 30
    phase = 6 * torch.rand(16, 1, 3, 3)
    clean = 0.2 * torch.sin(2 * torch.pi * time[None, :, None, None] + phase)
    noisy = clean + 0.02 * torch.randn(clean.shape)
    for _ in range(200):
        optimiser.zero_grad()
        loss = (network(noisy) - clean).abs().mean()
        loss.backward()
        optimiser.step()
    assert (network(noisy) - clean).abs().mean() < 0.5 * (noisy - clean).abs().mean()


def test_windows_of_another_length_are_refused(tracks):
    with pytest.raises(ValueError, match="20 frames and 3 joints"):
        module()(tracks[:, :19])


def test_a_saved_refiner_comes_back(tmp_path, tracks):
    network = module()
    Refiner(RefinerConfig(network=SMALL, recipe="made up", trained_steps=7), network).save(tmp_path)
    back = Refiner.load(tmp_path)
    assert (back.config.recipe, back.config.trained_steps) == ("made up", 7)
    assert torch.equal(back.network(tracks), network(tracks))
    assert not any(parameter.requires_grad for parameter in back.network.parameters())


@pytest.mark.parametrize("damage", ["missing", "key", "size", "nan", "cut"])
def test_a_damaged_refiner_is_refused(tmp_path, damage):
    network = module()
    if damage == "nan":
        network.correction.bias[0] = torch.nan
    Refiner(RefinerConfig(network=SMALL), network).save(tmp_path)
    record = json.loads((tmp_path / "config.json").read_text())
    if damage == "missing":
        (tmp_path / "model.safetensors").unlink()
    elif damage == "cut":
        (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:-9])
    elif damage == "key":
        record["surprise"] = 1
    elif damage == "size":
        record["network"]["width"] = 12
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=str(tmp_path)):
        Refiner.load(tmp_path)


def test_the_names_of_the_tensors_stay():
    names = set(TemporalRefinementModule(SMALL).state_dict())
    assert {
        "identity",
        "position_stream.encode.weight",
        "position_stream.blocks.4.2.bias",
        "motion_stream.encode.bias",
        "motion_stream.blocks.0.0.weight",
        "correction.weight",
    } <= names


def as_the_paper_writes_it(network: TemporalRefinementModule, positions: torch.Tensor) -> torch.Tensor:
    """EDMG section 3.4 one track and one number at a time: layers along time are sums over frames."""
    config, weights = network.config, {name: w.double() for name, w in network.state_dict().items()}
    frames = range(config.window)

    def layer(name: str, values: list) -> list:
        rows, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return [sum(w * v for w, v in zip(row, values, strict=True)) + b for row, b in zip(rows, bias, strict=True)]

    def leaky(values: list) -> list:
        return [v if v > 0 else config.negative_slope * v for v in values]

    def stream(name: str, values: list, identity: torch.Tensor) -> list:
        features = leaky([v + i for v, i in zip(layer(f"{name}.encode", values), identity, strict=True)])
        for block in range(config.blocks):
            inner = leaky(layer(f"{name}.blocks.{block}.0", features))
            change = leaky(layer(f"{name}.blocks.{block}.2", inner))
            features = [f + c for f, c in zip(features, change, strict=True)]
        return features

    result = positions.double().clone()
    for batch in range(len(positions)):
        for joint in range(config.joints):
            for axis in range(3):
                track = positions[batch, :, joint, axis].double()
                place = [track[t] - track.mean() for t in frames]
                # Metres per second and per second squared, brought to a common size by a tenth of a second each.
                velocity = [(place[t] - place[max(t - 1, 0)]) * config.fps * 0.1 for t in frames]
                acceleration = [(velocity[t] - velocity[max(t - 1, 0)]) * config.fps * 0.1 for t in frames]
                identity = weights["identity"][joint, 1 if axis == 1 else 0]
                heard = stream("position_stream", place, identity)
                heard = heard + stream("motion_stream", velocity + acceleration, identity)
                correction = layer("correction", heard + place)
                result[batch, :, joint, axis] += torch.stack(correction)
    return result


@pytest.mark.parametrize("fps", [30, 60])
def test_the_module_is_what_the_paper_writes(fps, generator):
    config = TRMConfig(joints=2, fps=fps, window=6, width=4, blocks=2)
    network, tracks = module(config), 0.1 * torch.randn(1, 6, 2, 3, generator=generator)
    torch.testing.assert_close(network(tracks).double(), as_the_paper_writes_it(network, tracks), rtol=1e-5, atol=1e-6)


def test_tracks_seen_as_cosines_are_the_same_tracks(generator):
    """The transform is orthonormal: what is taken apart comes together again, and a constant is its first row alone."""
    basis = cosine_basis(9).double()
    torch.testing.assert_close(basis @ basis.T, torch.eye(9).double(), rtol=0, atol=1e-6)
    assert (basis[1:].sum(1).abs() < 1e-6).all()
    network = module(TRMConfig(joints=3, fps=30, window=9, width=5, blocks=2, domain="cosine"))
    tracks = 0.1 * torch.randn(1, 9, 3, 3, generator=generator)
    plain = module(TRMConfig(joints=3, fps=30, window=9, width=5, blocks=2))
    # The same network in time has its layers along time turned by the basis.
    state = network.state_dict()
    turn = cosine_basis(9)
    for name in ("position_stream", "motion_stream"):
        parts = state[f"{name}.encode.weight"].split(9, 1)
        state[f"{name}.encode.weight"] = torch.cat([part @ turn for part in parts], 1)
    correction = state["correction.weight"]
    correction = torch.cat((correction[:, :10], correction[:, 10:] @ turn), 1)
    state["correction.weight"], state["correction.bias"] = turn.T @ correction, turn.T @ state["correction.bias"]
    plain.load_state_dict(state)
    torch.testing.assert_close(network(tracks), plain(tracks), rtol=1e-4, atol=1e-6)
