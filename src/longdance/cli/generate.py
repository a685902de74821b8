"""``longdance generate``: dances to songs."""

import json
import os
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Annotated

import typer

from longdance.cli.terminal import SOME_FAILED, app, one_line, progress_bar, reason, report, say
from longdance.errors import InputError

AUDIO_ENDINGS = {
    ".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".aac", ".wma", ".aif", ".aiff",
    ".mp4", ".mkv", ".mov", ".webm", ".avi",
}  # fmt: skip

LONGEST_NAME = 200


@app.command()
def generate(
    songs: Annotated[list[Path], typer.Argument(metavar="SONG...", help="Audio or video files, or folders.")],
    model: Annotated[str, typer.Option(help="A shipped model, or a folder with a trained one.")] = "edmg",
    genre: Annotated[str | None, typer.Option(help="See `longdance catalogue`.")] = None,
    movement: Annotated[list[str] | None, typer.Option(help="A movement of the genre; may be repeated.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Free words about the dance.")] = None,
    score: Annotated[Path | None, typer.Option(help="A timeline of what to dance when; see docs/score.md.")] = None,
    start: Annotated[float, typer.Option(min=0, help="Second of the song to begin at.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Length; the rest of the song if not given.")] = None,
    bpm: Annotated[float | None, typer.Option(min=20, max=400, help="Tempo, if the tracker gets it wrong.")] = None,
    beat_offset: Annotated[float | None, typer.Option(help="Second of a first beat, with --bpm.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Denoising steps; the model's own if not given.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="dpm2m, ddim or ddpm; the model's own if not given.")] = None,
    music_guidance: Annotated[float, typer.Option(help="How strongly the music leads; 1 is plain.")] = 1.0,
    text_guidance: Annotated[float, typer.Option(help="How strongly the words lead; 1 is plain.")] = 6.0,
    refine: Annotated[bool, typer.Option(help="Meet the beats, smooth, let standing feet stand.")] = True,
    soft_level: Annotated[
        float | None, typer.Option(min=0, max=1, help="lodge: how long its soft primitives lead; 0 not at all.")
    ] = None,
    mirror: Annotated[bool | None, typer.Option(help="lodge: dance soft primitives to both sides.")] = None,
    beat_align: Annotated[bool | None, typer.Option(help="lodge: put soft primitives on beats.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another dance.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: cuda where there is one.")] = "auto",
    fps: Annotated[float | None, typer.Option(min=1, max=240, help="Frame rate; the model's if not given.")] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Any of npz,bvh,mp4,glb,vrma,fbx,usd,amass,html.")
    ] = "npz,bvh,mp4",
    wav: Annotated[bool, typer.Option("--wav", help="Put the stretch of the song beside, as WAV.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder, or a file of one format.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Several songs: pass over those that are done.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Several songs: processes that share them; one if not given.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Several songs: share them on Ray; local, or a cluster's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of results for machines.")] = False,
) -> None:
    """Dance to songs: one dance each, the whole song unless told otherwise."""
    from longdance.export.endings import FORMATS, file_ending, is_format

    endings = tuple(part.strip().lower() for part in formats.split(",") if part.strip())
    single = out if out is not None and is_format(out) else None
    if single is not None:
        endings = FORMATS[:1]
    wrong = [ending for ending in endings if ending not in FORMATS]
    if wrong or not endings:
        raise typer.BadParameter(f"expected formats among {', '.join(FORMATS)}, got {formats!r}")
    if out is not None and single is None and os.path.exists(out) and not os.path.isdir(out):
        raise typer.BadParameter(f"{out}: expected a folder, or a file that ends in one of {', '.join(FORMATS)}")
    files = find_songs(songs)
    many = len(files) > 1 or resume or workers is not None or ray is not None
    if single is not None and many:
        raise typer.BadParameter(f"{out} is one file, but there are several songs; give a folder")

    from longdance.batch import MANIFEST, Commission, Manifest, Order, Record, absolute, dance_all
    from longdance.choreography.score import Score

    cues = {"soft_level": soft_level, "mirror": mirror, "beat_align": beat_align}
    order = Order(
        model=model,
        genre=genre,
        movement=tuple(movement or ()),
        prompt=prompt,
        score=score,
        start=start,
        seconds=seconds,
        bpm=bpm,
        beat_offset=beat_offset,
        steps=steps,
        sampler=sampler,
        music_guidance=music_guidance,
        text_guidance=text_guidance,
        refine=refine,
        cues={name: value for name, value in cues.items() if value is not None},
        seed=seed,
        fps=fps,
        wav=wav,
        device=device,
    )
    if score is not None:
        Score.load(score)  # before any song is listened to
    if order.cues:
        check_led(order.cues, model)
    file_names = lambda path: [f"{folder_stem(path)}.{file_ending(ending)}" for ending in endings]  # noqa: E731
    results, failed = [], []

    def tell_done(song: Path, files: list[Path], measured: dict, notes: Sequence[str], tempo: float | None) -> None:
        results.append({"song": str(song), "files": [str(file) for file in files], **measured})
        if not as_json:
            report(results[-1], notes, tempo)

    def tell_failed(song: Path, why: str) -> None:
        failed.append(one_line(why))
        say(f"skipped: {failed[-1]}" if one_line(song) in failed[-1] else f"{one_line(song)}: skipped: {failed[-1]}")

    if not many:
        path = files[0]
        folder = single.parent if single else song_folder(out, path, many=False, taken=set())
        dancer = order.dancer()
        try:
            with progress_bar(path.name, quiet=as_json) as progress:
                progress(0, 1, "listening")
                targets = [single] if single else [folder / name for name in file_names(path)]
                danced = order.dance(dancer, path, targets, progress=progress)
            tell_done(path, *danced)
        except (InputError, OSError) as error:
            tell_failed(path, reason(error))
    else:
        folder, called = out or Path("dances"), {absolute(path): path for path in reversed(files)}
        known = Manifest(folder / MANIFEST).folders()
        taken = set(known.values())
        commissions = []
        for path in (called[name] for name in dict.fromkeys(map(absolute, files))):
            place = folder / known[absolute(path)] if absolute(path) in known else None
            place = place or song_folder(folder, path, many=True, taken=taken)
            commissions.append(Commission(path, tuple(place / name for name in file_names(path))))

        def tell(record: Record) -> None:
            if record.state != "done":
                tell_failed(called[record.song], record.error or "")

        with progress_bar(f"{len(commissions)} songs", quiet=as_json) as bar:
            how = {"resume": resume, "workers": workers, "ray": ray}
            records = dance_all(order, commissions, folder, **how, progress=bar, told=tell)
        for record in records:
            if record.state == "done":
                written = [folder / name for name in record.outputs]
                tell_done(called[record.song], written, record.facts, record.notes, record.tempo_bpm)
    if as_json:
        typer.echo(json.dumps({"dances": results, "failed": failed}))
    if failed:
        say(f"{len(results)} of {len(results) + len(failed)} songs danced; failed:\n  " + "\n  ".join(failed))
        raise typer.Exit(SOME_FAILED)


def check_led(cues: dict[str, float], name: str) -> None:
    """``BadParameter`` for a model without soft primitives that could be led by these settings."""
    from longdance.choreography.lodge import Lodge
    from longdance.choreography.pretrained import load

    if not isinstance(load(name), Lodge):
        options = ", ".join("--" + option.replace("_", "-") for option in cues)
        raise typer.BadParameter(f"{name} has no soft primitives for {options} to lead; use a lodge")


def find_songs(paths: list[Path]) -> list[Path]:
    """The files named, and every song in the folders named, in order; ``BadParameter`` where there is none."""
    files: list[Path] = []
    for path in paths:
        if os.path.isdir(path):  # unlike the method of Path, false for a name that is too long
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in AUDIO_ENDINGS and p.is_file())
            if not inside:
                raise typer.BadParameter(f"{path}: expected songs in this folder, found none")
            files += inside
        else:
            files.append(path)
    return files


def song_folder(out: Path | None, song: Path, *, many: bool, taken: set[str]) -> Path:
    """Where a song's dances go; songs of the same name get numbered folders."""
    if out is not None and not many:
        return out
    name = unused(folder_stem(song), taken)
    taken.add(name)
    return (out or Path("dances")) / name


def unused(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it if it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def folder_stem(song: Path) -> str:
    """The song's file name without its ending, fit to be a folder: printable, and short enough to add endings to."""
    name = "".join(letter if letter.isprintable() else "_" for letter in song.stem)
    return name.encode()[:LONGEST_NAME].decode(errors="ignore").strip(". ") or "dance"
