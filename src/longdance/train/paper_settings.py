"""The papers' settings as data, and how recipes differ from them and from each other.

Every number and choice that EDMG (section 3.2 to 4.1) and Lodge (section 4.1) print is a row, with the field of the
recipe named after the paper's data set that must hold it. What a paper leaves open is no row: it is a field with a
default that says where it comes from.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from longdance.train.ablations import edmg_aistpp, edmg_finedance
from longdance.train.loop import flat_fields
from longdance.train.recipes import (
    lodge_finetune_finedance,
    lodge_global_aistpp,
    lodge_global_finedance,
    lodge_local_aistpp,
    lodge_local_finedance,
)
from longdance.train.refinement import edmg_trm_aistpp
from longdance.train.task import TrainingConfig


class Setting(NamedTuple):
    """A setting that a paper prints."""

    source: str
    what: str
    field: str
    """Of the recipe, nested ones by dots."""
    value: Any


class Difference(NamedTuple):
    """A field in which two configurations differ; None where one of them does not have it."""

    field: str
    ours: Any
    theirs: Any


_EDMG = (
    Setting("EDMG 4.1", "latent width F", "network.width", 512),
    Setting("EDMG 4.1", "SSM heads H", "network.heads", 128),
    Setting("EDMG 4.1", "state dimension N", "network.state", 64),
    Setting("EDMG 4.1", "down-sampling rate of the LIM", "network.lim_stride", 2),
    Setting("EDMG 4.1", "attention heads", "network.attention_heads", 4),
    Setting("EDMG 4.1", "dropout", "network.dropout", 0.1),
    Setting("EDMG 4.1", "diffusion steps T", "network.diffusion_steps", 1000),
    Setting("EDMG 4.1", "diffusion steps T", "diffusion_steps", 1000),
    Setting("EDMG 4.1", "DDPM with all steps", "sampling.steps", 1000),
    Setting("EDMG 3.2", "DDPM", "sampling.sampler", "ddpm"),
    Setting("EDMG 4.1", "learning rate of Adam", "learning_rate", 2e-4),
    Setting("EDMG 4.1", "batch size", "batch.size", 32),
    Setting("EDMG 3.2", "motion features", "network.features", 151),
    Setting("EDMG 3.2", "music encoder", "music_encoder", "jukebox"),
    Setting("EDMG 3.2", "text encoder: CLIP", "text_encoder", "clip-vit-base-patch32"),
    Setting("EDMG 3.3", "conditions dropped with 25 %", "batch.drop_all", 0.25),
    Setting("EDMG 3.3", "conditions dropped with 25 %", "batch.drop_text", 0.0),
    Setting("EDMG eq. 5", "scan forward in time", "network.direction", "forward"),
    Setting("EDMG figure 4", "parallel mamba module", "network.mixer", "ssd"),
    Setting("EDMG 3.3", "local information module", "network.local", True),
    Setting("no word of it", "running average of weights", "ema", 0.0),
    Setting("no word of it", "gradient clipping", "gradient_clip", None),
    Setting("no word of it", "genres balanced", "batch.genre_balance", 1.0),
    Setting("no word of it", "mixed precision", "precision", "32-true"),
    Setting("no word of it", "preconditioning", "network.precondition", False),
    Setting("no word of it", "music added frame by frame", "network.aligned_music", False),
    Setting("no word of it", "a layer after AdaIN", "network.style_layer", False),
    Setting("no word of it", "weights by noise level", "importance_cap", 1.0),
)
_LODGE = (
    Setting("Lodge 4.1", "learning rate of Adan", "learning_rate", 1e-4),
    Setting("Lodge 3.1", "music features", "music_encoder", "librosa35"),
    Setting("Lodge 3.1", "motion features", "layout", "smpl22"),
    Setting("Lodge 3.4", "diffusion steps", "diffusion_steps", 1000),
    Setting("Lodge 4.1", "DDPM with all steps", "sampling.sampler", "ddpm"),
    Setting("Lodge 3.4", "DDPM with all steps", "sampling.steps", 1000),
    Setting("Lodge eq. 9", "logarithms of the discriminator", "losses.adversarial", "log"),
    Setting("no word of it", "gradient clipping", "gradient_clip", None),
    Setting("no word of it", "mixed precision", "precision", "32-true"),
    Setting("no word of it", "bias correction of Adan", "bias_correction", False),
)
PAPER_SETTINGS: dict[Callable[[], TrainingConfig], tuple[Setting, ...]] = {
    edmg_aistpp: (
        *_EDMG,
        Setting("EDMG 4.1", "10 s", "batch.window", 600),
        Setting("EDMG 4.1", "60 fps", "network.fps", 60.0),
    ),
    edmg_finedance: (*_EDMG, Setting("EDMG 4.1", "frame rate of FineDance", "network.fps", 30.0)),
    edmg_trm_aistpp: (
        Setting("EDMG 4.1", "modules M", "network.blocks", 5),
        Setting("EDMG 3.4", "joints J", "network.joints", 24),
        Setting("EDMG 3.4", "global receptive field: the whole window", "network.window", 600),
        Setting("EDMG 3.4", "layers along time", "network.domain", "time"),
        Setting("EDMG 4.1", "learning rate of Adam", "learning_rate", 2e-4),
        Setting("EDMG 4.1", "batch size", "batch_size", 32),
    ),
    lodge_global_finedance: (
        *_LODGE,
        Setting("Lodge 4.1", "N", "batch.window", 1024),
        Setting("Lodge 4.1", "N", "network.length", 1024),
        Setting("Lodge 4.1", "n", "network.segment", 256),
    ),
    lodge_local_finedance: (*_LODGE, Setting("Lodge 4.1", "n", "batch.window", 256)),
    lodge_finetune_finedance: (*_LODGE, Setting("Lodge eq. 10", "clean frames at either end", "clean_edges", 4)),
    lodge_global_aistpp: (
        *_LODGE,
        Setting("Lodge 4.1", "N", "network.length", 256),
        Setting("Lodge 4.1", "n", "network.segment", 128),
    ),
    lodge_local_aistpp: (*_LODGE, Setting("Lodge 4.1", "n", "batch.window", 128)),
}
"""Recipe to the settings that its paper prints."""


def flat(config: TrainingConfig) -> dict[str, Any]:
    """All fields of a configuration, nested ones by dots."""
    return flat_fields(config.model_dump())


def departures(recipe: Callable[[], TrainingConfig]) -> list[Difference]:
    """Where a recipe named after a paper's data set is not what the paper prints; nothing, if all is well."""
    ours = flat(recipe())
    return [
        Difference(setting.field, ours.get(setting.field), setting.value)
        for setting in PAPER_SETTINGS[recipe]
        if setting.field not in ours or ours[setting.field] != setting.value
    ]


def differences(ours: TrainingConfig, theirs: TrainingConfig) -> list[Difference]:
    """Fields in which two configurations differ, in the order of the first."""
    left, right = flat(ours), flat(theirs)
    names = list(dict.fromkeys((*left, *right)))
    return [Difference(name, left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)]


def as_markdown(title: str, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A heading and a table."""
    lines = [f"### {title}", "", f"| {' | '.join(header)} |", "|" + " --- |" * len(header)]
    return "\n".join((*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows), ""))


def _cell(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
