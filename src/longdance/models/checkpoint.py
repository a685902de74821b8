"""Checkpoints: a folder with ``config.json`` and ``model.safetensors`` from which a denoiser is rebuilt alone.

Nothing in a checkpoint is executed: JSON is checked field by field, tensors are read by safetensors. What loads is
complete and fits together.
"""

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    ValidationError,
    model_validator,
)
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn

from longdance import __version__
from longdance.errors import InputError
from longdance.features.music import MUSIC_CHANNELS
from longdance.features.text_encoders import ENCODER_WIDTHS
from longdance.files import atomic_write
from longdance.models.conditions import Count
from longdance.models.strengths import written
from longdance.motion.layout import LAYOUTS, Layout, Normaliser
from longdance.registry import DENOISERS, Registry

FORMAT = 1


def config_class(registry: Registry, kind: str) -> type[BaseModel]:
    """The class of the configuration of a kind of network."""
    entry = registry.entry(kind)
    return getattr(import_module(entry.module), entry.facts["config"])


def kind_of_network(registry: Registry, network: BaseModel) -> str:
    """The key of a network's configuration in a registry."""
    told = (type(network).__module__, type(network).__name__)
    return next(entry.name for entry in registry.entries() if (entry.module, entry.facts["config"]) == told)


def denoiser_name(network: BaseModel) -> str:
    """Key in ``DENOISERS`` of a network's configuration."""
    return kind_of_network(DENOISERS, network)


def build(network: BaseModel) -> nn.Module:
    """A new network with random weights from its configuration."""
    return DENOISERS[denoiser_name(network)](network)


CHECKSUM = "tensors_sha256"
"""Key in ``config.json`` of the checksum of ``model.safetensors``; checkpoints without one are taken as they are."""


class NetworkRecord(BaseModel):
    """What every kind of checkpoint says of its network, beside the tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int = FORMAT
    longdance: str = __version__
    network: dict
    """The network's own configuration."""
    layout: str
    fps: PositiveFloat
    music_encoder: str
    text_encoder: str
    genres: tuple[str, ...] = ()
    """Genres among the training dances."""
    recipe: str = ""
    trained_steps: NonNegativeInt = 0
    licence: str = ""
    """Licence and origin of the data the weights were trained on."""

    @model_validator(mode="after")
    def _known(self) -> "NetworkRecord":
        for field, known in (("layout", LAYOUTS), ("music_encoder", MUSIC_CHANNELS)):
            expect_known(field, getattr(self, field), known)
        return self

    def check_sizes(self, network: BaseModel, **also: float) -> None:
        """``ValueError`` where the network's configuration does not fit the record, or ``also``.

        A network need not have all of these sizes.
        """
        sizes = {
            "features": LAYOUTS[self.layout].width,
            "music_channels": MUSIC_CHANNELS[self.music_encoder],
            "fps": self.fps,
        }
        for field, expected in (sizes | also).items():
            if getattr(network, field, expected) != expected:
                raise ValueError(f"expected network.{field} to be {expected}, got {getattr(network, field)}")


def expect_known(field: str, name: str, known: Iterable[str]) -> None:
    """``ValueError`` for a name that is not among those known."""
    if name not in known:
        raise ValueError(f"expected {field} among {', '.join(known)}, got {name!r}")


def _known(energies: dict[str, float]) -> dict[str, float]:
    try:
        written(energies) if energies else None
    except InputError as error:
        raise ValueError(str(error)) from error
    return energies


OwnEnergies = Annotated[dict[str, float], AfterValidator(_known)]
"""Strengths, by the names of ``Strengths``, of what the sampler is drawn by; those that are not named are off."""


class OwnSampling(BaseModel):
    """How dances are drawn from a denoiser where nobody asks for something else; it belongs to the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: Count = 20
    sampler: str = "dpm2m"
    """A name of ``diffusion.sampler.STEP_RULES``."""
    music_guidance: float = 1.0
    """Weight of classifier-free guidance; 1 is the plain conditional model."""
    text_guidance: float = 6.0
    guidance_until: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Noise level, as a fraction of the schedule, below which both weights are 1."""
    energies: OwnEnergies = {}


