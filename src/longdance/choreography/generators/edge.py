"""EDGE: a FiLM transformer denoiser. It hears music, and no words.

Source: EDGE (Tseng et al. 2023), section 3: the second half of every window is the first half of the next one, held
together at every diffusion step.
"""

from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.windows import WindowGenerator
from longdance.choreography.long.stretches import Sampling
from longdance.diffusion.guidance import Guidance
from longdance.models.checkpoint import Checkpoint

REGISTER = {
    "dancer": {
        "edge": {
            "make": "edge",
            "about": "EDGE: a transformer that dances window by window; the baseline that EDMG is compared with",
            "order": 3, "streams": True, "edits": True, "joints": True, "guided": True, "hears": "music",
        },
    },
}  # fmt: skip
MUSIC_GUIDANCE = 2.0
"""The music's own weight, that of the published code."""


def edge(checkpoint: Checkpoint, *, name: str = "edge") -> Dancer:
    """The dancer of a checkpoint of EDGE's denoiser."""
    sampling = Sampling.of(checkpoint.config, guidance=Guidance(MUSIC_GUIDANCE, MUSIC_GUIDANCE))
    return Dancer(WindowGenerator(checkpoint, overlap=1 / 2), kind="edge", name=name, sampling=sampling)
