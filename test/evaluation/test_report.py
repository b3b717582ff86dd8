"""What a person reads of an evaluation."""

import io
import re

import pytest
from rich.console import Console

from vlm_perception.evaluation.evaluate import evaluate
from vlm_perception.evaluation.oracle import OracleModel
from vlm_perception.evaluation.report import print_table, write_report
from vlm_perception.pipeline import Pipeline

from .test_evaluate import OneThing


@pytest.fixture(scope="module")
def bad_report(dataset):
    # With true masks, so that its one right answer is right in everything.
    return evaluate(dataset, Pipeline(OneThing(dataset.frames[0].instance(1).box_xyxy), OracleModel()))


def test_the_table_fits_a_terminal_and_loses_nothing(dataset):
    console = Console(width=80, record=True, file=io.StringIO())
    print_table(evaluate(dataset, Pipeline(OracleModel(), None)), console)
    text = console.export_text()
    assert "oracle on three_boxes: 6 expressions, 1 frames" in text
    for kind in ("category", "relation", "plural", "count", "absent", "overall"):
        assert re.search(rf"^{kind} +\d+ ", text, re.MULTILINE), text
    assert "…" not in text
    assert "latency" in text


def test_the_page_shows_every_failure_and_needs_no_other_file(bad_report, dataset, tmp_path):
    file = write_report(bad_report, dataset, tmp_path / "new" / "folder")
    page = file.read_text()
    failures = [o for o in bad_report.outcomes if o.badness > 0]
    assert 0 < len(failures) < len(bad_report.outcomes)
    assert page.count("<figure>") == len(failures)
    for outcome in failures:
        assert f"<b>{outcome.expression.expression}</b>" in page
    assert set(re.findall(r"src='([^,]{10,30})", page)) == {"data:image/jpeg;base64"}
    assert "href" not in page
    assert "<script" not in page
    assert [path.name for path in file.parent.iterdir()] == ["index.html"]


def test_only_the_worst(bad_report, dataset, tmp_path):
    page = write_report(bad_report, dataset, tmp_path, worst=2).read_text()
    assert page.count("<figure>") == 2


def test_what_a_model_says_cannot_break_the_page(bad_report, dataset, tmp_path):
    from dataclasses import replace

    outcome = bad_report.outcomes[1]
    nasty = replace(
        outcome,
        message="<script>alert(1)</script>",
        expression=replace(outcome.expression, expression="<img src=x>"),
        scores={"acc@0.5": 0.0},
    )
    page = write_report(replace(bad_report, outcomes=(nasty,)), dataset, tmp_path).read_text()
    assert "<script" not in page
    assert "<img src=x>" not in page


def test_nothing_wrong_nothing_shown(dataset, tmp_path):
    page = write_report(evaluate(dataset, Pipeline(OracleModel(), None)), dataset, tmp_path).read_text()
    assert "0 of 0 that are not perfect" in page
