"""What the models that show where they looked have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vlm_perception.models.base import Heatmap, RgbImage
from vlm_perception.models.inputs import check_image
from vlm_perception.models.prompts import head_phrase
from vlm_perception.models.runtime import import_torch
from vlm_perception.types import CommandError


def check_request(image_rgb: RgbImage, phrase: str) -> None:
    """Refuse an empty phrase, and what is no image.

    Raises:
        CommandError: nothing is left of the phrase.
        ModelError: see :func:`~vlm_perception.models.inputs.check_image`.
    """
    if not head_phrase(phrase):
        raise CommandError("a heatmap is of a phrase, and the phrase is empty")
    check_image(image_rgb)


def over_image(levels: Sequence[Any], image_rgb: RgbImage, extent_wh: tuple[float, float] | None = None) -> Heatmap:
    """Grids of values -> one map over the image's pixels.

    Args:
        levels: (h, w) tensors in [0, 1], all over the same extent; where they differ, the highest value counts.
        image_rgb: whose pixels to cover.
        extent_wh: what the grids cover, in image pixels from the upper left corner; more than the image where the
            network saw it padded. None: the image.

    Returns:
        (H, W) float32 in [0, 1].
    """
    torch = import_torch()
    height, width = image_rgb.shape[:2]
    wide, high = extent_wh if extent_wh is not None else (width, height)
    size = (max(round(high), height), max(round(wide), width))
    whole = None
    for level in levels:
        values = torch.nn.functional.interpolate(
            level.detach().float()[None, None], size, mode="bilinear", align_corners=False
        )[0, 0, :height, :width]
        whole = values if whole is None else torch.maximum(whole, values)
    if whole is None:
        return np.zeros((height, width), dtype=np.float32)
    return np.asarray(whole.nan_to_num(0.0).clamp(0.0, 1.0).cpu().numpy(), dtype=np.float32)
