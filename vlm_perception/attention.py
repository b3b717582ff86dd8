"""Where did it look: a model's heatmap for a phrase, as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_perception.detecting import guarded
from vlm_perception.draw import draw_heatmap
from vlm_perception.models.base import GroundingModel, RgbImage
from vlm_perception.models.capability import require
from vlm_perception.spatial.candidates import GENERIC
from vlm_perception.types import Answer


def phrase_of(answer: Answer) -> str:
    """The phrase an answer was looked for by: that of the command's first thing, else of what was found; or ""."""
    if answer.query is not None:
        named = [entity.phrase for entity in answer.query.entities if entity.phrase not in GENERIC]
        if named:
            return named[0]
    return answer.targets[0].phrase if answer.targets else ""


def attention_image(model: GroundingModel, image_rgb: RgbImage, phrase: str) -> NDArray[np.uint8]:
    """Draw a model's heatmap over the image.

    Args:
        model: with ``capabilities.heatmaps``.
        image_rgb: (H, W, 3) uint8.
        phrase: without article, e.g. "red mug".

    Returns:
        (H, W, 3) uint8 RGB, see :func:`vlm_perception.draw.draw_heatmap`.

    Raises:
        CommandError: the model gives no heatmaps (names those that do), or the phrase is empty.
        ModelError: the model failed.
    """
    require(model, "heatmaps")
    source: Any = model  # capabilities were checked: it is a HeatmapModel
    return draw_heatmap(image_rgb, guarded(model.name, lambda: source.heatmap(image_rgb, phrase)), phrase)
