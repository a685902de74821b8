"""The tutorials run to their end: every command and every block of Python, with two steps and two seconds of song."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import longdance
from longdance.cli import app

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
SHORTER = (
    (r"--seconds \d+", "--seconds 2"),
    (r"--redo \d+:\d+", "--redo 0.5:1.5"),
    (r"seconds=\d+", "seconds=2, steps=2"),
    (r"\b(longdance (?:generate|edit) .*)", r"\1 --steps 2"),
)

pytestmark = [pytest.mark.slow, pytest.mark.requires_weights]


def shortened(text: str) -> str:
    for pattern, shorter in SHORTER:
        text = re.sub(pattern, shorter, text)
    return text


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```", shortened((TUTORIALS / page).read_text("utf-8")), re.M | re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the song that the tutorials begin with; what one makes the next one takes."""
    if not TUTORIALS.is_dir():
        pytest.skip("no documentation beside the tests")
    folder = tmp_path_factory.mktemp("tutorials")
    shutil.copy(Path(longdance.__file__).parent / "assets" / "demo_song.ogg", folder / "song.ogg")
    return folder


@pytest.mark.parametrize("page", ["first-dance.md", "write-a-score.md", "your-own-rig.md"])
def test_a_tutorial_runs_to_its_end(page, place, monkeypatch):
    monkeypatch.chdir(place)
    commands = []
    for kind, text in blocks(page):
        if kind == "yaml" and not (place / "score.yaml").exists():
            (place / "score.yaml").write_text(text)
        if kind in ("console", "bash", "sh"):
            lines = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
            commands += [words[1:] for words in lines if words and words[0] == "longdance"]
    assert commands
    commands.sort(key=lambda words: "character.glb" not in words or "--rig" in words)  # who has none makes one first
    for words in commands:
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{' '.join(words)}: {done.output} {done.exception!r}"
    for kind, text in blocks(page):
        if kind == "python":
            exec(compile(text, page, "exec"), {})