class Led(NamedTuple):
    """A network that has learnt to predict in one row what guidance makes of two or three."""

    guidance: tuple[float, float, float]
    """Weights of music and text, and the noise level below which both are 1: those of ``Guidance``."""
    network: nn.Module


class CheckpointConfig(NetworkRecord):
    """What the checkpoint of a denoiser says of it."""

    denoiser: str
    """Kind of network, a key of ``DENOISERS``."""
    window: Count
    """Frames of the windows that the network was trained on."""
    diffusion_steps: Count
    clean_edges: NonNegativeInt = 0
    """Frames at either end of the noisy input that the network expects without noise (Lodge eq. 10)."""
    sampling: OwnSampling = OwnSampling()

    @model_validator(mode="after")
    def _fits_together(self) -> "CheckpointConfig":
        expect_known("denoiser", self.denoiser, DENOISERS)
        network = self.network_config
        self.check_sizes(network, **({"diffusion_steps": self.diffusion_steps} if network.precondition else {}))
        expected = ENCODER_WIDTHS.get(self.text_encoder, network.text_width)
        if network.text_width != expected:
            raise ValueError(
                f"expected network.text_width {expected} for {self.text_encoder}, got {network.text_width}"
            )
        return self

    @property
    def network_config(self) -> Any:
        """``network``, checked."""
        return config_class(DENOISERS, self.denoiser).model_validate(self.network)


Config = TypeVar("Config", bound=NetworkRecord, covariant=True)


