"""EDMG: a Parallel Mamba Denoiser, and its second stage, the Temporal Refinement Module. Source: EDMG section 3.2."""

from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.windows import WindowGenerator
from longdance.choreography.long.stretches import Sampling
from longdance.models.checkpoint import Checkpoint
from longdance.models.trm import Refiner

REGISTER = {
    "dancer": {
        "pmd": {
            "make": "edmg",
            "about": "EDMG: dances window by window with a Parallel Mamba Denoiser; knows words; dances can be edited",
            "order": 1, "streams": True, "edits": True, "joints": True, "guided": True,
        },
    },
}  # fmt: skip


def edmg(checkpoint: Checkpoint, *, name: str = "edmg", trm: Refiner | None = None) -> Dancer:
    """The dancer of a checkpoint of a Parallel Mamba Denoiser."""
    sampling = Sampling.of(checkpoint.config)
    return Dancer(WindowGenerator(checkpoint), kind="pmd", name=name, sampling=sampling, trm=trm)
