"""Claims that hold and claims that do not."""

from __future__ import annotations

import pytest
from scenes import IMAGE, block, bowl, plate, view

from vlm_perception.language import parse, parse_statement
from vlm_perception.spatial import resolve
from vlm_perception.types import Resolution, Role, Status

SCENE = [
    plate(1, "plate", 0.0, 0.1),
    bowl(2, "black bowl, bowl", 0.0, 0.1, 0.008),
    block(3, {"mug": 0.9, "red mug": 0.9}, 0.3, 0.1, rgb=(180, 30, 30)),
    block(4, {"mug": 0.9, "white mug": 0.9}, -0.3, 0.1, rgb=(230, 230, 230)),
]


def check(text: str) -> Resolution:
    return resolve(parse(text), SCENE, view(), image_size=IMAGE)


@pytest.mark.parametrize(
    "text",
    [
        "the bowl is on the plate", "is the bowl on the plate?", "there are two mugs", "there is a red mug", "are there any mugs",
        "the red mug is right of the plate", "the white mug is to the left of the bowl", "the plate is not on the bowl",
        "is there a mug left of the plate", "there is no stapler", "there is no mug on the plate", "the mugs are not on the plate",
        "the bowl is between the red mug and the white mug", "the plate is under the bowl", "the bowl is black",
    ],
)  # fmt: skip
def test_true(text: str) -> None:
    found = check(text)
    assert found.status is Status.SUCCEEDED
    assert found.verdict is True, found.answer
    assert found.answer.startswith("Yes")


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("the plate is on the bowl", "not on the bowl"),
        ("there are three mugs", "2 mugs"),
        ("there is a stapler", "no stapler"),
        ("the bowl is not on the plate", "on the plate"),
        ("there are no mugs", "2 mugs"),
        ("the red mug is left of the plate", "left of the plate"),
        ("the mugs are on the plate", "0 of 2 mugs"),
        ("the bowl is next to the laptop", "no laptop"),
        ("there is a green mug", "no green mug"),
    ],
)
def test_false_and_why(text: str, because: str) -> None:
    found = check(text)
    assert found.status is Status.SUCCEEDED
    assert found.verdict is False
    assert because in found.answer


def test_the_boxes_that_prove_it() -> None:
    found = check("the bowl is on the plate")
    assert [(g.object.instance_id, g.role) for g in found.groundings] == [(2, Role.TARGET), (1, Role.ANCHOR)]


def test_a_caption_is_checked_claim_by_claim() -> None:
    def caption(text: str) -> Resolution:
        return resolve(parse_statement(text), SCENE, view(), image_size=IMAGE)

    assert caption("A black bowl on a plate, a red mug and a white mug").verdict is True
    wrong = caption("A black bowl on a plate. A laptop stands behind the red mug.")
    assert wrong.verdict is False
    assert "laptop" in wrong.answer
