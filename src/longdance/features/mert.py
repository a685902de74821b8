"""MERT: a network that was trained to listen to music (Li et al. 2023), as a music encoder.

MERT has HuBERT's architecture and names, so its published folders (``m-a-p/MERT-v1-95M``, ``m-a-p/MERT-v1-330M``) load
into transformers' own ``HubertModel``; the code that comes with them is not run.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longdance.errors import InputError
from longdance.features.frames import Window, encode_in_windows, without_bars
from longdance.features.song import Song

FOLDER_VARIABLE = "LONGDANCE_MERT"
"""Environment variable that names a folder with the model; otherwise the user's hub cache is looked through."""

SECONDS, CONTEXT = 12.0, 1.0
"""Length of a window, and what of it at either end is only context."""


@dataclass(frozen=True, eq=False)
class Mert:
    """A loaded model: features are the mean over the outputs of all its layers."""

    network: Any
    """A ``HubertModel`` of transformers, which is imported only where it is used."""
    sample_rate: int
    normalise: bool
    """Whether each window is brought to zero mean and unit variance, as the model's files say."""

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Mert":
        """The model of a folder in the Hugging Face layout; ``InputError`` where it is none, or incomplete."""
        transformers = _transformers()
        folder = Path(folder)
        try:
            settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            listening = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
            sample_rate = int(listening["sampling_rate"])
            known = {key: value for key, value in settings.items() if key not in ("model_type", "auto_map")}
            config = transformers.HubertConfig(**known)
            with without_bars(transformers):
                network, report = transformers.HubertModel.from_pretrained(
                    str(folder), config=config, local_files_only=True, output_loading_info=True, dtype=torch.float32
                )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise InputError(
                f"{folder}: expected a MERT model in the Hugging Face layout ({error}); try copying it again"
            ) from error
        # The vector that hides frames in training has no use here.
        lacking = [key for key in report["missing_keys"] if key != "masked_spec_embed"]
        if lacking:
            raise InputError(
                f"{folder}: expected all weights of a MERT model, missing {', '.join(sorted(lacking)[:3])}; "
                "try copying it again"
            )
        return cls(network.eval(), sample_rate, bool(listening.get("do_normalize", True)))

    @property
    def channels(self) -> int:
        """Features per frame."""
        return self.network.config.hidden_size

    @property
    def window(self) -> Window:
        """How the model looks at a song."""
        config = self.network.config
        hop, heard = 1, 1  # samples from token to token, and samples that one token hears
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            heard += (kernel - 1) * hop
            hop *= stride
        return Window(
            seconds=SECONDS,
            before=CONTEXT,
            after=CONTEXT,
            token_rate=self.sample_rate / hop,
            first_token=heard / 2 / self.sample_rate,
        )

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """(tokens, channels) of (samples,) at the model's sample rate; a short end is filled up with silence."""
        samples = np.pad(samples, (0, max(0, self.sample_rate - len(samples))))
        if self.normalise:
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        with torch.no_grad():
            heard = torch.from_numpy(samples.astype(np.float32))[None].to(self.network.device)
            layers = self.network(heard, output_hidden_states=True).hidden_states
            return torch.stack(layers).mean(0)[0].cpu().numpy()

    def __call__(self, song: Song, fps: float) -> np.ndarray:
        """(frames, channels) float32 of a song."""
        samples = song.decode(self.sample_rate)
        return encode_in_windows(
            self.encode, samples, self.sample_rate, window=self.window, fps=fps, frames=song.frames(fps)
        )


def find_folder(repository: str) -> Path:
    """The folder with a MERT model: the environment's, the user's hub cache, or the hub, in this order.

    ``InputError`` says what to do where there is none.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    _transformers()
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        if not (Path(chosen) / "config.json").is_file():
            raise InputError(f"{FOLDER_VARIABLE}={chosen}: expected a folder with {repository}, found no config.json")
        return Path(chosen)
    for local in (True, False):
        try:
            return Path(
                snapshot_download(
                    repository, allow_patterns=["*.json", "*.safetensors", "pytorch_model.bin"], local_files_only=local
                )
            )
        except (HfHubHTTPError, OSError):
            continue
    raise InputError(
        f"expected the music encoder {repository} on this computer or a connection to the Hugging Face hub, got "
        f"neither; try a folder with its files, named by the environment variable {FOLDER_VARIABLE}"
    )


def _transformers() -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise InputError(
            "expected the package transformers for the music encoder mert, got an installation without it; "
            "try pip install 'longdance[text]'"
        ) from error
    return transformers
