"""Finding catalogue movements by any of their words, while a person types.

Ranks movements by how well words of a query fit their names, aliases, genres and descriptions, from an index of the
whole catalogue that is built once. Reading a name as one certain movement belongs to ``longdance.data.catalogue``.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from longdance.data.catalogue import Genre, Movement, find_genre, load_catalogue, normalise_name, typing_slips

# What a word is worth by the place where it stands.
_NAME, _ALIAS, _GENRE, _DESCRIPTION = 6.0, 4.0, 3.0, 1.0
# What a word of the query is worth if it only begins one of the catalogue, or is a slip away from it.
_BEGINNING, _SLIP = 0.7, 0.5
_WHOLE_NAME = 100.0
_SLIP_LETTERS = 3
_TWO_SLIPS_LETTERS = 8
_LONGEST_WORD = 30
_MOST_WORDS = 16
_FILLERS = frozenset(
    ("a", "an", "and", "as", "at", "by", "for", "in", "is", "it", "of", "on", "or", "the", "to", "with")
)


class SearchHit(NamedTuple):
    """A movement that a query finds, and how well it fits: higher is better, numbers of one query compare."""

    movement: Movement
    score: float


class _Index(NamedTuple):
    movements: tuple[Movement, ...]
    postings: Mapping[str, Mapping[int, float]]
    """Stem to the movements (by number) that have it and its worth there."""
    stems: tuple[str, ...]
    """All stems in alphabetical order."""
    names: Mapping[str, Mapping[int, float]]
    """Whole names and aliases, normalised, to movements and worth."""


def search(text: str, limit: int = 20, *, genre: str | None = None) -> tuple[SearchHit, ...]:
    """Movements that the words of ``text`` fit, best first, at most ``limit``.

    Words count more in a name than in an alias, there more than in the genre, and least in the description; rare
    words count more than common ones. A word may be unfinished or misspelt. Movements that more of the words fit go
    first. ``genre`` (name or alias) keeps to one genre. Nothing typed finds nothing. Raises ``InputError`` for an
    unknown genre.
    """
    index = _index()
    only = None if genre is None else find_genre(genre).genre.name
    words = list(dict.fromkeys(_stems(text[: _MOST_WORDS * _LONGEST_WORD])))[:_MOST_WORDS]
    words = [word for word in words if word not in _FILLERS] or words
    if not words or limit < 1:
        return ()
    total: dict[int, float] = {}
    fitting: dict[int, int] = {}
    for word in words:
        best: dict[int, float] = {}
        for stem, quality in _meant(word, index):
            places = index.postings[stem]
            rarity = quality * math.log(1 + len(index.movements) / len(places))
            for number, worth in places.items():
                best[number] = max(best.get(number, 0.0), worth * rarity)
        for number, score in best.items():
            total[number] = total.get(number, 0.0) + score
            fitting[number] = fitting.get(number, 0) + 1
    for number in total:
        total[number] *= (fitting[number] / len(words)) ** 2
    for number, worth in index.names.get(normalise_name(text), {}).items():
        total[number] = total.get(number, 0.0) + _WHOLE_NAME * worth
    hits = [
        SearchHit(index.movements[number], score)
        for number, score in sorted(
            total.items(), key=lambda pair: (-pair[1], not index.movements[pair[0]].trained, pair[0])
        )
        if only is None or index.movements[number].genre == only
    ]
    return tuple(hits[:limit])


@lru_cache(maxsize=1)
def _index() -> _Index:
    movements: list[Movement] = []
    postings: dict[str, dict[int, float]] = {}
    names: dict[str, dict[int, float]] = {}
    for genre in load_catalogue().values():
        if genre.hidden:
            continue
        for movement in genre.movements:
            number = len(movements)
            movements.append(movement)
            for words, worth in _fields(genre, movement):
                for stem in _stems(words):
                    places = postings.setdefault(stem, {})
                    places[number] = max(places.get(number, 0.0), worth)
            for name, worth in ((movement.name, _NAME), *((alias, _ALIAS) for alias in movement.aliases)):
                names.setdefault(normalise_name(name), {})[number] = worth
    return _Index(tuple(movements), postings, tuple(sorted(postings)), names)


def _fields(genre: Genre, movement: Movement) -> Iterator[tuple[str, float]]:
    """Words by which the movement is found, and their worth; names also written as one word."""
    yield movement.description, _DESCRIPTION
    yield " ".join((genre.name, genre.title, *genre.aliases)), _GENRE
    for name, worth in ((movement.name, _NAME), *((alias, _ALIAS) for alias in movement.aliases)):
        yield name, worth
        yield normalise_name(name).replace(" ", ""), worth


def _meant(word: str, index: _Index) -> Iterator[tuple[str, float]]:
    """Stems of the catalogue that a word of a query may mean, and how surely; slips only where nothing else fits."""
    if word in index.postings:
        yield word, 1.0
    fits = word in index.postings
    start = bisect_left(index.stems, word)
    while start < len(index.stems) and index.stems[start].startswith(word):
        if index.stems[start] != word:
            fits = True
            yield index.stems[start], _BEGINNING
        start += 1
    if not fits and _SLIP_LETTERS <= len(word) <= _LONGEST_WORD:
        allowed = 2 if len(word) >= _TWO_SLIPS_LETTERS else 1
        for stem in index.stems:
            # A slip changes one letter or two, so that most words are ruled out without comparing them in order.
            near = abs(len(stem) - len(word)) <= allowed and len(set(stem) ^ set(word)) <= 2 * allowed
            if near and typing_slips(word, stem) <= allowed:
                yield stem, _SLIP


def _stems(text: str) -> Iterator[str]:
    """The text's words without common endings."""
    for word in normalise_name(text).split():
        yield _stem(word)


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    """A word without the endings of plurals and verbs; the same for all its forms, not always a word."""
    if len(word) <= 3:
        return word
    stem = re.sub(r"(?<=[^aeiou])ies$", "y", word)
    stem = re.sub(r"(?<=ss|sh|ch|zz)es$|(?<=x)es$|(?<=[^su])s$", "", stem)
    stem = re.sub(r"(?<=[a-z]{3})(ing|ed|in)$", "", stem) if len(stem) > 5 else stem
    stem = re.sub(r"([bdgkmnprt])\1$", r"\1", stem) if stem != word else stem
    return stem[:-1] if len(stem) > 3 and stem.endswith("e") else stem
