"""Files are written whole or not at all; a user's own lie where the user wants them."""

import pytest

from longdance.files import CACHE_VARIABLE, atomic_write, user_cache_folder, user_data_folder


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


def test_folders_of_a_user_are_where_the_environment_says(monkeypatch, tmp_path):
    for variable, folder in ((CACHE_VARIABLE, lambda: user_cache_folder("music")),
                             ("MY_THINGS", lambda: user_data_folder("things", "MY_THINGS"))):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
        usual = folder()
        assert usual.is_absolute()
        assert "longdance" in usual.parts
        monkeypatch.setenv(variable, str(tmp_path))
        assert folder() == (tmp_path / "music" if variable == CACHE_VARIABLE else tmp_path)
