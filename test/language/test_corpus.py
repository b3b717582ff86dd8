"""Several hundred commands and what they mean."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from notation import query_notation

from vlm_perception.language import parse
from vlm_perception.types import CommandError

CORPUS = Path(__file__).parent / "corpus"


def _rows(name: str) -> list[dict[str, str]]:
    return list(yaml.safe_load((CORPUS / f"{name}.yaml").read_text(encoding="utf-8")))


UNDERSTOOD = [
    row for name in ("references", "commands", "libero", "questions", "wordings", "probes") for row in _rows(name)
]


def test_the_corpus_is_large() -> None:
    assert len(UNDERSTOOD) >= 1500


@pytest.mark.parametrize("row", UNDERSTOOD, ids=lambda row: row["say"])
def test_understood(row: dict[str, str]) -> None:
    assert query_notation(parse(row["say"])) == row["want"]


@pytest.mark.parametrize("row", _rows("refused"), ids=lambda row: row["say"])
def test_refused_with_a_reason(row: dict[str, str]) -> None:
    with pytest.raises(CommandError) as caught:
        parse(row["say"])
    assert str(caught.value).startswith(row["because"])
    assert any(way in str(caught.value) for way in ("; say", "say the thing", "name the thing")), "no way out is said"


def test_steps_follow_the_clauses() -> None:
    query = parse("turn on the stove and put the moka pot on it")
    assert [(action, query.items[i].entity.phrase) for action, i in query.steps] == [
        ("turn on", "stove"),
        ("put", "moka pot"),
        ("put", "stove"),
    ]
    query = parse("put the bowl in the bottom drawer of the cabinet and close it")
    assert query.steps[-1] == ("close", 1)
    assert query.items[1].entity.noun == "drawer"


def test_a_command_takes_under_5_ms() -> None:
    for row in UNDERSTOOD[:20]:
        parse(row["say"])
    times = []
    for row in UNDERSTOOD:
        start = time.process_time()
        parse(row["say"])
        times.append(time.process_time() - start)
    assert sorted(times)[int(0.99 * len(times))] < 0.005
