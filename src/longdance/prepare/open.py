"""The open data: CMU motion capture and G1 Moves, without music."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from longdance.data import open as open_data
from longdance.data.catalogue import movements_of_label, unknown_words
from longdance.errors import InputError
from longdance.features.music import PLAN
from longdance.prepare.parts import Part
from longdance.prepare.silent import SilentSettings, silent_takes, with_standardised_curves
from longdance.prepare.stores import Dataset, Job, Plan

REGISTER = {
    "dataset": {"open": {"make": "OPEN", "about": "CMU motion capture and G1 Moves, openly licensed", "order": 1}},
}

LICENCE = (
    "Motion from mocap.cs.cmu.edu (created with funding from NSF EIA-0196217; do not resell the data itself) and from "
    "G1 Moves (CC BY 4.0, Experiential Technologies, dancers Jasmine Coro and Mitch Chaiet)."
)


class OpenSettings(SilentSettings):
    """What a store of the open data holds."""


def plan(source: Path, settings: OpenSettings) -> Plan:
    """The open data (``labels.csv``, BVH, keypoints)."""
    if settings.music_encoder != PLAN:
        raise InputError(
            f"expected the music encoder {PLAN}, since these dances have no music, got {settings.music_encoder!r}"
        )
    labels = open_data.read_labels(source)
    labels = [label for label in labels if label.clip not in open_data.OFF_THE_FLOOR]
    return Plan(
        [Job(label.clip, (label.clip,), _open_clip, (label, settings)) for label in labels],
        LICENCE,
        [source / "labels.csv", *(label.path for label in labels)],
        notes=_unknown_labels(labels),
        cut=with_standardised_curves,
    )


def _unknown_labels(labels: Iterable[open_data.ClipLabel]) -> list[str]:
    """One line on the labels that the catalogue does not know, if there are any."""
    words = Counter(word for label in labels for word in unknown_words(label.genre, label.movement))
    if not words:
        return []
    named = ", ".join(repr(word) for word, _ in words.most_common(5)) + (", ..." if len(words) > 5 else "")
    return [f"{len(words)} labels that the catalogue does not know are kept as free words: {named}"]


def _open_clip(label: open_data.ClipLabel, settings: OpenSettings) -> tuple[Part, dict[str, str]]:
    """The takes of a clip of the open data."""
    movements = movements_of_label(label.genre, label.movement)
    return silent_takes(label.clip, label.split, label.genre, movements, open_data.read_clip(label), settings), {}


OPEN = Dataset(OpenSettings, plan)
