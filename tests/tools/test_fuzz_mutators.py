"""What fuzzing changes keeps its form: archives unpack, documents parse, and most changes change something."""

import io
import json
import zipfile

import numpy as np
import pytest
from tools.fuzz_mutators import mutate

from longdance.export.rig_glb import read_glb
from sample_characters import character, write_fbx, write_glb
from sample_motions import foreign_bvh, standing


def sample(reader: str, folder) -> bytes:
    path = folder / f"sample.{reader}"
    if reader == "glb":
        write_glb(character("mixamo", np.random.default_rng(0)), path)
    elif reader == "fbx":
        write_fbx(character("mixamo", np.random.default_rng(0)), path, np.random.default_rng(0))
    elif reader == "npz":
        standing(3).save(path)
    elif reader == "bvh":
        path.write_text(foreign_bvh(standing(3), "cmu"))
    else:
        path.write_bytes(b"begin: 0\nend: 4\nwords: disco\n")
    return path.read_bytes()


@pytest.mark.parametrize("reader", ["bvh", "fbx", "glb", "npz", "score"])
def test_changes_keep_the_form(reader, tmp_path):
    data = sample(reader, tmp_path)
    changed = [mutate(reader, data, tmp_path, seed) for seed in range(40)]
    assert sum(each != data for each in changed) > 30
    assert mutate(reader, data, tmp_path, 7) == changed[7]
    for each in changed:
        if reader == "npz":
            assert zipfile.ZipFile(io.BytesIO(each)).testzip() is None
        elif reader == "glb":
            length = int.from_bytes(each[12:16], "little")
            json.loads(each[20 : 20 + length])
    if reader == "glb":
        assert read_glb(tmp_path / "sample.glb")


@pytest.mark.parametrize("reader", ["bvh", "fbx", "glb", "npz", "score", "safetensors"])
def test_what_is_no_file_of_the_kind_is_left(reader, tmp_path):
    for data in (b"", b"\xff" * 40):
        assert isinstance(mutate(reader, data, tmp_path, 1), bytes)
