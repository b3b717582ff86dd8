"""What can be asked about a frame, and what a model must be able to do for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from vlm_perception import language
from vlm_perception.foreign import may_speak, named, require_language, understood
from vlm_perception.language.captions import parse_claims
from vlm_perception.models.base import GroundingModel
from vlm_perception.models.capability import require, require_places
from vlm_perception.things_under_points import PointUv
from vlm_perception.types import BoxXyxy, CommandError, Query, Task


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
            (POINT, COUNT; in place of a region REGION, CATEGORY, READ). CAPTION takes none.
        region_xyxy: for REGION (its description), CATEGORY (its name), READ (its writing; without a region, the whole
            image's) and ASK (the model sees the region alone), original image pixels.
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
_REGIONAL: Final = (DescribeTask.REGION, DescribeTask.CATEGORY, DescribeTask.READ, DescribeTask.ASK)
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


def check_request(model: GroundingModel, request: DescribeRequest) -> None:
    """Refuse what cannot be done, and what would be left undone, before there is an image.

    Raises:
        CommandError: the model cannot do it (names those that can), something is missing from the request, or a part of
            it is for another task (names which).
    """
    task, text = request.task, request.text.strip()
    if len(request.text) > _MAX_TEXT:
        raise CommandError(f"The text has {len(request.text)} characters, more than {_MAX_TEXT}; say less at once.")
    if task in _NEEDS:
        require(model, _NEEDS[task])
    else:
        require_places(model, counting=task is DescribeTask.COUNT)
        if task is DescribeTask.CHECK and not text:
            require(model, "captions")
    _check_region(request)
    if task in _TEXT and not text:
        raise CommandError(f"The task '{task.value}' needs {_TEXT[task]}.")
    if text:
        _check_text(model, request)


def _check_region(request: DescribeRequest) -> None:
    task, text = request.task, request.text.strip()
    given = request.region_xyxy is not None or bool(request.points_uv)
    if given and task not in _REGIONAL:
        others = ", ".join(f"'{other.value}'" for other in _REGIONAL)
        raise CommandError(
            f"The task '{task.value}' is about the whole image and takes no region; a region goes with {others}."
        )
    if request.region_xyxy is not None and request.points_uv:
        raise CommandError("A region is a box, or points on the thing, not both.")
    if given and text and task is not DescribeTask.ASK:
        raise CommandError(
            f"The task '{task.value}' takes a region or a text that names the thing, not both; a question about a region "
            f"goes with 'ask', got '{text[:80]}'."
        )
    if task in (DescribeTask.REGION, DescribeTask.CATEGORY) and not given and not text:
        raise CommandError(
            f"The task '{task.value}' needs a box, or points on the thing, in pixels of the color image; or the thing in "
            "'text', e.g. 'the left can'."
        )


def _check_text(model: GroundingModel, request: DescribeRequest) -> None:
    task, text = request.task, request.text.strip()
    if task is DescribeTask.CAPTION:
        raise CommandError(
            f"The task 'caption' is about all of the image and takes no text, got '{text[:80]}'; a question goes with 'ask', "
            "a thing with 'region', a caption with 'check'."
        )
    if task in (DescribeTask.VERIFY, DescribeTask.CHECK):
        _check_claims(model, text)
    elif task in _REGIONAL and task is not DescribeTask.ASK:
        if not request.about_region:
            require_places(model)
            thing_query(request, model)
    elif task is DescribeTask.COUNT or (task is DescribeTask.POINT and not model.capabilities.points):
        query_of(request, model)
    else:
        foreign = language.foreign_language(text)
        if foreign is not None:
            require_language(model, foreign)


def _check_claims(model: GroundingModel, text: str) -> None:
    try:
        parse_claims(text)
    except CommandError:
        foreign = language.foreign_language(text)
        if foreign is None:
            raise
        asks = model.capabilities.answers and may_speak(model, foreign)
        asked = ", or ask for it with the task 'ask'" if asks else ""
        raise CommandError(
            f"did not understand {foreign.told}: statements are taken apart in English only, whatever the model; say for "
            f"example 'the bowl is on the plate'{asked}"
        ) from foreign


def query_of(request: DescribeRequest, model: GroundingModel) -> Query:
    """The query that counts or points at what a text names.

    Raises:
        CommandError: it names nothing, or in a language that the model does not speak.
    """
    wanted, words = _PHRASED[request.task]
    try:
        query = language.parse(request.text)
    except language.ForeignLanguageError as error:
        require_language(model, error)
        return named(request.text, wanted)
    return query if query.task is wanted else language.parse(words.format(request.text.strip().rstrip(".?!")))


def thing_query(request: DescribeRequest, model: GroundingModel) -> Query:
    """The query that locates the thing that a text names in place of a region.

    Raises:
        CommandError: it names none, or in a language that the model does not speak.
    """
    query = understood(request.text, model)
    if query.task is not Task.LOCATE or not query.phrases:
        raise CommandError(
            f"The task '{request.task.value}' takes the thing in 'text', e.g. 'the left can', not '{request.text.strip()[:80]}'; a "
            "question goes with 'ask'."
        )
    return query
