"""The papers' tables: complete, and in agreement with each other where the papers repeat a number."""

import pytest

from longdance.data.aistpp import GENRES
from longdance.data.catalogue import load_catalogue
from longdance.errors import InputError
from longdance.metrics.tables import PAPERS, paper_tables


@pytest.mark.parametrize("paper", PAPERS)
def test_every_row_has_every_column_and_no_other(paper):
    for number, table in paper_tables(paper).items():
        assert table.number == number
        keys = [column.key for column in table.columns]
        assert all(list(row) == keys for row in table.rows.values())


def test_all_tables_are_there():
    assert list(paper_tables("edmg")) == [1, 2, 3, 4, 5, 6]
    assert list(paper_tables("lodge")) == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(InputError, match="edmg, lodge"):
        paper_tables("edge")


def test_what_a_paper_says_twice_is_the_same():
    edmg, lodge = paper_tables("edmg"), paper_tables("lodge")
    for table in (edmg[4], edmg[5]):
        for key, value in table.rows["EDMG"].items():
            assert key == "train_hours" or value == edmg[2].rows["EDMG"][key]
    for key, value in edmg[5].rows["Ground Truth"].items():
        assert value == edmg[2].rows["Ground Truth"][key]
    # What EDMG takes over from Lodge's paper.
    for key in ("fid_k", "fid_g", "div_k", "div_g"):
        assert edmg[2].rows["Lodge"][key] == lodge[2].rows["Lodge (DDPM)"][key]
    for key in ("fid_k", "fid_g"):
        assert edmg[3].rows["Lodge"][key] == lodge[1].rows["Lodge (DDPM)"][key]
        assert edmg[3].rows["EDGE"][key] == lodge[1].rows["EDGE"][key]
    best = lodge[1].rows["Lodge (DDPM)"]
    for number, row in ((3, "C, M, B"), (4, "s = 1"), (5, "w. Foot Refine Block"), (6, "Continuous"),
                        (7, "N = 1024, n = 256")):  # fmt: skip
        assert {key: best[key] for key in lodge[number].rows[row]} == lodge[number].rows[row]


def test_the_reader_and_the_catalogue_count_as_table_one():
    table = paper_tables("edmg")[1]
    assert {entry.title: entry.windows for entry in GENRES.values()} == {
        name: row["sequences"] for name, row in table.rows.items()
    }
    by_code = {genre.aist_code: genre for genre in load_catalogue().values()}
    for code, entry in GENRES.items():
        assert len(by_code[code].fundamentals) == table.rows[entry.title]["movements"]


def test_own_numbers_stand_beside_the_papers():
    table = paper_tables("edmg")[4]
    text = table.beside({"w/o LIM": {"fid_k": 12.5}, "forward only": {"fid_k": 11.0}})
    lines = text.splitlines()
    assert lines[0].startswith("| Method | FID_k ↓ | own | FID_g ↓ | own |")
    assert any(line.startswith("| w/o LIM | 13.05 | 12.5 | 8.24 |  |") for line in lines)
    assert lines[-1].startswith("| forward only |  | 11 |")
    assert len({line.count("|") for line in lines}) == 1
    with pytest.raises(InputError, match="speed"):
        table.beside({"EDMG": {"speed": 1.0}})
