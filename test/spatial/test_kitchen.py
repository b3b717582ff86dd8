"""One of two bowls alike, told by where it is, on a crowded table: partly hidden, noisy, and with doubtful detections."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from rendered import Body, body, dish, round_bowl, seen, solid
from scenes import IMAGE, view

from vlm_perception.language import parse
from vlm_perception.spatial import resolve
from vlm_perception.types import Resolution, Role, Status

SPOTS = {
    "between the plate and the ramekin": (0.21, 0.1, 0.0),
    "from table center": (0.0, 0.06, 0.0),
    "in the top drawer of the wooden cabinet": (-0.16, 0.08, 0.155),
    "next to the cookie box": (-0.1, -0.08, 0.0),
    "next to the plate": (0.3, -0.14, 0.0),
    "next to the ramekin": (0.28, 0.27, 0.0),
    "on the cookie box": (0.0, -0.08, 0.035),
    "on the ramekin": (0.2, 0.22, 0.035),
    "on the stove": (-0.02, 0.38, 0.02),
    "on the wooden cabinet": (-0.33, 0.08, 0.22),
}
# Pairs of which the second answers to the first one's words about as well.
ALIKE = {
    ("next to the plate", "between the plate and the ramekin"),
    ("next to the ramekin", "between the plate and the ramekin"),
}
BOWL = {"black bowl": 0.9, "bowl": 0.9}


def kitchen(here: str, there: str, scores: Mapping[str, Mapping[str, float]] | None = None) -> list[Body]:
    """The furniture, the bowl that is meant ("this") and the other one ("that")."""
    scores = scores or {}
    cabinet = [solid(-0.33, 0.08, 0.0, 0.2, 0.24, 0.22)]
    if "drawer" in here + there:
        cabinet.append(solid(-0.16, 0.08, 0.15, 0.14, 0.2, 0.06, lid=False))
    return [
        body("plate", scores.get("plate", {"plate": 0.9}), dish(0.22, -0.05, 0.0)),
        body("ramekin", scores.get("ramekin", {"ramekin": 0.9}), round_bowl(0.2, 0.22, 0.0, 0.035, 0.04)),
        body("box", scores.get("box", {"cookie box": 0.9}), solid(0.0, -0.08, 0.0, 0.09, 0.06, 0.035)),
        body("stove", scores.get("stove", {"stove": 0.9}), solid(-0.02, 0.38, 0.0, 0.2, 0.2, 0.02)),
        body("cabinet", scores.get("cabinet", {"wooden cabinet": 0.9}), *cabinet),
        body("this", scores.get("this", BOWL), round_bowl(*SPOTS[here])),
        body("that", scores.get("that", BOWL), round_bowl(*SPOTS[there])),
    ]


def pick(here: str, bodies: list[Body], noise_m: float) -> tuple[Resolution, list[str]]:
    names, objects = seen(bodies, noise_m=noise_m)
    answer = resolve(
        parse(f"pick up the black bowl {here} and place it on the plate"), objects, view(), image_size=IMAGE
    )
    return answer, [names[g.object.instance_id - 1] for g in answer.groundings if g.role is Role.TARGET]


@pytest.mark.parametrize("noise_m", [0.0, 0.01])
@pytest.mark.parametrize("here", SPOTS)
def test_the_bowl_that_is_meant(here: str, noise_m: float) -> None:
    for there in SPOTS:
        if there == here or (here, there) in ALIKE:
            continue
        answer, got = pick(here, kitchen(here, there), noise_m)
        assert got == ["this"], f"beside one {there}: {answer.message}"
        assert answer.groundings[1].role is Role.DESTINATION
        assert answer.groundings[1].place is not None


@pytest.mark.parametrize("here", SPOTS)
def test_doubtful_detections_do_not_sink_it(here: str) -> None:
    doubtful = {
        "plate": {"plate": 0.6, "bowl": 0.35},
        "ramekin": {"ramekin": 0.5, "bowl": 0.7, "black bowl": 0.4},
        "box": {"cookie box": 0.55},
        "cabinet": {"wooden cabinet": 0.6, "cabinet": 0.7, "drawer": 0.45},
        "this": {"black bowl": 0.6, "bowl": 0.65, "ramekin": 0.4},
        "that": {"black bowl": 0.8, "bowl": 0.85, "ramekin": 0.45, "plate": 0.3},
    }
    for there in ("on the stove", "on the wooden cabinet"):
        if there != here:
            answer, got = pick(here, kitchen(here, there, doubtful), 0.005)
            assert got == ["this"], f"beside one {there}: {answer.message}"


def test_two_that_do_equally_well_are_asked_about() -> None:
    names, objects = seen(
        [
            body("box", "cookie box", solid(0.0, 0.0, 0.0, 0.09, 0.06, 0.035)),
            body("left", BOWL, round_bowl(-0.12, 0.0, 0.0)),
            body("right", BOWL, round_bowl(0.12, 0.0, 0.0)),
        ],
        noise_m=0.005,
    )
    answer = resolve(parse("the black bowl next to the cookie box"), objects, view(), image_size=IMAGE)
    assert answer.status is Status.AMBIGUOUS
    assert "the left or the right" in answer.message
    assert sorted(names[g.object.instance_id - 1] for g in answer.runner_ups) == ["left", "right"]


def test_of_two_that_are_beside_it_the_nearer_is_meant() -> None:
    names, objects = seen(
        [
            body("box", "cookie box", solid(0.0, 0.0, 0.0, 0.09, 0.06, 0.035)),
            body("left", BOWL, round_bowl(-0.105, 0.0, 0.0)),
            body("right", BOWL, round_bowl(0.145, 0.0, 0.0)),
        ],
        noise_m=0.005,
    )
    answer = resolve(parse("the black bowl next to the cookie box"), objects, view(), image_size=IMAGE)
    assert [names[g.object.instance_id - 1] for g in answer.groundings if g.role is Role.TARGET] == ["left"]
