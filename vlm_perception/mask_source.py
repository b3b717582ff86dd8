"""Whose masks are used, where a model gives masks and a segmenter is set beside it."""

from __future__ import annotations

import logging
from typing import Final

from vlm_perception.models.base import GroundingModel, PointSegmenter, Segmenter

_LOG = logging.getLogger(__name__)
# Set unless another is asked for, so that nobody waits for its masks.
_DEFAULT: Final = "depth-grabcut"


def unused_segmenter(model: GroundingModel, segmenter: Segmenter | None) -> str:
    """What a user should know who set a segmenter beside a model whose masks come along; "" for nothing."""
    if segmenter is None or segmenter.name == _DEFAULT or not model.capabilities.masks:
        return ""
    left = "boxes that come without one, and points" if isinstance(segmenter, PointSegmenter) else "boxes that come without one"
    return (
        f"'{model.name}' gives masks with its boxes, and these are used: the segmenter '{segmenter.name}' is left with {left}. "
        "For the segmenter's masks, take a model that gives boxes only, e.g. tabletop or grounding-dino-tiny"
    )


def warn_if_unused(model: GroundingModel, segmenter: Segmenter | None) -> None:
    """Say :func:`unused_segmenter`, once a pair."""
    told = unused_segmenter(model, segmenter)
    if told:
        _LOG.warning("%s", told)
