"""The catalogue of dance genres and their fundamental movements, read from ``assets/catalogue``.

Names, aliases and written descriptions live in one JSON file per genre; this module loads them, finds
entries by name, and says which catalogue movements a dataset's label text names. How texts become numbers
belongs to ``longdance.features.text``.

A file holds ``name``, ``title`` (as shown to people), ``aliases``, ``aist_code`` (the genre's code in AIST++
file names, or null), ``trained`` (the open training data shows this genre), ``hidden`` (not offered to users),
``clips`` (open clips per split), ``description``, ``movements`` (each with ``name``, ``aliases``,
``description``, ``counts`` or null, ``fundamental``, ``clips``) and ``labels``: for every label text of the open
data, split at commas, the movements that it names. Label texts map only to what their words say.

The ten genres with an ``aist_code`` have as many fundamental movements as EDMG's Table 1 counts. What the open
data labels but no dancer calls a fundamental movement (whole routines, moods) is kept beside them with
``fundamental`` false.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from longdance.errors import InputError

# Below this similarity a name counts as a different word, above it as a slip of the keyboard.
TYPO_SIMILARITY = 0.8
# Two entries closer to each other than this are a tie, and a tie is not guessed.
TYPO_MARGIN = 0.05
SUGGESTIONS = 4
Entry = TypeVar("Entry")


_SCHEMA = ConfigDict(strict=True, extra="forbid")


class ClipCounts(NamedTuple):
    """Numbers of clips in each split."""

    train: int
    val: int
    test: int


@dataclass(frozen=True, kw_only=True)
class Movement:
    """A movement of a genre, as catalogued."""

    __pydantic_config__ = _SCHEMA

    genre: str
    name: str
    aliases: tuple[str, ...]
    description: str
    """What the body does."""
    counts: int | None
    """Counts (beats) of one performance, where that is meaningful."""
    fundamental: bool
    """Whether it belongs to the genre's vocabulary; if not, it is a label of the open data, such as a routine."""
    clips: ClipCounts
    """Clips of the open data labelled with it."""

    @property
    def trained(self) -> bool:
        """Whether the open training clips show it."""
        return self.clips.train > 0

    @property
    def text(self) -> str:
        """The sentence that stands for the movement in a text condition."""
        return f"{_capital(self.name)}: {self.description}"


@dataclass(frozen=True, kw_only=True)
class Genre:
    """A dance genre with its movements."""

    __pydantic_config__ = _SCHEMA

    name: str
    title: str
    aliases: tuple[str, ...]
    aist_code: str | None
    """What AIST++ calls it in file names, such as ``gBR``; None for genres that it does not have."""
    description: str
    trained: bool
    """Whether the open training clips show it."""
    hidden: bool
    """Kept from users: movement that is not dance, there for pre-training."""
    clips: ClipCounts
    """Clips of the open data."""
    movements: tuple[Movement, ...]
    """The fundamental ones, and what else the open data labels."""
    labels: Mapping[str, tuple[str, ...]] = field(hash=False)
    """Label text of the open data to the names of the movements that it names."""

    @property
    def text(self) -> str:
        """The sentences that stand for the genre in a text condition."""
        return f"{_capital(self.title)}: {self.description}"

    @property
    def fundamentals(self) -> tuple[Movement, ...]:
        """The fundamental movements, as Table 1 of EDMG counts them."""
        return tuple(movement for movement in self.movements if movement.fundamental)

    def movement(self, name: str) -> Movement:
        """The movement of exactly this canonical name; ``KeyError`` where there is none."""
        for movement in self.movements:
            if movement.name == name:
                return movement
        raise KeyError(name)


_GENRE = TypeAdapter(Genre)


class GenreMatch(NamedTuple):
    """A genre found by name, and whether only a corrected spelling led to it."""

    genre: Genre
    corrected: bool


class MovementMatch(NamedTuple):
    """A movement found by name, and whether only a corrected spelling led to it."""

    movement: Movement
    corrected: bool


