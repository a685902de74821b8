"""The project's own file of a dance; ``Motion`` knows it by heart."""

from longdance.export.job import Job

REGISTER = {
    "format": {
        "npz": {"make": "write", "order": 1, "about": "longdance's own: rotations, root, fps, how it was made"},
    },
}


def write(job: Job) -> None:
    """Write the dance and its record."""
    job.motion.save(job.path)
