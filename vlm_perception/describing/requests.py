"""What can be asked about a frame, and what a model must be able to do for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from vlm_perception import language
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
    if query.task is Task.DESCRIBE:
        return DescribeRequest(DescribeTask.CAPTION, query.text)
    if query.task is Task.ASK:
        reads = query.text.lower().startswith("read") and model.capabilities.reads_text
        return DescribeRequest(DescribeTask.READ if reads else DescribeTask.ASK, query.text)
    return None


def check_request(model: GroundingModel, request: DescribeRequest) -> None:
    """Refuse what cannot be done, before there is an image.

    Raises:
        CommandError: the model cannot do it (names those that can), or something is missing from the request.
    """
    task = request.task
    if len(request.text) > _MAX_TEXT:
        raise CommandError(f"The text has {len(request.text)} characters, more than {_MAX_TEXT}; say less at once.")
    if task in _NEEDS:
        require(model, _NEEDS[task])
    else:
        require_places(model, counting=task is DescribeTask.COUNT)
        if task is DescribeTask.CHECK and not request.text.strip():
            require(model, "captions")
    if task in _TEXT and not request.text.strip():
        raise CommandError(f"The task '{task.value}' needs {_TEXT[task]}.")
    if task in (DescribeTask.REGION, DescribeTask.CATEGORY) and not request.about_region:
        raise CommandError(f"The task '{task.value}' needs a box, or points on the thing, in pixels of the color image.")
    if task in (DescribeTask.VERIFY, DescribeTask.CHECK) and request.text.strip():
        parse_claims(request.text)
    elif task is DescribeTask.COUNT or (task is DescribeTask.POINT and not model.capabilities.points):
        query_of(request)


def query_of(request: DescribeRequest) -> Query:
    """The query that counts or points at what a text names."""
    wanted, words = _PHRASED[request.task]
    query = language.parse(request.text)
    return query if query.task is wanted else language.parse(words.format(request.text.strip().rstrip(".?!")))
