"""Going forward: frames of one's own making, unseen music, blocks of codes."""

import numpy as np
import pytest
import torch
from torch import nn

from choreography.test_dancer import song_of
from longdance.choreography import edit, pretrained
from longdance.choreography.generators.bailando import BailandoGenerator
from longdance.choreography.generators.fact import FACT, fact
from longdance.choreography.generators.forward import rolled, with_prelude
from longdance.choreography.generators.mnet import MNET
from longdance.choreography.request import DanceRequest
from longdance.choreography.timeline import Timeline
from longdance.diffusion.guidance import Guidance
from longdance.errors import InputError
from longdance.features.text import resolve_prompt
from longdance.models.bailando import Bailando, BailandoConfig, ChoreographicMemory, GPTConfig, MemoryConfig
from longdance.models.fact import FACTConfig, FACTNetwork
from longdance.models.generators import GeneratorCheckpoint, GeneratorConfig, generator_name
from longdance.models.mnet import MNETConfig, MNETGenerator
from longdance.motion.layout import LAYOUTS, Normaliser

LAYOUT, FPS, CHANNELS = LAYOUTS["smpl24"], 30.0, 7
ROOT = LAYOUT["root_position"]
X, Z = ROOT.start, ROOT.start + 2
FACT_SIZES = FACTConfig(
    music_channels=CHANNELS, fps=FPS, seed_frames=12, music_frames=24, future=6, width=16, feedforward=16,
    attention_heads=2, motion_layers=1, music_layers=1, cross_layers=1, pool=3, residual=True,
)  # fmt: skip
MNET_SIZES = MNETConfig(
    music_channels=CHANNELS, fps=FPS, genres=("disco", "none", "salsa"), seed_frames=6, future=18, width=16, depth=1,
    feedforward=16, attention_heads=2, music_layers=1, noise=4, mapping_layers=1, pool=4, residual=True,
)  # fmt: skip
BAILANDO_SIZES = BailandoConfig(
    memory=MemoryConfig(fps=FPS, width=8, halvings=2, codes=10),
    gpt=GPTConfig(music_channels=CHANNELS, width=16, depth=1, feedforward=16, attention_heads=2, context=6, dropout=0),
)


def standing(frames: int) -> torch.Tensor:
    features = torch.zeros(frames, LAYOUT.width)
    features[:, ROOT] = torch.tensor([0.0, 0.9, 0.0])
    features[:, LAYOUT["rotations"]] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(len(LAYOUT.skeleton))
    return features


def checkpoint_of(network: nn.Module, **changes) -> GeneratorCheckpoint:
    config = GeneratorConfig(
        generator=generator_name(network.config), network=network.config.model_dump(mode="json"),
        layout=LAYOUT.name, fps=FPS, music_encoder="rhythm", text_encoder="all-MiniLM-L6-v2", genres=("disco", "salsa"),
    )  # fmt: skip
    return GeneratorCheckpoint(
        config.model_copy(update=changes),
        network.eval().requires_grad_(False),
        Normaliser(standing(1)[0], torch.full((LAYOUT.width,), 0.3)),
        torch.zeros(CHANNELS),
        torch.ones(CHANNELS),
    )