@dataclass(frozen=True, eq=False)
class Checkpoint(Generic[Config]):
    """A network with what is needed to use it: normalisation of motion and music, and its record, a denoiser's
    (``CheckpointConfig``) unless another kind of checkpoint says otherwise.

    ``music_mean`` (music_channels,) and ``music_scale`` (music_channels,) are statistics of the training songs.
    """

    CONFIG: ClassVar[type[BaseModel]] = CheckpointConfig
    """What ``config.json`` is checked against."""
    NETWORK: ClassVar[Callable[[BaseModel], nn.Module]] = staticmethod(build)
    """A new network from its configuration."""

    config: Config
    network: nn.Module
    normaliser: Normaliser
    music_mean: Tensor
    music_scale: Tensor
    led: "Led | None" = None
    """The network for one guidance in a single prediction, where that was distilled."""

    @property
    def layout(self) -> Layout:
        """The feature layout of the motion."""
        return LAYOUTS[self.config.layout]

    def normalise_music(self, music: Tensor) -> Tensor:
        """(..., music_channels) features to zero mean and unit scale, cut at four scales.

        The cut keeps a recording that sounds like nothing in training within what the network has seen.
        """
        return ((music - self.music_mean) / self.music_scale).clamp(-4, 4)

    def to(self, device: torch.device | str) -> "Checkpoint":
        """A copy on another device; the original stays as it is."""
        return replace(
            self,
            network=copy.deepcopy(self.network).to(device),
            normaliser=self.normaliser.to(device),
            music_mean=self.music_mean.to(device),
            music_scale=self.music_scale.to(device),
            led=None if self.led is None else self.led._replace(network=copy.deepcopy(self.led.network).to(device)),
        )

    def save(self, folder: str | os.PathLike, *, half: bool = False) -> None:
        """Write the folder; ``half`` stores what was learnt as float16."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        if half:
            learnt = {f"network.{name}" for name, _ in self.network.named_parameters()}
            tensors = {name: tensor.half() if name in learnt else tensor for name, tensor in tensors.items()}
        tensors |= {
            "normaliser.mean": self.normaliser.mean,
            "normaliser.scale": self.normaliser.scale,
            "music.mean": self.music_mean,
            "music.scale": self.music_scale,
        }
        write_folder(Path(folder), self.config.model_dump(), tensors)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Checkpoint":
        """Rebuild the network of a folder, in evaluation mode on the CPU.

        ``InputError`` if the folder is no checkpoint, is damaged, has parts that do not belong together, or was made
        by another version of the format.
        """
        folder = Path(folder)
        record, tensors = read_folder(folder)
        try:
            config = cls.CONFIG.model_validate(record)
        except ValidationError as error:
            raise InputError(f"{folder}/config.json: cannot be used with this version of longdance: {error}") from error
        try:
            return cls._from_tensors(config, tensors)
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{folder}/model.safetensors: does not fit config.json: {error}") from error

    @classmethod
    def _from_tensors(cls, config: Any, tensors: dict[str, Tensor]) -> "Checkpoint":
        """``ValueError``, or torch's ``RuntimeError``, for tensors that are missing, too many or unusable."""
        prefix = "network."
        state = {name.removeprefix(prefix): tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
        statistics = {
            "normaliser.mean": LAYOUTS[config.layout].width,
            "normaliser.scale": LAYOUTS[config.layout].width,
            "music.mean": MUSIC_CHANNELS[config.music_encoder],
            "music.scale": MUSIC_CHANNELS[config.music_encoder],
        }
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if shapes != {name: (width,) for name, width in statistics.items()}:
            raise ValueError(f"expected vectors of the lengths {statistics}, got shapes {shapes}")
        finite_state(state | tensors)
        for name in ("normaliser.scale", "music.scale"):
            if not (tensors[name] > 0).all():
                raise ValueError(f"expected positive numbers in {name}")
        network = cls.NETWORK(config.network_config)
        network.load_state_dict(state)
        return cls(
            config,
            network.eval().requires_grad_(False),
            Normaliser(tensors["normaliser.mean"], tensors["normaliser.scale"]),
            tensors["music.mean"],
            tensors["music.scale"],
        )


def write_folder(folder: Path, record: dict, tensors: dict[str, Tensor]) -> None:
    """Write ``config.json`` and ``model.safetensors``, tied together by a checksum."""
    stored = tensors_to_bytes({name: tensor.contiguous().cpu() for name, tensor in tensors.items()})
    record = record | {CHECKSUM: hashlib.sha256(stored).hexdigest()}
    # Both are complete before either takes its place. Should only one get there, the checksum tells.
    with (
        atomic_write(folder / "config.json") as config_file,
        atomic_write(folder / "model.safetensors") as tensors_file,
    ):
        tensors_file.write_bytes(stored)
        config_file.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def says(folder: Path, key: str) -> bool:
    """Whether a checkpoint folder's record has ``key``; of an unreadable one, no: it is left to who reads it."""
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and key in record


def read_folder(folder: Path) -> tuple[dict, dict[str, Tensor]]:
    """The record, without the checksum, and the tensors, as float32, of a checkpoint folder of any kind.

    ``InputError`` if it is none, is damaged, or was made by another version of the format.
    """
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stored = (folder / "model.safetensors").read_bytes()
    except (OSError, ValueError, RecursionError) as error:  # ValueError: neither UTF-8 nor JSON
        raise InputError(f"{folder}: expected a checkpoint (config.json and model.safetensors): {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{folder}: expected checkpoint format {FORMAT}; train again or update longdance")
    checksum = hashlib.sha256(stored).hexdigest()
    if record.pop(CHECKSUM, checksum) != checksum:
        raise InputError(
            f"{folder}: expected model.safetensors as saved with config.json, got a damaged one or that of another "
            "save; try again if a training is writing them right now, or copy both files once more"
        )
    try:
        return record, {name: tensor.float() for name, tensor in tensors_from_bytes(stored).items()}
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:  # KeyError: a dtype unknown to torch
        raise InputError(f"{folder}/model.safetensors: does not fit config.json: {error}") from error


def finite_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors; ``ValueError`` where one holds something else than finite numbers."""
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"expected finite numbers in {name}; the training may have diverged")
    return tensors
