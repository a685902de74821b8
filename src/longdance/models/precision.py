"""The number format in which networks compute: bf16 where the device multiplies it in hardware, else float32.

For sampling a network is copied into bf16, weights and all: activations then stay in it from layer to layer. What bf16
would spoil stays in float32 inside the networks: running sums and exponentials of the scan, statistics of
normalisation, and the mixing of a prediction with the noisy motion. Training keeps its
weights in float32 and multiplies in bf16.
"""

from copy import deepcopy
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)

_COPIES: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()


def multiplies_bf16(kind: str) -> bool:
    """Whether a kind of device (cpu, cuda) has bf16 products in hardware; without, they are far slower than float32."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Not public: other versions may lack them.
    asks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return kind == "cpu" and any(ask is not None and ask() for ask in asks)


def fastest(network: Network) -> Network:
    """The network, for predictions alone, in the number format that its device multiplies fastest; copied once.

    A network that goes on training must not be given: the copy would stay as it was.
    """
    weight = next(network.parameters(), None)
    if weight is None or not multiplies_bf16(weight.device.type):
        return network
    if network not in _COPIES:
        _COPIES[network] = deepcopy(network).bfloat16().requires_grad_(False)
    return _COPIES[network]  # type: ignore[return-value]
