"""Measures tempo and energy of each genre in the training takes of a prepared store, for suggesting a genre for a song.

    python tools/measure_genres.py STORE [-o src/longdance/assets/genre_feel.json]

Tempo: from the tenth to the ninetieth percentile of the takes' tempi, each weighing as many seconds as it has. Energy:
the mean speed of all joints against the pelvis, m/s. Mirrored takes and those at other tempi do not count.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from longdance.data.store import Store

LEAST_SECONDS = 60.0
"""Of a genre; less tells how one dance was, not how a genre is."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("src/longdance/assets/genre_feel.json"))
    options = parser.parse_args()
    store = Store.open(options.store)
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for take in store.select("train", original=True):
        if take.genre == "none" or len(take.beat_times) < 4:
            continue
        joints = store.layout.decode(np.array(store.motion_of(take)), store.fps).joints()
        speed = np.linalg.norm(np.diff(joints - joints[:, :1], axis=0), axis=-1).mean() * store.fps
        tempo = 60.0 / float(np.median(np.diff(take.beat_times)))
        rows.setdefault(take.genre, []).append((take.frames / store.fps, tempo, float(speed)))
    genres = {}
    for genre, takes in sorted(rows.items()):
        seconds, tempi, speeds = np.array(takes).T
        if seconds.sum() < LEAST_SECONDS:
            continue
        order = np.argsort(tempi)
        share = (np.cumsum(seconds[order]) - seconds[order] / 2) / seconds.sum()
        low, high = np.interp([0.1, 0.9], share, tempi[order])
        genres[genre] = {
            "tempo_bpm": [round(float(low), 1), round(float(high), 1)],
            "energy": round(float(np.average(speeds, weights=seconds)), 3),
            "takes": len(takes),
            "seconds": round(float(seconds.sum())),
        }
    record = {
        "about": "tempo (BPM, 10th to 90th percentile) and energy (mean joint speed, m/s) of training takes by genre",
        "written_by": "tools/measure_genres.py",
        "store": store.fingerprint,
        "licence": store.licence,
        "genres": genres,
    }
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(genres, indent=1))


if __name__ == "__main__":
    main()
