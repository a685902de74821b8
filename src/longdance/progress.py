"""How work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""(done, total, what is done); it may raise ``Cancelled`` to end the work."""


def unheard(done: int, total: int, what: str) -> None:
    """Progress that nobody follows."""


class Tally:
    """Parts of a whole that get done here and there, told as one count."""

    def __init__(self, total: int, progress: Progress | None):
        self.done, self.total = 0, total
        self._progress = progress or unheard

    def add(self, count: int, what: str) -> None:
        """Note that so many more parts are done."""
        self.done += count
        self._progress(self.done, self.total, what)
