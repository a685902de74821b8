"""Do networks hear the song, stand on the floor, do what words say? Measured before cleanup, and after.

    python benchmarks/response.py --songs FOLDER --data STORE -o FILE.json [--models edmg,lodge] [--seconds 20]

FOLDER holds songs with their true beats beside them (NAME.ogg, NAME.beats, NAME.downbeats), of which ten are danced to
in three genres with two seeds. One sample with energies off gives the rows PMD and edmg (with its second stage), one
with energies on the rows guided and cleaned. The songs' beats are given, so that the beat tracker plays no part. Real
takes of the same genres stand beside them.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from common import real_dances, write_report

import longdance
from longdance.choreography.request import DanceRequest
from longdance.data.store import Store
from longdance.evaluate.systems import loudness_of
from longdance.features.song import Song
from longdance.metrics.exchange import exchange, exchange_in_beats, pose_distance
from longdance.metrics.physical import airborne, below_floor, foot_skating, mean_jerk, mean_joint_speed
from longdance.metrics.response import loudness_response, movement_beat_test
from longdance.motion.contacts import contact_height
from longdance.motion.skeleton import SMPL24

PIECES = (
    "gmd_rock_93_4-4", "gmd_funk_80_4-4", "gmd_hiphop_90_4-4", "gmd_jazz_102_4-4", "gmd_afrobeat_90_4-4",
    "fd_plain_d_dm01", "fd_plain_d_dm02", "syn_44_95", "syn_44_128", "syn_44_174",
)  # fmt: skip
"""The ten pieces; nothing was trained or tuned on them."""
GENRES = ("salsa", "commercial", "breaking")
SEEDS = (0, 1)


def song_of(folder: Path, name: str, seconds: float, *, gain: float = 1.0) -> Song:
    """The beginning of a piece with its true beats."""
    samples, rate = soundfile.read(folder / f"{name}.ogg", dtype="float32")
    samples = gain * samples[: round(seconds * rate)]
    beats, downbeats = (
        np.array([float(line.split()[0]) for line in (folder / f"{name}.{kind}").read_text().split("\n") if line])
        for kind in ("beats", "downbeats")
    )
    inside = len(samples) / rate
    return Song.from_samples(
        samples, rate, name=name, beat_times=beats[beats < inside], downbeat_times=downbeats[downbeats < inside]
    )


def rows_of(dancer, song: Song, genre: str, seed: int) -> dict[str, np.ndarray]:
    """Joints of one dance, row by row."""
    found = {}
    for energy, wanted in (
        ("off", {"raw": {"trm": False, "cleanup": False}, "model": {"cleanup": False}}),
        ("usual", {"guided": {"cleanup": False}, "cleaned": {}}),
    ):
        request = DanceRequest(song=song, genre=genre, seed=seed, energy=energy)
        prepared = dancer.prepare(request)
        made = dancer.generator.generate(prepared, None)
        for name, changes in wanted.items():
            found[name] = dancer.finish(replace(prepared, request=request.changed(**changes)), made).joints()
    return found


def physical(joints: np.ndarray, fps: float) -> dict[str, float]:
    """How a dance stands."""
    air, feet = airborne(joints, fps), foot_skating(joints, fps)
    hands = [name for name in ("left_hand", "right_hand") if SMPL24.index(name) < joints.shape[1]]
    low = [joints[:, SMPL24.index(name), 1] < contact_height(name) for name in hands]
    return {
        "air_share": air.share,
        "air_share_own_floor": air.own_floor_share,
        "longest_flight_s": air.longest_seconds,
        "below_floor_p99": below_floor(joints, fps),
        "sliding_cm_s": feet.speed_cm_per_second,
        "jerk": mean_jerk(joints, fps),
        "speed": mean_joint_speed(joints, fps, root_relative=True),
        "hands_on_floor": float(np.any(low, axis=0).mean()) if low else float("nan"),
    }


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of every number."""
    return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}


def of_model(name: str, folder: Path, seconds: float, pieces: tuple[str, ...], genres: tuple[str, ...]) -> dict:
    """All rows of a model."""
    dancer = longdance.load(name)
    songs = {piece: song_of(folder, piece, seconds) for piece in pieces}
    beats = {piece: song.beat_times for piece, song in songs.items()}
    found: dict[str, dict] = {}
    for genre in genres:
        dances: dict[str, dict[tuple[str, int], np.ndarray]] = {}
        for piece, song in songs.items():
            for seed in SEEDS:
                for row, joints in rows_of(dancer, song, genre, seed).items():
                    dances.setdefault(row, {})[piece, seed] = joints
        quieter = song_of(folder, pieces[0], seconds, gain=0.5)
        again = rows_of(dancer, quieter, genre, SEEDS[0])
        for row, made in dances.items():
            fps = dancer.fps
            tests = {key: movement_beat_test(joints, beats[key[0]], fps) for key, joints in made.items()}
            by_seed = np.mean([pose_distance(made[piece, SEEDS[0]], made[piece, SEEDS[1]]) for piece in pieces])
            loud = [
                loudness_response(joints, loudness_of(songs[key[0]], fps, len(joints)), fps)
                for key, joints in made.items()
            ]
            found.setdefault(row, {})[genre] = {
                "exchange": exchange(made),
                "exchange_in_beats": exchange_in_beats(made, beats, fps),
                "quieter_copy": pose_distance(again[row], made[pieces[0], SEEDS[0]]) / by_seed,
                "seeds_apart_m": float(by_seed),
                "songs_on_beat": sum(tests[piece, SEEDS[0]].p_value < 0.05 for piece in pieces),
                "p_values": [round(tests[piece, SEEDS[0]].p_value, 3) for piece in pieces],
                "loudness_ratio": float(np.nanmedian(loud)) if np.isfinite(loud).any() else None,
                **mean([physical(joints, fps) for joints in made.values()]),
            }
            print(name, row, genre, json.dumps(found[row][genre]), flush=True)
    return found


def main() -> None:
    """Dance, measure, write."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--models", default="edmg,edmg-fast,lodge")
    parser.add_argument("--pieces", default=",".join(PIECES))
    parser.add_argument("--genres", default=",".join(GENRES))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    pieces, genres = tuple(given.pieces.split(",")), tuple(given.genres.split(","))
    report: dict = {"songs": pieces, "seconds": given.seconds, "seeds": SEEDS, "models": {}}
    if given.data:
        store = Store.open(given.data)
        takes = real_dances(store, "train") | real_dances(store, "test") | real_dances(store, "val")
        report["real"] = {
            genre: mean([physical(take.joints(), take.fps) for own, take in takes.values() if own == genre])
            for genre in genres
        }
    for name in given.models.split(","):
        report["models"][name] = of_model(name, given.songs, given.seconds, pieces, genres)
        write_report(given.output, report)


if __name__ == "__main__":
    main()
