"""The ways models write a coordinate, to and from pixels of the original image. Pure functions.

Every decoder takes numbers as the model wrote them and the *original* image's ``(width, height)``, and gives
``(x_min, y_min, x_max, y_max)`` in its pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from vlm_perception.types import BoxXyxy

FLORENCE_BINS = 1000
PALIGEMMA_BINS = 1024
PER_MILLE = 1000
KOSMOS_PATCHES_PER_SIDE = 32

Size = tuple[float, float]


def fraction_to_pixels(box: Sequence[float], image_wh: Size) -> BoxXyxy:
    """``(x1, y1, x2, y2)`` in [0, 1] (Shikra's way of writing) -> pixels."""
    width, height = image_wh
    x1, y1, x2, y2 = box
    return (x1 * width, y1 * height, x2 * width, y2 * height)


def pixels_to_fraction(box_xyxy: Sequence[float], image_wh: Size) -> BoxXyxy:
    """Inverse of :func:`fraction_to_pixels`."""
    width, height = image_wh
    x1, y1, x2, y2 = box_xyxy
    return (x1 / width, y1 / height, x2 / width, y2 / height)


def bin_to_fraction(index: float, bins: int, *, center: bool) -> float:
    """A bin's fraction of the image: its centre, or its lower edge."""
    return (index + (0.5 if center else 0.0)) / bins


def fraction_to_bin(fraction: float, bins: int) -> int:
    """The bin that a fraction falls into; 1.0 belongs to the last."""
    return min(max(math.floor(fraction * bins), 0), bins - 1)


def florence_to_pixels(bins_xyxy: Sequence[float], image_wh: Size) -> BoxXyxy:
    """Florence-2's ``<loc_x1><loc_y1><loc_x2><loc_y2>``: 1000 bins, read at their centres.

    As ``Florence2PostProcessor.dequantize``, which afterwards drops the fraction of a pixel; this does not.
    """
    return fraction_to_pixels([bin_to_fraction(k, FLORENCE_BINS, center=True) for k in bins_xyxy], image_wh)


def pixels_to_florence(box_xyxy: Sequence[float], image_wh: Size) -> tuple[int, int, int, int]:
    """Pixels -> the four bins that ``<REGION_TO_...>`` prompts want."""
    x1, y1, x2, y2 = (fraction_to_bin(f, FLORENCE_BINS) for f in pixels_to_fraction(box_xyxy, image_wh))
    return (x1, y1, x2, y2)


def paligemma_to_pixels(bins_yxyx: Sequence[float], image_wh: Size) -> BoxXyxy:
    """PaliGemma's ``<locY1><locX1><locY2><locX2>``: y first, 1024 bins, ``k / 1024`` of the side."""
    y1, x1, y2, x2 = (bin_to_fraction(k, PALIGEMMA_BINS, center=False) for k in bins_yxyx)
    return fraction_to_pixels((x1, y1, x2, y2), image_wh)


def pixels_to_paligemma(box_xyxy: Sequence[float], image_wh: Size) -> tuple[int, int, int, int]:
    """Pixels -> ``(y1, x1, y2, x2)`` bins."""
    x1, y1, x2, y2 = (fraction_to_bin(f, PALIGEMMA_BINS) for f in pixels_to_fraction(box_xyxy, image_wh))
    return (y1, x1, y2, x2)


def kosmos_to_pixels(
    upper_left: int, lower_right: int, image_wh: Size, *, side: int = KOSMOS_PATCHES_PER_SIDE
) -> BoxXyxy:
    """Kosmos-2's ``<patch_index_a><patch_index_b>``: corner cells of a 32 x 32 grid.

    Corners are read at cell centres, except where the box is one cell wide or high (then at the cells' outer
    edges), as ``patch_index_to_coordinate`` of the library does.
    """
    row1, column1 = divmod(upper_left, side)
    row2, column2 = divmod(lower_right, side)
    thin = row1 == row2 or column1 == column2
    start, end = (0.0, 1.0) if thin else (0.5, 0.5)
    box = ((column1 + start) / side, (row1 + start) / side, (column2 + end) / side, (row2 + end) / side)
    return fraction_to_pixels(box, image_wh)


def pixels_to_kosmos(
    box_xyxy: Sequence[float], image_wh: Size, *, side: int = KOSMOS_PATCHES_PER_SIDE
) -> tuple[int, int]:
    """Pixels -> (upper left, lower right) cell, as ``coordinate_to_patch_index`` of the library does."""
    x1, y1, x2, y2 = pixels_to_fraction(box_xyxy, image_wh)

    def last(fraction: float) -> int:
        return min(max(math.ceil(fraction * side - 1), 0), side - 1)

    first_cell = fraction_to_bin(y1, side) * side + fraction_to_bin(x1, side)
    return first_cell, last(y2) * side + last(x2)


def per_mille_to_pixels(box: Sequence[float], image_wh: Size) -> BoxXyxy:
    """Qwen3-VL, InternVL: 0 ... 1000 across each side."""
    return fraction_to_pixels([value / PER_MILLE for value in box], image_wh)


def pixels_to_per_mille(box_xyxy: Sequence[float], image_wh: Size) -> tuple[int, int, int, int]:
    """Pixels -> whole per mille of each side."""
    x1, y1, x2, y2 = (round(f * PER_MILLE) for f in pixels_to_fraction(box_xyxy, image_wh))
    return (x1, y1, x2, y2)


def resized_to_pixels(box: Sequence[float], image_wh: Size, resized_wh: Size) -> BoxXyxy:
    """Qwen2.5-VL: absolute pixels of the image as the processor resized it."""
    scale = (resized_wh[0], resized_wh[1])
    return fraction_to_pixels(pixels_to_fraction(box, scale), image_wh)


def pixels_to_resized(
    box_xyxy: Sequence[float], image_wh: Size, resized_wh: Size
) -> tuple[int, int, int, int]:
    """Pixels -> whole pixels of the resized image."""
    fractions = pixels_to_fraction(box_xyxy, image_wh)
    x1, y1, x2, y2 = (round(v) for v in fraction_to_pixels(fractions, resized_wh))
    return (x1, y1, x2, y2)


def qwen_resized(
    image_wh: tuple[int, int], *, factor: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """The size that Qwen-VL's processors resize an image to, as ``smart_resize`` of the library.

    Args:
        image_wh: original size.
        factor: both sides become multiples of it (patch size x merge size).
        min_pixels: smallest area.
        max_pixels: largest area.
    """
    width, height = image_wh
    new_height, new_width = round(height / factor) * factor, round(width / factor) * factor
    if new_height * new_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif new_height * new_width < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        new_height = math.ceil(height * grow / factor) * factor
        new_width = math.ceil(width * grow / factor) * factor
    return new_width, new_height
