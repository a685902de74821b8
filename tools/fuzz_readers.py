"""Coverage-guided fuzzing of the readers of files that come from anywhere, by atheris (``pip install atheris``).

    python tools/fuzz_readers.py bvh --seconds 600 [--corpus FOLDER]

Readers: bvh, fbx, glb, npz, score, safetensors. Every input has to be read or refused with ``InputError`` within
``--timeout`` seconds and 2 GB; anything else stops the run and leaves the input beside (``crash-...``). The corpus
begins with small files made by the tests' writers; what reaches new code is kept in ``--corpus``. Findings go into the
tests by hand.
"""

import argparse
import contextlib
import logging
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
from longdance.errors import InputError  # noqa: E402
from longdance.motion.skeleton import SMPL24  # noqa: E402

READERS = ("bvh", "fbx", "glb", "npz", "score", "safetensors")


def seeds(reader: str, folder: Path) -> None:
    """A few small files of the kind."""
    import numpy as np

    from sample_characters import character, write_fbx, write_glb
    from sample_motions import foreign_bvh, standing

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
        import torch
        from safetensors.torch import save

        (folder / "0").write_bytes(save({"a": torch.zeros(3, 2), "b": torch.ones(1)}))


def target(reader: str, folder: Path) -> Callable[[bytes], None]:
    """What reads one input."""
    path = folder / f"input.{'yaml' if reader == 'score' else reader}"

    def read() -> None:
        if reader == "bvh":
            longdance.motion.bvh.load_bvh_motion(path)
        elif reader == "fbx":
            rig, _ = longdance.export.rig_fbx.fbx_rig(longdance.export.fbx_nodes.read(path))
            _at_rest(rig)
        elif reader == "glb":
            rig, _ = longdance.export.rig_glb.glb_rig(*longdance.export.rig_glb.read_glb(path))
            _at_rest(rig)
        elif reader == "npz":
            longdance.motion.dance_files.read_dance(path)
        elif reader == "score":
            longdance.choreography.score_file.load_score(path)
        else:
            (folder / "model.safetensors").write_bytes(path.read_bytes())
            longdance.models.checkpoint.read_folder(folder)

    if reader == "safetensors":
        (folder / "config.json").write_text(f'{{"format": {longdance.models.checkpoint.FORMAT}}}')

    def one(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            read()

    return one


def _at_rest(rig) -> None:
    from longdance.export.rig_rest import anatomy

    anatomy(rig, SMPL24)


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
        atheris.Setup([sys.argv[0], str(corpus), str(first), *limits, "-max_len=65536"], target(options.reader, folder))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
