import json

import numpy as np
import pytest
from typer.testing import CliRunner

from longdance.choreography.phrases.shelf import SHIPPED, add_library, library_names, open_library, remove_library
from longdance.choreography.phrases.sources import sources_in
from longdance.cli import app
from longdance.errors import InputError
from longdance.motion.bvh import save_bvh
from made_up_phrases import stepping


@pytest.fixture
def folder(tmp_path):
    """Three takes in folders by genre, and a file that is none."""
    for place, bpm in (("salsa/first", 100.0), ("salsa/second", 110.0), ("odd/third", 95.0)):
        path = tmp_path / "dances" / f"{place}.bvh"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_bvh(stepping(bpm, seconds=14.0), path)
    (tmp_path / "dances" / "salsa" / "broken.bvh").write_text("HIERARCHY\n")
    return tmp_path / "dances"


def test_folders_name_genres_and_a_table_has_the_last_word(folder, tmp_path):
    found = {source.clip: source.genre for source in sources_in(folder)}
    assert found == {"first": "salsa", "second": "salsa", "third": "", "broken": "salsa"}
    (tmp_path / "labels.csv").write_text("file,genre,movement\nodd/third.bvh,disco,my own hustle\n")
    told = {source.clip: source for source in sources_in(folder, labels=tmp_path / "labels.csv")}
    assert (told["third"].genre, told["third"].movements) == ("disco", ("my own hustle",))
    with pytest.raises(InputError, match="expected a dance genre"):
        sources_in(folder, genre="nonsense")


def test_a_library_of_foreign_takes_is_made_listed_and_removed(folder, shelf):
    made = add_library("mine", sources_in(folder))
    assert [take.clip for take in made.library.takes] == ["third", "first", "second"]
    [why] = made.failed
    assert "broken.bvh" in why
    assert library_names() == [SHIPPED, "mine", "small"]
    assert open_library("mine").genres.keys() == {"", "salsa"}
    recorded = open_library("mine").motion(1)
    assert np.allclose(recorded.joints()[:, :, 1].min(), 0.0, atol=0.05)  # on the floor
    remove_library("mine")
    with pytest.raises(InputError, match="expected a library among"):
        open_library("mine")


@pytest.mark.parametrize("name", [SHIPPED, "../mine", "", "a/b", "a b"])
def test_names_that_could_be_other_files_are_refused(name, folder, shelf):
    with pytest.raises(InputError):
        add_library(name, sources_in(folder))
    with pytest.raises(InputError):
        remove_library(name)


def test_commands_say_what_was_left_out(folder, shelf):
    run = lambda *words: CliRunner().invoke(app, ["library", *words])  # noqa: E731
    made = run("add", "mine", str(folder), "--genre", "salsa")
    assert made.exit_code == 1
    assert "broken.bvh" in made.stderr
    listed = run("list", "--json")
    assert [each["name"] for each in json.loads(listed.stdout)] == [SHIPPED, "mine", "small"]
    assert "first:" in run("show", "mine").stdout
    assert run("remove", "mine").exit_code == 0
    assert run("show", "mine").exit_code != 0
