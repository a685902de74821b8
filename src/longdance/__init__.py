"""longdance: a song, and words about how to dance to it, into minutes of 3D dance."""

from importlib import import_module

__version__ = "0.1.0"

# Resolved on first use, so that ``longdance --help`` does not wait for torch.
_LAZY = {
    "Motion": "longdance.motion.motion",
    "Dance": "longdance.motion.motion",
    "Song": "longdance.features.song",
    "load": "longdance.choreography.pretrained",
    "InputError": "longdance.errors",
}


# What a dance is called in other names.
_ALIASES = {"Dance": "Motion"}


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY, "metrics"])


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), _ALIASES.get(name, name))
    if name == "metrics":
        return import_module("longdance.metrics")
    raise AttributeError(f"module 'longdance' has no attribute {name!r}")
