"""What Lodge takes and what its parts are worth: time, memory, seams, soft cues, ablations, another local stage.

    OMP_NUM_THREADS=2 python benchmarks/lodge.py --model lodge --data STORE --songs FOLDER \
        [--untuned FOLDER] [--equal NAME=FOLDER ...] [--parts time,seams,soft,ablation,equal,long] -o FILE.json

``--untuned`` is the model before fine-tuning; ``--equal`` are models with other local stages, such as one trained
without foot refine block, or EDMG's denoiser (lodge-local-pmd-open). Without them those rows are left out. Parts that
are not asked for keep what the file holds. A page of tables goes beside the JSON.
"""

import argparse
import copy
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from common import environment, real_dances, songs_in
from dances import BOUNDS, judge, reference

from longdance.choreography.augment import CueConfig
from longdance.choreography.dancer import Dancer
from longdance.choreography.long.segments import SegmentPlan
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.cleanup.passage import Passage
from longdance.data.store import Store
from longdance.diffusion.sampler import STEP_RULES
from longdance.features.song import Song
from longdance.files import atomic_write
from longdance.metrics import beat_alignment, beat_alignment_test, foot_skating, foot_skating_ratio
from longdance.metrics.distribution import diversity, frechet_distance
from longdance.metrics.features import kinetic_features
from longdance.motion.layout import centred
from longdance.motion.motion import Motion

LENGTHS = (34.1334, 120.0, 480.0)
"""Seconds of dance: one global window, two and eight minutes."""
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
STEPS = {"dpm2m": 20, "ddim": 50, "ddpm": 20}
"""Of the curves over s; the paper has 100 for DDIM and 1000 for DDPM."""
WINDOW, HOP = 256, 64
"""Frames of the windows whose features are compared, and from one to the next among real dances."""
SWITCHES = {
    "full": CueConfig(),
    "without primitives (C)": CueConfig(soft_level=0.0),
    "without mirroring (M)": CueConfig(mirror=False),
    "without beat alignment (B)": CueConfig(beat_align=False),
}


def looped(path: Path, seconds: float) -> Song:
    """A song of any length: the file over and over."""
    from longdance.features.audio import ANALYSIS_SAMPLE_RATE, stream_blocks

    samples = np.concatenate(list(stream_blocks(path, block_seconds=30.0)))
    wanted = round(seconds * ANALYSIS_SAMPLE_RATE)
    return Song.from_samples(np.resize(samples, wanted), ANALYSIS_SAMPLE_RATE, name=path.name)


def timed(model: Dancer, song: Song, *, device: str) -> dict[str, float]:
    """Seconds of both stages for a dance to the whole song, refinement apart."""
    request = DanceRequest(song=song, genre=model.checkpoint.config.genres[0], device=device)
    ended: dict[str, float] = {}
    clock = time.perf_counter()

    def note(done: int, total: int, what: str) -> None:
        ended[what] = time.perf_counter() - clock

    dance = model.generate(request.raw(), progress=note)
    refining = time.perf_counter()
    model.cleanup.whole(Passage(dance))
    plan = SegmentPlan(dance.frames, model.generator.primitives)
    return {
        "segments": len(plan.segments),
        "windows": plan.windows,
        "global_seconds": ended["choreographing"],
        "local_seconds": ended["dancing"] - ended["choreographing"],
        "refine_seconds": time.perf_counter() - refining,
        "per_second_of_dance": ended["dancing"] / song.seconds,
    }


def one_run(arguments: argparse.Namespace) -> None:
    """Time one dance in a process of its own, whose peak memory is then that dance's."""
    seconds, rows, stretch = arguments.run
    model = load(arguments.model)
    model = replace(model, sampling=replace(model.sampling, rows=int(rows), stretch=int(stretch)))
    song = looped(songs_in(arguments.songs)[0], seconds)
    timed(model, looped(songs_in(arguments.songs)[0], 2.0), device=arguments.device)  # warm-up
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    row = timed(model, song, device=arguments.device)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({**row, "peak_mb": round(after / 1024), "beyond_warm_up_mb": round((after - before) / 1024)}))


