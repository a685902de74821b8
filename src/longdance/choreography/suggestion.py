"""Which genre fits a song, where nobody asks for one: by tempo and energy, as the training takes have them.

The first of Lodge's choreographic rules wants dance and music of one genre and mood (Li et al. 2024, section 3.1); how
that is told from a song is ours. The table `assets/genre_feel.json` is written by `tools/measure_genres.py`.
"""

import json
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longdance.features.song import Song

TABLE = Path(__file__).parents[1] / "assets" / "genre_feel.json"
_DENSITY = (2.8, 6.7)
"""Onsets a second of calm and of busy songs: the middle four fifths of 180 composed ones."""
_TENTHS = 2.56
"""Standard deviations from the tenth to the ninetieth percentile."""
_LEAST_SPREAD = 0.1
"""Octaves: spread of a genre's tempi at least."""
_OTHER_LEVEL = 1.0
"""What counting the song at half or twice its tempo costs, as much as a standard deviation."""
_ENERGY = 0.3
"""Spread of energy within a genre, where the calmest and the most energetic genre are 1 apart."""


class Suggestion(NamedTuple):
    """A genre, and why it."""

    genre: str
    why: str


@cache
def table() -> dict[str, dict]:
    """Tempo (BPM, from, to) and energy (m/s) of each genre, with the number of takes and their seconds."""
    return json.loads(TABLE.read_text(encoding="utf-8"))["genres"]


def suggest_genre(song: Song, genres: Collection[str] | None = None) -> Suggestion | None:
    """The genre, of those given or of all in the table, that comes nearest to a song; None without a tempo."""
    known = {name: feel for name, feel in table().items() if genres is None or name in genres}
    if not known or song.tempo_is_guess or not len(song.onset_density):
        return None
    density = float(song.onset_density.mean())
    busy = float(np.clip(np.log(density / _DENSITY[0]) / np.log(_DENSITY[1] / _DENSITY[0]), 0, 1)) if density else 0.0
    speeds = np.log([feel["energy"] for feel in table().values()])

    def unlikely(name: str) -> float:
        """Minus twice the logarithm of how likely the song is for a genre, both normally distributed."""
        feel = known[name]
        energetic = float((np.log(feel["energy"]) - speeds.min()) / np.ptp(speeds))
        low, high = np.log2(feel["tempo_bpm"])
        spread = max(float(high - low) / _TENTHS, _LEAST_SPREAD)
        tempo = min(
            ((np.log2(song.tempo_bpm * f) - (low + high) / 2) / spread) ** 2 + _OTHER_LEVEL * (f != 1)
            for f in (0.5, 1, 2)
        )
        return float(tempo + 2 * np.log(spread) + ((energetic - busy) / _ENERGY) ** 2)

    best = min(known, key=unlikely)
    low, high = known[best]["tempo_bpm"]
    feeling = "calm" if busy < 1 / 3 else "lively" if busy < 2 / 3 else "busy"
    return Suggestion(best, f"{feeling} at {song.tempo_bpm:.0f} BPM; learnt at {low:.0f} to {high:.0f} BPM")

