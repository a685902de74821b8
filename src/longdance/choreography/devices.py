"""Where networks compute: names of devices, and checkpoints that are copied there once."""

import re
from weakref import WeakKeyDictionary

import torch

from longdance.errors import InputError
from longdance.models.checkpoint import Checkpoint

_COPIES: WeakKeyDictionary[Checkpoint, dict[str, Checkpoint]] = WeakKeyDictionary()


def device_of(name: str) -> str:
    """cpu, cuda or cuda:N; auto is cuda where there is one. ``InputError`` for devices that this computer lacks."""
    name = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    if name == "cpu":
        return name
    usable = re.fullmatch(r"cuda(:\d{1,3})?", name) is not None and torch.cuda.is_available()
    if not usable or int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise InputError(f"expected the device cpu, or cuda where there is one, got {name!r}; try auto")
    return name


def placed(checkpoint: Checkpoint, device: str) -> Checkpoint:
    """The checkpoint on a device as ``device_of`` names it, copied there once."""
    if device == "cpu":
        return checkpoint
    copies = _COPIES.setdefault(checkpoint, {})
    if device not in copies:
        copies[device] = checkpoint.to(device)
    return copies[device]
