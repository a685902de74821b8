"""Convert the network of BeatNet, as published on PyPI, to what `longdance.features.beatnet` loads.

    pip download beatnet==1.1.3 --no-deps && python tools/ship_beatnet.py BeatNet-1.1.3-py3-none-any.whl

The wheel is only read; nothing of it is run. Its first model is taken: trained on all its authors' songs but GTZAN.
"""

import argparse
import io
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from longdance.features.beatnet import CREDIT, WEIGHTS, BeatNet

MODEL = "BeatNet/models/model_1_weights.pt"


def main() -> None:
    """Write the weights in half precision."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        tensors = torch.load(io.BytesIO(wheel.read(MODEL)), weights_only=True, map_location="cpu")
    BeatNet().load_state_dict(tensors)  # refuses other names and shapes
    halved = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    save_file(halved, WEIGHTS, metadata={"credit": CREDIT})
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
