"""The part of an image that a request is about: a box, what lies under points, or a thing that is located first."""

from __future__ import annotations

from dataclasses import dataclass

from vlm_perception.describing.requests import DescribeRequest, thing_query
from vlm_perception.stages import Stages
from vlm_perception.types import Answer, BoolMask, BoxXyxy, CommandError, Detection, Status


@dataclass(frozen=True, eq=False)
class Region:
    """A part of an image.

    Attributes:
        box_xyxy: original image pixels, within the image.
        mask: (H, W) what in it is the thing; None where only a box was given.
        phrase: what it was located by; "region" when it was given.
    """

    box_xyxy: BoxXyxy
    mask: BoolMask | None = None
    phrase: str = "region"

    def detection(self, label: str, score: float) -> Detection:
        """It, as what a model gave."""
        return Detection(self.phrase, label or self.phrase, score, self.box_xyxy, mask=self.mask)


def regions_of(stages: Stages, request: DescribeRequest) -> tuple[Region, ...] | Answer:
    """What a request is about; when it names a thing that there is not, or not one of, the answer that says so.

    Raises:
        CommandError: the region does not lie in the image.
        ModelError: the model failed.
    """
    if request.region_xyxy is not None:
        return (Region(_inside(request.region_xyxy, stages.image_wh)),)
    if request.points_uv:
        ((mask, box),) = stages.under([request.points_uv])
        return (Region(box, mask),)
    answer = stages.ground(thing_query(request, stages.model), request.heard, needs_pose=False)
    if answer.status is not Status.SUCCEEDED:
        return answer
    return tuple(Region(found.object.box_xyxy, found.object.mask, found.phrase) for found in answer.targets)


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
