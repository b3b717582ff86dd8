"""Sentences over scenes of their own: each predicate, superlatives with near ties, bounds, ambiguity, empty answers.

World axes are those of ``scenes``. What is expected was worked out by hand from where the things stand; without depth
the same is expected unless a case says otherwise.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from rendered import Body, body, dish, round_bowl, seen, solid
from scenes import _EYE as EYE
from scenes import IMAGE, R_CAMERA_WORLD, view

from vlm_perception.language import parse
from vlm_perception.spatial import resolve
from vlm_perception.types import Resolution, Role, Status

Expected = tuple[str, ...] | str | bool | int
AMBIGUOUS, EMPTY = "ambiguous", "empty"


def _cube(name: str, scores: str, x: float, y: float, side: float = 0.06, z: float = 0.0, height: float = 0.0) -> Body:
    return body(name, scores, solid(x, y, z, side, side, height or side))


def desk() -> list[Body]:
    """Three mugs, one of them on a box; an apple on a plate; a can in front, a bottle behind."""
    return [
        body("box", "box", solid(0.0, 0.1, 0.0, 0.13, 0.11, 0.06)),
        _cube("red", "red mug, mug", -0.17, 0.1, 0.07, height=0.09),
        _cube("blue", "blue mug, mug", 0.17, 0.12, 0.09, height=0.11),
        _cube("white", "white mug, mug", 0.0, 0.1, 0.055, z=0.06, height=0.07),
        body("plate", "plate", dish(0.05, -0.14, 0.0)),
        _cube("apple", "apple", 0.05, -0.14, 0.05, z=0.01),
        _cube("can", "can", -0.22, -0.12, 0.05, height=0.1),
        _cube("bottle", "bottle", 0.33, 0.32, 0.06, height=0.2),
    ]


def cabinet() -> list[Body]:
    """A cabinet on the right, its top drawer open to the left with a bowl in it; a bowl on top, one on the table."""
    return [
        body(
            "cabinet",
            "cabinet",
            solid(0.28, 0.12, 0.0, 0.2, 0.24, 0.22),
            solid(0.11, 0.12, 0.13, 0.14, 0.2, 0.06, lid=False),
        ),
        body("stored", "bowl", round_bowl(0.11, 0.12, 0.135)),
        body("top", "bowl", round_bowl(0.28, 0.12, 0.22)),
        body("loose", "bowl", round_bowl(-0.2, 0.0, 0.0)),
        body("plate", "plate", dish(-0.15, 0.25, 0.0)),
    ]


def basket() -> list[Body]:
    """Two cans in a basket, one beside it; a spoon in a cup."""
    return [
        body("basket", "basket", solid(-0.16, 0.12, 0.0, 0.26, 0.22, 0.1, lid=False)),
        _cube("in_left", "can", -0.22, 0.12, 0.055, z=0.005, height=0.11),
        _cube("in_right", "can", -0.1, 0.12, 0.055, z=0.005, height=0.11),
        _cube("out", "can", 0.14, 0.05, 0.055, height=0.11),
        body("cup", "cup", round_bowl(0.28, 0.2, 0.0, 0.045, 0.08)),
        body("spoon", "spoon", solid(0.28, 0.2, 0.02, 0.012, 0.012, 0.12)),
    ]


def row() -> list[Body]:
    """Five cans in a row, the second a hair taller than the others, the fourth clearly."""
    heights = (0.1, 0.102, 0.1, 0.14, 0.1)
    return [
        _cube(f"can{i}", "can", x, 0.1, 0.05, height=h)
        for i, (x, h) in enumerate(zip((-0.3, -0.15, 0.0, 0.15, 0.3), heights, strict=True), 1)
    ]


def boxes() -> list[Body]:
    """Two boxes of nearly the same size and a small one."""
    return [
        _cube("one", "box", -0.2, 0.05, 0.1),
        _cube("two", "box", 0.05, 0.05, 0.101),
        _cube("small", "box", 0.25, 0.05, 0.05),
    ]


def tray() -> list[Body]:
    """A wide tray with mugs in the middle, on its left and in its far right corner; one off it."""
    return [
        body("tray", "tray", solid(0.0, 0.1, 0.0, 0.56, 0.36, 0.012)),
        _cube("middle", "mug", 0.0, 0.1, 0.05, z=0.012),
        _cube("left", "mug", -0.22, 0.1, 0.05, z=0.012),
        _cube("corner", "mug", 0.23, 0.23, 0.05, z=0.012),
        _cube("off", "mug", -0.1, -0.2, 0.05),
    ]


def touching() -> list[Body]:
    """Blocks that touch, nearly touch and lean; pens that point at a cup and past it."""
    return [
        _cube("red", "red block, block", 0.0, 0.2, 0.07),
        _cube("green", "green block, block", 0.07, 0.2, 0.07),
        _cube("blue", "blue block, block", -0.16, 0.2, 0.07),
        body("cup", "cup", round_bowl(0.1, -0.1, 0.0, 0.04, 0.07)),
        body("at", "pen", solid(-0.12, -0.1, 0.0, 0.15, 0.015, 0.012)),
        body("past", "pen", solid(0.26, -0.1, 0.0, 0.015, 0.15, 0.012)),
    ]


def tower() -> list[Body]:
    """Three blocks on one another, and one beside them; a cup under a shelf board that stands on two legs."""
    return [
        _cube("low", "red block, block", -0.2, 0.1, 0.06),
        _cube("mid", "green block, block", -0.2, 0.1, 0.06, z=0.06),
        _cube("high", "blue block, block", -0.2, 0.1, 0.06, z=0.12),
        _cube("beside", "yellow block, block", -0.05, 0.1, 0.06),
        body("shelf", "shelf", solid(0.2, 0.15, 0.17, 0.24, 0.12, 0.015)),
        _cube("under", "cup", 0.2, 0.15, 0.06),
        _cube("upon", "cup", 0.22, 0.15, 0.06, z=0.185),
    ]


def ring() -> list[Body]:
    """Cups around a teapot, one far off; a board against a crate; books in two sizes."""
    return [
        body("pot", "teapot", solid(-0.15, 0.15, 0.0, 0.1, 0.1, 0.09)),
        _cube("west", "cup", -0.28, 0.15, 0.05),
        _cube("south", "cup", -0.15, 0.02, 0.05),
        _cube("east", "cup", -0.02, 0.15, 0.05),
        _cube("away", "cup", 0.34, -0.1, 0.05),
        body("crate", "crate", solid(0.2, 0.25, 0.0, 0.14, 0.12, 0.12)),
        body("near_board", "board", solid(0.2, 0.18, 0.0, 0.12, 0.012, 0.1)),
        body("flat_board", "board", solid(-0.15, -0.18, 0.0, 0.16, 0.1, 0.012)),
    ]


def colors() -> list[Body]:
    """Two red and two blue blocks and a red ball, on and off a sheet."""
    return [
        body("sheet", "sheet", solid(-0.15, 0.1, 0.0, 0.26, 0.3, 0.006)),
        _cube("red_on", "red block, block", -0.2, 0.05, z=0.006),
        _cube("blue_on", "blue block, block", -0.1, 0.18, z=0.006),
        _cube("red_off", "red block, block", 0.15, 0.05),
        _cube("blue_off", "blue block, block", 0.28, 0.2, 0.08),
        _cube("ball", "red ball, ball", 0.1, 0.25, 0.05),
    ]


SCENES = {f.__name__: f for f in (desk, cabinet, basket, row, boxes, tray, touching, tower, ring, colors)}


CASES: list[tuple[str, str, Expected]] = [
    # sides and distances
    ("desk", "the mug left of the box", ("red",)),
    ("desk", "the mug right of the box", ("blue",)),
    ("desk", "the mug on the box", ("white",)),
    ("desk", "the mugs that are not on the box", ("blue", "red")),
    ("desk", "the mug that is not on the box", AMBIGUOUS),
    ("desk", "the apple in front of the box", ("apple",)),
    ("desk", "the bottle behind the blue mug", ("bottle",)),
    ("desk", "the bottle in front of the blue mug", EMPTY),
    ("desk", "all the mugs closer to the can than to the bottle", ("red", "white")),
    ("desk", "the mug closer to the bottle than to the can", ("blue",)),
    ("desk", "the mug that is farther from the can than the white mug is", ("blue",)),
    ("desk", "the mug closer to the can than the white mug", ("red",)),
    ("desk", "the mug closer to the can than the other mugs", ("red",)),
    ("desk", "the mug nearest to the bottle", ("blue",)),
    ("desk", "the mug farthest from the bottle", ("red",)),
    ("desk", "the thing furthest away", ("bottle",)),
    ("desk", "the mug far from the can", ("blue",)),
    ("desk", "the plate under the apple", ("plate",)),
    ("desk", "the plate with an apple on it", ("plate",)),
    ("desk", "the plate with two apples on it", EMPTY),
    ("desk", "the plate with a mug on it", EMPTY),
    ("desk", "the can that is closer than the box", ("can",)),
    # order and size
    ("desk", "the largest mug", ("blue",)),
    ("desk", "the smallest mug", ("white",)),
    ("desk", "the tallest thing", ("bottle",)),
    ("desk", "the second mug from the left", ("white",)),
    ("desk", "every other mug from the left", ("blue", "red")),
    ("desk", "at least three mugs", ("blue", "red", "white")),
    ("desk", "at least four mugs", EMPTY),
    ("desk", "at least two apples", EMPTY),
    ("desk", "the mug that is larger than the red mug", ("blue",)),
    ("desk", "the mug smaller than the blue mug but larger than the white one", ("red",)),
    ("row", "the second can from the right", ("can4",)),
    ("row", "the middle can", ("can3",)),
    ("row", "every other can from the left", ("can1", "can3", "can5")),
    ("row", "every second can from the left", ("can2", "can4")),
    ("row", "every third can from the right", ("can3",)),
    ("row", "the last two cans on the right", ("can4", "can5")),
    ("row", "the first three cans from the left", ("can1", "can2", "can3")),
    ("row", "the two leftmost cans", ("can1", "can2")),
    ("row", "the penultimate can", ("can4",)),
    ("row", "the seventh can from the left", EMPTY),
    ("row", "the can", AMBIGUOUS),
    ("row", "the tallest can", ("can4",)),
    ("row", "the shortest can", AMBIGUOUS),
    ("row", "the second tallest can", AMBIGUOUS),
    ("row", "the can between the second and the fourth can from the left", ("can3",)),
    ("row", "the cans left of the tallest can", ("can1", "can2", "can3")),
    ("boxes", "the largest box", AMBIGUOUS),
    ("boxes", "the smallest box", ("small",)),
    ("boxes", "the two largest boxes", ("one", "two")),
    ("boxes", "the larger of the two boxes on the left", AMBIGUOUS),
    # in, on, under
    ("cabinet", "the bowl in the top drawer of the cabinet", ("stored",)),
    ("cabinet", "the bowl in the drawer of the cabinet", ("stored",)),
    ("cabinet", "the bowl on the cabinet", ("top",)),
    ("cabinet", "the bowl on top of the cabinet", ("top",)),
    ("cabinet", "the bowl that is neither on the cabinet nor in its drawer", ("loose",)),
    ("cabinet", "the bowl next to the plate", ("loose",)),
    ("cabinet", "the highest bowl", ("top",)),
    ("basket", "the cans in the basket", ("in_left", "in_right")),
    ("basket", "the can outside the basket", ("out",)),
    ("basket", "the can that isn't in the basket", ("out",)),
    ("basket", "the right can in the basket", ("in_right",)),
    ("basket", "the can in the basket", AMBIGUOUS),
    ("basket", "the basket with two cans in it", ("basket",)),
    ("basket", "the basket containing at least three cans", EMPTY),
    ("basket", "the cup with a spoon in it", ("cup",)),
    ("basket", "the spoon in the cup", ("spoon",)),
    ("basket", "the can between the basket and the cup", ("out",)),
    ("tower", "the block on the red block", ("mid",)),
    ("tower", "the block under the blue block", ("mid",)),
    ("tower", "the block between the red and the blue block", ("mid",)),
    ("tower", "the topmost block", ("high",)),
    ("tower", "the block next to the red block", ("beside",)),
    ("tower", "the cup under the shelf", ("under",)),
    ("tower", "the cup on the shelf", ("upon",)),
    ("tower", "the block with nothing on it", AMBIGUOUS),
    # regions
    ("tray", "the mug in the middle of the tray", ("middle",)),
    ("tray", "the mug in the corner of the tray", ("corner",)),
    ("tray", "the mug on the left side of the tray", ("left",)),
    ("tray", "the mug that is not on the tray", ("off",)),
    ("tray", "the mugs on the tray", ("corner", "left", "middle")),
    ("tray", "the mug at the back of the tray", ("corner",)),
    # contact
    ("touching", "the block touching the red block", ("green",)),
    ("touching", "the block that does not touch another block", ("blue",)),
    ("ring", "the cups around the teapot", ("east", "south", "west")),
    ("ring", "the cup far from the teapot", ("away",)),
    ("ring", "the cup in front of the teapot", ("south",)),
    ("ring", "the cup left of the teapot", ("west",)),
    ("ring", "the cup between the teapot and the crate", ("east",)),
    ("ring", "the board against the crate", ("near_board",)),
    ("ring", "the board touching the crate", ("near_board",)),
    ("ring", "the board that is not touching the crate", ("flat_board",)),
    ("ring", "the cup closest to the crate", ("east",)),
    ("ring", "the cup that is closer to the crate than to the teapot", ("away",)),
    ("ring", "the two cups farthest to the right", ("away", "east")),
    ("ring", "the thing behind the board that touches the crate", ("crate",)),
    ("ring", "the cup on the crate", EMPTY),
    ("ring", "the cup in the teapot", EMPTY),
    ("ring", "the spoon next to the teapot", EMPTY),
    ("ring", "the cup next to the kettle", EMPTY),
    ("ring", "the nearest cup", ("away",)),
    ("colors", "the red block on the sheet", ("red_on",)),
    ("colors", "the red block that is not on the sheet", ("red_off",)),
    ("colors", "the red and blue blocks", ("blue_off", "blue_on", "red_off", "red_on")),
    ("colors", "all blocks except the red ones", ("blue_off", "blue_on")),
    ("colors", "everything on the sheet", ("blue_on", "red_on")),
    ("colors", "the largest block", ("blue_off",)),
    ("colors", "the blue block", AMBIGUOUS),
    ("colors", "the blue block left of the ball", ("blue_on",)),
    ("colors", "the blocks to the right of the ball", ("blue_off",)),
    ("colors", "the block behind the red block on the sheet", ("blue_on",)),
    ("colors", "the red block closest to the ball", ("red_off",)),
    ("colors", "the leftmost red thing", ("red_on",)),
    ("colors", "at least two red blocks are on the sheet", False),
    ("colors", "exactly one red block is on the sheet", True),
    ("colors", "the largest block is blue", True),
    ("colors", "the largest block is on the sheet", False),
    ("colors", "all blue blocks are on the sheet", False),
    ("colors", "all blocks on the sheet are red", False),
    ("colors", "is the ball closer to the blue block on the sheet than to the red block on the sheet?", True),
    ("colors", "how many blocks are on the sheet?", 2),
    ("colors", "how many red blocks are there?", 2),
    # checked and counted
    ("desk", "all mugs are on the box", False),
    ("desk", "at most one mug is on the box", True),
    ("desk", "exactly one mug is on the box", True),
    ("desk", "at least two mugs are on the box", False),
    ("desk", "are there at least four mugs?", False),
    ("desk", "are there fewer than four mugs?", True),
    ("desk", "is the bottle the tallest thing?", True),
    ("desk", "is the can the tallest thing?", False),
    ("desk", "is the blue mug the largest mug?", True),
    ("desk", "the red mug is the largest", False),
    ("desk", "the red mug is not the largest", True),
    ("desk", "the leftmost mug is red", True),
    ("desk", "the leftmost mug is blue", False),
    ("desk", "the leftmost mug is on the box", False),
    ("desk", "the red mug is closer to the can than the blue mug is", True),
    ("desk", "is the white mug closer to the bottle than the blue mug?", False),
    ("desk", "the blue mug is closer to the can than to the bottle", False),
    ("desk", "the red mug is the closest to the can", True),
    ("desk", "all mugs are red", False),
    ("desk", "there are no mugs on the plate", True),
    ("desk", "the plate has an apple on it", True),
    ("desk", "the plate has nothing on it", False),
    ("desk", "are there mugs on the box?", True),
    ("desk", "is the mug on the box white?", True),
    ("desk", "is the mug on the box red?", False),
    ("desk", "are the red mug and the blue mug on the box?", False),
    ("basket", "are at least two cans in the basket?", True),
    ("basket", "are all cans in the basket?", False),
    ("basket", "the basket contains at least two cans", True),
    ("basket", "the basket contains three cans", False),
    ("row", "the third can from the left is taller than the fourth can from the left", False),
    ("desk", "how many mugs are not on the box?", 2),
    ("desk", "how many mugs are left of the bottle?", 3),
    ("basket", "how many cans are in the basket?", 2),
    ("row", "how many cans are right of the third can from the left?", 2),
    ("tray", "how many mugs does the tray hold?", 3),
]
# What the image alone does not tell, and what is then answered.
FLAT: dict[str, Expected] = {
    "the block next to the red block": ("high",),
    "the blocks to the right of the ball": ("blue_off", "red_off"),
    "the thing behind the board that touches the crate": EMPTY,
}


@cache
def _scene(name: str, noise_m: float, depth: bool) -> tuple[list[str], list[object]]:
    names, objects = seen(SCENES[name](), noise_m=noise_m, depth=depth)
    return names, list(objects)


def _ask(name: str, text: str, *, noise_m: float = 0.0, depth: bool = True) -> tuple[Expected, Resolution]:
    names, objects = _scene(name, noise_m, depth)
    answer = resolve(parse(text), objects, view(), image_size=IMAGE)  # type: ignore[arg-type]
    if answer.verdict is not None:
        return answer.verdict, answer
    if answer.count is not None:
        return answer.count, answer
    if answer.status is Status.AMBIGUOUS:
        return AMBIGUOUS, answer
    if answer.status is Status.NOT_FOUND:
        return EMPTY, answer
    return tuple(sorted(names[g.object.instance_id - 1] for g in answer.groundings if g.role is Role.TARGET)), answer


@pytest.mark.parametrize(("scene", "text", "expected"), CASES, ids=[f"{s}: {t}" for s, t, _ in CASES])
@pytest.mark.parametrize("noise_m", [0.0, 0.005])
def test_with_depth(scene: str, text: str, expected: Expected, noise_m: float) -> None:
    got, answer = _ask(scene, text, noise_m=noise_m)
    assert got == expected, answer.message


@pytest.mark.parametrize(("scene", "text", "expected"), CASES, ids=[f"{s}: {t}" for s, t, _ in CASES])
def test_without_depth(scene: str, text: str, expected: Expected) -> None:
    got, answer = _ask(scene, text, depth=False)
    assert got == FLAT.get(text, expected), answer.message


def test_at_most_takes_no_more() -> None:
    got, _ = _ask("tray", "at most two mugs on the tray")
    assert isinstance(got, tuple)
    assert len(got) == 2
    assert "off" not in got


def _spot(scene: str, command: str) -> tuple[np.ndarray, Resolution]:
    """Where a thing is to be put, in the world."""
    _names, objects = _scene(scene, 0.0, depth=True)
    answer = resolve(parse(command), objects, view(), image_size=IMAGE)  # type: ignore[arg-type]
    assert answer.status is Status.SUCCEEDED, answer.message
    place = next(g.place for g in answer.groundings if g.role is Role.DESTINATION)
    assert place is not None
    return R_CAMERA_WORLD.T @ place.T_camera_place[:3, 3] + EYE, answer


def test_a_spot_on_the_tray_is_narrowed_by_what_else_is_said() -> None:
    x, y, z = _spot("tray", "put the rightmost mug on the tray, left of the middle mug on the tray")[0]
    assert -0.28 < x < -0.03
    assert abs(y - 0.1) < 0.18
    assert z == pytest.approx(0.012, abs=0.01)
    x, y, _ = _spot("tray", "put the leftmost mug on the tray, in front of and to the left of the rightmost mug")[0]
    assert x < 0.21
    assert y < 0.2


def test_on_the_tray_next_to_the_mug_is_a_spot_where_no_tray_is_next_to_one() -> None:
    names, objects = seen(
        [
            body("tray", "tray", solid(0.0, 0.1, 0.0, 0.5, 0.36, 0.012)),
            _cube("mug", "mug", 0.1, 0.1, 0.06, z=0.012),
            body("plate", "plate", dish(0.0, 0.1, 0.012, 0.04)),
            _cube("can", "can", -0.3, -0.15, 0.05, height=0.1),
        ]
    )
    answer = resolve(
        parse("pick up the can and put it on the tray next to the mug, right of the plate"),
        objects,
        view(),
        image_size=IMAGE,
    )
    assert answer.status is Status.SUCCEEDED, answer.message
    place = next(g.place for g in answer.groundings if g.role is Role.DESTINATION)
    assert place is not None
    x, y, _ = R_CAMERA_WORLD.T @ place.T_camera_place[:3, 3] + EYE
    assert x > 0.03
    assert np.hypot(x - 0.1, y - 0.1) < 0.13
    anchors = sorted(names[g.object.instance_id - 1] for g in answer.groundings if g.role is Role.ANCHOR)
    assert anchors == ["mug", "plate"]


def test_the_edge_and_the_corner_of_a_tray_are_where_they_are() -> None:
    x, y, _ = _spot("tray", "put the leftmost mug at the edge of the tray")[0]
    assert max(abs(x) / 0.28, abs(y - 0.1) / 0.18) > 0.5
    x, y, _ = _spot("tray", "put the leftmost mug in the corner of the tray")[0]
    assert min(abs(x) / 0.28, abs(y - 0.1) / 0.18) > 0.4


def test_no_spot_serves_what_cannot_be() -> None:
    _, objects = _scene("tray", 0.0, depth=True)
    answer = resolve(
        parse("put the leftmost mug on the tray, far from the tray"),
        objects,
        view(),
        image_size=IMAGE,  # type: ignore[arg-type]
    )
    assert answer.status is Status.NOT_FOUND
    assert "no room on the tray and far from the tray" in answer.message


def test_a_table_that_was_not_detected_is_narrowed_too() -> None:
    spot, _ = _spot("ring", "put the nearest cup on the table between the teapot and the crate")
    assert -0.12 < spot[0] < 0.15


def test_the_corner_of_a_tray_is_a_part_of_it() -> None:
    x, y, _ = _spot("tray", "put the rightmost mug in the top left corner of the tray")[0]
    assert x < -0.03
    assert y > 0.1
    x, _, _ = _spot("tray", "put the leftmost mug on the right half of the tray")[0]
    assert x > 0.02


def test_what_is_missing_of_a_narrowed_destination_is_named() -> None:
    _, objects = _scene("tray", 0.0, depth=True)
    answer = resolve(
        parse("put the leftmost mug on the tray, left of the lamp"),
        objects,
        view(),
        image_size=IMAGE,  # type: ignore[arg-type]
    )
    assert answer.status is Status.NOT_FOUND
    assert "lamp" in answer.message
