"""Recipes: functions that return the complete configuration of a training run.

Every recipe's docstring tells the command, hardware, duration and what to expect.
"""


from longdance.diffusion.lodge_losses import LodgeLossWeights
from longdance.diffusion.losses import OPEN_LOSS_WEIGHTS
from longdance.models.checkpoint import OwnSampling
from longdance.models.discriminator import DiscriminatorConfig
from longdance.models.lodge_global import GlobalDenoiserConfig
from longdance.models.lodge_local import LocalDenoiserConfig
from longdance.models.pmd import PMDConfig
from longdance.models.strengths import USUAL
from longdance.train.batches import BatchConfig
from longdance.train.edmg import EDMGConfig
from longdance.train.lodge import LodgeGlobalConfig, LodgeLocalConfig, LodgeLocalPMDConfig
from longdance.train.stages import LodgeStages

REGISTER = {
    "recipe": (
        "tiny", "edmg_open", "lodge_open", "lodge_global_open", "lodge_local_open", "lodge_finetune_open",
        "lodge_local_pmd_open", "lodge_finedance", "lodge_global_finedance", "lodge_local_finedance",
        "lodge_finetune_finedance", "lodge_aistpp", "lodge_global_aistpp", "lodge_local_aistpp",
        "lodge_finetune_aistpp",
    ),
}  # fmt: skip


def tiny() -> EDMGConfig:
    """For tests and for a first try: `longdance train tiny --data STORE -o RUN`; a minute on two CPU cores.

    The result moves, no more.
    """
    return EDMGConfig(
        recipe="tiny",
        network=PMDConfig(
            features=155, fps=30, music_channels=12, width=64, depth=2, heads=4, state=16, direction="bidirectional",
            attention_heads=2, dropout=0.0, aligned_music=True, precondition=True, chunk=30,
        ),
        batch=BatchConfig(size=8, window=60),
        layout="floor24",
        music_encoder="plan",
        steps=120,
        learning_rate=1e-3,
        ema=0.95,
        gradient_clip=1.0,
        validate_every=60,
        checkpoint_every=30,
    )  # fmt: skip


def edmg_open() -> EDMGConfig:
    """The default weights: `longdance train edmg-open --data STORE -o RUN`.

    About two hours of one CPU core with bf16, minutes on a GPU. 30 frames per second, windows of five seconds, the open
    data with its rhythm plan.
    """
    return EDMGConfig(
        recipe="edmg-open",
        network=PMDConfig(
            features=155, fps=30, music_channels=12, width=192, depth=6, heads=6, state=32, kernel=5,
            direction="bidirectional", chunk=150, longest_step=0.55, dropout=0.0, style_layer=True,
            text_pooling="genre and movements", music_mixing=1, aligned_music=True, precondition=True,
            innovation=0.001, music_gain=True,
        ),
        batch=BatchConfig(size=16, window=150, drop_movement=0.5, drop_plan=0.12, plan_noise=0.3),
        layout="floor24",
        losses=OPEN_LOSS_WEIGHTS,
        importance_cap=2.0,
        noisiest_share=0.45,
        sampling=OwnSampling(
            steps=14, music_guidance=2.5, text_guidance=2.5, guidance_until=0.35, energies=USUAL.record()
        ),
        music_encoder="plan",
        steps=10_000,
        learning_rate=6e-4,
        warmup=100,
        cooldown=0.3,
        ema=0.998,
        gradient_clip=1.0,
        validate_every=500,
        checkpoint_every=100,
    )  # fmt: skip


def lodge_global_open() -> LodgeGlobalConfig:
    """Lodge's global stage on the open data: `longdance train lodge-global-open --data STORE -o RUN/global`.

    About ten minutes on two CPU cores with bf16. Beyond the paper, for a training this short: few tokens (four frames
    of a primitive are one, sixteen frames of music are one), nearly clean motion is passed on, Adan is bias-corrected.
    """
    return LodgeGlobalConfig(
        recipe="lodge-global-open",
        network=GlobalDenoiserConfig(
            music_channels=12, width=256, depth=6, feedforward=512, attention_heads=4, music_stride=16,
            frames_per_token=4, dropout=0.0, precondition=True, innovation=0.001,
        ),
        batch=BatchConfig(size=64, window=1024),
        importance_cap=4.0,
        music_encoder="plan",
        steps=1200,
        learning_rate=8e-4,
        bias_correction=True,
        warmup=50,
        cooldown=0.3,
        ema=0.995,
        gradient_clip=1.0,
        validate_every=250,
        checkpoint_every=100,
    )  # fmt: skip


def lodge_local_open() -> LodgeLocalConfig:
    """Lodge's local stage on the open data: `longdance train lodge-local-open --data STORE -o RUN/local-first`.

    About twenty minutes on two CPU cores with bf16, without discriminator (the fine-tuning has it). Beyond the paper:
    as in lodge-global-open, and music is also added frame by frame.
    """
    return LodgeLocalConfig(
        recipe="lodge-local-open",
        network=LocalDenoiserConfig(
            music_channels=12, width=256, depth=5, feedforward=512, attention_heads=4, music_layers=1, music_stride=2,
            frames_per_token=2, dropout=0.0, aligned_music=True, precondition=True,
            innovation=0.001, refine_depth=1,
        ),
        losses=LodgeLossWeights(adversarial="hinge"),
        sampling=DRAWN,
        batch=BatchConfig(size=16, window=256),
        importance_cap=4.0,
        music_encoder="plan",
        steps=1500,
        learning_rate=8e-4,
        bias_correction=True,
        warmup=50,
        cooldown=0.3,
        ema=0.995,
        gradient_clip=1.0,
        validate_every=250,
        checkpoint_every=100,
    )  # fmt: skip


