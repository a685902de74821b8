"""The number format in which networks compute: bf16 where the device multiplies it in hardware, else float32."""

import torch


def multiplies_bf16(kind: str) -> bool:
    """Whether a kind of device (cpu, cuda) has bf16 products in hardware; without, they are far slower than float32."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Not public: other versions may lack them.
    asks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return kind == "cpu" and any(ask is not None and ask() for ask in asks)


def autocast(device: torch.device) -> torch.autocast:
    """Products in bf16 where the device has them in hardware."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=multiplies_bf16(device.type))
