"""Plurals."""

from __future__ import annotations

import pytest

from vlm_perception.language import singular


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("mugs", "mug"), ("boxes", "box"), ("boxs", "box"), ("dishes", "dish"), ("dishs", "dish"), ("knives", "knife"),
        ("knifes", "knife"), ("shelves", "shelf"), ("shelfs", "shelf"), ("cookies", "cookie"), ("berries", "berry"),
        ("glasses", "glass"), ("vases", "vase"), ("buses", "bus"), ("potatoes", "potato"), ("gloves", "glove"), ("stoves", "stove"),
        ("children", "child"), ("mice", "mouse"), ("brushes", "brush"), ("matches", "match"), ("shoes", "shoe"), ("trays", "tray"),
    ],
)  # fmt: skip
def test_plural_to_singular(many: str, one: str) -> None:
    assert singular(many) == (one, True)


@pytest.mark.parametrize(
    "word", ["glass", "bus", "scissors", "lens", "cactus", "mug", "tongs", "dress", "chassis", "gas"]
)
def test_one_thing_stays_one(word: str) -> None:
    assert singular(word) == (word, False)
