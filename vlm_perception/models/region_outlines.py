"""Florence-2 as a segmenter: ``<REGION_TO_SEGMENTATION>``, an outline for each box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlm_perception.models.base import RgbImage
from vlm_perception.models.generative import GenerativeModel
from vlm_perception.models.inputs import check_boxes
from vlm_perception.types import BoxXyxy, MaskProposal


class RegionOutlines:
    """A text-generating model that outlines what is in a box, behind :class:`~vlm_perception.models.base.Segmenter`.

    It generates once a box, so several boxes take several times as long. ``MaskProposal.quality`` is the model's
    confidence in its answer (geometric mean of the token probabilities, not calibrated), 0 without an outline.
    """

    def __init__(self, model: GenerativeModel) -> None:
        """Take over a model whose dialect has a prompt for outlines."""
        self._model = model

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._model.name

    def segment(
        self,
        image_rgb: RgbImage,
        boxes_xyxy: Sequence[BoxXyxy],
        *,
        depth_m: NDArray[np.float32] | None = None,  # noqa: ARG002  the protocol's: the network sees color only
    ) -> list[MaskProposal]:
        """See :meth:`vlm_perception.models.base.Segmenter.segment`."""
        return [
            self._model.outline_region(image_rgb, (float(x1), float(y1), float(x2), float(y2)))
            for x1, y1, x2, y2 in check_boxes(boxes_xyxy, image_rgb)
        ]

    def close(self) -> None:
        """Free the model's memory."""
        self._model.close()
