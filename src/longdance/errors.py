"""Errors a user can cause. Everything else is a defect and raises Python's own exceptions."""

from collections.abc import Iterable
from difflib import SequenceMatcher


class LongdanceError(Exception):
    """Base of every error that longdance raises on purpose."""


class InputError(LongdanceError):
    """A file, option or value given by the user cannot be used; the message says what would do."""


class Cancelled(LongdanceError):
    """A progress callback asked for the work to stop; nothing half-written is left behind."""


def by_likeness(word: str, known: Iterable[str]) -> list[str]:
    """The names that a message suggests for a word, those spelt most like it first."""
    wanted = word.casefold()
    return sorted(known, key=lambda name: -SequenceMatcher(None, wanted, name.casefold(), autojunk=False).ratio())
