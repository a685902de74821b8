"""How well beats and bars are heard, on pieces whose beats are known.

    python benchmarks/beats.py --pieces ../shared/data/music/beats --composed 3 -o benchmarks/results/beats

A folder of pieces holds NAME.ogg, NAME.beats and NAME.downbeats (seconds, one a line). Composed ones (`beat_pieces`)
are what its numbers were tuned on. Those of the folder were looked at between versions, and the loudness that the
network hears and how far tempo preferences reach were chosen knowing how they fare. Scores need mir_eval (`pip install
mir_eval`): F within 70 ms; F at the best of the levels a dancer might count (the beats, twice as many, every second,
in 3/4 the bar); CMLt and AMLt, the share of beats in long correct stretches at the level of the piece and at any; the
tempo against the piece's; F of the downbeats. The first five seconds do not count, as usual. Writes OUT.json, OUT.md.
"""

import argparse
import json
import platform
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from beat_pieces import Piece, pieces

from longdance.features import audio
from longdance.features.song import Song

RATE = audio.ANALYSIS_SAMPLE_RATE
KINDS = {
    "syn_44": "straight", "syn_swing": "swing", "syn_68": "six eight", "syn_waltz": "waltz", "syn_funk": "funk",
    "syn_halftime": "half time", "syn_ramp": "ramp", "syn_rubato": "rubato", "syn_silence30": "silence first",
    "syn_softintro": "soft intro", "syn_changes": "changes", "gmd": "live drums", "fd": "band",
}  # fmt: skip
MEASURES = ("f", "f_allowed", "cmlt", "amlt", "tempo_error", "downbeat_f")


def read_pieces(folder: Path) -> Iterator[Piece]:
    """The pieces of a folder."""
    for path in sorted(folder.glob("*.ogg")):
        kind = next((kind for start, kind in KINDS.items() if path.stem.startswith(start)), path.stem.split("_")[0])
        times = [np.loadtxt(path.with_suffix(ending), ndmin=1) for ending in (".beats", ".downbeats")]
        yield Piece(path.stem, kind, audio.decode(path), *times)


def allowed_levels(beats: np.ndarray, downbeats: np.ndarray) -> Iterator[np.ndarray]:
    """The beats at the levels that a dancer might count."""
    yield beats
    yield np.sort(np.concatenate([beats, (beats[1:] + beats[:-1]) / 2]))
    yield beats[::2]
    yield beats[1::2]
    if len(downbeats) > 2 and np.median(np.diff(np.searchsorted(beats, downbeats - 1e-3))) == 3:
        yield downbeats


def score(piece: Piece) -> dict[str, float | str]:
    """All measures of one piece."""
    import mir_eval

    song = Song.from_samples(piece.samples, RATE)
    trim = mir_eval.beat.trim_beats

    def f(reference: np.ndarray, found: np.ndarray) -> float:
        return float(mir_eval.beat.f_measure(trim(reference), trim(found)))

    found = song.beat_times
    _, cmlt, _, amlt = mir_eval.beat.continuity(trim(piece.beats), trim(found))
    true_bpm = 60.0 / float(np.median(np.diff(piece.beats)))
    return {
        "name": piece.name,
        "kind": piece.kind,
        "f": f(piece.beats, found),
        "f_allowed": max(f(level, found) for level in allowed_levels(piece.beats, piece.downbeats)),
        "cmlt": float(cmlt),
        "amlt": float(amlt),
        "tempo_error": abs(song.tempo_bpm / true_bpm - 1.0),
        "downbeat_f": f(piece.downbeats, song.downbeat_times),
        "bpm": true_bpm,
        "found_bpm": float(song.tempo_bpm),
    }


def seconds_for_three_minutes(runs: int = 3) -> float:
    """CPU seconds in which a song of three minutes is measured, samples in hand: the best of some runs."""
    samples = np.concatenate([piece.samples for piece in pieces(1, seed=9)])[: 180 * RATE]
    Song.from_samples(samples[: 10 * RATE], RATE)  # loads what is loaded once
    taken = []
    for _ in range(runs):
        begun = time.process_time()
        Song.from_samples(samples, RATE)
        taken.append(time.process_time() - begun)
    return min(taken)


def summary(rows: list[dict]) -> list[dict]:
    """Means over all rows, and over those of each kind."""
    kinds = ["all", *dict.fromkeys(str(row["kind"]) for row in rows)]
    result = []
    for kind in kinds:
        chosen = [row for row in rows if kind in ("all", row["kind"])]
        means = {name: round(float(np.mean([row[name] for row in chosen])), 3) for name in MEASURES}
        result.append({"kind": kind, "pieces": len(chosen), **means})
    return result


def table(rows: list[dict]) -> str:
    """Markdown of the means."""
    names = ("kind", "pieces", *MEASURES)
    head = "| " + " | ".join(name.replace("_", " ") for name in names) + " |\n" + "|---" * len(names) + "|\n"
    return head + "".join("| " + " | ".join(str(row[name]) for name in names) + " |\n" for row in rows)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=Path, help="a folder of pieces with their beats")
    parser.add_argument("--composed", type=int, default=0, help="composed pieces of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the composed pieces")
    parser.add_argument("--label", default="now", help="what this state of the tracker is called")
    parser.add_argument("-o", "--out", type=Path, required=True, help="without an ending")
    options = parser.parse_args()
    sets: dict[str, list[dict]] = {}
    if options.pieces:
        sets["pieces"] = [score(piece) for piece in read_pieces(options.pieces)]
    if options.composed:
        sets["composed"] = [score(piece) for piece in pieces(options.composed, options.seed)]
    path = options.out.with_suffix(".json")
    report = json.loads(path.read_text()) if path.is_file() else {}
    report[options.label] = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, one thread",
        "cpu_seconds_for_three_minutes": round(seconds_for_three_minutes(), 2),
        **{name: {"means": summary(rows), "rows": rows} for name, rows in sets.items()},
    }
    path.write_text(json.dumps(report, indent=1) + "\n")
    parts = ["# Beats\n", "Written by `benchmarks/beats.py`, which says what the columns are.\n"]
    for label, state in report.items():
        parts.append(f"## {label}\n\n{state['cpu_seconds_for_three_minutes']} CPU seconds for three minutes.\n")
        parts += [f"### {name}\n\n{table(state[name]['means'])}" for name in ("pieces", "composed") if name in state]
    options.out.with_suffix(".md").write_text("\n".join(parts))
    print(options.out.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
