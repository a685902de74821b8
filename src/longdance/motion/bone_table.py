"""Tables of bones: our joint names to those of somebody's file, one a line, as YAML."""

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from longdance.errors import InputError, by_likeness
from longdance.files import atomic_write
from longdance.motion.joint_names import REQUIRED
from longdance.motion.skeleton import SMPL24

KNOWN = (*SMPL24.names, "left_index", "left_pinky", "right_index", "right_pinky")
LARGEST_TABLE = 2**20
"""Bytes."""


def read_bone_table(path: str | os.PathLike) -> dict[str, str]:
    """Our joint names to the file's; ``InputError`` names the table, the line's joint and what is wrong with it."""
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise InputError(f"{path}: expected a table of bones, got {path.stat().st_size} bytes")
        table = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: expected a table of bones, one `left_knee: their name` a line ({error})") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: expected a table of bones, one `left_knee: their name` a line")
    unknown = [str(joint) for joint in table if joint not in KNOWN]
    if unknown:
        raise InputError(
            f"{path}: expected our joints, got {', '.join(unknown)}; try {', '.join(by_likeness(unknown[0], KNOWN))}"
        )
    given = {str(joint): str(bone) for joint, bone in table.items() if bone is not None}
    twice = sorted({bone for bone in given.values() if list(given.values()).count(bone) > 1})
    if twice:
        raise InputError(f"{path}: expected every bone once, got {', '.join(twice)} more often")
    return given


def write_bone_table(path: str | os.PathLike, names: tuple[str, ...], found: Mapping[str, int]) -> None:
    """Write what was found as a table to be corrected; joints that nothing was found for are empty."""
    lines = ["# Our joint: the file's bone. Correct what is wrong, leave empty what the file lacks.", ""]
    for joint in KNOWN:
        if joint in found:
            bone = yaml.safe_dump(names[found[joint]], allow_unicode=True, width=10**6).splitlines()[0]
            lines.append(f"{joint}: {bone}")
        else:
            lines.append(f"{joint}:" + ("  # needed" if joint in REQUIRED else ""))
    lines += ["", "# The file's bones:", *(f"#   {name}" for name in names)]
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
