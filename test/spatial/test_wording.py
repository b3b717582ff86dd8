"""What the resolver calls things."""

from __future__ import annotations

import pytest

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
