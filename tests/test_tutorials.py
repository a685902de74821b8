"""The tutorials run to their end: every command and every block of Python, with two steps and two seconds of song."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from tests.conftest import swaying
from tests.official_formats import write_aistpp
from typer.testing import CliRunner

import longdance
from longdance.cli import app
from longdance.motion.bvh import save_bvh

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
SHORTER = (
    (r"--seconds \d+", "--seconds 2"),
    (r"--redo \d+:\d+", "--redo 0.5:1.5"),
    (r"seconds=\d+", "seconds=2, steps=2"),
    (r"\b(longdance (?:generate|edit|evaluate) .*)", r"\1 --steps 2"),
    (r"\b(longdance generate (?!.*--seconds).*)", r"\1 --seconds 2"),
    (r"\b(longdance evaluate .*)", r"\1 --seeds 1 --seconds 2 --no-exchange"),
    (r"\b(longdance train .*)", r"\1 steps=2 validate_every=2 checkpoint_every=1"),
    (r"\b(longdance train (?!edmg-trm).*)", r"\1 batch.size=2"),
    (
        r"\b(longdance train edmg-(?:aistpp|open) .*)",
        r"\1 network.width=32 network.depth=1 network.heads=2 network.state=8 batch.window=60",
    ),
    (
        r"\b(longdance train edmg-trm.*)",
        r"\1 batch_size=2 network.window=60 sampling.windows=4 sampling.sampler_steps=2 sampling.rows=2",
    ),
)

pytestmark = [pytest.mark.slow, pytest.mark.requires_weights]


def shortened(text: str) -> str:
    text = text.replace("\\\n", " ")
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


def captures(folder: Path) -> None:
    """Folders of made-up captures: enough of one genre for some to be held out."""
    for genre, count in (("modern", 5), ("breaking/six-step", 1)):
        (folder / "mydances" / genre).mkdir(parents=True)
        for number in range(count):
            path = folder / "mydances" / genre / f"take{number}.bvh"
            save_bvh(swaying(180, 30.0, tempo_hz=1.0 + 0.1 * number), path)
    shutil.copy(folder / "mydances" / "modern" / "take0.bvh", folder / "capture.bvh")


def annotations(folder: Path) -> None:
    """AIST++ as it is published, with a few made-up dances of two genres."""
    names = {"ch01": "train", "ch02": "val", "ch03": "test"}
    dances = {
        f"g{code}_sBM_cAll_d0{number}_m{code}{number}_{name}": (split, 4.0)
        for code in ("BR", "JS")
        for number, (name, split) in enumerate(names.items())
    }
    write_aistpp(folder / "aist_plusplus_final", dances)


BEFORE = {"your-own-mocap.md": captures, "train-on-aistpp.md": annotations}
"""What readers of a page have already."""


@pytest.mark.parametrize("page", ["first-dance.md", "write-a-score.md", "your-own-rig.md", *BEFORE])
def test_a_tutorial_runs_to_its_end(page, place, monkeypatch):
    monkeypatch.chdir(place)
    if page in BEFORE:
        BEFORE[page](place)
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
