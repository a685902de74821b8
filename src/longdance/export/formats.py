"""Writing a dance in a format named by the file's ending."""

import os
from collections.abc import Mapping
from pathlib import Path

from longdance.errors import InputError, by_likeness
from longdance.export.endings import FORMATS, format_of, stem_of
from longdance.export.groups import group_of
from longdance.export.hands import with_knuckles
from longdance.export.job import Job
from longdance.export.naming import NAMINGS
from longdance.export.rig import guess_bones
from longdance.export.rig_bvh import bvh_bones, save_on_bvh
from longdance.export.rig_fbx import fbx_bones, save_on_fbx
from longdance.export.rig_glb import glb_bones, save_on_glb
from longdance.export.roblox import emote_notes
from longdance.export.sound import find_song, save_stretch
from longdance.export.takes import ExportOptions, prepared
from longdance.motion.motion import Motion
from longdance.progress import Progress


def export(
    motion: Motion | Mapping[str, Motion],
    path: str | os.PathLike,
    *,
    options: ExportOptions | None = None,
    song_path: str | os.PathLike | None = None,
    progress: Progress | None = None,
    notes: list[str] | None = None,
) -> list[Path]:
    """Write a dance, or several takes by name where the format can hold them; the files written are returned.

    The ending of ``path`` names the format. Videos, web pages and the WAV of ``options.wav`` get the sound of
    ``song_path``, else of the file that the dance's ``meta`` remembers; stretch and beats come from ``meta`` too.
    ``InputError`` for an ending that is none of ``FORMATS``, and for options that the format cannot do. A failed or
    cancelled export leaves no file. What people should know of the files is added to ``notes``.
    """
    path, options = Path(path), options or ExportOptions()
    if options.rig is not None:
        return _export_on_rig(motion, path, options, song_path)
    form = format_of(path)
    facts, stem = FORMATS.entry(form).facts, stem_of(path)
    up, unit = _checked(form, options, path)
    motions = {stem: motion} if isinstance(motion, Motion) else dict(motion)
    if not motions:
        raise InputError(f"{path}: expected a dance to write, got none")
    if options.dancers > 1 and (len(motions) > 1 or not facts.get("dancers")):
        raise InputError(f"{path}: expected one dance, in {' or '.join(having('dancers'))}, to make a group of")
    if options.loop and options.canon:
        raise InputError(f"{path}: expected a loop or a canon, whose end runs into no beginning, not both")
    if len(motions) > 1 and not facts.get("takes"):
        raise InputError(f"{path}: expected one dance, got {len(motions)}; {', '.join(having('takes'))} hold several")
    if song_path is None and len(motions) == 1:
        song_path = find_song(next(iter(motions.values())), [])
    wav = options.wav and not facts.get("sound")
    if wav and (song_path is None or len(motions) > 1):
        raise InputError(f"{path}: expected one dance and its song to put beside it; name the song")
    motions = {name: prepared(each, options, song_path=song_path) for name, each in motions.items()}
    group = tuple(motions.values())[:1]
    if options.dancers > 1:
        group = group_of(
            group[0], options.dancers, canon=options.canon, mirror_pairs=options.mirror_pairs,
            formation=options.formation,
        )  # fmt: skip
        motions = {next(iter(motions)): group[0]}
    if options.hands and facts.get("hands"):
        motions = {name: with_knuckles(each) for name, each in motions.items()}
        group = tuple(map(with_knuckles, group))
    job = Job(
        motions=motions, group=group, path=path, options=options, up=up, unit=unit, song_path=song_path,
        progress=progress,
    )  # fmt: skip
    FORMATS[form](job)
    if notes is not None and options.naming == "roblox":
        notes += emote_notes(job.motion)
    written = [path]
    if wav and song_path is not None:
        beside = path.with_name(f"{stem}.wav")
        save_stretch(job.motion, song_path, beside)
        written.append(beside)
    return written


def having(fact: str) -> list[str]:
    """The formats of which something is so."""
    return [entry.name for entry in FORMATS.entries() if entry.facts.get(fact)]


RIG_ENDINGS = {
    ".glb": (".glb", ".vrm"),
    ".vrm": (".vrm", ".glb"),
    ".gltf": (".glb",),
    ".fbx": (".fbx",),
    ".bvh": (".bvh",),
}
"""Endings of a character's file, and what the file with its dance may end in."""