@lru_cache(maxsize=8192)
def normalise_name(name: str) -> str:
    """Lower case, without accents, punctuation as single spaces: the form in which names are compared."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[^\w&+]|_", " ", plain.replace("'", "").replace("\u2019", "").lower()).split())


@lru_cache(maxsize=1)
def load_catalogue() -> Mapping[str, Genre]:
    """Every genre by its canonical name, in alphabetical order, hidden ones included."""
    folder = files("longdance") / "assets" / "catalogue"
    entries = sorted((item for item in folder.iterdir() if item.name.endswith(".json")), key=lambda item: item.name)
    genres = [read_genre(entry.read_text(encoding="utf-8"), entry.name) for entry in entries]
    return MappingProxyType({genre.name: genre for genre in genres})


def read_genre(text: str, file_name: str) -> Genre:
    """The genre that a catalogue file's text describes.

    ``InputError`` naming the file where it is not JSON, lacks a key or has one too many, has a value of another
    type, repeats a name, or maps a label to a movement that it does not have.
    """
    try:
        record = json.loads(text)
        for item in record["movements"]:
            item["genre"] = record["name"]
        genre = _GENRE.validate_json(json.dumps(record))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        told = "; ".join(_told(part) for part in error.errors()) if isinstance(error, ValidationError) else repr(error)
        raise InputError(
            f"{file_name}: expected a genre of the catalogue, got {told}; try the fields of another file"
        ) from error
    words = [normalise_name(word) for item in genre.movements for word in (item.name, *item.aliases)]
    if repeated := sorted({word for word in words if words.count(word) > 1 or not word}):
        raise InputError(f"{file_name}: expected each name and alias once, got {', '.join(map(repr, repeated))} again")
    known = {item.name for item in genre.movements}
    if strangers := sorted({name for names in genre.labels.values() for name in names} - known):
        raise InputError(f"{file_name}: expected labels that name its movements, got {', '.join(map(repr, strangers))}")
    return genre


def genre_names() -> tuple[str, ...]:
    """Canonical names of the genres that are offered to users."""
    return tuple(name for name, genre in load_catalogue().items() if not genre.hidden)


def catalogue_texts() -> tuple[str, ...]:
    """The text and the name of every genre and movement, in a fixed order: these have shipped embeddings."""
    entries = [entry for genre in load_catalogue().values() for entry in (genre, *genre.movements)]
    return tuple(dict.fromkeys(text for entry in entries for text in (entry.text, entry.name)))


def find_genre(name: str, *, include_hidden: bool = False) -> GenreMatch:
    """The genre that a user means by ``name``: canonical name, title, alias, or one of them misspelt.

    Raises ``InputError`` with the nearest names where nothing fits.
    """
    genres = [genre for genre in load_catalogue().values() if include_hidden or not genre.hidden]
    found = _find(name, [(genre, (genre.name, genre.title, *genre.aliases)) for genre in genres])
    if found is not None:
        return GenreMatch(*found)
    near = _nearest(name, [(genre.name, (genre.name, *genre.aliases)) for genre in genres])
    raise InputError(
        f"expected a dance genre, got {name!r}; try {_either(near)} "
        f"(all genres: {', '.join(genre.name for genre in genres)})"
    )


def find_movements(name: str, genre: Genre | None = None) -> tuple[MovementMatch, ...]:
    """The movements that a user means by ``name``.

    With a genre, its own movement if it has one, otherwise those of other genres; several where genres
    share the name, none where no genre that users see knows it.
    """
    own = None if genre is None else _movement_of(genre, name)
    if own is not None and not own.corrected:
        return (own,)
    others = [other for other in load_catalogue().values() if not other.hidden and other is not genre]
    found = tuple(match for other in others if (match := _movement_of(other, name)) is not None)
    exact = tuple(match for match in found if not match.corrected)
    if exact or own is None:
        return exact or found
    return (own,)


def preferred_movement(matches: Iterable[MovementMatch], name: str) -> MovementMatch | None:
    """The one of several genres' movements that ``name`` says best, or None where that is a toss-up.

    Movements that training clips show go before others, canonical names before aliases; a single one must be
    left at either step.
    """
    left = list(matches)
    wanted = normalise_name(name)
    for better in (lambda item: item.trained, lambda item: normalise_name(item.name) == wanted):
        if len(left) > 1:
            left = [match for match in left if better(match.movement)] or left
    return left[0] if len(left) == 1 else None


def nearest_movements(name: str, genre: Genre | None = None) -> tuple[str, ...]:
    """Names of the few movements spelt most like ``name``, of one genre or of all that users see."""
    genres = [item for item in load_catalogue().values() if not item.hidden] if genre is None else [genre]
    return _nearest(name, [(item.name, (item.name, *item.aliases)) for each in genres for item in each.movements])


def movements_of_label(genre: str, label: str) -> tuple[str, ...]:
    """Movement names that a clip's label text names, in the label's order, without repeats.

    ``label`` is the dataset's own words; at commas it holds several movements. They are mapped by the ``labels`` table
    of the genre's file, compared exactly (letter case and spaces at the ends aside). Words that no table maps, and all
    words of a genre that the catalogue does not have, stay as they are (``unknown_words`` tells them).
    """
    known = load_catalogue().get(genre)
    table = known.labels if known is not None else {}
    names: dict[str, None] = {}
    for part in _label_parts(label):
        names.update(dict.fromkeys(table.get(part, (part,))))
    return tuple(names)


def unknown_words(genre: str, label: str) -> tuple[str, ...]:
    """Of a clip's labels what the catalogue does not know: the genre's name, parts of the label text."""
    known = load_catalogue().get(genre)
    if known is None:
        return (genre, *_label_parts(label))
    return tuple(part for part in _label_parts(label) if part not in known.labels)


def _label_parts(label: str) -> list[str]:
    return [words for part in label.split(",") if (words := part.strip().lower())]


def _movement_of(genre: Genre, name: str) -> MovementMatch | None:
    found = _find(name, [(item, (item.name, *item.aliases)) for item in genre.movements])
    return None if found is None else MovementMatch(*found)


def _told(problem: Mapping) -> str:
    """One complaint of the schema check: where, what."""
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _without_suffix(name: str) -> str:
    """A genre is often said with a word such as "dance" after it."""
    return re.sub(r"(?<=\w) (dance|dancing|style|moves?|steps?)$", "", name)


def typing_slips(left: str, right: str) -> int:
    """Fewest letters inserted, dropped, replaced or swapped with a neighbour that make one name the other.

    Source: Damerau 1964, in the restricted form in which no place is edited twice.
    """
    before, above = [], list(range(len(right) + 1))
    for row, letter in enumerate(left, 1):
        current = [row]
        for column, other in enumerate(right, 1):
            cost = min(above[column] + 1, current[-1] + 1, above[column - 1] + (letter != other))
            swapped = row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other
            current.append(min(cost, before[column - 2] + 1) if swapped else cost)
        before, above = above, current
    return above[-1]


def _typing_similarity(left: str, right: str) -> float:
    """1 for equal names, less by the share of letters that are slips; 0 where lengths differ too much."""
    longest = max(len(left), len(right), 1)
    if 1 - abs(len(left) - len(right)) / longest < TYPO_SIMILARITY:
        return 0.0
    return 1 - typing_slips(left, right) / longest


def _find(name: str, entries: Iterable[tuple[Entry, tuple[str, ...]]]) -> tuple[Entry, bool] | None:
    """The one entry of this name: exactly, without a trailing "dance", then allowing for typing slips."""
    entries = [(entry, tuple(normalise_name(word) for word in words)) for entry, words in entries]
    wanted = normalise_name(name)
    for form in (wanted, _without_suffix(wanted)):
        for entry, words in entries:
            if form in words:
                return entry, False
    scored = sorted(
        ((max(_typing_similarity(wanted, word) for word in words), index) for index, (_, words) in enumerate(entries)),
        key=lambda pair: -pair[0],
    )
    if not scored or scored[0][0] < TYPO_SIMILARITY:
        return None
    if len(scored) > 1 and scored[0][0] - scored[1][0] < TYPO_MARGIN:
        return None
    return entries[scored[0][1]][0], True


def _nearest(name: str, entries: Iterable[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    """Names of the entries with the most similar spelling, best first."""
    wanted = normalise_name(name)
    scores = {
        title: max(SequenceMatcher(None, wanted, normalise_name(word), autojunk=False).ratio() for word in words)
        for title, words in entries
    }
    return tuple(sorted(scores, key=lambda title: -scores[title])[:SUGGESTIONS])


def _either(names: Iterable[str]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
