"""``longdance catalogue``: genres, their movements, and what the shipped weights know of them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import longdance
from longdance.cli import app
from longdance.cli.catalogue import trained_genres
from longdance.data.catalogue import genre_names, load_catalogue
from longdance.errors import InputError


def run(*arguments, width=200):
    return CliRunner().invoke(app, ["catalogue", *arguments], env={"COLUMNS": str(width)})


def row(text, name):
    (line,) = [line for line in text.splitlines() if line.split()[:1] == [name]]
    return line


def test_every_genre_is_listed_with_its_count_and_whether_weights_know_it():
    result = run()
    assert result.exit_code == 0
    for name in genre_names():
        assert str(len(load_catalogue()[name].fundamentals)) in row(result.stdout, name).split()
    assert "not trained" in row(result.stdout, "popping")
    assert "edmg" in row(result.stdout, "breaking")
    assert not any(line.split()[:1] == ["none"] for line in result.stdout.splitlines())


def test_what_is_trained_is_read_from_the_shipped_weights():
    config = Path(longdance.__file__).parent / "weights" / "edmg" / "config.json"
    genres = json.loads(config.read_text())["genres"]
    assert {genre for genre, models in trained_genres().items() if "edmg" in models} == set(genres)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_genre_shows_every_movement_with_labels_apart(width):
    text = run("breaking", width=width).stdout
    words = " ".join(text.split())
    assert "26 fundamental movements" in words
    fundamental, labelled = words.split("also labelled in the open data")
    assert "windmill" in fundamental
    assert "long sequence" in labelled
    assert max(map(len, text.splitlines())) <= width


def test_a_genre_that_no_weights_know_says_so_and_a_misspelt_one_is_read():
    result = run("poping")
    assert "not trained: no shipped weights know this genre" in result.stdout
    assert "'poping' was read as 'popping'" in result.stderr
    assert "31 fundamental movements" in result.stdout


def test_movements_are_searched_in_all_genres_or_one():
    assert "headspin" in run("--search", "spin on the head").stdout
    assert "moon" in run("popping", "--search", "moonwlak").stdout
    assert isinstance(run("popping", "--search", "[red]qqq").exception, InputError)
    assert isinstance(run("polka").exception, InputError)
