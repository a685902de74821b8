"""A packed store becomes the store it was, its copies made anew."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tools.pack_store import pack, unpack

from longdance.data.store import Store
from longdance.errors import InputError


def test_an_unpacked_store_holds_the_same_clips_and_the_usual_copies(small_store, tmp_path):
    few = tmp_path / "few"
    shutil.copytree(small_store, few)
    record = json.loads((few / "store.json").read_text())
    (few / "store.json").write_text(json.dumps(record | {"settings": {"variants": 2}}))
    store = Store.open(few)
    pack(store, tmp_path / "store.npz")
    unpack(tmp_path / "store.npz", tmp_path / "store")
    again = Store.open(tmp_path / "store")
    assert (again.fps, again.layout, again.music_encoder) == (store.fps, store.layout, store.music_encoder)
    for take in store.takes:
        copies = [other for other in again.takes if other.clip == take.clip]
        assert len(copies) == (4 if take.split == "train" else 1)
        (own,) = (other for other in copies if not (other.variant or other.mirrored))
        assert (own.split, own.genre, own.movements) == (take.split, take.genre, take.movements)
        was, now = (s.layout.decode(s.motion_of(t), s.fps).joints() for s, t in ((store, take), (again, own)))
        here = min(len(was), len(now))  # stillness at the ends goes
        assert here > 100
        starts = [np.abs(was[at : at + 100] - now[:100]).max() for at in range(len(was) - 100 + 1)]
        assert min(starts) < 0.002


def test_what_cannot_be_packed_is_told(small_store, tmp_path):
    store = Store.open(small_store)
    danced = replace(store, takes=tuple(replace(take, silent=False) for take in store.takes))
    with pytest.raises(InputError, match="without music"):
        pack(danced, tmp_path / "store.npz")
    np.savez(tmp_path / "other.npz", root=np.zeros(3))
    with pytest.raises(InputError, match=r"other\.npz: expected a packed store"):
        unpack(tmp_path / "other.npz", tmp_path / "store")
    assert not (tmp_path / "store").exists()
