"""What energies do to dances: strengths one by one, ten songs with true beats, and what cleanup is then good for.

    python benchmarks/energies.py --beats FOLDER --data STORE -o benchmarks/results/energies.json [--kept FOLDER]

FOLDER holds songs as NAME.ogg with NAME.beats and NAME.downbeats (seconds, one a line): the beats are taken as given,
no tracker has a part. Songs are made 6 dB softer for every other four seconds, so that loud and soft parts are known.
Strengths were chosen on the songs of ``TUNING`` and three more of that folder (gmd_soul-groove4_80_4-4,
syn_halftime_140, gmd_jazz_102_4-4), none of which is in ``SONGS``. Rows that the report already holds are not made
again; dances are kept in a folder beside it if one is named. A page with the tables goes beside the JSON.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import environment, write_report

from longdance.choreography.dancer import Dancer, contacts_of
from longdance.choreography.prepared import Generated, Prepared
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.cleanup.passage import Passage
from longdance.cleanup.pipeline import Cleanup
from longdance.data.store import Store
from longdance.evaluate.dances import of_motion
from longdance.evaluate.measure import Measures, Protocol, measure, row
from longdance.evaluate.songs import real_dances
from longdance.evaluate.systems import loudness_of
from longdance.features import audio
from longdance.features.song import Song
from longdance.files import atomic_write
from longdance.metrics import (
    airborne,
    below_floor,
    foot_skating,
    loudness_response,
    mean_jerk,
    mean_joint_speed,
    movement_beat_test,
    self_penetration,
)  # fmt: skip
from longdance.models.strengths import USUAL, Strengths
from longdance.motion.motion import Motion

TUNING = ("gmd_hiphop_90_4-4", "syn_funk_104", "fd_plain_d_dm02")
SONGS = (
    "gmd_afrobeat_90_4-4", "gmd_funk_80_4-4", "gmd_rock_93_4-4", "gmd_latin-venezuelan-sangueo_101_4-4", "syn_44_128",
    "syn_44_95", "syn_waltz_108", "syn_ramp_100_130", "fd_plain_d_dm01", "fd_3_d_bunny",
)  # fmt: skip
GENRES = ("salsa", "commercial", "breaking")
MODELS = ("edmg", "edmg-fast", "lodge")
STRENGTHS = (0.0, 0.3, 1.0, 3.0, 10.0)
RATE, SOFTER, PART = 22050, 0.5, 4.0
"""Hertz; the factor of 6 dB; seconds that are loud or soft in turn."""
COLUMNS = {
    "p": ("p", 3), "alignment": ("BAS", 2), "loudness": ("loud / soft", 2), "speed": ("speed m/s", 2),
    "jerk": ("jerk m/s³", 0), "air": ("in the air %", 1), "own_air": ("of its own floor %", 1),
    "below": ("below floor cm", 1), "sliding": ("sliding cm/s", 1), "stands": ("stands %", 0),
    "inside": ("limbs inside %", 0), "fid_k": ("FID_k", 2), "div_k": ("Div_k", 2), "cost": ("CPU s per s", 3),
}  # fmt: skip
OF_GENRE = ("air", "below", "sliding", "jerk")


@dataclass(frozen=True)
class Bench:
    """What every part needs."""

    beats: Path
    seconds: float
    real: list[Measures]
    protocol: Protocol
    kept: Path | None
    dancers: dict[str, Dancer]

    def song(self, name: str) -> Song:
        """A piece with its true beats, alternately loud and soft."""
        sound = audio.decode(self.beats / f"{name}.ogg", sample_rate=RATE, seconds=self.seconds)
        at = np.arange(len(sound)) / RATE
        sound = sound * np.where(at // PART % 2 == 1, SOFTER, 1.0).astype(np.float32)
        times, down = (np.loadtxt(self.beats / f"{name}.{kind}", ndmin=1) for kind in ("beats", "downbeats"))
        times = times[times < len(sound) / RATE]
        nearest = [times[np.abs(times - one).argmin()] for one in down if one <= times[-1]]
        return Song.from_samples(sound, RATE, name=name, beat_times=times, downbeat_times=np.unique(nearest))

    def dancer(self, name: str) -> Dancer:
        """A model, loaded once."""
        if name not in self.dancers:
            self.dancers[name] = load(name)
        return self.dancers[name]

    def drawn(self, model: str, name: str, genre: str, energy: Strengths) -> "Drawn":
        """A dance as the sampler gave it, and its cost."""
        dancer, song = self.dancer(model), self.song(name)
        request = DanceRequest(song=song, genre=genre, device="cpu", energy=",".join(("off", *spelled(energy))))
        prepared, clock = dancer.prepare(request), time.process_time()
        made = dancer.generator.generate(prepared, None)
        cost = (time.process_time() - clock) / song.seconds
        return Drawn(dancer, prepared, made, genre, cost)

    def values(self, dances: list[tuple["Drawn", Motion]]) -> dict[str, Any]:
        """Means over dances, also of each genre, and distances of their features from those of real dances."""
        each = [numbers(motion, drawn) for drawn, motion in dances]
        found: dict[str, Any] = {key: float(np.nanmean([values[key] for values in each])) for key in each[0]}
        found["met"] = sum(values["p"] < 0.05 for values in each)
        measures = [measure(of_motion(motion, name=str(i)), self.protocol) for i, (_, motion) in enumerate(dances)]
        estimates = row("dances", measures, self.real).estimates
        found |= {key: estimates[f"{key}_corrected"].value for key in ("fid_k", "div_k")}
        named = [(drawn.genre, one) for (drawn, _), one in zip(dances, each, strict=True)]
        return found | {"of_genre": by_genre(named)}


@dataclass(frozen=True)
class Drawn:
    """A dance before anything is done to it."""

    dancer: Dancer
    prepared: Prepared
    made: Generated
    genre: str
    cost: float

    def finished(self, *, trm: bool, cleanup: bool) -> Motion:
        """With what comes after the sampler."""
        request = self.prepared.request.changed(trm=trm, cleanup=cleanup)
        return self.dancer.finish(replace(self.prepared, request=request), self.made)

    def cleaned(self, cleanup: Cleanup) -> Motion:
        """With the second stage, if there is one, and some steps of cleanup."""
        motion = self.finished(trm=True, cleanup=False)
        contacts = contacts_of(self.made.features, self.dancer.checkpoint.layout)
        passage = Passage(motion, contacts, tuple(self.made.seams))
        return cleanup.whole(passage).motion


def spelled(energy: Strengths) -> list[str]:
    """NAME=STRENGTH of each that is on."""
    return [f"{name}={value:g}" for name, value in energy.record().items()]


def numbers(motion: Motion, drawn: Drawn) -> dict[str, float]:
    """What is measured of one dance."""
    song, joints, fps = drawn.prepared.song, motion.joints(), motion.fps
    test = movement_beat_test(joints, song.beat_times, fps)
    loudness = loudness_of(song, fps, len(joints))
    air, feet, inside = airborne(joints, fps), foot_skating(joints, fps), self_penetration(joints, fps)
    return {
        "p": test.p_value,
        "alignment": test.score,
        "loudness": loudness_response(joints, loudness, fps),
        "speed": mean_joint_speed(joints, fps),
        "jerk": mean_jerk(joints, fps),
        "air": 100 * air.share,
        "own_air": 100 * air.own_floor_share,
        "below": 100 * below_floor(joints, fps),
        "sliding": feet.speed_cm_per_second,
        "stands": 100 * feet.contact_share,
        "inside": 100 * inside.share,
        "cost": drawn.cost,
    }


def of_real(store: Store) -> dict[str, dict[str, float]]:
    """By genre, what real dances of all splits do where energies act; seconds are weights."""
    dances = [dance for split in ("train", "val", "test") for dance in real_dances(store, split)]
    found = {}
    for genre in GENRES:
        own = [dance for dance in dances if dance.genre == genre and dance.seconds > 2]
        values = [
            (100 * airborne(d.joints, d.fps).share, 100 * below_floor(d.joints, d.fps),
             foot_skating(d.joints, d.fps).speed_cm_per_second, mean_jerk(d.joints, d.fps))
            for d in own
        ]  # fmt: skip
        seconds = np.array([dance.seconds for dance in own])
        told = [(column, np.isfinite(column)) for column in np.array(values).T]
        means = [float(np.average(column[known], weights=seconds[known])) for column, known in told]
        found[genre] = dict(zip(("air", "below", "sliding", "jerk"), means, strict=True))
    return found


def strengths_part(bench: Bench) -> Iterator[tuple[str, Any]]:
    """Each energy alone from nothing to too much, and all together, on the tuning songs."""
    pairs = list(zip(TUNING, GENRES, strict=True))
    every = {f"{name} alone, {value:g}": Strengths(**{name: value}) for name in Strengths._fields
             for value in STRENGTHS[1:]}  # fmt: skip
    together = {f"all, {value:g}": Strengths(*(value * one for one in USUAL)) for value in STRENGTHS[1:]}
    for title, energy in ({"off": Strengths()} | every | together).items():
        def make(energy: Strengths = energy) -> dict[str, float]:
            dances = [bench.drawn("edmg", song, genre, energy) for song, genre in pairs]
            return bench.values([(drawn, drawn.finished(trm=False, cleanup=False)) for drawn in dances])

        yield title, make


def songs_part(bench: Bench, models: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Every one of the ten songs in every genre; off and on; raw, with the second stage, and cleaned."""
    for model in models:
        for title in ("off", "on"):
            def make(model: str = model, title: str = title) -> dict[str, Any]:
                energy = bench.dancer(model).sampling.energy if title == "on" else Strengths()
                dances = [bench.drawn(model, song, genre, energy) for genre in GENRES for song in SONGS]
                names = [f"{model}-{title}-{{stage}}-{genre}-{song}.npz" for genre in GENRES for song in SONGS]
                found: dict[str, Any] = {}
                ways = {"raw": (False, False), "cleaned": (True, True)}
                if bench.dancer(model).trm is not None:
                    ways["TRM"] = (True, False)
                for stage, (trm, cleanup) in ways.items():
                    motions = [(drawn, drawn.finished(trm=trm, cleanup=cleanup)) for drawn in dances]
                    found[stage] = bench.values(motions)
                    for name, (_, motion) in zip(names, motions, strict=True) if bench.kept is not None else ():
                        motion.save(bench.kept / name.format(stage=stage))
                return found

            yield f"{model}, {title}", make


