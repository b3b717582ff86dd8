"""What is done by locating and resolving: statements and captions checked, things counted and pointed at."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from vlm_perception import language
from vlm_perception.describing.checking import Check, check
from vlm_perception.describing.mentions import tie
from vlm_perception.describing.requests import DescribeRequest, DescribeTask, query_of
from vlm_perception.describing.spoken import counted, say, spoken
from vlm_perception.language.captions import parse_claims
from vlm_perception.models.base import GroundedText, Unread
from vlm_perception.reservations import WAY_OUT, demand_depth, remark
from vlm_perception.stages import Stages
from vlm_perception.types import Answer, CommandError, Resolution, Status

_ARTICLE: Final = re.compile(r"^(?:the|an?)\s+", re.IGNORECASE)


def verify(stages: Stages, request: DescribeRequest) -> Answer:
    """Whether statements are so."""
    claims = parse_claims(request.text)
    if claims.rest:
        raise CommandError(f"did not understand '{claims.rest[0][:60]}'; say it in simpler words, or use 'check'")
    return _checked(stages, request, check(stages, request.text, claims, atoms=False), "")


def check_caption(stages: Stages, request: DescribeRequest) -> Answer:
    """Which claims of a caption are so."""
    if request.text.strip():
        return _checked(stages, request, check(stages, request.text, parse_claims(request.text), atoms=True), "")
    said = say(stages, lambda model: model.caption(stages.frame.color_rgb))
    try:
        claims = parse_claims(said.text)
    except CommandError:  # the model's words are no fault of the user's
        nothing = f"its caption '{said.text[:80]}' claims nothing that can be checked"
        return spoken(stages, request, replace(said, text="", mentions=()), tie(stages, GroundedText("")), nothing=nothing)
    return _checked(stages, request, check(stages, said.text, claims, atoms=True), said.text)


def _checked(stages: Stages, request: DescribeRequest, found: Check, caption: str) -> Answer:
    verdict, unread = found.verdict, [claim for claim in found.claims if claim.unread]
    if unread and verdict and request.task is DescribeTask.VERIFY:
        verdict = None  # all of the statements are to be so
    if len(found.claims) == 1 and verdict is not None:
        (claim,) = found.claims
        summary = f"{'Yes' if claim.holds else 'No'}: {claim.reason}."
    elif unread and verdict is None:
        summary = f"{unread[0].reason[0].upper()}{unread[0].reason[1:]}. {WAY_OUT}"
    else:
        summary = found.summary
    if verdict is not None:
        status = Status.SUCCEEDED
    else:
        status = Status.MODEL_ERROR if unread else Status.NOT_FOUND
    return Answer(
        query=stages.query,
        command=request.heard,
        status=status,
        message=f"Checked '{caption}'. {summary}" if caption else summary,
        groundings=found.evidence,
        objects=found.objects,
        answer="" if status is Status.MODEL_ERROR else summary,
        verdict=verdict,
        viewpoint=stages.view,
        latency_ms=stages.latency_ms,
        extra={"claims": found.claims, "caption": caption, "problems": stages.problems},
    )


def count(stages: Stages, request: DescribeRequest) -> Answer:
    """How many there are."""
    return stages.ground(query_of(request, stages.model), request.heard, needs_pose=False)


def point(stages: Stages, request: DescribeRequest) -> Answer:
    """Where a thing is, by the model's own points if it has them."""
    if stages.model.capabilities.points:
        return _pointed(stages, request)
    return stages.ground(query_of(request, stages.model), request.heard, needs_pose=True)


def _pointed(stages: Stages, request: DescribeRequest) -> Answer:
    """By the model's own points, each with the thing it lies on."""
    phrase, name = _phrase(request.text), stages.model.name
    said = say(stages, lambda model: model.point(stages.frame.color_rgb, phrase))
    tied = tie(stages, said, asked=phrase)
    number = sum(len(mention.boxes_xyxy) for mention in said.mentions)
    if number:
        resolution = Resolution(Status.SUCCEEDED, f"{counted(number, 'point')} for '{phrase}'.", tied.groundings)
    else:
        resolution = Resolution(Status.NOT_FOUND, f"'{name}' points at nothing for '{phrase}'.")
    resolution = demand_depth(resolution, depth_given=stages.depth_m is not None, segmenter=stages.segmenter)
    if said.lost:
        resolution = remark(resolution, [Unread((phrase,), "; ".join(said.lost), partly=bool(number))], name)
    return Answer(
        query=stages.query,
        command=request.heard,
        status=resolution.status,
        message=resolution.message,
        groundings=resolution.groundings,
        objects=tied.objects,
        viewpoint=stages.view,
        latency_ms=stages.latency_ms,
        extra={"problems": said.problems},
    )


def _phrase(text: str) -> str:
    """The words for the thing itself, without article: "point at the red mug, please" -> "red mug"."""
    words = text.strip()
    try:
        query = language.parse(text)
    except CommandError:
        pass
    else:
        entity = query.items[0].entity if query.items else None
        words = entity.text or entity.phrase if entity is not None else words
    return _ARTICLE.sub("", words)
