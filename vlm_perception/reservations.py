"""What an answer has to admit: that a thing has no pose, and why; that words of the model could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from vlm_perception.models.base import Segmenter, Unread
from vlm_perception.types import Entity, Grounding, Query, Resolution, Role, SceneObject, Status, Task

WAY_OUT: Final = "Say it in other words, or take another model."
_TOLD: Final = 2  # causes a message tells


def demand_depth(resolution: Resolution, *, depth_given: bool, segmenter: Segmenter | None) -> Resolution:
    """NO_DEPTH for a success none of whose targets has a pose."""
    targets: list[Grounding] = [g for g in resolution.groundings if g.role is Role.TARGET]
    if resolution.status is not Status.SUCCEEDED or not targets:
        return resolution
    without = [g.object for g in targets if g.object.geometry is None]
    if not without or len(without) < len(targets):
        return resolution
    message = _no_depth_message(without[0], depth_given=depth_given, segmenter=segmenter)
    return replace(resolution, status=Status.NO_DEPTH, message=message)


def _no_depth_message(scene_object: SceneObject, *, depth_given: bool, segmenter: Segmenter | None) -> str:
    where = ", ".join(f"{value:.0f}" for value in scene_object.box_xyxy)
    if not depth_given:
        reason = "no depth image came with the color image; check the depth topic"
    elif scene_object.mask is None and segmenter is None:
        reason = "without a mask the box's depth is not only its own; set a segmenter, e.g. depth-grabcut"
    elif scene_object.mask is None:
        reason = f"the segmenter '{segmenter.name if segmenter else ''}' gave no mask for it; try another, e.g. depth-grabcut"
    else:
        share = scene_object.valid_depth_fraction
        reason = (
            f"only {share:.0%} of its pixels have usable depth; move the camera to 0.3-3 m from it, "
            "or check the depth image for holes on dark and shiny surfaces"
        )
    return f"Found '{scene_object.label}' at pixels [{where}], but without a pose: {reason}."


def asks_number(query: Query) -> bool:
    """Whether an answer takes telling each thing from the next: a count, or a claim of how many there are."""
    return query.task is Task.COUNT or any(
        (claim.number or 0) > 1 or claim.bounds not in (None, (1, None)) for claim in query.statement
    )


def concerning(unread: Sequence[Unread], query: Query) -> tuple[Unread, ...]:
    """What is unread of what a query asks for."""
    return tuple(lost for lost in unread if not set(lost.phrases).isdisjoint(query.phrases))


def unread_words(model: str, unread: Sequence[Unread]) -> str:
    """What could not be read, in words, without a full stop."""
    phrases = dict.fromkeys(phrase for lost in unread for phrase in lost.phrases)
    causes = list(dict.fromkeys(lost.why for lost in unread))[:_TOLD]
    asked = ", ".join(f"'{phrase}'" for phrase in phrases)
    some = any(lost.partly for lost in unread)
    start, end = ("not all of the answer", "could") if some else ("the answer", "could not")
    return f"{start} of '{model}' about {asked} {end} be read: {'; '.join(causes)}"


def stands(claims: Sequence[Entity], verdict: bool | None) -> bool:
    """Whether a verdict holds whatever else is there: something was seen that shows it, and no claim says how many."""
    return verdict is True and all(
        (claim.number == 1 or (claim.number is None and not claim.definite))
        and (claim.bounds is None or claim.bounds[1] is None)
        and claim.subject is None
        and not claim.rankings
        for claim in claims
    )


def admit_unread(resolution: Resolution, query: Query, unread: Sequence[Unread], model: str) -> Resolution:
    """What a resolution is worth when a part of what the model said could not be read.

    Args:
        resolution: of what was read.
        query: what it answers.
        unread: of the pass.
        model: its name.

    Returns:
        MODEL_ERROR for a count, and for a verdict that an unread box could change; else the same status, see
        :func:`remark`.
    """
    concerned = concerning(unread, query)
    if not concerned:
        return resolution
    counts = query.task is Task.COUNT
    if counts or (query.task is Task.VERIFY and not stands(query.statement, resolution.verdict)):
        fewest = f" There are at least {resolution.count}." if counts and resolution.count else ""
        message = f"{_sentence(unread_words(model, concerned))}{fewest} {WAY_OUT}"
        return Resolution(Status.MODEL_ERROR, message, (), (*resolution.groundings, *resolution.runner_ups))
    return remark(resolution, concerned, model)


def remark(resolution: Resolution, unread: Sequence[Unread], model: str) -> Resolution:
    """Say what could not be read; where nothing was, in place of "I see none"."""
    told = _sentence(unread_words(model, unread))
    if resolution.status is Status.NOT_FOUND and not any(lost.partly for lost in unread):
        return replace(resolution, message=f"{told} {WAY_OUT}")
    return replace(resolution, message=f"{resolution.message} {told}")


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
