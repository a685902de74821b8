"""Which number format networks compute in."""

import pytest
import torch

from longdance.models import precision
from longdance.models.precision import autocast, multiplies_bf16


@pytest.mark.parametrize(("avx512", "amx"), [(True, False), (False, True), (False, False)])
def test_a_processor_is_asked_what_it_multiplies(avx512, amx, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    assert multiplies_bf16("cpu") is (avx512 or amx)


def test_a_version_that_cannot_tell_computes_in_float32(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not multiplies_bf16("cpu")


@pytest.mark.parametrize(("in_hardware", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_products_follow_the_device(in_hardware, dtype, monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bf16", lambda kind: in_hardware)
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
