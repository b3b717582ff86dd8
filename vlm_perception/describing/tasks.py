"""Words about a frame, each tied to a thing in 3-D: caption, question, check, region, reading, pointing, counting.

What a model cannot do is refused before it runs, naming the models that can. What does not need one that speaks
(verify, check, count, point) is done by locating and resolving.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from vlm_perception import language
from vlm_perception.describing.checking import Check, check
from vlm_perception.describing.hyperlinks import hyperlinked
from vlm_perception.describing.mentions import Tied, tie, tie_words
from vlm_perception.language.captions import Claims, parse_claims
from vlm_perception.models.base import GroundedText, GroundingModel, Mention, VisionLanguageModel
from vlm_perception.models.capability import require
from vlm_perception.pointing import PointUv, thing_at
from vlm_perception.stages import Stages, demand_depth
from vlm_perception.types import (
    Answer,
    BoolMask,
    BoxXyxy,
    CommandError,
    Detection,
    Query,
    Resolution,
    Status,
    Task,
)


class DescribeTask(str, Enum):
    """What can be asked; the values are those of ``Describe.srv``."""

    CAPTION = "caption"
    ASK = "ask"
    VERIFY = "verify"
    CHECK = "check"
    REGION = "region"
    CATEGORY = "category"
    READ = "read"
    POINT = "point"
    COUNT = "count"


@dataclass(frozen=True)
class DescribeRequest:
    """A task with what it needs.

    Attributes:
        task: what to do.
        text: the question (ASK), the statements (VERIFY), the caption (CHECK; empty: the model makes one), the thing
            (POINT, COUNT). CAPTION, REGION, CATEGORY and READ need none.
        region_xyxy: for REGION (its description), CATEGORY (its name) and READ (its writing; without a region, the whole
            image's), original image pixels.
        points_uv: in place of a box: one is a click, several are a scribble over the thing.
    """

    task: DescribeTask
    text: str = ""
    region_xyxy: BoxXyxy | None = None
    points_uv: tuple[PointUv, ...] = ()

    @property
    def heard(self) -> str:
        """What an answer repeats as its command."""
        return self.text.strip() or self.task.value

    @property
    def about_region(self) -> bool:
        """Whether it is about a part of one image."""
        return self.task in _REGIONAL and (self.region_xyxy is not None or bool(self.points_uv))


# Task -> what a model must be able to do for it; the others are done by locating things.
_NEEDS: Final = {
    DescribeTask.CAPTION: "captions",
    DescribeTask.ASK: "answers",
    DescribeTask.REGION: "describes_regions",
    DescribeTask.CATEGORY: "names_regions",
    DescribeTask.READ: "reads_text",
}
_REGIONAL: Final = (DescribeTask.REGION, DescribeTask.CATEGORY, DescribeTask.READ)
_MAX_TEXT: Final = 4000
_TEXT: Final = {
    DescribeTask.ASK: "a question in 'text', e.g. 'what is on the plate?'",
    DescribeTask.VERIFY: "a statement in 'text', e.g. 'the bowl is on the plate'",
    DescribeTask.POINT: "the thing in 'text', e.g. 'the handle of the red mug'",
    DescribeTask.COUNT: "the things in 'text', e.g. 'cans in the basket'",
}
_PHRASED: Final = {
    DescribeTask.COUNT: (Task.COUNT, "how many {} are there"),
    DescribeTask.POINT: (Task.POINT, "point at {}"),
}


def request_of(query: Query, model: GroundingModel) -> DescribeRequest | None:
    """What a spoken command asks of a model that speaks; None for what is located and resolved."""
    can = model.capabilities
    if query.task is Task.DESCRIBE:
        return DescribeRequest(DescribeTask.CAPTION, query.text)
    if query.task is Task.ASK:
        reads = query.text.lower().startswith("read") and can.reads_text
        return DescribeRequest(DescribeTask.READ if reads else DescribeTask.ASK, query.text)
    if can.points and not can.detects and query.task in (Task.LOCATE, Task.POINT, Task.COUNT):
        task = DescribeTask.COUNT if query.task is Task.COUNT else DescribeTask.POINT
        return DescribeRequest(task, query.text)
    return None


def check_request(model: GroundingModel, request: DescribeRequest) -> None:
    """Refuse what cannot be done, before there is an image.

    Raises:
        CommandError: the model cannot do it (names those that can), or something is missing from the request.
    """
    task, can = request.task, model.capabilities
    if len(request.text) > _MAX_TEXT:
        raise CommandError(f"The text has {len(request.text)} characters, more than {_MAX_TEXT}; say less at once.")
    if task in _NEEDS:
        require(model, _NEEDS[task])
    elif task is DescribeTask.CHECK:
        require(model, "detects")
        if not request.text.strip():
            require(model, "captions")
    elif not (can.points and task in _PHRASED):
        require(model, "detects")
    if task in _TEXT and not request.text.strip():
        raise CommandError(f"The task '{task.value}' needs {_TEXT[task]}.")
    if task in (DescribeTask.REGION, DescribeTask.CATEGORY) and not request.about_region:
        raise CommandError(f"The task '{task.value}' needs a box, or points on the thing, in pixels of the color image.")
    if task in (DescribeTask.VERIFY, DescribeTask.CHECK) and request.text.strip():
        _claims(request)
    elif (task is DescribeTask.COUNT and can.detects) or (task is DescribeTask.POINT and not can.points):
        _query(request)


def describe(stages: Stages, request: DescribeRequest) -> Answer:
    """Do what a request asks on one frame.

    Returns:
        In the camera's optical frame: the words in ``answer``; the things they speak of as targets, with mask, points
        and pose where there is depth. ``extra`` holds ``hyperlinks`` (the words with their boxes as Kosmos-2 writes
        them), ``claims`` (:class:`~vlm_perception.describing.checking.ClaimCheck` each, for VERIFY and CHECK) and ``problems``
        (what of the model's words was dropped or mended).

    Raises:
        CommandError: see :func:`check_request`; or the region does not lie in the image.
        ModelError: the model failed.
        ImageError: depth cannot be laid over color.
        Canceled: the answer is no longer wanted.
    """
    check_request(stages.model, request)
    return _DO[request.task](stages, request)


# --------------------------------------------------------------------------- words of the model


def _caption(stages: Stages, request: DescribeRequest) -> Answer:
    said = _say(stages, lambda model: model.caption(stages.frame.color_rgb))
    tied = tie(stages, said) if said.mentions else tie_words(stages, said)
    return _spoken(stages, request, said, tied)


def _ask(stages: Stages, request: DescribeRequest) -> Answer:
    said = _say(stages, lambda model: model.answer(stages.frame.color_rgb, request.text.strip()))
    tied = tie(stages, said) if said.mentions else tie_words(stages, said, about=request.text)
    return _spoken(stages, request, said, tied)


def _read(stages: Stages, request: DescribeRequest) -> Answer:
    color_rgb = stages.frame.color_rgb
    box, mask = _region(stages, request) if request.about_region else (None, None)
    said = _say(stages, lambda model: model.read_text(color_rgb) if box is None else model.read_text(color_rgb, box))
    lines = [mention.label for mention in said.mentions if mention.label]
    if lines:  # spans count from the start of what is told
        starts = [sum(len(line) + 1 for line in lines[:k]) for k in range(len(lines))]
        places = [m.boxes_xyxy for m in said.mentions if m.label]
        mentions = tuple(
            Mention((start, start + len(line)), line, boxes)
            for start, line, boxes in zip(starts, lines, places, strict=True)
        )
        said = GroundedText("\n".join(lines), mentions, said.score, said.problems)
    first = None if box is None or said.mentions or not said.text else _thing(said, box, mask)
    return _spoken(stages, request, said, tie(stages, said, first=first), nothing="no text was read")


def _describe_region(stages: Stages, request: DescribeRequest) -> Answer:
    box, mask = _region(stages, request)
    said = _say(stages, lambda model: model.describe_region(stages.frame.color_rgb, box))
    return _spoken(stages, request, said, tie(stages, said, first=_thing(said, box, mask)))


def _name_region(stages: Stages, request: DescribeRequest) -> Answer:
    box, mask = _region(stages, request)
    said = _say(stages, lambda model: model.name_region(stages.frame.color_rgb, box))
    return _spoken(stages, request, said, tie(stages, said, first=_thing(said, box, mask)))


def _region(stages: Stages, request: DescribeRequest) -> tuple[BoxXyxy, BoolMask | None]:
    """The box that is meant, and what in it is the thing where that was told by points."""
    if request.region_xyxy is not None:
        return _inside(request.region_xyxy, stages.image_wh), None
    frame = stages.frame
    with stages.stage("region"):
        mask, box = thing_at(request.points_uv, frame.color_rgb, stages.depth_m, frame.camera, stages.segmenter)
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


def _say(stages: Stages, work: Callable[[VisionLanguageModel], GroundedText]) -> GroundedText:
    model: Any = stages.model  # capabilities were checked: it is a VisionLanguageModel
    return stages.ask("speak", lambda: work(model))


def _spoken(stages: Stages, request: DescribeRequest, said: GroundedText, tied: Tied, *, nothing: str = "") -> Answer:
    text = said.text.strip()
    if not text:
        status = Status.NOT_FOUND
        message = f"'{stages.model.name}': {nothing or 'it said nothing'}."
    else:
        status = Status.SUCCEEDED
        posed = sum(found.object.geometry is not None for found in tied.groundings)
        message = f"{_counted(len(tied.groundings), 'thing')} tied to these words, {posed} of them in 3-D."
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
            "problems": said.problems,
            "text_score": said.score,
        },
    )


# --------------------------------------------------------------------------- located and resolved


def _verify(stages: Stages, request: DescribeRequest) -> Answer:
    claims = _claims(request)
    if claims.rest:
        raise CommandError(f"did not understand '{claims.rest[0][:60]}'; say it in simpler words, or use 'check'")
    return _checked(stages, request, check(stages, request.text, claims, atoms=False), "")


def _check(stages: Stages, request: DescribeRequest) -> Answer:
    if request.text.strip():
        return _checked(stages, request, check(stages, request.text, _claims(request), atoms=True), "")
    said = _say(stages, lambda model: model.caption(stages.frame.color_rgb))
    try:
        claims = parse_claims(said.text)
    except CommandError:  # the model's words are no fault of the user's
        return _spoken(stages, request, GroundedText("", (), said.score, said.problems), tie(stages, GroundedText("")),
                       nothing=f"its caption '{said.text[:80]}' claims nothing that can be checked")  # fmt: skip
    return _checked(stages, request, check(stages, said.text, claims, atoms=True), said.text)


def _checked(stages: Stages, request: DescribeRequest, found: Check, caption: str) -> Answer:
    if len(found.claims) == 1 and found.verdict is not None:
        (claim,) = found.claims
        summary = f"{'Yes' if claim.holds else 'No'}: {claim.reason}."
    else:
        summary = found.summary
    return Answer(
        query=stages.query,
        command=request.heard,
        status=Status.SUCCEEDED if found.verdict is not None else Status.NOT_FOUND,
        message=f"Checked '{caption}'. {summary}" if caption else summary,
        groundings=found.evidence,
        objects=found.objects,
        answer=summary,
        verdict=found.verdict,
        viewpoint=stages.view,
        latency_ms=stages.latency_ms,
        extra={"claims": found.claims, "caption": caption},
    )


def _claims(request: DescribeRequest) -> Claims:
    return parse_claims(request.text)


def _count(stages: Stages, request: DescribeRequest) -> Answer:
    if stages.model.capabilities.detects:
        return stages.ground(_query(request), request.heard, needs_pose=False)
    return _pointed(stages, request, counting=True)


def _point(stages: Stages, request: DescribeRequest) -> Answer:
    if stages.model.capabilities.points:
        return _pointed(stages, request, counting=False)
    return stages.ground(_query(request), request.heard, needs_pose=True)


def _pointed(stages: Stages, request: DescribeRequest, *, counting: bool) -> Answer:
    """By the model's own points, each with the thing it lies on."""
    phrase = _phrase(request.text)
    said = _say(stages, lambda model: model.point(stages.frame.color_rgb, phrase))
    tied = tie(stages, GroundedText(said.text, _renamed(said.mentions, phrase), said.score, said.problems))
    number = sum(len(mention.boxes_xyxy) for mention in said.mentions)
    if not number and not counting:
        status, message = Status.NOT_FOUND, f"'{stages.model.name}' points at nothing for '{phrase}'."
    else:
        status, message = Status.SUCCEEDED, f"{_counted(number, 'point')} for '{phrase}'."
    resolution = Resolution(status, message, tied.groundings)
    if not counting:
        resolution = demand_depth(resolution, depth_given=stages.depth_m is not None)
    return Answer(
        query=stages.query,
        command=request.heard,
        status=resolution.status,
        message=resolution.message,
        groundings=resolution.groundings,
        objects=tied.objects,
        count=number if counting else None,
        answer=str(number) if counting else "",
        viewpoint=stages.view,
        latency_ms=stages.latency_ms,
        extra={"problems": said.problems},
    )


def _renamed(mentions: Sequence[Mention], phrase: str) -> tuple[Mention, ...]:
    return tuple(Mention(m.span, m.label or phrase, m.boxes_xyxy) for m in mentions)


def _phrase(text: str) -> str:
    """The words for the thing itself: "point at the red mug, please" -> "red mug"."""
    try:
        query = language.parse(text)
    except CommandError:
        return text.strip()
    entity = query.items[0].entity if query.items else None
    return entity.text or entity.phrase if entity is not None else text.strip()


def _query(request: DescribeRequest) -> Query:
    """The query that counts or points at what a text names."""
    wanted, words = _PHRASED[request.task]
    query = language.parse(request.text)
    return query if query.task is wanted else language.parse(words.format(request.text.strip().rstrip(".?!")))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


_DO: Final[dict[DescribeTask, Callable[[Stages, DescribeRequest], Answer]]] = {
    DescribeTask.CAPTION: _caption,
    DescribeTask.ASK: _ask,
    DescribeTask.VERIFY: _verify,
    DescribeTask.CHECK: _check,
    DescribeTask.REGION: _describe_region,
    DescribeTask.CATEGORY: _name_region,
    DescribeTask.READ: _read,
    DescribeTask.POINT: _point,
    DescribeTask.COUNT: _count,
}
