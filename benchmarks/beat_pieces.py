"""Pieces of music whose beats are known because they were composed on them: what the beat tracker is tuned on.

Grooves in four come from our own composer; those in three and six, and those whose accents lie between the
beats, are arranged here from its drums and tones.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.append(str(Path(__file__).parent.parent))  # where tools lie
from tools.soundtracks.composer import MONO_SAMPLE_RATE as RATE

from tools.soundtracks import composer, styles, synthesis

SECONDS = 60.0
KINDS = (
    "straight", "fast", "slow", "swing", "ramp", "drift", "silence first", "soft intro", "changes", "half time",
    "waltz", "six eight", "off beat", "no drums", "drums only", "thin intro", "funk",
)  # fmt: skip
_PATTERNS = {
    "waltz": (
        {"kick": "X.....", "closed_hat": "..x.x.", "bass": "X.....", "chord": "..x.x."},
        {"kick": "X.....", "snare": "..x.x.", "bass": "X...x.", "chord": "X.x.x."},
        {"kick": "X..x..", "snare": "....X.", "closed_hat": "xxxxxx", "bass": "X.....", "chord": "X....."},
        {"ride": "x.xxx.", "rim": "..x.x.", "bass": "X.x.x.", "chord": "..X..."},
    ),
    "six eight": (
        {"kick": "X.....", "snare": "...X..", "closed_hat": "xxxxxx", "bass": "X..x..", "chord": "X....."},
        {"kick": "X....x", "snare": "...X..", "ride": "x.xx.x", "bass": "X.....", "chord": "x.xx.x"},
        {"kick": "X.....", "rim": "...x..", "shaker": "xxxxxx", "bass": "X.....", "chord": "xxxxxx"},
    ),
    "off beat": (
        {"kick": "X...X...", "chord": "..X...X.", "open_hat": ".x.x.x.x", "bass": "X..x.x.."},
        {
            "kick": "X..x..x.", "snare": "..x..x.x", "closed_hat": "xxxxxxxx", "bass": "..x..xx.",
            "chord": ".x..X...",
        },
        {
            "kick": "X.X.X.X.", "open_hat": ".X.X.X.X", "bass": ".x.x.x.x", "snare": "..X...X.",
            "chord": "X.......",
        },
        {
            "snare": "....X...", "kick": "X.......", "chord": ".X.X.X.X", "bass": "X...X...",
            "closed_hat": ".x.x.x.x",
        },
    ),
    "funk": (
        {
            "kick": "X..x..x...X..x..", "snare": "....X..x.x..X...", "closed_hat": "x.xxx.x.x.xxx.xx",
            "bass": "X..x..X...x..xx.", "chord": "..x..x....x..x..",
        },
        {
            "kick": "X.....x..xX.....", "snare": "....X.......X..x", "closed_hat": "xxxxxxxxxxxxxxxx",
            "bass": "X.x...xx.x....x.", "chord": "...x..x....x..x.",
        },
        {
            "kick": "X..X......X..X..", "snare": "..x.X.......X.x.", "open_hat": "..x...x...x...x.",
            "bass": "..X..x..X..x..x.", "chord": ".x..x...x..x....",
        },
        {
            "kick": "..X...X.X..X....", "snare": "....X..x....X...", "closed_hat": "x.x.x.x.x.x.x.x.",
            "bass": "X.....x.x..x..x.", "chord": "..X.....x...X...",
        },
    ),
    "no drums": (
        {"bass": "X.......", "chord": "X.x.x.x."},
        {"bass": "X.......", "chord": "xxxxxxxx"},
        {"bass": "X...X...", "chord": "x.xx.xx."},
    ),
}  # fmt: skip
"""Drums, bass and chords in eighth notes, funk in sixteenths, one bar each."""


_OFF = ("..X...X...X...X.", "..x..x....x..x..", "X..x..x...x..x..", "..X-..X-..X-..X-")
"""Chords between the beats, in sixteenths."""


class Piece(NamedTuple):
    """Mono samples at 22,050 Hz, beats and downbeats in seconds."""

    name: str
    kind: str
    samples: np.ndarray
    beats: np.ndarray
    downbeats: np.ndarray


def pieces(per_kind: int, seed: int = 0):
    """``per_kind`` pieces of each kind; other seeds give other pieces."""
    for number, kind in enumerate(KINDS):
        for index in range(per_kind):
            yield piece(kind, np.random.default_rng([seed, number, index]), f"{kind} {index}")


def piece(kind: str, rng: np.random.Generator, name: str) -> Piece:
    """One piece, all else drawn."""
    beats = _beats(kind, rng)
    if kind in _PATTERNS:
        samples, downbeats = _arranged(kind, beats, rng)
    else:
        samples, downbeats = _composed(kind, beats, rng)
    samples = samples / max(float(np.abs(samples).max()), 1e-9) * rng.uniform(0.3, 0.95)
    if kind == "soft intro":
        opened = rng.uniform(0.25, 0.5) * SECONDS
        soft = synthesis.filtered(samples, RATE, high=rng.uniform(300, 900)) * rng.uniform(0.05, 0.3)
        share = np.clip((np.arange(len(samples)) / RATE - opened) / 0.02, 0, 1).astype(np.float32)
        samples = soft * (1 - share) + samples * share
    if kind == "silence first":
        quiet = rng.uniform(8, 30)
        samples = np.concatenate([np.zeros(round(quiet * RATE), np.float32), samples])
        beats, downbeats = (times + round(quiet * RATE) / RATE for times in (beats, downbeats))
    return Piece(name, kind, samples.astype(np.float32), beats, downbeats)


def _beats(kind: str, rng: np.random.Generator) -> np.ndarray:
    ranges = {"fast": (150, 210), "slow": (55, 78), "waltz": (80, 180), "six eight": (48, 90), "changes": (80, 150)}
    low, high = ranges.get(kind, (78, 150))
    bpm = np.exp(rng.uniform(np.log(low), np.log(high)))
    first = rng.uniform(0.05, 1.0)
    if kind == "ramp":
        tempi = np.linspace(bpm, bpm * rng.choice((0.75, 1.3)), 400)
    elif kind == "drift":
        tempi = bpm * (1 + rng.uniform(0.02, 0.06) * np.sin(np.arange(400) / rng.uniform(5, 20)))
    elif kind == "changes":
        other = np.exp(rng.uniform(np.log(low), np.log(high), 3))
        tempi = np.repeat(other, np.maximum(4 * np.round(SECONDS / 3 * other / 240), 4).astype(int))
        tempi = np.concatenate([tempi, np.full(100, tempi[-1])])
    else:
        return np.arange(first, SECONDS, 60 / bpm)
    beats = first + np.concatenate([[0.0], np.cumsum(60 / tempi)])
    return beats[beats < SECONDS]


def _composed(kind: str, beats: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    pools = list(styles.STYLES.values())
    pool = pools[rng.integers(len(pools))]
    offset = int(rng.integers(4))
    grid = composer.BeatGrid(beats, offset)
    plan = composer.draw_plan(pool[rng.integers(len(pool))], grid, SECONDS, rng)
    ratio = 2.0 if kind == "half time" else 1.0
    if ratio != plan.beats_per_quarter:
        # As many bars as the other feel has, section by section.
        factor = plan.beats_per_quarter / ratio
        longer = tuple(replace(part, bars=max(1, round(part.bars * factor))) for part in plan.sections)
        plan = replace(plan, beats_per_quarter=ratio, sections=longer)
    if kind == "drums only":  # by hands that are not quite even
        drums = {"kick", "snare", "hats", "percussion"}
        parts = tuple(
            replace(part, layers={name: level for name, level in part.layers.items() if name in drums} or {"hats": 1.0})
            for part in plan.sections
        )
        plan = replace(plan, sections=parts, looseness=rng.uniform(0.006, 0.012))
    if kind == "thin intro":  # a third without bass drum, snare and bass; what plays lies between beats too
        quiet = {name: rng.uniform(0.4, 0.9) for name in ("hats", "chords", "pad", "arpeggio") if rng.random() < 0.7}
        bars = max(2, round(len(beats) / 12))
        first = composer.Section(bars=bars, layers=quiet or {"chords": 0.6}, marked=False)
        plan = replace(plan, sections=(first, *plan.sections), comping=_OFF[rng.integers(len(_OFF))])
    if kind == "swing":
        plan = replace(plan, swing_eighths=rng.uniform(0.1, 1 / 6))
    return composer.perform(plan, grid, seconds=SECONDS), beats[offset % int(4 * ratio) :: int(4 * ratio)]


def _arranged(kind: str, beats: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    pattern = _PATTERNS[kind][rng.integers(len(_PATTERNS[kind]))]
    length = len(next(iter(pattern.values())))
    per_beat = {"six eight": 3, "funk": 4}.get(kind, 2)
    beats_per_bar = length // per_beat
    offset = int(rng.integers(beats_per_bar))
    grid = composer.BeatGrid(beats, offset)
    track = np.zeros(round(SECONDS * RATE), np.float32)
    kit = {name: synthesis.DRUMS[name](rng, RATE) for name in pattern if name in synthesis.DRUMS}
    keys, bass = (pool[list(pool)[rng.integers(len(pool))]] for pool in (styles.KEYS, styles.BASSES))
    key, chords = int(rng.integers(12)), ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
    gains = {name: rng.uniform(0.6, 1.3) for name in pattern}
    step_seconds = float(np.median(np.diff(beats))) / per_beat
    for bar in range(-1, len(beats) // beats_per_bar + 1):
        chord = chords[bar % 4]
        for name, hits in pattern.items():
            for step, hit in enumerate(hits):
                time = float(grid.time_at(np.array([bar * beats_per_bar + step / per_beat]))[0])
                if hit == "." or time < -0.1 or time > SECONDS:
                    continue
                at = round((time + rng.normal(0, 0.003)) * RATE)
                level = gains[name] * (1.0 if hit == "X" else 0.6)
                if name in kit:
                    synthesis.add_at(track, at, kit[name], 0.7 * level)
                elif name == "bass":
                    midi = 36 + (key + chord[0]) % 12
                    synthesis.add_at(track, at, synthesis.note(bass, midi, 1.6 * step_seconds, RATE), 0.5 * level)
                else:
                    for tone in chord:
                        sound = synthesis.note(keys, 60 + (key + tone) % 12, 0.9 * step_seconds, RATE)
                        synthesis.add_at(track, at, sound, 0.2 * level)
    echo = synthesis.reverberate(track, RATE, seconds=rng.uniform(0.3, 1.2), seed=int(rng.integers(1000)))
    return track + 0.1 * echo, beats[offset::beats_per_bar]
