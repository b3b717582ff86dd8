"""What holds for every command, not only for those in the corpus."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.language import parse, parse_statement
from vlm_perception.types import CommandError, Query

_QUICK = settings(max_examples=150, deadline=None)
_SAID = [
    row["say"]
    for name in ("references", "commands", "libero", "questions", "wordings")
    for row in yaml.safe_load((Path(__file__).parent / f"corpus/{name}.yaml").read_text(encoding="utf-8"))
]
_WORDS = sorted({word for said in _SAID for word in said.split()})
_COMMANDS = st.sampled_from(_SAID)
_NOUNS = st.sampled_from(["mug", "cookie box", "alphabet soup can", "moka pot", "zorble", "salad dressing bottle"])
_COLORS = st.sampled_from(["", "red ", "dark blue ", "yellow and white ", "small ", "wooden "])


def _bare(value: Any) -> Any:
    """A query without the words it came from."""
    if isinstance(value, tuple):
        return tuple(_bare(v) for v in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes = {f.name: _bare(getattr(value, f.name)) for f in fields(value)}
    changes["text"] = ""
    return replace(value, **{k: v for k, v in changes.items() if any(f.name == k for f in fields(value))})


def _meaning(text: str) -> Query | str:
    try:
        return _bare(parse(text))
    except CommandError:
        return "refused"


@_QUICK
@given(st.text(max_size=2100))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for read in (parse, parse_statement):
        try:
            assert isinstance(read(text), Query)
        except CommandError:
            continue


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_WORDS), min_size=1, max_size=14))
def test_any_order_of_known_words_is_understood_or_refused(words: list[str]) -> None:
    for read in (parse, parse_statement):
        try:
            query = read(" ".join(words))
        except CommandError:
            continue
        else:
            assert query.phrases or query.task.value in {"describe", "ask"}
            assert all(0 <= index < len(query.items) for _, index in query.steps)


@_QUICK
@given(_COMMANDS)
def test_the_same_words_always_mean_the_same(text: str) -> None:
    assert parse(text) == parse(text)


@_QUICK
@given(
    _COMMANDS,
    st.sampled_from(
        [
            "please {}",
            "{} please",
            "{}, please!",
            "Could you please {}?",
            "{} now",
            "Hey robot, {}",
            "{} Thanks!",
            "  {}  ",
        ]
    ),
)
def test_politeness_changes_nothing(text: str, frame: str) -> None:
    question = text.split(maxsplit=1)[0].lower() in {
        "is",
        "are",
        "do",
        "does",
        "what",
        "which",
        "how",
        "where",
        "who",
        "can",
        "could",
        "would",
        "isn't",
    }
    if question and frame.lower().startswith(("could", "please", "hey")):
        return
    assert _meaning(frame.format(text.rstrip(" ?.!"))) == _meaning(text)


@_QUICK
@given(_COMMANDS, st.sampled_from([str.upper, str.lower, str.title]))
def test_case_changes_nothing(text: str, change: Any) -> None:
    assert _meaning(change(text)) == _meaning(text)


@_QUICK
@given(
    _COLORS,
    _NOUNS,
    _COLORS,
    _NOUNS,
    st.sampled_from(["left of", "next to", "on", "in front of", "behind", "on top of", "nearest to"]),
)
def test_articles_change_nothing(color: str, noun: str, other_color: str, other: str, relation: str) -> None:
    with_articles = f"the {color}{noun} {relation} the {other_color}{other}"
    without = f"{color}{noun} {relation} {other_color}{other}"
    assert _meaning(with_articles) == _meaning(without)
    assert _meaning(f"pick up {with_articles} and put it in the basket") == _meaning(
        f"pick up {without} and put it in basket"
    )


@_QUICK
@given(_COLORS, _NOUNS)
def test_an_unknown_noun_is_the_normal_case(color: str, noun: str) -> None:
    entity = parse(f"the {color}{noun} left of the stove").items[0].entity
    assert entity.noun == noun
    assert entity.phrase == f"{'' if color == 'small ' else color}{noun}"
    assert [r.predicate for r in entity.relations] == ["left_of"]


@_QUICK
@given(st.binary(min_size=1, max_size=200))
def test_binary_is_understood_or_refused(data: bytes) -> None:
    try:
        parse(data.decode("latin-1"))
    except CommandError:
        return