def _export_on_rig(
    motion: Motion | Mapping[str, Motion],
    path: Path,
    options: ExportOptions,
    song_path: str | os.PathLike | None,
) -> list[Path]:
    """Write somebody's own character dancing; the kind of file stays."""
    rig = Path(options.rig or "")
    possible = RIG_ENDINGS.get(rig.suffix.lower())
    if possible is None:
        raise InputError(f"{rig}: expected a character ending in {', '.join(RIG_ENDINGS)}, got {rig.suffix or 'none'}")
    if path.suffix.lower() not in possible:
        raise InputError(f"{path}: expected an ending of the character's kind, {' or '.join(possible)}")
    plain = ExportOptions(
        fps=options.fps,
        start=options.start,
        seconds=options.seconds,
        trim_silence=options.trim_silence,
        in_place=options.in_place,
        loop=options.loop,
        hands=options.hands,
        quality=options.quality,
        wav=options.wav,
        rig=options.rig,
        bones=options.bones,
    )
    if options != plain:
        raise InputError(f"{path}: expected a character to keep its own names, axes and mesh; leave out those options")
    motions = [motion] if isinstance(motion, Motion) else list(motion.values())
    if len(motions) != 1:
        raise InputError(f"{path}: expected one dance for the character, got {len(motions)}")
    if options.wav and song_path is None:
        raise InputError(f"{path}: expected the song to put beside; name it")
    if path.exists() and rig.exists() and path.samefile(rig):
        raise InputError(f"{path}: expected another name than the character's own; it would be overwritten")
    dance = prepared(motions[0], options, song_path=song_path)
    if rig.suffix.lower() == ".bvh":
        save_on_bvh(dance, rig, path, bones=options.bones, hands=options.hands)
    elif rig.suffix.lower() == ".fbx":
        save_on_fbx(dance, rig, path, name=path.stem, bones=options.bones, hands=options.hands)
    else:
        save_on_glb(dance, rig, path, name=path.stem, bones=options.bones, hands=options.hands)
    written = [path]
    if options.wav and song_path is not None:
        beside = path.with_suffix(".wav")
        save_stretch(dance, song_path, beside)
        written.append(beside)
    return written


def rig_joints(
    rig: str | os.PathLike, *, actor: int | None = None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The names of a character's bones, and which of our joints are found among them, all or not.

    ``actor``, from 1, chooses among several dancers of a BVH file.
    """
    path = Path(rig)
    ending = path.suffix.lower()
    if ending not in RIG_ENDINGS:
        raise InputError(f"{path}: expected a character ending in {', '.join(RIG_ENDINGS)}, got {ending or 'none'}")
    if ending == ".bvh":
        names, parents, places = bvh_bones(path, actor=actor)
    else:
        names, parents, places = fbx_bones(path) if ending == ".fbx" else glb_bones(path)
    return names, guess_bones(names, parents, places)


def _checked(form: str, options: ExportOptions, path: Path) -> tuple[str, str]:
    """The upward axis and the unit to write; ``InputError`` for what the format cannot do."""
    facts, chosen = FORMATS.entry(form).facts, []
    for what, wanted, possible in (
        ("up axis", options.up, facts.get("up", ("y",))),
        ("unit", options.unit, facts.get("unit", ("m",))),
    ):
        if wanted is not None and wanted not in possible:
            raise InputError(f"{path}: expected the {what} {' or '.join(possible)}, as {form} has it, got {wanted}")
        chosen.append(wanted or possible[0])
    if options.naming not in (namings := (*NAMINGS, "roblox")):
        known = ", ".join(by_likeness(options.naming, namings))
        raise InputError(f"expected a naming among {known}, got {options.naming!r}")
    if not facts.get("bones") and (options.naming != "smpl" or options.root_bone):
        raise InputError(f"{path}: expected plain joints, as {form} has them; leave out naming and root bone")
    if facts.get("humanoid") and options.naming == "roblox":
        raise InputError(f"{path}: expected all joints of a humanoid in {form}, which R15 has not; try fbx, glb or bvh")
    return chosen[0], chosen[1]
