"""docs/language.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vlm_perception.language import parse
from vlm_perception.spatial.comparing import TERNARY
from vlm_perception.spatial.predicates import PREDICATES
from vlm_perception.types import CommandError

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")


def _section(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def _quoted(text: str) -> list[str]:
    return [" ".join(said.split()) for said in re.findall(r'"([^"]+)"', text)]


def test_the_relations_are_those_of_the_code() -> None:
    table = PAGE.split("<!-- relations: begin -->")[1].split("<!-- relations: end -->")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {*PREDICATES, *TERNARY}


@pytest.mark.parametrize("command", _quoted(_section("Picking one, some or all")))
def test_the_examples_are_understood(command: str) -> None:
    query = parse(command)
    assert query.items or query.statement


@pytest.mark.parametrize(
    "command",
    [
        c
        for c in _quoted(_section("Relations"))
        if c.count(" ") > 3 and not re.search(r"\bb\b|^the ", c) and c != "on the far side of"
    ],
)
def test_the_relations_are_understood(command: str) -> None:
    entity = parse(f"the mug {command}").items[0].entity
    assert entity.relations or entity.rankings


@pytest.mark.parametrize("command", [c for c in _quoted(_section("What is refused")) if c != "it"])
def test_what_is_said_to_be_refused_is(command: str) -> None:
    with pytest.raises(CommandError):
        parse(
            command
            if " mug" in command
            else f"pick the mug {command}"
            if command.startswith("of")
            else f"{command} cups"
        )


def test_the_python_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/language.md", "exec"), {})