def lodge_finetune_open() -> LodgeLocalConfig:
    """Lodge's fine-tuning on the open data, with the discriminator:
    `longdance train lodge-finetune-open --data STORE -o RUN/local initial=RUN/local-first`.
    """
    return lodge_local_open().model_copy(
        update={
            "recipe": "lodge-finetune-open",
            "adversary": DiscriminatorConfig(width=128, depth=2, feedforward=256),
            "clean_edges": 4,
            "initial": "",
            "steps": 300,
            "learning_rate": 2e-4,
            "warmup": 20,
            "ema": 0.99,
        }
    )


def lodge_local_pmd_open() -> LodgeLocalPMDConfig:
    """EDMG's denoiser as Lodge's local stage, open data:
    `longdance train lodge-local-pmd-open --data STORE -o RUN/local`; fine-tuned with `initial=... clean_edges=4`.
    """
    shared = lodge_local_open().model_dump(exclude={"network"})
    return LodgeLocalPMDConfig(
        **shared
        | {
            "recipe": "lodge-local-pmd-open",
            "network": PMDConfig(
                features=139, fps=30, music_channels=12, width=256, depth=5, heads=8, state=64, dropout=0.0,
                direction="bidirectional", aligned_music=True, precondition=True, innovation=0.001,
                chunk=64,
            ),
        }
    )  # fmt: skip


DRAWN = OwnSampling(energies=USUAL.record())
"""Of the open recipes: the sampler is drawn to the beat, the loudness and the floor. Papers know nothing of it."""

LODGE_SAMPLING = OwnSampling(steps=1000, sampler="ddpm", text_guidance=1.0)
"""Lodge section 4.1; `--sampler ddim --steps 100` is its other strategy (section 4.2)."""


def lodge_global_finedance() -> LodgeGlobalConfig:
    """The paper's global stage on FineDance: N = 1024, n = 256, 13 primitives, Adan at 1e-4, running average.

    Depth, width and batch are EDGE's, as the paper gives none; so is the number of steps, about 2000 epochs.
    """
    return LodgeGlobalConfig(
        recipe="lodge-global-finedance",
        network=GlobalDenoiserConfig(),
        batch=BatchConfig(size=128, window=1024, genre_balance=1.0, other_share=0.0),
        sampling=LODGE_SAMPLING,
        precision="32-true",
        steps=200_000,
        learning_rate=1e-4,
        ema=0.9999,
    )


def lodge_local_finedance() -> LodgeLocalConfig:
    """The paper's local stage on FineDance: n = 256, foot refine block, discriminator."""
    return LodgeLocalConfig(
        recipe="lodge-local-finedance",
        network=LocalDenoiserConfig(),
        adversary=DiscriminatorConfig(),
        batch=BatchConfig(size=128, window=256, genre_balance=1.0, other_share=0.0),
        sampling=LODGE_SAMPLING,
        precision="32-true",
        steps=200_000,
        learning_rate=1e-4,
        ema=0.9999,
    )


def lodge_finetune_finedance() -> LodgeLocalConfig:
    """The paper's fine-tuning on FineDance (eq. 10): the first and last four frames are given clean.

    `longdance train lodge-finetune-finedance --data STORE -o RUN/local initial=RUN/local-first`.
    """
    return lodge_local_finedance().model_copy(
        update={"recipe": "lodge-finetune-finedance", "clean_edges": 4, "initial": "", "steps": 50_000}
    )


def lodge_global_aistpp() -> LodgeGlobalConfig:
    """The paper's global stage on AIST++ at 30 fps: N = 256, n = 128, 3 hard and 4 soft primitives."""
    paper = lodge_global_finedance()
    return paper.model_copy(
        update={
            "recipe": "lodge-global-aistpp",
            "network": paper.network.model_copy(update={"length": 256, "segment": 128}),
            "batch": paper.batch.model_copy(update={"window": 256}),
        }
    )


def lodge_local_aistpp() -> LodgeLocalConfig:
    """The paper's local stage on AIST++ at 30 fps: n = 128."""
    paper = lodge_local_finedance()
    return paper.model_copy(
        update={"recipe": "lodge-local-aistpp", "batch": paper.batch.model_copy(update={"window": 128})}
    )


def lodge_finetune_aistpp() -> LodgeLocalConfig:
    """The paper's fine-tuning on AIST++ (eq. 10)."""
    return lodge_local_aistpp().model_copy(
        update={"recipe": "lodge-finetune-aistpp", "clean_edges": 4, "initial": "", "steps": 50_000}
    )


def lodge_open() -> LodgeStages:
    """All of Lodge on the open data: `longdance train lodge-open --data STORE -o RUN`, the stages one by one."""
    return LodgeStages(
        recipe="lodge-open",
        global_stage=lodge_global_open(),
        local_stage=lodge_local_open(),
        finetuning=lodge_finetune_open(),
    )


def lodge_finedance() -> LodgeStages:
    """The paper's setting: `longdance train lodge-finedance --data STORE -o RUN`, the stages one by one."""
    return LodgeStages(
        recipe="lodge-finedance",
        global_stage=lodge_global_finedance(),
        local_stage=lodge_local_finedance(),
        finetuning=lodge_finetune_finedance(),
    )


def lodge_aistpp() -> LodgeStages:
    """The paper's setting for AIST++: `longdance train lodge-aistpp --data STORE -o RUN`, the stages one by one."""
    return LodgeStages(
        recipe="lodge-aistpp",
        global_stage=lodge_global_aistpp(),
        local_stage=lodge_local_aistpp(),
        finetuning=lodge_finetune_aistpp(),
    )
