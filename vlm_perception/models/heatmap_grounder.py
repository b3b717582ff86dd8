"""Any model with heatmaps as one that locates: boxes drawn from its heatmaps in place of its own, if it has any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vlm_perception.models.base import Capabilities, GroundedText, GroundingModel, Heatmap, RgbImage
from vlm_perception.models.capability import Placed, refuse, who_can
from vlm_perception.models.heatmap_boxes import DEFAULT_THRESHOLD, boxes_from_heatmap
from vlm_perception.models.options import Options
from vlm_perception.models.prompts import clean_phrase
from vlm_perception.models.runtime import Placement
from vlm_perception.types import BoxXyxy, Detection, ModelError


class HeatmapGrounder:
    """A model whose detections are the hot parts of its heatmaps; all else is its own.

    ``Detection.score`` is that of :class:`~vlm_perception.models.heatmap_boxes.HeatBox`: not calibrated, and where the
    map's peak is 1 by definition (text models), it says how concentrated the map is, not whether the thing is there.
    """

    def __init__(self, model: Any, heat_threshold: float = DEFAULT_THRESHOLD) -> None:
        """Wrap a model.

        Args:
            model: with ``capabilities.heatmaps``.
            heat_threshold: share of the peak from which on a pixel belongs to a thing.
        """
        self._model = model
        self._heat_threshold = heat_threshold

    @property
    def name(self) -> str:
        """The model's."""
        return str(self._model.name)

    @property
    def capabilities(self) -> Capabilities:
        """The model's; it detects, but things that touch are one, so it does not count, and there are no masks."""
        own: Capabilities = self._model.capabilities
        return replace(own, detects=True, counts=False, masks=False)

    @property
    def placement(self) -> Placement | None:
        """The model's; None where it has none."""
        return self._model.placement if isinstance(self._model, Placed) else None

    def detect(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str], *, threshold: float | None = None
    ) -> list[list[Detection]]:
        """See :meth:`vlm_perception.models.base.GroundingModel.detect`; without a threshold, every hot part counts."""
        asked = [phrase for phrase in dict.fromkeys(phrases) if clean_phrase(phrase)]
        lowest = 0.0 if threshold is None else threshold
        results = []
        for image in images_rgb:
            found = [
                Detection(phrase, phrase, part.score, part.box_xyxy)
                for phrase in asked
                for part in boxes_from_heatmap(self.heatmap(image, phrase), threshold=self._heat_threshold)
                if part.score >= lowest
            ]
            results.append(sorted(found, key=lambda detection: -detection.score))
        return results

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> Heatmap:
        """The model's."""
        heat: Heatmap = self._model.heatmap(image_rgb, phrase)
        return heat

    def caption(self, image_rgb: RgbImage) -> GroundedText:
        """The model's, if it has any; likewise below."""
        return self._say("captions", "caption", image_rgb)

    def answer(self, image_rgb: RgbImage, question: str) -> GroundedText:
        """See :class:`vlm_perception.models.base.VisionLanguageModel`."""
        return self._say("answers", "answer", image_rgb, question)

    def describe_region(self, image_rgb: RgbImage, box_xyxy: BoxXyxy) -> GroundedText:
        """See :class:`vlm_perception.models.base.VisionLanguageModel`."""
        return self._say("describes_regions", "describe_region", image_rgb, box_xyxy)

    def name_region(self, image_rgb: RgbImage, box_xyxy: BoxXyxy) -> GroundedText:
        """See :class:`vlm_perception.models.base.VisionLanguageModel`."""
        return self._say("names_regions", "name_region", image_rgb, box_xyxy)

    def read_text(self, image_rgb: RgbImage, box_xyxy: BoxXyxy | None = None) -> GroundedText:
        """See :class:`vlm_perception.models.base.VisionLanguageModel`."""
        return self._say("reads_text", "read_text", image_rgb, box_xyxy)

    def point(self, image_rgb: RgbImage, phrase: str) -> GroundedText:
        """See :class:`vlm_perception.models.base.VisionLanguageModel`."""
        return self._say("points", "point", image_rgb, phrase)

    def _say(self, task: str, method: str, *arguments: Any) -> GroundedText:
        if not getattr(self._model.capabilities, task):
            raise refuse(self.name, task)
        said: GroundedText = getattr(self._model, method)(*arguments)
        return said

    def close(self) -> None:
        """Free the model's memory."""
        self._model.close()


def heat_threshold_of(options: Options) -> float | None:
    """What the options say of where boxes come from.

    Options:
        boxes_from: "model" (default), or "heatmap".
        heat_threshold: see :class:`HeatmapGrounder`; goes with "heatmap".

    Returns:
        The threshold of :func:`from_heatmaps`; None for the model's own boxes.

    Raises:
        ModelError: an option is out of range.
    """
    threshold = options.number("heat_threshold", DEFAULT_THRESHOLD, low=0.01, high=1.0)
    if options.choice("boxes_from", ("model", "heatmap")) == "heatmap":
        return threshold
    return None


def from_heatmaps(model: GroundingModel, heat_threshold: float) -> HeatmapGrounder:
    """A model with the boxes of its heatmaps.

    Raises:
        ModelError: it gives none; names models that do.
    """
    if not model.capabilities.heatmaps:
        model.close()
        raise ModelError(
            f"'{model.name}' gives no heatmaps that boxes_from: heatmap could use; models that do: "
            f"{', '.join(who_can('heatmaps'))}"
        )
    return HeatmapGrounder(model, heat_threshold)
