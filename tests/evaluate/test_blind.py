"""The user study: pages give nothing away, and answers are counted for the right side."""

import json

import pytest

from conftest import swaying
from longdance.errors import InputError
from longdance.evaluate.blind import ASPECTS, wilson, write_page, write_tally


@pytest.fixture
def study(tmp_path):
    for system in ("secretone", "secrettwo"):
        for song in ("x", "y", "z"):
            swaying(60, 30.0).save(tmp_path / system / f"{song}.npz")
    key = write_page([tmp_path / "secretone", tmp_path / "secrettwo"], tmp_path / "study.html", seed=3)
    return tmp_path, key, json.loads(key.read_text())


def test_the_page_hides_names_and_needs_nothing(study):
    folder, _, record = study
    page = (folder / "study.html").read_text()
    assert "secret" not in page
    assert "http" not in page
    assert len(record["pairs"]) == 3


def test_the_same_seed_gives_the_same_page(study):
    folder, _, record = study
    again = write_page([folder / "secretone", folder / "secrettwo"], folder / "again.html", seed=3)
    assert json.loads(again.read_text()) == record


def test_tally_knows_the_sides(study):
    folder, key, record = study
    answers = [
        {"pair": i, "question": "wins", "choice": "left" if pair["left"] == "secretone" else "right"}
        for i, pair in enumerate(record["pairs"])
    ]
    (folder / "a.json").write_text(json.dumps({"study": record["study"], "answers": answers}))
    table = write_tally([key, folder / "a.json"], folder / "table.md")
    assert "| secretone | secrettwo | 3 | 100.0%" in table
    assert "| secrettwo | secretone | 3 | 0.0%" in table


def test_marks_are_counted_for_the_right_side(study):
    folder, key, record = study
    given = {"secretone": 8, "secrettwo": 3}
    answers = [
        {"pair": i, "question": f"{aspect} {side}", "choice": given[pair[side]] + (i == 0)}
        for i, pair in enumerate(record["pairs"])
        for aspect in ASPECTS
        for side in ("left", "right")
    ]
    (folder / "a.json").write_text(json.dumps({"study": record["study"], "answers": answers}))
    table = write_tally([key, folder / "a.json"], folder / "table.md")
    assert "| secretone | 3 | 8.33 ± 1.43 | 8.33 ± 1.43 | 8.33 ± 1.43 |" in table
    assert "| secrettwo | 3 | 3.33 ± 1.43 |" in table


def test_the_form_asks_for_choices_and_marks_and_saves_both(study, browser, tmp_path):
    folder, key, record = study
    page = browser.new_page()
    page.goto((folder / "study.html").as_uri())
    page.locator("input[name=wins]").first.check()
    for aspect in ASPECTS:
        page.select_option(f"select[name='{aspect} right']", "9")
    page.click("#next")
    assert page.input_value("select[name='genre_mark right']") == ""
    page.click("#back")
    assert page.input_value("select[name='genre_mark right']") == "9"
    with page.expect_download() as saved:
        page.click("#save")
    saved.value.save_as(tmp_path / "a.json")
    table = write_tally([key, tmp_path / "a.json"], tmp_path / "table.md")
    assert f"| {record['pairs'][0]['right']} | 1 | 9.00 | 9.00 | 9.00 |" in table
    page.close()


@pytest.mark.parametrize(
    "change",
    [
        {"study": "other"},
        {"answers": [{"pair": 99, "question": "wins", "choice": "left"}]},
        {"answers": [{"pair": 0, "question": "genre_mark left", "choice": 11}]},
        {"answers": [{"pair": 0, "question": "genre_mark middle", "choice": 5}]},
    ],
)
def test_answers_that_do_not_belong(study, change):
    folder, key, record = study
    (folder / "a.json").write_text(json.dumps({"study": record["study"], "answers": [], **change}))
    with pytest.raises(InputError, match=r"a\.json"):
        write_tally([key, folder / "a.json"], folder / "table.md")


def test_wilson_agrees_with_the_table():
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
