"""What all commands share: the application, its exit codes, and how it speaks to a person."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from longdance import __version__
from longdance.progress import Progress

app = typer.Typer(
    name="longdance",
    help="A song, and words about how to dance to it, into minutes of 3D dance.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SUCCESS, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Options that stand before the command."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


def say(text: str) -> None:
    """A line to standard error, where everything but results goes."""
    typer.echo(text, err=True)


def one_line(message: object) -> str:
    """What a file's name or content says, as one line that cannot command the terminal it is printed on."""
    text = "; ".join(line.strip() for line in str(message).splitlines() if line.strip())
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def reason(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.filename:
        return one_line(f"{error.filename}: {error.strerror}; try another place or name")
    return one_line(error)


@contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Progress]:
    """A progress callback that draws a bar on standard error, one line per kind of work."""
    if quiet:
        yield lambda done, total, what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        label = one_line(label)
        task = bars.add_task(label)

        def update(done: int, total: int, what: str) -> None:
            bars.update(task, completed=done, total=total, description=f"{label}: {what}" if what else label)

        yield update


@contextmanager
def told_of(logger: str) -> Iterator[None]:
    """What a part of the package logs, line by line to standard error, above a bar if there is one."""

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(one_line(record.getMessage()))

    named, handler = logging.getLogger(logger), Said(logging.INFO)
    before = named.level, named.propagate
    named.addHandler(handler)
    named.setLevel(logging.INFO)
    named.propagate = False  # libraries add handlers of their own to the root
    try:
        yield
    finally:
        named.removeHandler(handler)
        named.level, named.propagate = before


FACTS = (
    ("mean_joint_speed", "mean joint speed {:.2f} m/s"),
    ("foot_skating_cm_per_second", "feet on the floor slide {:.1f} cm/s"),
    ("mean_jerk", "jerk {:.0f} m/s^3"),
    ("beat_alignment", "beat alignment {:.2f}"),
    ("beat_alignment_by_chance", "by chance {:.2f}"),
)


def report(result: dict, notes: Sequence[str], tempo_bpm: float | None) -> None:
    """What was made, and a few measured facts, for people."""
    for note in notes:
        say(f"note: {one_line(note)}")
    measured = [text.format(result[key]) for key, text in FACTS if key in result]
    music = f", music at {tempo_bpm:.1f} BPM" if tempo_bpm else ""
    say(f"{result['seconds']:.1f} s at {result['fps']:g} fps{music}")
    if measured:
        say(", ".join(measured))
    for file in result["files"]:
        typer.echo(file)
