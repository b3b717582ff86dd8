"""Words of a model about a frame, each tied to a thing in 3-D: captions, answers, regions, writing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vlm_perception.describing.hyperlinks import hyperlinked
from vlm_perception.describing.mentions import Tied, tie, tie_words
from vlm_perception.describing.requests import DescribeRequest
from vlm_perception.models.base import GroundedText, VisionLanguageModel
from vlm_perception.stages import Stages
from vlm_perception.types import Answer, BoolMask, BoxXyxy, CommandError, Detection, Status

_TOLD = 2  # problems a message tells


def caption(stages: Stages, request: DescribeRequest) -> Answer:
    """What is in the image, each mention with its thing."""
    said = say(stages, lambda model: model.caption(stages.frame.color_rgb))
    tied = tie(stages, said) if said.mentions else tie_words(stages, said)
    return spoken(stages, request, said, tied)


def ask(stages: Stages, request: DescribeRequest) -> Answer:
    """An answer, with its evidence."""
    said = say(stages, lambda model: model.answer(stages.frame.color_rgb, request.text.strip()))
    tied = tie(stages, said) if said.mentions else tie_words(stages, said, about=request.text)
    return spoken(stages, request, said, tied)


def read(stages: Stages, request: DescribeRequest) -> Answer:
    """The writing in the image, or in a part of it, line by line."""
    color_rgb = stages.frame.color_rgb
    box, mask = _region(stages, request) if request.about_region else (None, None)
    said = say(stages, lambda model: model.read_text(color_rgb) if box is None else model.read_text(color_rgb, box))
    lines = [mention for mention in said.mentions if mention.label]  # a place without words is nothing that was read
    starts = [sum(len(line.label) + 1 for line in lines[:k]) for k in range(len(lines))]
    mentions = tuple(
        replace(line, span=(start, start + len(line.label))) for start, line in zip(starts, lines, strict=True)
    )
    text = "\n".join(line.label for line in lines) if lines else said.text
    said = replace(said, text=text, mentions=mentions)
    first = [] if box is None or said.mentions or not said.text else [_thing(said, box, mask)]
    return spoken(stages, request, said, tie(stages, said, first=first), nothing="no text was read")


def describe_region(stages: Stages, request: DescribeRequest) -> Answer:
    """What is in a box, at a click or under a scribble."""
    box, mask = _region(stages, request)
    said = say(stages, lambda model: model.describe_region(stages.frame.color_rgb, box))
    return spoken(stages, request, said, tie(stages, said, first=[_thing(said, box, mask)]))


def name_region(stages: Stages, request: DescribeRequest) -> Answer:
    """The category of what is there."""
    box, mask = _region(stages, request)
    said = say(stages, lambda model: model.name_region(stages.frame.color_rgb, box))
    return spoken(stages, request, said, tie(stages, said, first=[_thing(said, box, mask)]))


def _region(stages: Stages, request: DescribeRequest) -> tuple[BoxXyxy, BoolMask | None]:
    """The box that is meant, and what in it is the thing where that was told by points."""
    if request.region_xyxy is not None:
        return _inside(request.region_xyxy, stages.image_wh), None
    ((mask, box),) = stages.under([request.points_uv])
    return box, mask


def _thing(said: GroundedText, box: BoxXyxy, mask: BoolMask | None) -> Detection:
    return Detection("region", said.text or "region", said.score, box, mask=mask)


def _inside(box_xyxy: BoxXyxy, image_wh: tuple[int, int]) -> BoxXyxy:
    x1, y1, x2, y2 = (float(value) for value in box_xyxy)
    width, height = image_wh
    inside = (max(0.0, min(x1, x2)), max(0.0, min(y1, y2)), min(width, max(x1, x2)), min(height, max(y1, y2)))
    if not (inside[0] < inside[2] and inside[1] < inside[3]):
        raise CommandError(
            f"The region [{x1:g}, {y1:g}, {x2:g}, {y2:g}] has no pixel of the {width} x {height} image; it is "
            "x1, y1, x2, y2 in pixels."
        )
    return inside


def say(stages: Stages, work: Callable[[VisionLanguageModel], GroundedText]) -> GroundedText:
    """Let the model speak, as a stage."""
    model: Any = stages.model  # capabilities were checked: it is a VisionLanguageModel
    return stages.ask("speak", lambda: work(model))


def spoken(stages: Stages, request: DescribeRequest, said: GroundedText, tied: Tied, *, nothing: str = "") -> Answer:
    """The answer that words make, and what of them was lost."""
    text = said.text.strip()
    lost = "; ".join(list(dict.fromkeys((*said.lost, *stages.problems)))[:_TOLD])
    if not text:
        status = Status.NOT_FOUND
        message = f"'{stages.model.name}': {nothing or 'it said nothing'}{': ' if lost else ''}{lost}."
    else:
        status = Status.SUCCEEDED
        posed = sum(found.object.geometry is not None for found in tied.groundings)
        message = f"{counted(len(tied.groundings), 'thing')} tied to these words, {posed} of them in 3-D."
        if lost:
            message += f" Not all could be read: {lost}."
    return Answer(
        query=stages.query,
        command=request.heard,
        status=status,
        message=message,
        groundings=tied.groundings,
        objects=tied.objects,
        answer=text,
        viewpoint=stages.view,
        latency_ms=stages.latency_ms,
        extra={
            "hyperlinks": hyperlinked(said.text, tied.mentions, stages.image_wh),
            "problems": (*said.problems, *stages.problems),
            "text_score": said.score,
        },
    )


def counted(number: int, noun: str) -> str:
    """ "2 things"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
