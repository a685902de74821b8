"""A Python script for Blender: frame rate and range, the dance beside it, its sound, markers on the time line."""

import json
from importlib.resources import files
from pathlib import Path

from longdance.export.endings import stem_of
from longdance.export.job import Job
from longdance.export.markers import markers
from longdance.export.sound import song_start
from longdance.files import atomic_write

REGISTER = {
    "format": {
        "blender": {
            "make": "write", "order": 23, "about": "a script that sets Blender up: rate, range, sound, markers",
            "ending": "blender.py",
        },
    },
}  # fmt: skip


def write(job: Job) -> None:
    """Write the script. It looks for a file of the dance and its WAV beside itself, by its own name."""
    motion = job.motion
    facts = {
        "name": stem_of(job.path),
        "fps": motion.fps,
        "frames": motion.frames,
        "song": None if job.song_path is None else str(Path(job.song_path).resolve()),
        "song_start": song_start(motion),
        "markers": [[round(mark.seconds, 4), mark.kind, mark.name] for mark in markers(motion)],
    }
    program = (files("longdance.export") / "blender_scene.py.txt").read_text(encoding="utf-8")
    # JSON in a string, since its words for true, false and none are not Python's.
    with atomic_write(job.path) as temporary:
        temporary.write_text(program.replace('"FACTS"', repr(json.dumps(facts))), encoding="utf-8")
