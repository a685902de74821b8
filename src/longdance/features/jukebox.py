"""Jukebox (Dhariwal et al. 2020) as a music encoder: activations of its largest prior, as EDMG and EDGE use them.

The model is read through transformers, which had it up to version 4.57.6; newer versions do not. It therefore wants an
environment of its own (``pip install 'longdance[jukebox]'``), where ``longdance prepare ... music_encoder=jukebox``
fills the cache; songs that are in the cache need it no more. The folder is ``openai/jukebox-5b-lyrics`` in the Hugging
Face layout, about 40 GB, and encoding wants a GPU with 16 GB, or 40 GB of memory and patience.

Source: EDGE section 4 (layer 66), after Castellon et al. 2021. Differs: the published folder holds the prior that was
trained on with lyrics; it is given none, and its layers of attention to lyrics are not counted. Tokens are averaged
over frames, where EDGE resamples by Fourier transform.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longdance.errors import InputError
from longdance.features.frames import Window, encode_in_windows, without_bars
from longdance.features.song import Song

FOLDER_VARIABLE = "LONGDANCE_JUKEBOX"
"""Environment variable that names the folder with the model."""
LAYER = 66
"""Self-attention layers that the music goes through. Source: EDGE section 4."""
TOTAL_SECONDS = 62.0
"""Length of song that the model is told: its own range begins at about one minute."""


@dataclass(frozen=True, eq=False)
class Jukebox:
    """A loaded model: sound to codes (``vqvae``), codes to activations (``prior``)."""

    # Classes of a transformers that most installations do not have.
    vqvae: Any
    prior: Any
    sample_rate: int
    layer: int

    @classmethod
    def load(cls, folder: str | os.PathLike, *, layer: int = LAYER, device: str | None = None) -> "Jukebox":
        """The model of a folder in the Hugging Face layout, in half precision on a GPU.

        ``InputError`` where transformers has no Jukebox, or the folder is none or too shallow.
        """
        transformers = _transformers()
        folder = Path(folder)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            with without_bars(transformers):
                model = transformers.JukeboxModel.from_pretrained(
                    str(folder), local_files_only=True, low_cpu_mem_usage=True
                )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise InputError(
                f"{folder}: expected Jukebox in the Hugging Face layout ({error}); try copying it again"
            ) from error
        prior = model.priors[0].eval().to(device)
        if device != "cpu":
            prior = prior.half()
        for block in prior.prior.transformer._attn_mods:
            # Sampling goes token by token and can do without; a whole window at once must not look ahead.
            block.attn.mask = True
        own = [block for block in prior.prior.transformer._attn_mods if block.attn_func != "cross_attention"]
        if len(own) < layer:
            raise InputError(f"{folder}: expected a prior of at least {layer} self-attention layers, got {len(own)}")
        vqvae = model.vqvae.eval().float().to(device)
        return cls(vqvae, prior, model.config.sampling_rate, layer)

    @property
    def channels(self) -> int:
        """Features per frame."""
        return self.prior.config.hidden_size

    @property
    def window(self) -> Window:
        """How the model looks at a song. A token knows only what was before it, so half of each window is context."""
        hop = int(self.prior.raw_to_tokens)
        seconds = self.prior.n_ctx * hop / self.sample_rate
        # The activation of token k has heard the tokens before it: it stands for the end of token k - 1.
        return Window(
            seconds=seconds, before=seconds / 2, after=0.0, token_rate=self.sample_rate / hop, first_token=0.0
        )

    @torch.no_grad()
    def encode(self, samples: np.ndarray) -> np.ndarray:
        """(tokens, channels) of (samples,) at the model's sample rate, at most one context of them."""
        hop, context = int(self.prior.raw_to_tokens), self.prior.n_ctx
        count = max(1, min(context, -(-len(samples) // hop)))
        filled = np.zeros(context * hop, np.float32)
        filled[: len(samples)] = samples[: len(filled)]
        device = next(self.vqvae.parameters()).device
        codes = self.vqvae.encode(torch.from_numpy(filled)[None, :, None].to(device))[-1]
        return self._activations(codes)[0, :count].float().cpu().numpy()

    def _activations(self, codes: Tensor) -> Tensor:
        """(1, tokens, channels) after the layer, of (1, tokens) codes of exactly one context."""
        prior, network = self.prior, self.prior.prior
        metadata = torch.zeros(1, 4 + prior.config.max_nb_genres + prior.nb_relevant_lyric_tokens, dtype=torch.long)
        metadata[0, 0] = int(TOTAL_SECONDS * self.sample_rate)
        metadata[0, 2] = prior.n_ctx * int(prior.raw_to_tokens)
        metadata[0, 5 : 4 + prior.config.max_nb_genres] = -1  # one genre, the unknown one, and no further
        position, start, lyrics = prior.get_cond(None, metadata.to(codes.device))
        words = prior.get_encoder_states(lyrics)
        embedded = network.embed_tokens(codes)
        # Each token sees those before it: shifted by one, artist and genre in the first place.
        hidden = torch.cat((start.to(embedded.dtype), embedded[:, :-1]), 1) + network.pos_emb() + position
        passed = 0
        for block in network.transformer._attn_mods:
            crossing = block.attn_func == "cross_attention"
            hidden = block(hidden, last_encoder_hidden_states=words if crossing else None)
            passed += not crossing
            if passed == self.layer:
                break
        return hidden

    def __call__(self, song: Song, fps: float) -> np.ndarray:
        """(frames, channels) float32 of a song at peak level 1."""
        samples = song.decode(self.sample_rate)
        samples = samples / max(float(np.abs(samples).max()), 1e-6)
        return encode_in_windows(
            self.encode, samples, self.sample_rate, window=self.window, fps=fps, frames=song.frames(fps)
        )


def find_folder() -> Path:
    """The folder that the environment names; ``InputError`` says what to do where it names none."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if not chosen or not (Path(chosen) / "config.json").is_file():
        raise InputError(
            f"expected the environment variable {FOLDER_VARIABLE} to name a folder with openai/jukebox-5b-lyrics, got "
            f"{chosen!r}; try downloading the model from the Hugging Face hub and naming its folder"
        )
    return Path(chosen)


def _transformers() -> Any:
    """The package transformers with Jukebox in it; ``InputError`` says which version has it."""
    message = "the music encoder jukebox needs transformers 4.57.6 or an earlier 4.x"
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise InputError(f"expected the package transformers, got an installation without it: {message}") from error
    if not hasattr(transformers, "JukeboxModel"):
        raise InputError(
            f"expected a transformers with Jukebox, got {transformers.__version__}: {message}; try an environment of "
            "its own with pip install 'longdance[jukebox]', where `longdance prepare` fills the cache of features"
        )
    return transformers
