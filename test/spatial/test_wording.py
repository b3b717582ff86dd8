"""What the resolver calls things."""

from __future__ import annotations

import pytest

from vlm_perception.language import parse
from vlm_perception.spatial import wording
from vlm_perception.spatial.wording import plural_of, question_back
from vlm_perception.types import Entity


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("mug", "mugs"), ("cookie box", "cookie boxes"), ("knife", "knives"), ("cherry", "cherries"), ("tray", "trays"),
        ("wooden shelf", "wooden shelves"), ("box of cookies", "boxes of cookies"), ("brush", "brushes"),
    ],
)  # fmt: skip
def test_plurals(one: str, many: str) -> None:
    assert plural_of(one) == many


def test_questions_name_what_tells_them_apart() -> None:
    mug = Entity("mug", "red mug")
    assert question_back(mug, [0, 100], [0, 10]) == "I see 2 red mugs; which one: the left or the right one?"
    assert question_back(mug, [0, 5], [0, 100]) == "I see 2 red mugs; which one: the near or the far one?"
    assert "the fifth from the left" in question_back(mug, [0, 1, 2, 3, 4], [0] * 5)


def test_distances_compared_and_bounds_are_said_as_they_are_asked() -> None:
    (nearer,) = parse("the mug closer to the plate than to the box").items[0].entity.relations
    assert wording.relation_words(nearer) == "nearer to the plate than to the box"
    (than,) = parse("the mug farther from the plate than the bowl").items[0].entity.relations
    assert wording.relation_words(than) == "farther from the plate than the bowl"
    (viewer,) = parse("the mug closer to me than the bowl").items[0].entity.relations
    assert wording.relation_words(viewer) == "nearer than the bowl"
    said = {"at least two mugs": "at least two", "up to three mugs": "at most three", "two to four mugs": "two to four"}
    for text, words in said.items():
        bounds = parse(text).items[0].entity.bounds
        assert bounds is not None
        assert wording.amount(bounds) == words
