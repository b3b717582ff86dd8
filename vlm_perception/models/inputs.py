"""What is handed to a model, checked in one place: every family refuses the same things in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from vlm_perception.models.base import RgbImage
from vlm_perception.models.boxes import clip_boxes
from vlm_perception.types import FloatArray, ModelError


def check_image(image_rgb: object, what: str = "the image") -> None:
    """Refuse what is no color image.

    Args:
        image_rgb: to be (H, W, 3) uint8, with at least one pixel.
        what: what to call it.

    Raises:
        ModelError: it is not; names its shape and dtype.
    """
    if not isinstance(image_rgb, np.ndarray):
        raise ModelError(f"{what} must be an (H, W, 3) uint8 array, got {type(image_rgb).__name__}")
    shape = image_rgb.shape
    if len(shape) != 3 or shape[2] != 3 or image_rgb.dtype != np.uint8 or 0 in shape:
        raise ModelError(f"{what} must be (H, W, 3) uint8, got {shape} {image_rgb.dtype}")


def check_images(images_rgb: Iterable[object]) -> None:
    """:func:`check_image` for each, "image 0" and so on.

    Raises:
        ModelError: one is no color image; names its number, shape and dtype.
    """
    for index, image_rgb in enumerate(images_rgb):
        check_image(image_rgb, f"image {index}")


def check_boxes(boxes_xyxy: Sequence[ArrayLike], image_rgb: RgbImage) -> FloatArray:
    """The prompts of a segmenter, cut at the image's border: boxes of detectors may reach beyond it.

    Args:
        boxes_xyxy: ``(x1, y1, x2, y2)`` in pixels each.
        image_rgb: (H, W, 3) uint8.

    Returns:
        (N, 4) float64, each box with an area in the image.

    Raises:
        ModelError: the image is none; or a box is not four finite numbers with x1 < x2 and y1 < y2, or does not meet
            the image. Names the box.
    """
    check_image(image_rgb)
    height, width = image_rgb.shape[:2]
    rows = [_numbers(box, f"box {index}", 4) for index, box in enumerate(boxes_xyxy)]
    for index, (x1, y1, x2, y2) in enumerate(rows):
        shown = f"box {index}, ({x1:g}, {y1:g}, {x2:g}, {y2:g}),"
        if not (x1 < x2 and y1 < y2):
            raise ModelError(f"{shown} has no area: it must be (x1, y1, x2, y2) with x1 < x2 and y1 < y2")
        if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            raise ModelError(f"{shown} does not meet the {width} x {height} image")
    return clip_boxes(rows, width, height)


def check_points(groups_uv: Sequence[Sequence[ArrayLike]], image_rgb: RgbImage) -> list[FloatArray]:
    """The prompts of a segmenter that takes points.

    Args:
        groups_uv: groups of ``(u, v)`` pixels, one group a thing.
        image_rgb: (H, W, 3) uint8.

    Returns:
        (K, 2) float64 a group, K > 0.

    Raises:
        ModelError: the image is none; or a group is empty, or one of its points is not two finite numbers in the image.
            Names the point.
    """
    check_image(image_rgb)
    height, width = image_rgb.shape[:2]
    groups = []
    for index, group in enumerate(groups_uv):
        if not len(group):
            raise ModelError(f"group {index} has no point: each must hold at least one (u, v)")
        rows = [_numbers(point, f"point {number} of group {index}", 2) for number, point in enumerate(group)]
        for number, (u, v) in enumerate(rows):
            if not (0 <= u <= width and 0 <= v <= height):
                where = f"the {width} x {height} image"
                raise ModelError(f"point {number} of group {index}, ({u:g}, {v:g}), does not lie in {where}")
        groups.append(np.stack(rows))
    return groups


def _numbers(given: ArrayLike, what: str, count: int) -> FloatArray:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{what} must be {count} numbers, got {given!r}") from error
    if values.shape != (count,):
        raise ModelError(f"{what} must be {count} numbers, got {given!r}")
    if not np.isfinite(values).all():
        raise ModelError(f"{what} must be finite, got ({', '.join(f'{value:g}' for value in values)})")
    return values
