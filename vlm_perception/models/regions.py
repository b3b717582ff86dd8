"""What can be asked of a box in an image, and how a model that takes no boxes is shown one: cut out."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import Enum
from typing import Final

from vlm_perception.models.base import GroundedText, RgbImage
from vlm_perception.types import BoxXyxy, CommandError

_SMALLEST_PX: Final = 8  # of a cut-out: below, there is no writing, and processors refuse very long strips
_LONGEST: Final = 100  # times the shorter side


class RegionWish(str, Enum):
    """What is wanted of a box."""

    DESCRIPTION = "description"
    CATEGORY = "category"
    TEXT = "text"
    OUTLINE = "outline"


def check_region(box_xyxy: BoxXyxy, image_rgb: RgbImage) -> None:
    """Refuse a box that is none, or that does not lie in the image.

    Raises:
        CommandError: names the box and the image's size.
    """
    height, width = image_rgb.shape[:2]
    x1, y1, x2, y2 = box_xyxy
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise CommandError(f"region {box_xyxy} does not lie in the {width} x {height} image")


def cut_out(image_rgb: RgbImage, box_xyxy: BoxXyxy) -> tuple[RgbImage, tuple[int, int]]:
    """The pixels of a box, and where its upper left corner lies in the image.

    Raises:
        CommandError: it is too small, or too long and thin, to read in.
    """
    x1, y1, x2, y2 = math.floor(box_xyxy[0]), math.floor(box_xyxy[1]), math.ceil(box_xyxy[2]), math.ceil(box_xyxy[3])
    shorter, longer = sorted((x2 - x1, y2 - y1))
    if shorter < max(_SMALLEST_PX, longer / _LONGEST):
        raise CommandError(
            f"the region of {x2 - x1} x {y2 - y1} pixels is too small to read in; take one of {_SMALLEST_PX} x "
            f"{_SMALLEST_PX} or more, at most {_LONGEST} times as long as wide"
        )
    return image_rgb[y1:y2, x1:x2].copy(), (x1, y1)


def moved(said: GroundedText, by_uv: tuple[int, int]) -> GroundedText:
    """Places of a cut-out as places of the image it was cut from."""
    u, v = by_uv
    mentions = tuple(
        replace(mention, boxes_xyxy=tuple((a + u, b + v, c + u, d + v) for a, b, c, d in mention.boxes_xyxy))
        for mention in said.mentions
    )
    return replace(said, mentions=mentions)
