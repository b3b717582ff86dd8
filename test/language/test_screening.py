"""Commands that are turned away before they are parsed."""

from __future__ import annotations

import pytest

from vlm_perception.language import parse
from vlm_perception.types import CommandError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \t\n", "empty"),
        ("x" * 2001, "2001 characters"),
        ("🤖🙂", "no words"),
        ("\x00\x01\x02\x03mug", "binary"),
        ("...", "no words"),
        ("赤いマグカップを取って", "赤いマグカップを取って"),
        ("возьми красную кружку", "возьми"),
        ("gib mir die rote Tasse", "gib"),
        ("où est la tasse rouge", "où est la"),
        ("pega a caneca vermelha", "pega"),
        ("prendi la tazza rossa", "prendi la"),
        ("dame la taza roja", "dame la"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        parse(text)


@pytest.mark.parametrize(
    "text", ["the café cup", "the jalapeño jar", "la croix can", "the 🙂 mug", "the Señor sauce bottle", "the die"]
)
def test_loan_words_are_english(text: str) -> None:
    assert parse(text).phrases
