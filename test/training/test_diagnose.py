"""Counts of a diagnosis, on predictions made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import diagnose_tables as tables
from training.diagnose import report, threshold_of
from training.diagnose_tables import Asked, best_threshold, by_color, by_shown, by_size, confusions, matrix, rates
from training.phrases import KINDS

BOWL = {"number": 1, "key": "akita_black_bowl", "color": None, "box": [100, 100, 140, 130], "pixels": 900, "shown": 1.0}
PLATE = {"number": 2, "key": "plate", "color": None, "box": [200, 100, 260, 130], "pixels": 1500, "shown": 0.8}
CUBE = {"number": 3, "key": "cube", "color": "red", "box": [0, 200, 12, 212], "pixels": 120, "shown": 0.5}
THINGS = [BOWL, PLATE, CUBE]


def asked(phrase: str, target: int, box: list[int], score: float = 0.8, kind: str = "") -> Asked:
    return Asked(phrase, kind or ("there" if target >= 0 else "absent"), target, score, box, THINGS)


HIT = asked("black bowl", 0, [100, 100, 140, 130])
LOOSE = asked("bowl", 0, [100, 100, 120, 110], 0.6)
WEAK = asked("red cube", 2, [0, 200, 12, 210], 0.2)
SWAPPED = asked("plate", 1, [101, 101, 140, 130], 0.7)
LOST = asked("cube", 2, [400, 300, 440, 340], 0.3)
FALSE_ALARM = asked("white plate", -1, [200, 100, 260, 130], 0.9)
REFUSED = asked("green cube", -1, [0, 200, 12, 212], 0.1, "absent_kin")
ROWS = [HIT, LOOSE, WEAK, SWAPPED, LOST, FALSE_ALARM, REFUSED]


def test_outcomes() -> None:
    assert [row.outcome for row in (HIT, LOOSE, WEAK, SWAPPED, LOST)] == ["found", "loose", "found", "other", "nothing"]
    assert LOOSE.overlap == pytest.approx(200 / 1200)
    assert SWAPPED.covered == 0
    assert FALSE_ALARM.overlap == 0
    assert FALSE_ALARM.covered == 1


def test_a_box_on_two_nested_things_is_right_for_the_one_that_was_meant() -> None:
    inner = {**BOWL, "box": [100, 100, 140, 128]}
    row = Asked("bowl", "there", 0, 0.9, [100, 100, 140, 130], [inner, {**PLATE, "box": [100, 100, 140, 130]}])
    assert row.covered == 1
    assert row.outcome == "found"


def test_counts_by_size() -> None:
    found = rates(ROWS, 0.5, by_size)
    assert set(found) == {"800-1600 px", "100-200 px"}
    large, small = found["800-1600 px"], found["100-200 px"]
    assert (large.asked, large.found, large.kept) == (3, 1, 1)
    assert (small.asked, small.found, small.kept) == (2, 1, 0)
    assert large.outcomes == {"found": 1, "loose": 1, "other": 1}


def test_size_is_counted_as_in_a_picture_of_480x360() -> None:
    twice = Asked("bowl", "there", 0, 0.9, BOWL["box"], THINGS, (960, 720))
    assert by_size(twice) == "200-400 px"
    assert by_size(HIT) == "800-1600 px"


def test_bins_are_named_and_closed_below() -> None:
    assert [tables.span(v, (100, 200)) for v in (0, 99, 100, 199, 200, 1e9)] == [
        "under 100",
        "under 100",
        "100-200",
        "100-200",
        "200 and more",
        "200 and more",
    ]


def test_a_thing_at_the_border_is_cut_and_not_hidden() -> None:
    assert by_shown(WEAK) == "cut by the picture's border"
    assert by_shown(SWAPPED) == "seen: 0.75-0.95"
    assert by_shown(HIT) == "seen: 0.95 and more"
    assert by_color(WEAK) == "red"
    assert by_color(HIT) == "its own look"


def test_confusions_name_the_other_thing_and_leave_out_what_was_refused() -> None:
    assert confusions(ROWS, 0.5) == {
        ("plate", "akita_black_bowl", "there"): 1,
        ("white plate", "plate", "absent"): 1,
    }
    assert ("green cube", "red cube", "absent") in confusions(ROWS, 0.05)


def test_the_matrix_counts_each_phrase_that_is_there_once() -> None:
    cells = matrix(ROWS)
    assert cells.sum() == 5
    names = (*tables.CATEGORIES, "found", "loose", "nothing")
    told = {(tables.CATEGORIES[i], names[j]): cells[i, j] for i, j in zip(*cells.nonzero(), strict=True)}
    assert told == {
        ("bowls, ramekins", "found"): 1,
        ("bowls, ramekins", "loose"): 1,
        ("plates", "bowls, ramekins"): 1,
        ("blocks, balls", "found"): 1,
        ("blocks, balls", "nothing"): 1,
    }


def test_every_kind_has_a_category() -> None:
    assert {tables.category(key) for key in KINDS} == set(tables.CATEGORIES)


def test_the_best_threshold_lies_between_the_right_and_the_wrong() -> None:
    rows = [asked("bowl", 0, BOWL["box"], 0.6), asked("plate", 1, PLATE["box"], 0.7), asked("cup", -1, [0, 0, 9, 9], 0.4)]
    assert 0.4 < best_threshold(rows) <= 0.6


def test_the_threshold_is_the_checkpoints_own(tmp_path: Path) -> None:
    assert threshold_of(tmp_path, ROWS)[0] == best_threshold(ROWS)
    (tmp_path / "tabletop.json").write_text('{"score_threshold": 0.33}')
    assert threshold_of(tmp_path, ROWS) == (0.33, "of `tabletop.json`")
    assert threshold_of(tmp_path, ROWS, 0.5)[0] == 0.5


def test_the_report_tells_the_counts() -> None:
    page = report(ROWS, 0.5, "as given", "it")
    assert "5 phrases of things that are there" in page
    assert "0.500 of 2 absent phrases" in page
    assert "| 800-1600 px | 3 | 0.33 | 0.33 | 0.33 | 0.33 | 0.00 |" in page
    assert "| plate | akita_black_bowl | there | 1 |" in page
    assert page.index("100-200 px") < page.index("800-1600 px")


def test_a_report_of_nothing_but_absent_phrases() -> None:
    assert "0 phrases of things that are there" in report([REFUSED], 0.5, "as given", "it")


def test_the_picture_is_small(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from training.diagnose_plot import draw

    draw(ROWS, 0.5, tmp_path / "d.png")
    assert 1_000 < (tmp_path / "d.png").stat().st_size < 120_000
