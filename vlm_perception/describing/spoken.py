"""Words of a model about a frame, each tied to a thing in 3-D: captions, answers, regions, writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from vlm_perception.describing.hyperlinks import hyperlinked
from vlm_perception.describing.mentions import Tied, tie, tie_words
from vlm_perception.describing.regions import Region, regions_of
from vlm_perception.describing.requests import DescribeRequest
from vlm_perception.models.base import GroundedText, Mention, VisionLanguageModel
from vlm_perception.models.regions import cut_out, moved
from vlm_perception.stages import Stages
from vlm_perception.types import Answer, BoxXyxy, Detection, Status

if TYPE_CHECKING:
    from collections.abc import Callable

_TOLD = 2  # problems a message tells


class _OfBox(Protocol):
    """What a model is asked of a box."""

    def __call__(self, model: VisionLanguageModel, box_xyxy: BoxXyxy) -> GroundedText: ...


def caption(stages: Stages, request: DescribeRequest) -> Answer:
    """What is in the image, each mention with its thing."""
    said = say(stages, lambda model: model.caption(stages.frame.color_rgb))
    tied = tie(stages, said) if said.mentions else tie_words(stages, said)
    return spoken(stages, request, said, tied)


def ask(stages: Stages, request: DescribeRequest) -> Answer:
    """An answer, with its evidence; about a region, from its pixels alone."""
    question = request.text.strip()
    if request.about_region:
        return _ask_region(stages, request, question)
    said = say(stages, lambda model: model.answer(stages.frame.color_rgb, question))
    tied = tie(stages, said) if said.mentions else tie_words(stages, said, about=question)
    return spoken(stages, request, said, tied)


def _ask_region(stages: Stages, request: DescribeRequest, question: str) -> Answer:
    def answer(model: VisionLanguageModel, box_xyxy: BoxXyxy) -> GroundedText:
        part_rgb, corner_uv = cut_out(stages.frame.color_rgb, box_xyxy)
        return moved(model.answer(part_rgb, question), corner_uv)

    told = _in_regions(stages, request, answer)
    if isinstance(told, Answer):
        return told
    said, regions = told
    first = [region.detection("", words.score) for region, words in zip(regions, said, strict=True)]
    return spoken(stages, request, _joined(said), tie(stages, _joined(said), first=first))


def read(stages: Stages, request: DescribeRequest) -> Answer:
    """The writing in the image, or in a part of it, line by line."""
    color_rgb = stages.frame.color_rgb
    first: list[Detection] = []
    if request.about_region or request.text.strip():
        told = _in_regions(stages, request, lambda model, box_xyxy: model.read_text(color_rgb, box_xyxy))
        if isinstance(told, Answer):
            return told
        parts = [_lines(words) for words in told[0]]
        first = [
            region.detection(words.text, words.score)
            for words, region in zip(parts, told[1], strict=True)
            if words.text and not words.mentions
        ]
        said = _joined(parts)
    else:
        said = _lines(say(stages, lambda model: model.read_text(color_rgb)))
    return spoken(stages, request, said, tie(stages, said, first=first), nothing="no text was read")


def _lines(said: GroundedText) -> GroundedText:
    """What was read, a line each; a place without words is nothing that was read."""
    lines = [mention for mention in said.mentions if mention.label]
    starts = [sum(len(line.label) + 1 for line in lines[:k]) for k in range(len(lines))]
    mentions = tuple(
        replace(line, span=(start, start + len(line.label))) for start, line in zip(starts, lines, strict=True)
    )
    return replace(said, text="\n".join(line.label for line in lines) if lines else said.text, mentions=mentions)


def describe_region(stages: Stages, request: DescribeRequest) -> Answer:
    """What is in a box, at a click, under a scribble, or the thing that is named."""
    color_rgb = stages.frame.color_rgb
    return _told_of(stages, request, lambda model, box_xyxy: model.describe_region(color_rgb, box_xyxy))


def name_region(stages: Stages, request: DescribeRequest) -> Answer:
    """The category of what is there."""
    color_rgb = stages.frame.color_rgb
    return _told_of(stages, request, lambda model, box_xyxy: model.name_region(color_rgb, box_xyxy))


def _told_of(stages: Stages, request: DescribeRequest, work: _OfBox) -> Answer:
    told = _in_regions(stages, request, work)
    if isinstance(told, Answer):
        return told
    first = [region.detection(words.text, words.score) for words, region in zip(*told, strict=True)]
    said = _joined(told[0])
    return spoken(stages, request, said, tie(stages, said, first=first))


def _in_regions(
    stages: Stages, request: DescribeRequest, work: _OfBox
) -> tuple[list[GroundedText], tuple[Region, ...]] | Answer:
    """What the model says of each region; or the answer that says why there is none."""
    regions = regions_of(stages, request)
    if isinstance(regions, Answer):
        return regions
    return [say(stages, partial(work, box_xyxy=region.box_xyxy)) for region in regions], regions


def _joined(said: Sequence[GroundedText]) -> GroundedText:
    """The words about several regions as one text, a line each."""
    if len(said) == 1:
        return said[0]
    mentions: list[Mention] = []
    start = 0
    for words in said:
        for mention in words.mentions:
            span = None if mention.span is None else (mention.span[0] + start, mention.span[1] + start)
            mentions.append(replace(mention, span=span))
        start += len(words.text) + 1
    return GroundedText(
        "\n".join(words.text for words in said),
        tuple(mentions),
        min((words.score for words in said), default=0.0),
        tuple(problem for words in said for problem in words.problems),
        tuple(lost for words in said for lost in words.lost),
    )


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
