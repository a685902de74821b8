"""Recipes of EDMG's tables: the paper's settings, each without one of its parts, and small versions of the same set.

The paper's set wants GPUs and AIST++ or FineDance. The small set is for the open data and two CPU cores; within a set
nothing differs but the named part. The row without TRM needs no recipe: it is the full denoiser without the second
training (see docs/reproduce.md).
"""


from longdance.diffusion.losses import OPEN_LOSS_WEIGHTS
from longdance.models.checkpoint import OwnSampling
from longdance.models.pmd import PMDConfig
from longdance.train.batches import BatchConfig
from longdance.train.edmg import EDMGConfig

REGISTER = {
    "recipe": (
        "edmg_aistpp", "edmg_finedance", "without_lim", "without_pmm", "both_directions", "ablation_full",
        "ablation_without_lim", "ablation_without_pmm", "ablation_forward_only",
    ),
}  # fmt: skip

PAPER_STEPS = 130_000


PAPER_CLIP = "clip-vit-base-patch32"
"""The paper says CLIP and not which."""


def edmg_aistpp() -> EDMGConfig:
    """The paper's setting: `longdance train edmg-aistpp --data STORE -o RUN`, 10 s windows at 60 fps of AIST++.

    The paper trained for 29 hours on two RTX 3090. Everything that the paper gives is as it says
    (`evaluate.settings` lists it); the depth (8), the loss weights (EDGE's) and the number of steps are ours. The
    store needs Jukebox's features; without them prepare with `music_encoder=librosa35` and add
    `music_encoder=librosa35 network.music_channels=35`, and without CLIP `text_encoder=all-MiniLM-L6-v2
    network.text_width=384`.
    """
    return EDMGConfig(
        recipe="edmg-aistpp",
        network=PMDConfig(music_channels=4800, text_width=512),
        batch=BatchConfig(
            window=600, drop_all=0.25, drop_text=0.0, drop_movement=0.0, genre_balance=1.0, other_share=0.0
        ),
        music_encoder="jukebox",
        text_encoder=PAPER_CLIP,
        sampling=OwnSampling(steps=1000, sampler="ddpm", text_guidance=1.0),
        precision="32-true",
        steps=PAPER_STEPS,
    )


def edmg_finedance() -> EDMGConfig:
    """Table 3: `longdance train edmg-finedance --data STORE -o RUN`, 10 s windows at FineDance's own 30 fps.

    The paper says nothing of this training but its results; everything is as for AIST++, at half the frames about half
    the time.
    """
    paper = edmg_aistpp()
    return paper.model_copy(
        update={
            "recipe": "edmg-finedance",
            "network": paper.network.model_copy(update={"fps": 30.0}),
            "batch": paper.batch.model_copy(update={"window": 300}),
        }
    )


def without_lim() -> EDMGConfig:
    """Table 4, w/o LIM: `longdance train without-lim --data STORE -o RUN`. The paper: 36 h instead of 29 h."""
    return _ablated(edmg_aistpp(), "without-lim", local=False)


def without_pmm() -> EDMGConfig:
    """Table 4, w/o PMM: `longdance train without-pmm --data STORE -o RUN`. The paper: 294 h instead of 29 h.

    The first Mamba's mixer with its own state dimension (16) scans frame by frame.
    """
    return _ablated(edmg_aistpp(), "without-pmm", mixer="sequential", state=16)


def both_directions() -> EDMGConfig:
    """The scan over time in both directions: `longdance train both-directions --data STORE -o RUN`.

    Not in the paper, whose eq. 5 runs forward; a denoiser sees the whole window, so it can.
    """
    return _ablated(edmg_aistpp(), "both-directions", direction="bidirectional")


def ablation_full() -> EDMGConfig:
    """The small set's whole network: `longdance train ablation-full --data STORE -o RUN`.

    For the open data (30 fps, music_encoder=plan), 1,000 steps; measured CPU time per step in docs/reproduce.md. The
    state has 16 dimensions, as the first Mamba's, so that all rows agree in it.
    """
    return EDMGConfig(
        recipe="ablation-full",
        network=PMDConfig(
            features=155, fps=30, music_channels=12, width=128, depth=4, heads=4, state=16, direction="bidirectional",
            dropout=0.0, style_layer=True, aligned_music=True, precondition=True, chunk=50,
        ),
        layout="floor24",
        batch=BatchConfig(size=12, window=150),
        losses=OPEN_LOSS_WEIGHTS,
        importance_cap=4.0,
        music_encoder="plan",
        steps=1000,
        learning_rate=1e-3,
        warmup=50,
        cooldown=0.3,
        ema=0.995,
        gradient_clip=1.0,
        validate_every=500,
        checkpoint_every=250,
    )  # fmt: skip


def ablation_without_lim() -> EDMGConfig:
    """The small set without LIM: `longdance train ablation-without-lim --data STORE -o RUN`."""
    return _ablated(ablation_full(), "ablation-without-lim", local=False)


def ablation_without_pmm() -> EDMGConfig:
    """The small set without PMM: `longdance train ablation-without-pmm --data STORE -o RUN`, several times slower."""
    return _ablated(ablation_full(), "ablation-without-pmm", mixer="sequential")


def ablation_forward_only() -> EDMGConfig:
    """The small set with a scan in one direction: `longdance train ablation-forward-only --data STORE -o RUN`."""
    return _ablated(ablation_full(), "ablation-forward-only", direction="forward")


def _ablated(config: EDMGConfig, recipe: str, **network: object) -> EDMGConfig:
    changed = PMDConfig.model_validate(config.network.model_dump() | network)
    return config.model_copy(update={"recipe": recipe, "network": changed})
