"""Whose answer is given when several cameras have looked."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

pytest.importorskip("rclpy")
from vlm_perception.msg import GroundingResult

from vlm_perception.describing.checking import ClaimCheck
from vlm_perception.ros.answering import Outcome
from vlm_perception.ros.choice import ORDER, choose, score_of
from vlm_perception.types import Answer, Entity, Grounding, Query, Role, SceneObject, Status, Task


def grounding(score: float, role: Role = Role.TARGET) -> Grounding:
    return Grounding(SceneObject(1, (0, 0, 1, 1), {"mug": score}, "mug"), role, "mug", score)


def outcome(camera: str, status: Status, *scores: float, message: str = "Said.", **answer) -> Outcome:
    """What a camera that looked says; the scores are its targets', or where there are none its runner-ups'."""
    found = tuple(grounding(score) for score in scores)
    seen = status in (Status.SUCCEEDED, Status.NO_DEPTH)
    groundings, runner_ups = (found, ()) if seen else ((), found)
    answer.setdefault("query", None)
    told = Answer(command="", status=status, message=message, groundings=groundings, runner_ups=runner_ups, **answer)
    return Outcome(GroundingResult(status=int(status), message=message), told, camera=camera)


def failure(camera: str, status: Status, message: str = "Nothing comes.") -> Outcome:
    return Outcome(GroundingResult(status=int(status), message=message), camera=camera)


def test_every_status_has_its_place():
    assert sorted(ORDER) == sorted(Status)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Status.SUCCEEDED, Status.AMBIGUOUS),
        (Status.SUCCEEDED, Status.NO_INPUT),
        (Status.AMBIGUOUS, Status.NO_DEPTH),
        (Status.NO_DEPTH, Status.NOT_FOUND),
        (Status.NOT_FOUND, Status.NO_TRANSFORM),
        (Status.NOT_FOUND, Status.MODEL_ERROR),
        (Status.NO_TRANSFORM, Status.STALE_INPUT),
        (Status.STALE_INPUT, Status.NO_INPUT),
        (Status.CANCELED, Status.SUCCEEDED),
    ],
)
def test_the_better_status_wins_whatever_the_score_and_the_order(better, worse):
    for first, second in ((better, worse), (worse, better)):
        outcomes = [outcome("a", first, 0.2 if first is better else 0.9), outcome("b", second, 0.3)]
        assert choose(outcomes).status is better


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.AMBIGUOUS, Status.NO_DEPTH, Status.NOT_FOUND])
def test_among_equals_the_higher_score(status):
    for order in itertools.permutations([("a", 0.5), ("b", 0.8), ("c", 0.7)]):
        assert choose([outcome(name, status, score) for name, score in order]).camera == "b"


def test_among_equals_in_everything_the_camera_that_is_named_first():
    assert choose([outcome("b", Status.SUCCEEDED, 0.5), outcome("a", Status.SUCCEEDED, 0.5)]).camera == "b"
    assert choose([failure("b", Status.NO_INPUT), failure("a", Status.NO_INPUT)]).camera == "b"


def test_what_is_followed_stays_with_its_camera_while_that_does_about_as_well():
    def followed(front: float, wrist: float, stay_with: str) -> str:
        outcomes = [outcome("front", Status.SUCCEEDED, front), outcome("wrist", Status.SUCCEEDED, wrist)]
        return choose(outcomes, stay_with).camera

    assert followed(0.85, 0.8, "wrist") == "wrist"
    assert followed(0.8, 0.85, "wrist") == followed(0.8, 0.85, "") == "wrist"
    assert followed(0.85, 0.6, "wrist") == "front"
    lost = [outcome("front", Status.SUCCEEDED, 0.3), outcome("wrist", Status.NOT_FOUND, 0.29)]
    assert choose(lost, "wrist").camera == "front"


def test_the_score_is_the_targets():
    """And not that of the plate which the mug stands on, which is easy to see."""
    answer = Answer(None, "", Status.SUCCEEDED, "", groundings=(grounding(0.6), grounding(0.99, Role.ANCHOR)))
    assert score_of(answer) == 0.6


def test_a_camera_that_sees_more_of_what_is_meant_in_the_plural():
    assert choose([outcome("a", Status.SUCCEEDED, 0.9), outcome("b", Status.SUCCEEDED, 0.7, 0.6)]).camera == "b"
    counts = [outcome("a", Status.SUCCEEDED, 0.9, count=1), outcome("b", Status.SUCCEEDED, 0.4, count=3)]
    assert choose(counts).camera == "b"
    questions = [outcome("a", Status.AMBIGUOUS, 0.9), outcome("b", Status.AMBIGUOUS, 0.7, 0.7)]
    assert choose(questions).camera == "a", "more to choose from is no better answer"


MUG = Entity("mug", "mug")


@pytest.mark.parametrize(
    ("number", "seen", "not_seen"), [(1, True, False), (0, False, True)], ids=["is there a mug", "is there no mug"]
)
def test_not_to_see_a_thing_is_no_proof_against_a_camera_that_does(number, seen, not_seen):
    query = Query("", Task.VERIFY, statement=(replace(MUG, number=number),))
    # What a camera shows against the mug, such as the cups that are none, may be many and sure.
    answers = [
        outcome("a", Status.SUCCEEDED, 0.9, 0.9, verdict=not_seen, query=query),
        outcome("b", Status.SUCCEEDED, 0.4, verdict=seen, query=query),
    ]
    assert choose(answers).camera == "b"
    claims = [
        outcome(name, Status.SUCCEEDED, 0.5, verdict=v, extra={"claims": (ClaimCheck("", v, "", (), number == 0),)})
        for name, v in (("a", not_seen), ("b", seen))
    ]
    assert choose(claims).camera == "b"


def test_a_caption_goes_to_the_camera_that_saw_more_of_it():
    checks = {"a": (True, False, None), "b": (True, True, False), "c": (None, None, None)}
    answers = [
        outcome(name, Status.SUCCEEDED, 0.5, verdict=False, extra={"claims": [ClaimCheck("", v, "") for v in holds]})
        for name, holds in checks.items()
    ]
    assert choose(answers).camera == "b"


def test_words_by_the_models_own_score():
    spoken = [outcome(n, Status.SUCCEEDED, extra={"text_score": s}) for n, s in (("a", 0.3), ("b", 0.6))]
    assert choose(spoken).camera == "b"


def test_the_message_names_the_camera_and_what_the_others_say():
    best = choose(
        [
            failure("front", Status.NO_INPUT, "Nothing comes on /front."),
            outcome("wrist", Status.SUCCEEDED, 0.8, message="Found the mug."),
            outcome("side", Status.NOT_FOUND, message="No mug in view."),
        ]
    )
    assert best.result.message == (
        "Camera 'wrist': Found the mug. (Camera 'front': NO_INPUT. Nothing comes on /front.) (Camera 'side': NOT_FOUND.)"
    )


def test_a_single_camera_is_not_spoken_of():
    assert choose([outcome("", Status.NOT_FOUND, message="No mug.")]).result.message == "No mug."
    assert choose([failure("front", Status.NO_INPUT)]).result.message == "Nothing comes."
