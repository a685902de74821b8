"""The prompt of a dance: genre, movements and free words, as a user types them, to tokens.

A prompt is a short list of texts (genre description, movement descriptions, free words), each of which
becomes one token. What the genres and movements are is in ``longdance.data.catalogue``; how tokens steer a dance is the
models' part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

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
from longdance.features.text_embeddings import encode_texts
from longdance.features.text_encoders import TextEncoder
from longdance.features.text_table import MINILM, one_line, shipped

# English takes about 1.3 tokens a word, so longer texts do not fit the sentence encoder.
_LONG_TEXT_WORDS = 180
# Unrelated sentences about dancing lie around 0.3.
_LIKE_COSINE = 0.45


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
        near = None if shipped(encoder_name).find(words) is not None else nearest_in_meaning(row, encoder_name)
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
    table = shipped(encoder_name)
    shown = [
        item for genre in load_catalogue().values() if not genre.hidden for item in genre.movements if item.trained
    ]
    rows = [row for item in shown if (row := table.find(item.text)) is not None]
    if embedding.size != table.dim or len(rows) < len(shown):
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
        return one_line(name)
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
    return one_line(text)


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
