"""Coverage-guided fuzzing of the readers of files that come from anywhere, by atheris (``pip install atheris``).

    python tools/fuzz_readers.py bvh --seconds 600 [--corpus FOLDER]

Readers: bvh, fbx, glb, npz, score, safetensors (a model: its configuration, a line break, its tensors). Half of the
inputs keep the form of the file (``fuzz_mutators.py``); characters are danced with as well. Every input has to be read
or refused with ``InputError`` within ``--timeout`` seconds and 2 GB; anything else stops the run and leaves the input
beside (``crash-...``). The corpus begins with small files made by the tests' writers; what reaches new code is kept in
``--corpus``. Findings go into the tests by hand.
"""

import argparse
import contextlib
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT)]

with atheris.instrument_imports(include=["longdance"]):
    import longdance.choreography.score_file
    import longdance.export.fbx_nodes
    import longdance.export.rig_fbx
    import longdance.export.rig_glb
    import longdance.models.checkpoint
    import longdance.motion.bvh
    import longdance.motion.dance_files
    import longdance.motion.retarget
from tools.fuzz_mutators import mutate  # noqa: E402

from longdance.errors import InputError  # noqa: E402
from longdance.export.rig import dance_on_rig  # noqa: E402
from sample_motions import foreign_bvh, standing  # noqa: E402

READERS = ("bvh", "fbx", "glb", "npz", "score", "safetensors")


def seeds(reader: str, folder: Path) -> None:
    """A few small files of the kind."""
    import numpy as np

    from sample_characters import character, write_fbx, write_glb

    rng = np.random.default_rng(0)
    body = character("mixamo", rng)
    if reader == "bvh":
        for number, rig in enumerate(("cmu", "biped")):
            (folder / f"{number}").write_text(foreign_bvh(standing(2), rig))
    elif reader == "fbx":
        write_fbx(body, folder / "0", rng)
    elif reader == "glb":
        write_glb(body, folder / "0")
    elif reader == "npz":
        from longdance.export.amass import save_amass

        standing(2).save(folder / "0.npz")
        save_amass(standing(2), folder / "1.amass.npz")
    elif reader == "score":
        (folder / "0").write_bytes((ROOT / "examples" / "score.yaml").read_bytes())
    else:
        _small_checkpoint().save(folder / "model")
        record = json.loads((folder / "model" / "config.json").read_text())
        del record[longdance.models.checkpoint.CHECKSUM]
        tensors = (folder / "model" / "model.safetensors").read_bytes()
        shutil.rmtree(folder / "model")
        (folder / "0").write_bytes(json.dumps(record).encode() + b"\n" + tensors)


def _small_checkpoint():
    import torch

    from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
    from longdance.motion.layout import Normaliser

    sizes = PMDConfig(music_channels=35, text_width=384, fps=30, width=4, depth=1, heads=1, state=1, attention_heads=1)
    config = longdance.models.checkpoint.CheckpointConfig(
        denoiser="pmd",
        network=sizes.model_dump(),
        layout="smpl24",
        fps=30.0,
        window=20,
        diffusion_steps=10,
        music_encoder="librosa35",
        text_encoder="all-MiniLM-L6-v2",
        genres=("disco", "salsa"),
        recipe="tiny",
        trained_steps=3,
        licence="made up",
    )
    statistics = (Normaliser(torch.zeros(151), torch.ones(151)), torch.zeros(35), torch.ones(35))
    return longdance.models.checkpoint.Checkpoint(config, ParallelMambaDenoiser(sizes), *statistics)


def target(reader: str, folder: Path) -> Callable[[bytes], None]:
    """What reads one input."""
    path = folder / f"input.{'yaml' if reader == 'score' else reader}"

    def read() -> None:
        if reader == "bvh":
            longdance.motion.bvh.load_bvh_motion(path)
        elif reader == "fbx":
            rig, _ = longdance.export.rig_fbx.fbx_rig(longdance.export.fbx_nodes.read(path))
            _dance(rig)
        elif reader == "glb":
            rig, _ = longdance.export.rig_glb.glb_rig(*longdance.export.rig_glb.read_glb(path))
            _dance(rig)
        elif reader == "npz":
            longdance.motion.dance_files.read_dance(path)
        elif reader == "score":
            longdance.choreography.score_file.load_score(path)
        else:
            record, _, tensors = path.read_bytes().partition(b"\n")
            (folder / "config.json").write_bytes(record)
            (folder / "model.safetensors").write_bytes(tensors)
            longdance.models.checkpoint.Checkpoint.load(folder)

    def one(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            read()

    return one


def _dance(rig) -> None:
    dance_on_rig(standing(4), rig)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--timeout", type=int, default=10, help="Seconds for one input; more on a busy machine.")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        first = folder / "seeds"
        first.mkdir()
        seeds(options.reader, first)
        corpus = options.corpus or folder / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        limits = [f"-max_total_time={options.seconds}", f"-timeout={options.timeout}", "-rss_limit_mb=2048"]

        def change(data: bytes, most: int, seed: int) -> bytes:
            # Half of the changes keep the form of the file; the others are of any bytes.
            changed = mutate(options.reader, data, folder, seed) if seed % 2 else atheris.Mutate(data, most)
            return changed if len(changed) <= most else atheris.Mutate(data, most)

        arguments = [sys.argv[0], str(corpus), str(first), *limits, "-max_len=65536"]
        atheris.Setup(arguments, target(options.reader, folder), custom_mutator=change)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
