"""Where the tokens of an image lie in the image, and values of tokens painted over its pixels. NumPy and OpenCV only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.models.base import Heatmap
from vlm_perception.types import FloatArray


@dataclass(frozen=True, eq=False)
class TokenGrid:
    """Tokens side by side over the image, whose aspect the network may have seen changed.

    Attributes:
        tokens: (h, w) int, the number of the image's token in each cell.
        covers_wh: share of the image's width and height under the grid, from the upper left corner; more than 1
            where cells reach beyond the image.
    """

    tokens: NDArray[np.int64]
    covers_wh: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Through:
    """A layer between the image's patches and the tokens that the text sees.

    Attributes:
        module: path of its attention in the network.
        first: the column of the first patch in that attention.
    """

    module: str
    first: int


@dataclass(frozen=True, eq=False)
class Reading:
    """A phrase in a prompt, ready to be read.

    Attributes:
        inputs: of ``generate``.
        text: ids of the sequence in which the phrase stands: the prompt, or the beginning of a decoder's answer.
        image_positions: (N,) where the image's tokens are in the sequence that is attended to.
        grids: where they lie in the image; all cover it, and add up.
        through: set where tokens are no places: the grids then number the patches behind that layer.
    """

    inputs: dict[str, Any]
    text: tuple[int, ...]
    image_positions: NDArray[np.int64]
    grids: tuple[TokenGrid, ...]
    through: Through | None = None


def row_by_row(height: int, width: int, first: int = 0) -> NDArray[np.int64]:
    """(height, width) numbers from ``first`` on."""
    return np.arange(first, first + height * width, dtype=np.int64).reshape(height, width)


def differing(first: Sequence[int], second: Sequence[int]) -> tuple[slice, slice]:
    """Where two sequences that begin and end alike differ: the part in each."""
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    end = 0
    while end < min(len(first), len(second)) - start and first[-1 - end] == second[-1 - end]:
        end += 1
    return slice(start, len(first) - end), slice(start, len(second) - end)


def paint(values: FloatArray, grids: Sequence[TokenGrid], image_wh: tuple[int, int]) -> Heatmap:
    """Values of tokens -> one map over the image's pixels, scaled to a peak of 1.

    Args:
        values: (N,) 0 or more, e.g. a share of attention each.
        grids: a token counts by its value over the area of its cell, so that coarse and fine grids add up.
        image_wh: size of the image.

    Returns:
        (H, W) float32 in [0, 1], linear between the cells' centres; all 0 where all values are.
    """
    width, height = image_wh
    whole = np.zeros((height, width), dtype=np.float32)
    for grid in grids:
        density = (values[grid.tokens] * grid.tokens.size / np.prod(grid.covers_wh)).astype(np.float32)
        size = (max(round(width * grid.covers_wh[0]), width), max(round(height * grid.covers_wh[1]), height))
        whole += cv2.resize(density, size, interpolation=cv2.INTER_LINEAR)[:height, :width]
    top = float(whole.max(initial=0.0))
    return np.asarray(whole / top, dtype=np.float32) if top > 0.0 else whole
