"""``longdance export``: dances in other formats."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longdance.cli.generate import unused
from longdance.cli.terminal import app, progress_bar, say
from longdance.errors import InputError

if TYPE_CHECKING:
    from longdance.export.takes import ExportOptions


@app.command()
def export(
    dances: Annotated[
        list[Path], typer.Argument(metavar="DANCE...", help="A dance (.npz, .bvh, .pkl, .npy); several as takes.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write; its ending names the format.")
    ] = None,
    song: Annotated[Path | None, typer.Option(help="The song; found beside the dance if not given.")] = None,
    fps: Annotated[float | None, typer.Option(min=1, max=240, help="Frame rate; the dance's if not given.")] = None,
    naming: Annotated[str, typer.Option(help="What joints are called: smpl, mixamo, vrm, or roblox (R15).")] = "smpl",
    up: Annotated[str | None, typer.Option(help="Upward axis, y or z; the format's own if not given.")] = None,
    unit: Annotated[str | None, typer.Option(help="m or cm; the format's own if not given.")] = None,
    start: Annotated[float, typer.Option(min=0, help="Second of the dance to begin at.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0.01, help="Length; to the end if not given.")] = None,
    trim_silence: Annotated[
        bool, typer.Option("--trim-silence", help="Without the silence of the song at both ends.")
    ] = False,
    in_place: Annotated[bool, typer.Option("--in-place", help="No travel: the pelvis stays above a spot.")] = False,
    root_bone: Annotated[bool, typer.Option("--root-bone", help="A bone on the floor carries the travel.")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="The end runs into the beginning.")] = False,
    rig: Annotated[Path | None, typer.Option(help="Your own character (.glb, .vrm, .fbx, .bvh) dances.")] = None,
    mesh: Annotated[bool, typer.Option(help="With the mannequin, where the format can hold one.")] = True,
    hands: Annotated[bool, typer.Option(help="Fingers made by rule, where there are some to bend.")] = True,
    dancers: Annotated[int, typer.Option(min=1, max=8, help="So many dancers, in glb, fbx, html or mp4.")] = 1,
    canon: Annotated[float, typer.Option(min=0, help="Each dancer begins so many beats after the one before.")] = 0.0,
    mirror_pairs: Annotated[bool, typer.Option("--mirror-pairs", help="Left and right mirror each other.")] = False,
    formation: Annotated[str, typer.Option(help="Where they stand: line, v or circle.")] = "line",
    quality: Annotated[
        str, typer.Option(help="Of mp4: preview (854 x 480), or full (1280 x 720), which takes twice as long.")
    ] = "preview",
    wav: Annotated[bool, typer.Option("--wav", help="Put the stretch of the song beside, as WAV.")] = False,
    bones: Annotated[
        Path | None, typer.Option(help="Table (YAML) of our joints to the bones of --rig, or else of a BVH dance.")
    ] = None,
    write_bones: Annotated[
        Path | None, typer.Option("--write-bones", help="Write such a table, to be corrected, as far as it is found.")
    ] = None,
    actor: Annotated[
        int | None, typer.Option(min=1, help="Which of several dancers in a BVH; the first if not given.")
    ] = None,
    source_fps: Annotated[
        float | None, typer.Option("--source-fps", min=0.1, max=1000, help="The dance's true frame rate.")
    ] = None,
    source_up: Annotated[
        str | None, typer.Option("--source-up", help="The dance's upward axis, y or z, where its file does not say.")
    ] = None,
) -> None:
    """Write a dance in another format."""
    from longdance.export.takes import ExportOptions
    from longdance.motion.bone_table import read_bone_table

    if write_bones is not None:
        _write_bones(rig or dances[0], write_bones, actor)
    if out is None:
        if write_bones is None:
            raise typer.BadParameter("expected a file to write; give -o FILE")
        return
    table = None if bones is None else read_bone_table(bones)
    options = ExportOptions(
        naming=naming, up=up, fps=fps, start=start, seconds=seconds, trim_silence=trim_silence, in_place=in_place,
        root_bone=root_bone, loop=loop, mesh=mesh, hands=hands, dancers=dancers, canon=canon,
        mirror_pairs=mirror_pairs, formation=formation, quality=quality, unit=unit, wav=wav, rig=rig,
        bones=table if rig is not None else None,
    )  # fmt: skip
    own_table = table if rig is None else None
    _write(dances, out, song, options, {"fps": source_fps, "up": source_up, "actor": actor, "bones": own_table})


def _write(dances: list[Path], out: Path, song: Path | None, options: "ExportOptions", reading: dict[str, Any]) -> None:
    """Read the dances, ``reading`` as ``Motion.load`` has it, and write them; say what was written."""
    from longdance.export.formats import export as write
    from longdance.export.sound import find_song
    from longdance.motion.motion import Motion

    motions: dict[str, Motion] = {}
    for path in dances:
        motions[unused(path.stem if len(dances) > 1 else out.stem, motions)] = Motion.load(path, **reading)
    notes: list[str] = []
    song = song or find_song(next(iter(motions.values())), [dances[0].parent, Path()], notes)
    with progress_bar(out.name) as progress:
        try:
            written = write(motions, out, options=options, song_path=song, progress=progress, notes=notes)
        except InputError as error:
            if any(str(path) in str(error) for path in (*dances, out, *([] if options.rig is None else [options.rig]))):
                raise
            # A dance that reads well may still not be what the format needs.
            raise InputError(f"{', '.join(map(str, dances))}: {error}") from error
    for note in notes:
        say(f"note: {note}")
    for path in written:
        typer.echo(path)


def _write_bones(source: Path, table: Path, actor: int | None) -> None:
    """Write a table of the bones of a character or a BVH dance, with what is found among them."""
    from longdance.export.formats import rig_joints
    from longdance.motion.bone_table import write_bone_table

    names, found = rig_joints(source, actor=actor)
    write_bone_table(table, names, found)
    typer.echo(table)
