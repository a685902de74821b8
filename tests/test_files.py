"""Files are written whole or not at all."""

import pytest

from longdance.files import atomic_write


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old")

    def fail_halfway():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_atomic_write_onto_a_folder_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "dance.npz"
    folder.mkdir()
    with pytest.raises(OSError, match="dance"), atomic_write(folder) as temporary:
        temporary.write_text("new")
    assert list(tmp_path.iterdir()) == [folder]
