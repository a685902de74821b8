"""The command line. Thin on purpose: whatever it does, a few lines of Python can do.

A module for each command or two. Heavy modules are imported inside the commands, so that ``--help`` answers at once.
"""

import atexit
import gc
import logging
import os
import sys

# Commands appear in the order in which they are imported.
# isort: off
from longdance.cli import generate, beats, edit, library, train, export, play, evaluate, studio, catalogue  # noqa: F401

# isort: on
from longdance.cli.terminal import INTERRUPTED, SOME_FAILED, SUCCESS, WRONG_USAGE, app, one_line, reason, say
from longdance.errors import LongdanceError

__all__ = ["INTERRUPTED", "SOME_FAILED", "SUCCESS", "WRONG_USAGE", "app", "main"]


def main() -> None:
    """Entry point: 0 when all was done, 1 when some input failed, 2 for wrong usage."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    # Threads that wait by spinning take the cores from each other as soon as the machine does anything else. So let
    # them sleep after some microseconds; GNU's OpenMP asks once, when torch is imported, which commands do.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Imports make a million objects that stay: to look for garbage among them again and again, and to take them apart
    # at the end, takes a fifth of a short command.
    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)
    try:
        app()
    except LongdanceError as error:
        say(f"error: {one_line(error)}")
        sys.exit(SOME_FAILED)
    except MemoryError as error:
        say(f"error: expected less to hold at once, no memory left ({one_line(error)}); try shorter or smaller files")
        sys.exit(SOME_FAILED)
    except OSError as error:  # a full disk, a name too long, a folder that is not ours
        say(f"error: {reason(error)}")
        sys.exit(SOME_FAILED)
    except KeyboardInterrupt:
        say("stopped; nothing half-written was left behind")
        sys.exit(INTERRUPTED)
