"""What SECURITY.md promises: no code from files, weights as shipped, names that are harmless on every system."""

import ast
import hashlib
import json
import shutil
from pathlib import Path

import pytest

import longdance
from longdance.errors import InputError

ROOT = Path(longdance.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
UNPICKLERS = {
    "motion/safe_pickle.py": "the one reader",
    "workers.py": "errors on their way between our own processes; never a file",
}
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"torch.load", "torch.hub.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec", "os.system"}


def told(node: ast.AST) -> str:
    """``a.b.c`` of a name or an attribute."""
    if isinstance(node, ast.Attribute):
        return f"{told(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def ways_to_run_code(source: str) -> list[str]:
    """Imports and calls by which a file's content could be executed."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [name for name in names if name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            name = told(node.func)
            found += [name] if name in CALLS or name.endswith(".unsafe_load") else []
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and getattr(keyword.value, "value", True) is not False:
                    found.append("allow_pickle")
                if keyword.arg == "shell" and getattr(keyword.value, "value", True) is not False:
                    found.append("shell")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles_or_evaluates_but_the_one_reader(path):
    if path.relative_to(ROOT).as_posix() not in UNPICKLERS:
        assert not ways_to_run_code(path.read_text(encoding="utf-8"))


def test_the_check_sees_every_form():
    source = (
        "import pickle\nfrom pickle import loads\nimport torch\ntorch.load('a')\nimport numpy as np\n"
        "np.load('a', allow_pickle=True)\nnp.load('a', allow_pickle=False)\neval('1')\nimport subprocess\n"
        "subprocess.run('a', shell=True)\nimport yaml\nyaml.load('a')\nyaml.safe_load('a')\n"
    )
    assert sorted(ways_to_run_code(source)) == sorted(
        ["pickle", "pickle", "torch.load", "allow_pickle", "eval", "shell", "yaml.load"]
    )


WEIGHTS = sorted((ROOT / "weights").rglob("config.json"))


@pytest.mark.parametrize("config", WEIGHTS, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_shipped_weights_are_those_of_their_digest(config):
    stored = (config.parent / "model.safetensors").read_bytes()
    assert json.loads(config.read_text())["tensors_sha256"] == hashlib.sha256(stored).hexdigest()


def test_changed_weights_are_refused(tmp_path):
    folder = min((path.parent for path in WEIGHTS), key=lambda path: (path / "model.safetensors").stat().st_size)
    shutil.copytree(folder, tmp_path / "model")
    target = tmp_path / "model" / "model.safetensors"
    content = bytearray(target.read_bytes())
    content[-1] ^= 1
    target.write_bytes(bytes(content))
    from longdance.models.checkpoint import read_folder

    with pytest.raises(InputError, match="damaged"):
        read_folder(tmp_path / "model")


WINDOWS = [
    ("C:\\Windows\\System32\\song.mp3", "song.mp3"),
    ("\\\\server\\share\\song.mp3", "song.mp3"),
    ("C:song.mp3", "C:song.mp3"),
    ("..\\..\\song.mp3", "song.mp3"),
    ("song.mp3:stream", "song.mp3:stream"),
    ("song.mp3. . ", "song.mp3"),
    ("NUL", "NUL"),
    ("com1.txt", "com1.txt"),
    ("\\", "song"),
]


@pytest.mark.parametrize(("name", "shown"), WINDOWS)
def test_names_of_windows_are_shown_and_never_a_path(name, shown, tmp_path):
    from longdance.studio import projects

    assert projects.shown_name(name, "song") == shown
    uploaded = tmp_path / "upload"
    uploaded.write_bytes(b"data")
    kept = projects.Projects(tmp_path / "projects")
    made = kept.create(uploaded, name=projects.shown_name(name, "song"), song_name=projects.shown_name(name, "song"))
    # Whatever it was called, it lies in its project under the studio's own name.
    stored = [path for path in (tmp_path / "projects").rglob("*") if path.is_file() and path.read_bytes() == b"data"]
    assert [path.name for path in stored] == ["uploaded"]
    assert stored[0].parent.name == made.id
    kept.close()
