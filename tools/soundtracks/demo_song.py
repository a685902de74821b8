"""The song that comes with the package, written and rendered by our own composer.

Here belongs its score and nothing else. The rendered file is `assets/demo_song.ogg`; run `python -m
tools.soundtracks.demo_song FILE` to make it again.
"""

import os
import sys
from pathlib import Path

import numpy as np
from tools.soundtracks.composer import STEREO_SAMPLE_RATE, BeatGrid, Plan, Section, perform

from longdance.features import audio
from tools.soundtracks import styles

TEMPO_BPM = 114.0
FIRST_BEAT = 0.25
"""Seconds from the beginning to the first downbeat."""
BARS = 20
SECONDS = FIRST_BEAT + BARS * 4 * 60.0 / TEMPO_BPM + 2.6

_FADE_SECONDS = 1.2
_CALM = {"hats": 0.7, "bass": 0.9, "chords": 1.0, "pad": 0.8}
_RISING = {"kick": 0.8, "chords": 0.9, "pad": 1.0, "arpeggio": 0.9}
_FULL = {
    "kick": 1.0, "snare": 1.0, "hats": 1.0, "percussion": 0.8, "bass": 1.0, "chords": 0.85, "pad": 1.0,
    "arpeggio": 0.9, "melody": 1.1,
}  # fmt: skip

SCORE = Plan(
    key=9,
    scale=styles.MINOR,
    progression=((0, "minor7"), (8, "major7"), (3, "major"), (10, "major")),
    groove={
        "kick": "X...X...X...X.g.",
        "clap": "....X.......X...",
        "open_hat": "..x...x...x...x.",
        "closed_hat": "xgogxgogxgogxgog",
    },
    percussion={"conga_open": "...x..x....x..xx", "conga_slap": "o.....o...o....."},
    marker="rim",
    bass_line="R.RO..RO.R.OF.A.",
    bass=styles.BASSES["saw"],
    comping="X-.X-.X-..X-X-..",
    keys=styles.KEYS["pluck"],
    pad=styles.PADS["strings"],
    lead=styles.LEADS["square"],
    arpeggio="0.123.210.123.2.",
    motif=(
        (0, 3, 4), (3, 3, 2), (6, 2, 3), (8, 4, 4), (12, 2, 6), (14, 2, 4),
        (16, 3, 7), (19, 3, 6), (22, 2, 4), (24, 6, 3), (30, 2, 2),
    ),
    swing_sixteenths=0.02,
    duck=0.4,
    room_seconds=1.5,
    looseness=0.002,
    gains={
        "kick": 0.9, "bass": 0.75, "snare": 1.2, "hats": 1.8, "chords": 1.5, "arpeggio": 1.5, "melody": 1.25,
        "effects": 1.2,
    },
    lead_in=False,
    sections=(
        Section(bars=4, layers={"pad": 0.9, "arpeggio": 0.8, "chords": 0.6}, brighten=(500.0, 6000.0)),
        Section(bars=4, layers=_CALM | {"kick": 0.9, "arpeggio": 0.4}, crash=True, fill=True),
        Section(bars=2, layers=_RISING, riser=True, roll=True),
        Section(bars=4, layers=_FULL, crash=True, fill=True),
        Section(bars=4, layers=_FULL, crash=True, fill=True),
        Section(bars=2, layers=_CALM | {"kick": 0.9, "melody": 0.8}, crash=True),
        Section(bars=2, layers={"pad": 1.0, "chords": 0.0}, crash=True, marked=False),
    ),
    sound_seed=114,
)  # fmt: skip


def beat_times() -> np.ndarray:
    """(beats,) seconds: every beat of the demo song up to its last chord."""
    return FIRST_BEAT + np.arange(BARS * 4 + 1) * 60.0 / TEMPO_BPM


def render() -> np.ndarray:
    """Play the score: `(samples, 2)` float32 at 44,100 Hz."""
    samples = perform(SCORE, BeatGrid(beat_times()), seconds=SECONDS, stereo=True)
    fade = round(_FADE_SECONDS * STEREO_SAMPLE_RATE)
    samples[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[:, None] ** 2
    return samples


def render_demo_song(path: str | os.PathLike) -> Path:
    """Render the demo song to a wav, flac or ogg file and return its path. Raises InputError for other
    endings.
    """
    audio.write_audio(path, render(), STEREO_SAMPLE_RATE, vorbis_quality=0.3)
    return Path(path)


if __name__ == "__main__":
    render_demo_song(sys.argv[1])
