"""What a run of preparing keeps until the store is written: a file for every job, and a list of them."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from longdance.errors import InputError
from longdance.files import atomic_write, remove_leftovers

VERSION = 3
"""Raised whenever prepared numbers change, so that old stores are made again."""
MARKER = "longdance.json"
"""File that makes a folder of parts ours, and lists them."""

Part = tuple[list[dict], np.ndarray, np.ndarray]
"""Records of takes, with starts relative to the part's motion rows and music rows."""


def parts_made(folder: Path) -> tuple[str, list[str]] | None:
    """Fingerprint and names of the parts that a run keeps in the folder; None for a folder that no run made."""
    try:
        record = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return record["fingerprint"], record["parts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def begin_parts(folder: Path, fingerprint: str, names: list[str]) -> None:
    """Make the folder a run's own; parts of another run go."""
    if parts_made(folder) != (fingerprint, names):
        clear_parts(folder)
        with atomic_write(folder / MARKER) as temporary:
            temporary.write_text(json.dumps({"fingerprint": fingerprint, "parts": names}))


def clear_parts(folder: Path) -> None:
    """Remove the parts that a run made, and nothing else; ``InputError`` for a folder with files of somebody else."""
    made = parts_made(folder)
    if made is None:
        if folder.is_dir() and any(not path.name.startswith(f".{Path(MARKER).stem}-") for path in folder.iterdir()):
            raise InputError(
                f"{folder}: expected room for unfinished parts of the store, found files of another kind; move them, "
                "or choose another folder"
            )
        remove_leftovers(folder / MARKER)
        return
    for path in (folder / f"{name}.npz" for name in made[1]):
        if path.parent == folder:  # whatever the list may say
            remove_leftovers(path)
            path.unlink(missing_ok=True)
    remove_leftovers(folder / MARKER)
    (folder / MARKER).unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def save_part(path: Path, part: Part, failed: dict[str, str]) -> None:
    """Write a part, and for clips that cannot be used the reasons."""
    records, motion, music = part
    remove_leftovers(path)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file, records=np.array(json.dumps(records)), failed=np.array(json.dumps(failed)), motion=motion, music=music
        )


def load_part(path: Path) -> tuple[Part, dict[str, str]]:
    """What ``save_part`` wrote."""
    with np.load(path, allow_pickle=False) as file:
        records = json.loads(str(file["records"]))
        for record in records:
            record["movements"] = tuple(record["movements"])
            record["beat_times"] = tuple(record["beat_times"])
        return (records, file["motion"], file["music"]), json.loads(str(file["failed"]))


def fingerprint_of(settings: BaseModel, files: Iterable[Path], labels: Iterable[object]) -> str:
    """A digest of all that a store depends on."""
    digest = hashlib.sha256(f"{VERSION} {settings.model_dump_json()}".encode())
    for path in dict.fromkeys(files):  # a song may have many dances
        digest.update(path.name.encode())
        if not path.is_file():
            digest.update(b"missing")
            continue
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    for label in labels:
        digest.update(repr(label).encode())
    return digest.hexdigest()