def by_genre(each: list[tuple[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Means over the dances of each genre, and to how many songs of them they fit."""
    found = {}
    for genre in dict.fromkeys(genre for genre, _ in each):
        own = [values for other, values in each if other == genre]
        means = {key: float(np.nanmean([values[key] for values in own])) for key in OF_GENRE}
        found[genre] = means | {"met": sum(values["p"] < 0.05 for values in own)}
    return found


def cleanup_part(bench: Bench, models: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The ten songs in every genre, drawn as usual, with every step of cleanup, and without each."""
    for model in models:
        dancer, dances = bench.dancer(model), []
        full = dancer.cleanup
        ways = {"every step": full}
        ways |= {f"without {type(step).__name__}": full.without(type(step)) for step in full.steps}
        for title, cleanup in ways.items():
            def make(model: str = model, cleanup: Cleanup = cleanup, dances: list[Drawn] = dances) -> dict[str, float]:
                if not dances:
                    energy = bench.dancer(model).sampling.energy
                    dances.extend(bench.drawn(model, song, genre, energy) for genre in GENRES for song in SONGS)
                return bench.values([(drawn, drawn.cleaned(cleanup)) for drawn in dances])

            yield f"{model}, {title}", make


def table(rows: dict[str, dict[str, float]], met: bool = False) -> str:
    """Markdown."""
    heads = [title for title, _ in COLUMNS.values()] + (["p < .05"] if met else [])
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name, found in rows.items():
        cells = [f"{found[key]:.{digits}f}" for key, (_, digits) in COLUMNS.items()]
        lines.append(f"| {name} | " + " | ".join(cells + ([f"{found['met']}"] if met else [])) + " |")
    return "\n".join(lines) + "\n"


def page(report: dict[str, Any]) -> str:
    """All tables."""
    head = ", ".join(f"{key}: {value}" for key, value in environment().items())
    parts = [f"# Energies\n\n{head}\n"]
    parts.append(f"\n## Strengths, raw, on {', '.join(TUNING)} ({report['seconds']:g} s each)\n")
    parts.append(table(report["strengths"]))
    flat = {f"{name}, {stage}": values for name, stages in report["songs"].items() for stage, values in stages.items()}
    if flat:
        parts += [f"\n## Ten songs in each of {len(GENRES)} genres, none of them tuned on\n", table(flat, met=True)]
        heads = " | ".join(COLUMNS[key][0] for key in OF_GENRE)
        parts.append(f"\n## By genre\n\n| | genre | {heads} | p < .05 |\n|---|---|---|---|---|---|---|\n")
        real = {"real takes": {"of_genre": report["real"]}}
        for name, values in (real | flat).items():
            for genre, own in values["of_genre"].items():
                cells = " | ".join(f"{own[key]:.1f}" for key in OF_GENRE)
                parts[-1] += f"| {name} | {genre} | {cells} | {own.get('met', '–')} |\n"
    if report["cleanup"]:
        parts += ["\n## Cleanup of dances drawn as usual\n", table(report["cleanup"], met=True)]
    return "\n".join(parts)


def main() -> None:
    """Run everything; write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--beats", required=True, type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--parts", nargs="*", default=("songs", "strengths", "cleanup"))
    parser.add_argument("--kept", type=Path, help="folder for the dances of the ten songs")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    store = Store.open(arguments.data)
    protocol = Protocol(fps=store.fps, judged=False, joints=22, window=5.0)  # Lodge has no hands
    real = [measure(dance, protocol) for dance in real_dances(store, "train")]
    if arguments.kept is not None:
        arguments.kept.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments.beats, arguments.seconds, real, protocol, arguments.kept, {})
    report: dict[str, Any] = {"seconds": arguments.seconds, "strengths": {}, "songs": {}, "cleanup": {}}
    report["real"] = of_real(store)
    if arguments.out.is_file():
        before = json.loads(arguments.out.read_text())
        if before.get("seconds") == arguments.seconds:
            report |= {key: before[key] for key in ("strengths", "songs", "cleanup")}
    makers = {
        "songs": lambda: songs_part(bench, tuple(arguments.models)),
        "strengths": lambda: strengths_part(bench),
        "cleanup": lambda: cleanup_part(bench, tuple(arguments.models)),
    }
    for part in arguments.parts:
        for title, make in makers[part]():
            if title not in report[part]:
                report[part][title] = make()
                print(part, title, flush=True)
                write_report(arguments.out, report)
    with atomic_write(arguments.out.with_suffix(".md")) as temporary:
        temporary.write_text(page(report), encoding="utf-8")


if __name__ == "__main__":
    main()
