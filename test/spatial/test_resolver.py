"""Who is meant, and what is said when that is not clear."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from scenes import IMAGE, basket, block, block_points, bowl, plate, thing, view

from vlm_perception.language import parse
from vlm_perception.spatial import ResolverSettings, resolve, unknown_words
from vlm_perception.types import Resolution, Role, SceneObject, Status

BOWL = "black bowl, bowl, thing"


def ask(command: str, objects: list[SceneObject], **kw: object) -> Resolution:
    return resolve(parse(command), objects, view(), image_size=IMAGE, **kw)  # type: ignore[arg-type]


def ids(resolution: Resolution, role: Role = Role.TARGET) -> list[int]:
    return [g.object.instance_id for g in resolution.groundings if g.role is role]


def kitchen(*bowls: tuple[float, ...], depth: bool = True) -> list[SceneObject]:
    """Landmarks 10-14, and the bowls numbered from 1."""
    return [
        plate(10, "plate, thing", 0.05, 0.2, depth=depth),
        block(11, "ramekin, thing", -0.2, 0.2, size=(0.09, 0.09, 0.05), depth=depth),
        block(12, "cookie box, box, thing", 0.25, -0.05, size=(0.16, 0.1, 0.04), depth=depth),
        block(13, "wooden cabinet, cabinet, thing", -0.35, 0.45, size=(0.25, 0.2, 0.22), depth=depth),
        block(14, "stove, thing", 0.35, 0.4, size=(0.2, 0.2, 0.03), depth=depth),
        *(bowl(i, BOWL, *place, depth=depth) for i, place in enumerate(bowls, start=1)),
    ]


TWO_BOWLS = [
    ("between the plate and the ramekin", (-0.08, 0.2), (0.05, -0.1)),
    ("between the plate and the ramekin", (-0.08, 0.17), (0.2, 0.2)),
    ("between the plate and the ramekin", (-0.08, 0.17), (-0.33, 0.2)),
    ("next to the ramekin", (-0.2, 0.06), (0.05, 0.06)),
    ("next to the ramekin", (-0.3, 0.15), (0.05, 0.2, 0.02)),
    ("next to the plate", (0.05, 0.04), (-0.3, 0.15)),
    ("next to the plate", (0.22, 0.2), (0.25, -0.05, 0.04)),
    ("next to the cookie box", (0.1, -0.05), (-0.08, 0.2)),
    ("on the cookie box", (0.25, -0.05, 0.04), (0.1, -0.05)),
    ("on the cookie box", (0.25, -0.05, 0.04), (-0.2, 0.2, 0.05)),
    ("on the ramekin", (-0.2, 0.2, 0.05), (-0.08, 0.2)),
    ("on the stove", (0.35, 0.4, 0.03), (0.25, 0.22)),
    ("on the wooden cabinet", (-0.35, 0.45, 0.22), (-0.3, 0.25)),
    ("in the top drawer of the wooden cabinet", (-0.3, 0.33, 0.15), (-0.3, 0.15)),
    ("in the top drawer of the wooden cabinet", (-0.3, 0.33, 0.15), (0.05, 0.2, 0.02)),
    ("from table center", (0.02, 0.02), (-0.35, 0.45, 0.22)),
    ("from table center", (0.02, 0.02), (0.25, 0.2)),
    ("on the plate", (0.05, 0.2, 0.01), (0.22, 0.2)),
    ("left of the plate", (-0.08, 0.2), (0.22, 0.2)),
    ("to the right of the plate", (0.22, 0.2), (-0.08, 0.2)),
    ("in front of the plate", (0.05, 0.0), (0.05, 0.4)),
    ("behind the plate", (0.05, 0.4), (0.05, 0.0)),
    ("nearest to the plate", (0.05, 0.04), (0.1, -0.15)),
    ("far from the plate", (0.3, -0.25), (0.2, 0.2)),
    ("that is not on the plate", (0.22, 0.2), (0.05, 0.2, 0.01)),
    ("on the left", (-0.08, 0.2), (0.2, 0.0)),
    ("at the front", (0.0, -0.1), (0.0, 0.3)),
    ("closer to me", (0.0, -0.1), (0.0, 0.3)),
    ("furthest to the right", (0.2, 0.0), (-0.08, 0.2)),
]


@pytest.mark.parametrize("depth", [True, False], ids=["space", "image"])
@pytest.mark.parametrize("swap", [False, True], ids=["first", "second"])
@pytest.mark.parametrize(
    ("relation", "meant", "other"), TWO_BOWLS, ids=[f"{r}-{i}" for i, (r, _, _) in enumerate(TWO_BOWLS)]
)
def test_the_right_one_of_two_alike(
    relation: str, meant: tuple[float, ...], other: tuple[float, ...], swap: bool, depth: bool
) -> None:
    bowls = (other, meant) if swap else (meant, other)
    found = ask(f"pick up the black bowl {relation} and place it on the stove", kitchen(*bowls, depth=depth))
    assert found.status is Status.SUCCEEDED, found.message
    assert ids(found) == [2 if swap else 1]
    assert ids(found, Role.DESTINATION) == [14]


def test_anchors_are_shown() -> None:
    found = ask("the black bowl between the plate and the ramekin", kitchen((-0.08, 0.2), (0.2, -0.2)))
    assert sorted(ids(found, Role.ANCHOR)) == [10, 11]


def test_alike_things_without_a_relation_are_ambiguous() -> None:
    found = ask("the black bowl", kitchen((-0.2, 0.0), (0.0, 0.0), (0.2, 0.0)))
    assert found.status is Status.AMBIGUOUS
    assert not found.groundings
    assert sorted(g.object.instance_id for g in found.runner_ups) == [1, 2, 3]
    assert found.message == "I see 3 black bowls; which one: the left, the middle or the right one?"


@pytest.mark.parametrize(
    "command", ["a black bowl", "any black bowl", "one of the bowls", "two bowls", "all bowls", "bowls"]
)
def test_any_one_will_do(command: str) -> None:
    found = ask(command, kitchen((-0.2, 0.0), (0.0, 0.0), (0.2, 0.0)))
    assert found.status is Status.SUCCEEDED
    assert len(ids(found)) == {"two bowls": 2, "all bowls": 3, "bowls": 3}.get(command, 1)


def test_a_much_better_score_is_the_answer_and_noise_is_not() -> None:
    def pair(one: float, other: float) -> list[SceneObject]:
        return [block(1, {"mug": one, "red mug": one}, -0.2, 0.0), block(2, {"mug": other, "red mug": other}, 0.2, 0.0)]

    assert ids(ask("the mug", pair(0.9, 0.3))) == [1]
    assert ask("the mug", pair(0.9, 0.8)).status is Status.AMBIGUOUS
    assert ids(ask("the red mug", pair(0.9, 0.6))) == [1]
    assert ask("the mug", pair(0.9, 0.3), settings=ResolverSettings(score_ratio=0.2)).status is Status.AMBIGUOUS


def test_an_uncertain_anchor_does_not_sink_the_answer() -> None:
    objects = [bowl(1, BOWL, -0.2, 0.0), bowl(2, BOWL, 0.2, 0.0), block(3, {"ramekin": 0.15}, 0.33, 0.0)]
    found = ask("the bowl next to the ramekin", objects)
    assert ids(found) == [2]


def test_a_thing_is_not_its_own_anchor() -> None:
    objects = [block(1, "mug", -0.2, 0.0), block(2, "mug", -0.05, 0.0), block(3, "mug", 0.3, 0.0)]
    assert ask("the mug left of the mug", objects[:1]).status is Status.NOT_FOUND
    assert set(ids(ask("mugs next to a mug", objects))) == {1, 2}


def test_not_found_names_the_phrase_and_the_anchor() -> None:
    objects = kitchen((0.0, 0.0))
    absent = ask("the green mug", objects)
    assert absent.status is Status.NOT_FOUND
    assert "green mug" in absent.message
    anchor = ask("the bowl left of the laptop", objects)
    assert anchor.status is Status.NOT_FOUND
    assert "laptop" in anchor.message
    assert "bowl" in anchor.message
    relation = ask("the bowl on the stove", objects)
    assert relation.status is Status.NOT_FOUND
    assert "1 bowl" in relation.message
    assert "on the stove" in relation.message


def test_unknown_words_are_named() -> None:
    vocabulary = frozenset({"red", "mug", "cookie box", "boxes"})
    assert unknown_words("red stapler", vocabulary) == ("stapler",)
    assert unknown_words("cookie box", vocabulary) == ()
    found = ask("the stapler", kitchen((0.0, 0.0)), vocabulary=vocabulary)
    assert '"stapler" is not a word this model knows' in found.message


def test_ordinals_and_too_few() -> None:
    objects = kitchen((-0.2, 0.0), (0.0, 0.05), (0.2, 0.0))
    assert ids(ask("the second bowl from the left", objects)) == [2]
    assert ids(ask("the third bowl from the right", objects)) == [1]
    assert ids(ask("the last bowl on the right", objects)) == [3]
    assert ids(ask("the middle bowl", objects)) == [2]
    assert sorted(ids(ask("the two bowls on the left", objects))) == [1, 2]
    few = ask("the fourth bowl from the left", objects)
    assert few.status is Status.NOT_FOUND
    assert "3 bowls" in few.message


def test_sizes() -> None:
    objects = [
        block(1, "box", -0.2, 0.0),
        block(2, "box", 0.0, 0.0, size=(0.2, 0.2, 0.1)),
        block(3, "box", 0.3, 0.0, size=(0.05, 0.05, 0.25)),
    ]
    assert ids(ask("the largest box", objects)) == [2]
    assert ids(ask("the tallest box", objects)) == [3]
    assert ids(ask("the small box", objects)) == [1]
    assert ids(ask("the big box", objects[:2])) == [2]
    assert ids(ask("the larger of the two boxes", objects[:2])) == [2]
    assert ids(ask("the box larger than the mug", [*objects[:2], block(9, "mug", 0.2, 0.2)])) == [2]


def test_counting() -> None:
    objects = [
        basket(1, "basket", 0.0, 0.0),
        block(2, "can", 0.05, 0.05, 0.006, size=(0.06, 0.06, 0.08)),
        block(3, "can", -0.06, 0.04, 0.006, size=(0.06, 0.06, 0.08)),
        block(4, "can", 0.3, 0.0, size=(0.06, 0.06, 0.08)),
    ]
    found = ask("how many cans are in the basket?", objects)
    assert (found.status, found.count, sorted(ids(found))) == (Status.SUCCEEDED, 2, [2, 3])
    assert "2 cans" in found.answer
    assert ask("how many cans are there", objects).count == 3
    none = ask("how many mugs are there", objects)
    assert (none.status, none.count) == (Status.SUCCEEDED, 0)
    assert "no mug" in none.answer
    assert ask("how many cans are on the shelf", objects).status is Status.NOT_FOUND


def test_negated_attributes() -> None:
    mugs = [
        block(1, {"mug": 0.9, "red mug": 0.8}, -0.2, 0.0, rgb=(180, 30, 30)),
        block(2, {"mug": 0.9, "red mug": 0.2}, 0.2, 0.0, rgb=(230, 230, 225)),
    ]
    assert ids(ask("the mug that is not red", mugs)) == [2]
    measured = [block(1, "mug", -0.2, 0.0, rgb=(180, 30, 30)), block(2, "mug", 0.2, 0.0, rgb=(230, 230, 225))]
    assert ids(ask("the mug that is not red", measured)) == [2]
    assert ids(ask("all mugs except the red one", mugs)) == [2]
    assert ids(ask("the red thing", measured)) == [1]


def test_the_other_one_as_destination() -> None:
    objects = kitchen((-0.2, 0.0), (0.05, -0.1))
    found = ask("put the left bowl on the other bowl", objects)
    assert ids(found) == [1]
    found = ask("stack the left bowl on the right bowl and place them on the plate", objects)
    assert ids(found) == [1]
    assert ids(found, Role.DESTINATION) == [2, 10]


def test_two_targets_and_two_destinations() -> None:
    objects = [
        plate(1, "plate", -0.2, 0.0),
        plate(2, "plate", 0.2, 0.0),
        block(3, "white mug", 0.0, 0.2),
        block(4, "yellow and white mug", 0.0, -0.2),
    ]
    found = ask("put the white mug on the left plate and put the yellow and white mug on the right plate", objects)
    assert ids(found) == [3, 4]
    assert ids(found, Role.DESTINATION) == [1, 2]


def test_too_few_of_a_number() -> None:
    found = ask("put both moka pots on the stove", [*kitchen(), block(1, "moka pot", 0.0, 0.0)])
    assert found.status is Status.NOT_FOUND
    assert "only 1 moka pot" in found.message


def test_a_part_that_is_not_detected_is_a_region_of_the_whole() -> None:
    objects = kitchen((0.0, 0.0))
    whole = objects[3]
    top = ask("open the top drawer of the cabinet", objects)
    bottom = ask("open the bottom drawer of the cabinet", objects)
    assert top.status is bottom.status is Status.SUCCEEDED
    assert "region" in top.message
    high, low = top.groundings[0].object, bottom.groundings[0].object
    assert high.instance_id == low.instance_id == whole.instance_id
    assert high.geometry is not None
    assert low.geometry is not None
    assert view().up @ high.geometry.center_m > view().up @ low.geometry.center_m + 0.05
    assert ask("open the top drawer of the fridge", objects).status is Status.NOT_FOUND


def test_found_in_the_image_only_is_still_found() -> None:
    found = ask("the black bowl", kitchen((0.0, 0.0), depth=False))
    assert found.status is Status.SUCCEEDED
    assert found.groundings[0].object.geometry is None


def test_the_same_thing_detected_twice_is_one() -> None:
    one = block(1, {"mug": 0.9}, 0.0, 0.0)
    again = block(2, {"mug": 0.85}, 0.002, 0.0)
    assert ids(ask("the mug", [one, again])) == [1]
    assert ask("how many mugs are there", [one, again]).count == 1


@pytest.mark.parametrize("depth", [True, False], ids=["space", "image"])
def test_left_is_the_viewers_left(depth: bool) -> None:
    here = view()
    robot_opposite = replace(here, right=-here.right, forward=-here.forward, frame="base_link")
    robot_at_the_left = replace(here, right=-here.forward, forward=here.right, frame="base_link")
    objects = [
        plate(1, "plate", 0.0, 0.1, depth=depth),
        *(
            bowl(i, BOWL, x, y, depth=depth)
            for i, (x, y) in enumerate([(-0.3, 0.1), (0.3, 0.1), (0.0, -0.2), (0.0, 0.4)], 2)
        ),
    ]
    meant = {"left of": (2, 3, 5), "right of": (3, 2, 4), "in front of": (4, 5, 2), "behind": (5, 4, 3)}
    for words, numbers in meant.items():
        for viewpoint, number in zip((here, robot_opposite, robot_at_the_left), numbers, strict=True):
            found = resolve(parse(f"the bowl {words} the plate"), objects, viewpoint, image_size=IMAGE)
            assert ids(found) == [number], (words, viewpoint.frame, found.message)


def test_measured_color_breaks_a_tie() -> None:
    mugs = [
        block(1, {"red mug": 0.5}, -0.2, 0.0, rgb=(180, 30, 30)),
        block(2, {"red mug": 0.52}, 0.2, 0.0, rgb=(230, 230, 225)),
    ]
    assert ids(ask("the red mug", mugs)) == [1]


def test_an_empty_scene() -> None:
    for command in ("the mug", "the mug left of the plate", "put the mug on the plate", "the leftmost mug"):
        found = ask(command, [])
        assert found.status is Status.NOT_FOUND
        assert "mug" in found.message
    assert ask("how many mugs are there", []).count == 0
    assert ask("is there a mug", []).verdict is False


def test_fifty_objects_and_two_anchors_take_under_10_ms() -> None:
    rng = np.random.default_rng(0)
    objects = [*kitchen(), *(bowl(i, BOWL, *rng.uniform(-0.4, 0.4, 2)) for i in range(20, 65))]
    query = parse("the black bowl between the plate and the ramekin")
    times = []
    for _ in range(7):
        start = time.process_time()
        resolve(query, objects, view(), image_size=IMAGE)
        times.append(time.process_time() - start)
    assert sorted(times)[3] < 0.010


def test_a_doubtful_destination_does_not_cost_the_target() -> None:
    objects = [block(1, "can", -0.3, 0.0), plate(2, {"plate": 0.9}, 0.0, 0.1), plate(3, {"plate": 0.79}, 0.3, 0.1)]
    assert ids(ask("put the can on the plate", objects), Role.DESTINATION) == [2]
    assert ask("the plate", objects).status is Status.AMBIGUOUS


def test_of_a_can_in_a_basket_often_only_the_top_is_seen() -> None:
    can_top = thing(2, "can", block_points(0.02, 0.05, 0.11, 0.06, 0.06, 0.04))
    in_basket = [basket(1, "basket", 0.0, 0.0), can_top, block(3, "can", 0.4, 0.1)]
    assert ids(ask("the can in the basket", in_basket)) == [2]
    assert ask("how many cans are in the basket", in_basket).count == 1
    on_box = [
        block(1, "box", 0.0, 0.0, size=(0.25, 0.25, 0.12)),
        thing(2, "can", block_points(0.02, 0.05, 0.12, 0.06, 0.06, 0.06)),
    ]
    assert ask("how many cans are in the box", on_box).count == 0
    assert ask("how many cans are on the box", on_box).count == 1
