"""Which camera's answer is given when several have looked.

The order is the one of :data:`ORDER`: a pose before a question, a question before a thing without depth, anything
seen before nothing seen, and a camera that looked before one that could not. Among successes, what was asked for in the
plural goes to the camera that found more of it, and a statement to the camera that saw what proves or disproves it: not
to see a thing is no proof against a camera that does. Then the higher score decides, then the order of the cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vlm_perception.types import Answer, Status

if TYPE_CHECKING:
    from vlm_perception.ros.answering import Outcome

ORDER = (
    Status.CANCELED,  # concerns the request, not a camera: nobody wants the other answers either
    Status.SUCCEEDED,
    Status.AMBIGUOUS,
    Status.NO_DEPTH,
    Status.NOT_FOUND,
    Status.INVALID_COMMAND,
    Status.MODEL_ERROR,
    Status.NO_TRANSFORM,
    Status.STALE_INPUT,
    Status.NO_INPUT,
)
# Each camera sees another side of a thing, so what is followed would jump if the answer went to and fro between two
# cameras that do about equally well.
STAY_SCORE = 0.1


def choose(outcomes: Sequence[Outcome], stay_with: str = "") -> Outcome:
    """The outcome that is given, of one a camera; with several, its message names the camera and what the others say.

    Args:
        outcomes: at least one, in the order of the cameras.
        stay_with: the camera that gave the answer before; another's score must be better by ``STAY_SCORE``.
    """
    best = min(outcomes, key=lambda outcome: _key(outcome, stay_with))  # the first of equals
    if len(outcomes) > 1:
        others = [outcome for outcome in outcomes if outcome is not best]
        best.result.message = " ".join([_named(best), *map(_in_short, others)])
    return best


def _key(outcome: Outcome, stay_with: str) -> tuple[int, int, float]:
    number, score = 0, 0.0
    if outcome.answer is not None:
        score = score_of(outcome.answer) + (STAY_SCORE if outcome.camera == stay_with else 0.0)
        if outcome.status is Status.SUCCEEDED:
            number = _number_of(outcome.answer)
    return ORDER.index(outcome.status), -number, -score


def score_of(answer: Answer) -> float:
    """How sure an answer is: the best score of its targets, else of what was considered, else of its words."""
    for groundings in (answer.targets, answer.groundings, answer.runner_ups):
        if groundings:
            return max(grounding.score for grounding in groundings)
    return float(answer.extra.get("text_score", 0.0))


def _number_of(answer: Answer) -> int:
    """How much an answer gives: things that were asked for, or claims that were settled by something seen."""
    claims = answer.extra.get("claims")
    if claims:
        return sum(claim.holds is not None and claim.holds is not claim.denies for claim in claims)
    if answer.verdict is not None:
        statement = answer.query.statement if answer.query is not None else ()
        return int(answer.verdict is not any(claim.number == 0 for claim in statement))
    return answer.count if answer.count is not None else len(answer.targets)


def _named(outcome: Outcome) -> str:
    return f"Camera '{outcome.camera}': {outcome.result.message}"


def _in_short(outcome: Outcome) -> str:
    """A camera that looked says its status; one that could not says why."""
    if outcome.answer is not None and outcome.status is not Status.MODEL_ERROR:
        return f"(Camera '{outcome.camera}': {outcome.status.name}.)"
    return f"(Camera '{outcome.camera}': {outcome.status.name}. {outcome.result.message})"