def network_of(config) -> nn.Module:
    torch.manual_seed(0)
    network = {FACTConfig: FACTNetwork, MNETConfig: MNETGenerator, BailandoConfig: Bailando}[type(config)](config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not parameter.any() or name.startswith(("output", "gpt.outputs")):
                parameter.normal_(0, 0.2 if name.startswith("gpt") else 0.05)
            elif name.startswith("gpt.layers"):  # so that music and codes far back count
                parameter.mul_(4)
        for name, buffer in network.named_buffers():
            if name.endswith(("vectors", "usage")):
                buffer.uniform_(0.5, 1)
        if hasattr(network, "pool"):
            network.pool.copy_(standing(network.pool.shape[1]).expand_as(network.pool))
            network.pool[:, :, X] = torch.linspace(0, 0.5, network.pool.shape[1])
    return network


def nothing_said(frames: int, genre: str | None = None) -> Timeline:
    return Timeline.whole(frames, resolve_prompt(genre, encoder_name="all-MiniLM-L6-v2"), Guidance())


def danced(model, music: torch.Tensor, frames: int, *, seed: int = 0, genre: str | None = None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.cat(list(model.parts(model.checkpoint, music, frames, nothing_said(frames, genre), generator, None)))


@pytest.mark.parametrize("keep", [1, 4])
def test_fact_is_its_step_repeated(keep, generator):
    network = network_of(FACT_SIZES)
    model, frames = FACT(checkpoint_of(network), keep=keep), 9
    music = torch.randn(frames + model.lookahead, CHANNELS, generator=generator)
    made = danced(model, music, frames, seed=3)[:frames]

    # The same with nothing but the network: everything so far in one list, cut anew at every step.
    normaliser, heard = model.checkpoint.normaliser, torch.cat((music[:12], music))
    pick = int(torch.randint(3, (1,), generator=torch.Generator().manual_seed(3)))
    track = list(network.pool[pick])
    for at in range(0, frames, keep):
        seed = torch.stack(track[-12:])
        origin = torch.zeros(LAYOUT.width)
        origin[[X, Z]] = seed[0, [X, Z]]
        future = network(normaliser.normalise(seed - origin)[None], heard[None, at : at + 24])[0, :keep]
        real = normaliser.denormalise(future) + origin
        _, matrices = LAYOUT.pose(real)
        real[:, LAYOUT["rotations"]] = matrices[..., :2, :].flatten(-3)
        track += list(real)
    torch.testing.assert_close(made, torch.stack(track[12 : 12 + frames]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "horizon"),
    [(FACT(checkpoint_of(network_of(FACT_SIZES))), 12), (MNET(checkpoint_of(network_of(MNET_SIZES))), 18),
     (BailandoGenerator(checkpoint_of(network_of(BAILANDO_SIZES))), 4)],
    ids=["fact", "mnet", "bailando"],
)  # fmt: skip
def test_music_beyond_the_horizon_has_no_influence(model, horizon, generator):
    frames, change = 120, 90
    music = torch.randn(frames + model.lookahead, CHANNELS, generator=generator)
    other = music.clone()
    other[change:] += 10
    one, two = danced(model, music, frames, genre="salsa"), danced(model, other, frames, genre="salsa")
    early = change - horizon + 1
    if isinstance(model, BailandoGenerator):  # codes are causal; their poses reach as far back as convolutions do
        early = change - horizon * (1 + model.checkpoint.network.config.memory.reach)
    assert early > 20
    torch.testing.assert_close(one[:early], two[:early], rtol=0, atol=1e-6)
    assert not torch.allclose(one[:frames], two[:frames], atol=1e-6)


def test_a_walk_goes_on_straight():
    """A network that always takes the next step of the same length leaves the seed's walk unbroken."""

    def step(window: torch.Tensor, at: int) -> torch.Tensor:
        speed = window[:, -1:] - window[:, -2:-1]
        return window[:, -1:] + speed * torch.arange(1, 4)[:, None]

    start = standing(6)
    start[:, X] = 0.1 * torch.arange(6)
    made = torch.cat(list(rolled(checkpoint_of(network_of(FACT_SIZES)), start, 10, step, keep=3)))
    torch.testing.assert_close(made[:, X], 0.1 * torch.arange(6, 6 + len(made)).float(), rtol=0, atol=1e-4)
    torch.testing.assert_close(made[:, Z], torch.zeros(len(made)), rtol=0, atol=1e-5)
    assert len(made) >= 10


def test_the_music_before_the_song_is_its_beginning():
    music = torch.arange(5.0)[:, None]
    assert with_prelude(music, 3)[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 3, 4]
    assert with_prelude(music, 7)[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 1, 0, 1, 2, 3, 4]


def test_mnet_hears_the_genre_and_a_style_of_its_own(generator):
    model, frames = MNET(checkpoint_of(network_of(MNET_SIZES))), 40
    music = torch.randn(frames + model.lookahead, CHANNELS, generator=generator)
    salsa = danced(model, music, frames, genre="salsa")
    assert not torch.allclose(salsa, danced(model, music, frames, genre="disco"))
    assert not torch.allclose(salsa, danced(model, music, frames, genre="salsa", seed=1))
    torch.testing.assert_close(salsa, danced(model, music, frames, genre="salsa"), rtol=0, atol=0)


def test_blocks_of_codes_join_without_a_seam(generator, monkeypatch):
    model, frames = BailandoGenerator(checkpoint_of(network_of(BAILANDO_SIZES))), 400
    music = torch.randn(frames, CHANNELS, generator=generator)
    whole = danced(model, music, frames)
    monkeypatch.setattr("longdance.choreography.generators.bailando.BLOCK", 17)
    torch.testing.assert_close(danced(model, music, frames), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sizes", [FACT_SIZES, MNET_SIZES, BAILANDO_SIZES], ids=["fact", "mnet", "bailando"])
def test_a_folder_gives_back_the_same_network(sizes, tmp_path):
    saved = checkpoint_of(network_of(sizes))
    saved.save(tmp_path)
    loaded = GeneratorCheckpoint.load(tmp_path)
    assert loaded.config == saved.config
    expected = saved.network.state_dict()
    assert loaded.network.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.network.state_dict().items())
    assert pretrained.load(tmp_path).kind == saved.config.generator
    (tmp_path / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(InputError, match="damaged"):
        GeneratorCheckpoint.load(tmp_path)


def test_a_memory_alone_does_not_dance(tmp_path):
    checkpoint_of(ChoreographicMemory(BAILANDO_SIZES.memory)).save(tmp_path)
    with pytest.raises(InputError, match="bailando-gpt-open"):
        pretrained.load(tmp_path)


def test_settings_that_do_not_belong_together_are_refused(tmp_path):
    saved = checkpoint_of(network_of(FACT_SIZES), fps=60.0)
    saved.save(tmp_path)
    with pytest.raises(InputError, match=r"network\.fps"):
        GeneratorCheckpoint.load(tmp_path)


def test_seeds_out_of_range_are_refused():
    model = fact(checkpoint_of(network_of(FACT_SIZES)))
    with pytest.raises(InputError, match="seed"):
        model.generate("song.wav", seed=-1)
    assert np.isscalar(model.generator.lookahead)


def test_what_goes_forward_alone_edits_nothing_and_streams_one_piece(tmp_path):
    model, song = fact(checkpoint_of(network_of(FACT_SIZES))), song_of(2.0)
    able = model.capabilities
    assert (able.edits, able.streams, able.guided, able.hears) == (False, False, False, "music")
    (dance,) = model.stream(song)
    assert np.array_equal(dance.joints(), model.generate(song).joints())
    assert not {"steps", "sampler", "guidance"} & set(dance.meta)
    with pytest.raises(InputError, match="try edmg or lodge"):
        edit.redo(dance, model, DanceRequest(song=song), stretches=[(0.5, 1.0)])
    with pytest.raises(InputError, match="--soft-level"):
        model.generate(song, soft_level=0.5)