def measure_time(arguments: argparse.Namespace, model: Dancer) -> dict:
    """Latency over length and over chunk size; eight segments together against one by one."""

    def run(seconds: float, rows: int, stretch: int) -> dict:
        command = [sys.executable, __file__, "--model", arguments.model, "--songs", str(arguments.songs)]
        command += ["--device", arguments.device, "--run", str(seconds), str(rows), str(stretch)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        print(f"{seconds:.0f} s, rows {rows}, stretch {stretch}:", row, flush=True)
        return row

    eight = (7.9 * model.generator.primitives.segment) / model.fps
    together, apart = run(eight, 24, 8), run(eight, 24, 1)
    single = run(0.9 * model.generator.primitives.segment / model.fps, 24, 1)
    return {
        "threads": torch.get_num_threads(),
        "eight_segments": {"together": together, "one_by_one": apart, "one_alone": single},
        "lengths": {f"{seconds:.0f}": run(seconds, model.sampling.rows, model.sampling.stretch) for seconds in LENGTHS},
        "chunks": {str(stretch): run(LENGTHS[1], min(16, stretch), stretch) for stretch in (1, 4, 16)},
    }


def pieces(paths: Sequence[Path], model: Dancer, count: int) -> list[tuple[Song, str, int]]:
    """Songs of one global window with a genre and a seed each, evenly over the songs and over their length."""
    seconds, each = model.generator.primitives.frames / model.fps, -(-count // len(paths))
    found = []
    for path in paths:
        whole = Song.load(path)
        for k in range(each):
            start = (whole.seconds - seconds) * k / max(1, each - 1)
            genre = model.checkpoint.config.genres[len(found) % len(model.checkpoint.config.genres)]
            found.append((Song.load(path, start=start, seconds=seconds), genre, len(found)))
    return found[:count]


def danced(
    model: Dancer, asked: list[tuple[Song, str, int]], *, cleanup: bool, device: str, **how
) -> list[Motion]:
    """One dance for every piece, ten at a time."""
    dances = []
    for begin in range(0, len(asked), 10):
        part = asked[begin : begin + 10]
        how |= {"device": device, "cleanup": cleanup}
        dances += model.generate_all([
            DanceRequest(song=song, genre=genre, seed=seed, **how) for song, genre, seed in part
        ])  # fmt: skip
    return dances


def measure_soft(arguments: argparse.Namespace, model: Dancer, asked: list[tuple[Song, str, int]]) -> dict:
    """Metres between dance and soft cues over s, for every sampler."""
    curves = {}
    for sampler in STEP_RULES:
        curve = []
        for level in LEVELS:
            dances = danced(
                model, asked[:: max(1, len(asked) // 4)][:4], cleanup=False, device=arguments.device, soft_level=level,
                sampler=sampler, steps=STEPS[sampler],
            )  # fmt: skip
            curve.append(float(np.mean([dance.meta["soft_cue_distance"] for dance in dances])))
        curves[sampler] = {
            "steps": STEPS[sampler],
            "metres": curve,
            "falls": all(later < earlier for earlier, later in pairwise(curve)),
        }
        print(sampler, curves[sampler], flush=True)
    return {"levels": list(LEVELS), "samplers": curves}


def measure_seams(arguments: argparse.Namespace, model: Dancer, asked: list[tuple[Song, str, int]]) -> dict:
    """How exactly neighbours agree where hard cues hold, and acceleration over the joins against everywhere else."""
    layout, errors = model.checkpoint.layout, []
    found: dict[str, list[np.ndarray]] = {"raw": [], "refined": []}
    seams_at: list[int] = []
    for song, genre, seed in asked[:: max(1, len(asked) // 8)][:8]:
        request = DanceRequest(song=song, genre=genre, seed=seed, device=arguments.device)
        (draft,) = model.generator.draft([model.prepare(request)])
        raw = model.generate(request.raw())
        features = torch.from_numpy(layout.encode(raw))
        columns = slice(layout["root_position"].start, layout.width)
        for before, after in pairwise(draft.plan.segments):
            seam = draft.plan.begin(after)
            around = centred(features[seam - 4 : seam + 4], layout)
            wanted = draft.hard[before.window, before.slot + 1].cpu()
            errors.append(float((around - wanted)[:, columns].abs().max()))
        seams_at = [draft.plan.begin(segment) for segment in draft.plan.segments[1:]]
        refined = model.generate(request)
        for name, dance in (("raw", raw), ("refined", refined)):
            acceleration = np.diff(dance.joints(), n=2, axis=0) * dance.fps**2
            found[name].append(np.linalg.norm(acceleration, axis=-1).mean(1))
    report: dict = {"largest_difference_to_the_primitive": max(errors), "seams": len(errors)}
    for name, sizes in found.items():
        at = np.array(seams_at)[:, None] + np.arange(-2, 1)  # second differences that reach over the join
        over = np.array([size[at].max(1) for size in sizes])
        elsewhere = np.concatenate([np.delete(size, at.ravel()) for size in sizes])
        limit = float(np.percentile(elsewhere, 99))
        report[name] = {
            "p99_elsewhere": limit,
            "median_at_seams": float(np.median(over)),
            "largest_at_seams": float(over.max()),
            "share_of_seams_within": float((over <= limit).mean()),
        }
    print(json.dumps(report), flush=True)
    return report


def windows(joints: np.ndarray, hop: int) -> list[np.ndarray]:
    """Stretches of ``WINDOW`` frames of 22 joints."""
    return [joints[begin : begin + WINDOW, :22] for begin in range(0, len(joints) - WINDOW + 1, hop)]


def features_of(stretches: list[np.ndarray], fps: float, variant: str) -> np.ndarray:
    """(stretches, features) kinetic features."""
    return np.stack([kinetic_features(stretch, fps, variant=variant) for stretch in stretches])


def worth(dances: list[Motion], real: dict[str, dict[str, np.ndarray]]) -> dict[str, float]:
    """FID_k and Div_k against every real set, beat alignment and skating, means over the dances."""
    fps = dances[0].fps
    joints = [dance.joints() for dance in dances]
    row: dict[str, float] = {"dances": len(dances)}
    stretches = [stretch for track in joints for stretch in windows(track, WINDOW)]
    for variant in ("lodge", "corrected"):
        made = features_of(stretches, fps, variant)
        for name, sets in real.items():
            row[f"fid_k_{variant}_{name}"] = frechet_distance(sets[variant], made)
        row[f"div_k_{variant}"] = diversity(made, reference=real["train"][variant])
    tests = [beat_alignment_test(t, d.meta["beat_times"], fps, seed=0) for t, d in zip(joints, dances, strict=True)]
    row["beat_alignment"] = float(np.mean([test.score for test in tests]))
    row["beat_alignment_by_chance"] = float(np.mean([test.chance_mean for test in tests]))
    row["bas"] = float(
        np.mean([beat_alignment(t, d.meta["beat_times"], fps) for t, d in zip(joints, dances, strict=True)])
    )
    row["foot_skating_cm_per_second"] = float(np.nanmean([foot_skating(t, fps).speed_cm_per_second for t in joints]))
    row["foot_skating_ratio"] = float(np.mean([foot_skating_ratio(t, fps, at_fps=30.0) for t in joints]))
    return {key: round(value, 5) for key, value in row.items()}


def without_foot_refine(model: Dancer) -> Dancer:
    """The same weights with the block that corrects the feet left out."""
    network = copy.deepcopy(model.checkpoint.network)
    network.config = network.config.model_copy(update={"foot_refine": False})
    checkpoint = replace(model.checkpoint, network=network)
    return replace(model, generator=replace(model.generator, checkpoint=checkpoint))


def real_sets(store: Store) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, int]]:
    """Kinetic features of training and held-out dances, by set and variant, and how many windows each has."""
    stretches = {
        name: [w for split in splits for _, m in real_dances(store, split).values() for w in windows(m.joints(), HOP)]
        for name, splits in (("train", ("train",)), ("held_out", ("val", "test")))
    }
    features = {
        name: {variant: features_of(part, store.fps, variant) for variant in ("lodge", "corrected")}
        for name, part in stretches.items()
    }
    return features, {name: len(part) for name, part in stretches.items()}


def measure_equal(arguments: argparse.Namespace, asked: list[tuple[Song, str, int]], store: Store) -> dict:
    """Other trainings of the local stage, raw and refined dances of each; what differs is in their names."""
    real, _ = real_sets(store)
    rows = {}
    for named in arguments.equal:
        name, _, folder = named.partition("=")
        model = load(folder)
        clock = time.perf_counter()
        dances = danced(model, asked, cleanup=False, device=arguments.device)
        rows[name] = {
            "seconds": round(time.perf_counter() - clock, 1),
            "steps": model.checkpoint.config.trained_steps,
            "parameters": sum(weight.numel() for weight in model.checkpoint.network.parameters()),
            **worth(dances, real),
        }
        rows[f"{name}, refined"] = worth(
            danced(model, asked, cleanup=True, device=arguments.device), real
        )
        print(name, json.dumps(rows[name]), json.dumps(rows[f"{name}, refined"]), flush=True)
    return {"rows": rows}


def measure_ablation(
    arguments: argparse.Namespace, model: Dancer, asked: list[tuple[Song, str, int]], store: Store
) -> dict:
    """Every part left out in turn: raw dances, as denoising leaves them; the full model refined as well."""
    real, counts = real_sets(store)
    models = {
        name: replace(model, generator=replace(model.generator, cues=cues)) for name, cues in SWITCHES.items()
    }
    if getattr(model.checkpoint.network.config, "foot_refine", False):
        models["without foot refine block"] = without_foot_refine(model)
    if arguments.untuned is not None:
        models["without fine-tuning"] = load(arguments.untuned)
    rows = {}
    for name, variant in models.items():
        clock = time.perf_counter()
        dances = danced(variant, asked, cleanup=False, device=arguments.device)
        rows[name] = {"seconds": round(time.perf_counter() - clock, 1), **worth(dances, real)}
        print(name, json.dumps(rows[name]), flush=True)
        if name == "full":
            refined = danced(variant, asked, cleanup=True, device=arguments.device)
            rows["full, refined"] = worth(refined, real)
            print("full, refined", json.dumps(rows["full, refined"]), flush=True)
    truth = {"fid_k_lodge_train": frechet_distance(real["train"]["lodge"], real["held_out"]["lodge"])}
    truth |= {f"div_k_{v}": diversity(real["held_out"][v], reference=real["train"][v]) for v in ("lodge", "corrected")}
    return {
        "real_windows": counts,
        "window_frames": WINDOW,
        "held_out_dances": {key: round(value, 5) for key, value in truth.items()},
        "rows": rows,
    }


def measure_long(arguments: argparse.Namespace, model: Dancer, store: Store) -> dict:
    """Three minutes to every song against the bounds of ``dances``."""
    real, rows = reference(real_dances(store, "train")), []
    for number, path in enumerate(songs_in(arguments.songs)):
        song = Song.load(path, seconds=180.0)
        genres = model.checkpoint.config.genres
        dance = model.generate(song, genre=genres[number % len(genres)], device=arguments.device)
        rows.append({"song": path.name, "genre": dance.meta["genre"], "seconds": song.seconds, **judge(dance, real)})
        print(json.dumps(rows[-1]), flush=True)
    return {"bounds": {key: list(value) for key, value in BOUNDS.items()}, "dances": rows}


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers with three digits that count."""
    shown = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(head), ["---"] * len(head), *shown]) + "\n"


def page(report: dict) -> str:
    """The report as tables."""
    text = [f"# Lodge, measured\n\n{report['date']}, {report['hardware']}, torch {report['torch']}.\n"]
    if "time" in report:
        measured = report["time"]
        columns = ("segments", "global_seconds", "local_seconds", "refine_seconds", "per_second_of_dance", "peak_mb")
        runs = {**{f"8 segments, {k}": v for k, v in measured["eight_segments"].items()},
                **{f"{k} s of dance": v for k, v in measured["lengths"].items()},
                **{f"120 s, {k} segments at once": v for k, v in measured["chunks"].items()}}  # fmt: skip
        text.append(f"## Time and memory\n\n{measured['threads']} threads; seconds, and MB of the whole process.\n")
        text.append(table(("run", *columns), [[name, *(run[key] for key in columns)] for name, run in runs.items()]))
    if "seams" in report:
        measured = report["seams"]
        text.append(
            f"## Seams\n\n{measured['seams']} joins; dances differ from the shared primitive by at most "
            f"{measured['largest_difference_to_the_primitive']:.1e}.\nJoint acceleration over the joins, m/s²:\n"
        )
        columns = ("median_at_seams", "largest_at_seams", "p99_elsewhere", "share_of_seams_within")
        text.append(table(("", *columns), [[k, *(measured[k][c] for c in columns)] for k in ("raw", "refined")]))
    if "soft" in report:
        measured = report["soft"]
        text.append("## Soft cues\n\nMetres from the cues' joints, mean, over s:\n")
        rows = [[k, v["steps"], *v["metres"], v["falls"]] for k, v in measured["samplers"].items()]
        text.append(table(("sampler", "steps", *(f"s = {level:g}" for level in measured["levels"]), "falls"), rows))
    if "ablation" in report:
        measured = report["ablation"]
        text.append(
            f"## Ablation\n\nSongs that no training heard; raw dances unless it says refined. Kinetic features of "
            f"windows of {measured['window_frames']} frames, against {measured['real_windows']['train']} windows of "
            f"the training dances and {measured['real_windows']['held_out']} of held-out ones.\n"
        )
        rows = [[k, *(v[c] for c in ABLATION_COLUMNS)] for k, v in measured["rows"].items()]
        text.append(table(("", *ABLATION_COLUMNS), rows))
    if "equal" in report:
        text.append("## Local stages after short trainings of equal length\n\nThe same global stage for all.\n")
        columns = ("steps", "parameters", "seconds", *ABLATION_COLUMNS)
        rows = report["equal"]["rows"].items()
        text.append(table(("", *columns), [[k, *(v.get(c, "") for c in columns)] for k, v in rows]))
    if "long" in report:
        measured = report["long"]
        text.append("## Three minutes\n\nRatios to the training dances, and the p value of the beat alignment:\n")
        keys = tuple(measured["bounds"])
        rows = [
            [row["song"], row["genre"], *(row["ratio_to_all"][key] for key in keys), row["beat_alignment_p_value"]]
            for row in measured["dances"]
        ]
        text.append(table(("song", "genre", *(f"{k} {measured['bounds'][k]}" for k in keys), "p"), rows))
    return "\n".join(text)


ABLATION_COLUMNS = (
    "dances", "fid_k_lodge_train", "fid_k_lodge_held_out", "fid_k_corrected_train", "div_k_lodge", "bas",
    "beat_alignment", "beat_alignment_by_chance", "foot_skating_cm_per_second", "foot_skating_ratio",
)  # fmt: skip


def main() -> None:
    """Measure what is asked for and write the JSON and the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="lodge")
    parser.add_argument("--untuned")
    parser.add_argument("--equal", nargs="+", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--data")
    parser.add_argument("--songs", required=True, type=Path)
    parser.add_argument("--dances", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--parts", default="time,seams,soft,ablation,long")
    parser.add_argument("--run", nargs=3, type=float, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    if arguments.run:
        one_run(arguments)
        return
    parts = arguments.parts.split(",")
    model = load(arguments.model)
    report = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    store = Store.open(arguments.data) if arguments.data else None
    needs_pieces = {"seams", "soft", "ablation", "equal"} & {*parts}
    asked = pieces(songs_in(arguments.songs), model, arguments.dances) if needs_pieces else []
    for part in parts:
        measure = {
            "time": lambda: measure_time(arguments, model),
            "seams": lambda: measure_seams(arguments, model, asked),
            "soft": lambda: measure_soft(arguments, model, asked),
            "ablation": lambda: measure_ablation(arguments, model, asked, store),
            "equal": lambda: measure_equal(arguments, asked, store),
            "long": lambda: measure_long(arguments, model, store),
        }[part]
        report |= environment() | {
            "model": {"local": model.checkpoint.config.recipe, "global": model.generator.choreographer.config.recipe,
                      "local_steps": model.checkpoint.config.trained_steps,
                      "global_steps": model.generator.choreographer.config.trained_steps},
            part: measure(),
        }  # fmt: skip
        with atomic_write(arguments.out) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n")
        with atomic_write(arguments.out.with_suffix(".md")) as temporary:
            temporary.write_text(page(report))


if __name__ == "__main__":
    main()
