"""The family of two stages: class-agnostic proposals, then CLIP or SigLIP says how well each crop goes with a phrase.

After Gu et al., "Open-vocabulary Object Detection via Vision and Language Knowledge Distillation", 2022 (their
baseline of CLIP on cropped regions).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from vlm_perception.models.base import Capabilities, Heatmap, RgbImage
from vlm_perception.models.boxes import as_boxes, nms
from vlm_perception.models.heatmaps import check_request, over_image
from vlm_perception.models.image_text import ImageText, load_image_text
from vlm_perception.models.inputs import check_images
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.options import Options
from vlm_perception.models.prompts import head_phrase
from vlm_perception.models.proposers import PointProposer, Proposer, load_proposer
from vlm_perception.models.runtime import Placement, free_memory, refuse_nan, split_on_oom
from vlm_perception.types import Detection, ModelError

_CROPS_A_PASS: Final = 64


class TwoStage:
    """Proposals and crop scores behind :class:`~vlm_perception.models.base.GroundingModel` and ``HeatmapModel``.

    ``Detection.score`` is CLIP's probability of the phrase against background prompts, or SigLIP's sigmoid; neither
    is calibrated, and SigLIP's is small even for good matches.

    Options:
        proposer: "regions" (default: color alone, no weights), or a promptable segmenter (name, hub id, folder),
            asked at a grid of points.
        points_per_side: of that grid (default 16).
        max_proposals: crops scored an image (default 60).
        threshold: lowest score (default 0.5 for CLIP, 0.1 for SigLIP).
        nms_iou: boxes of one phrase that overlap by more are one thing (default 0.5).
        templates: texts with ``{}`` for the phrase; more than one is a prompt ensemble.
        background: what CLIP may find instead.
        max_num_patches: of each crop, and of the image for a heatmap; only for SigLIP 2 of variable resolution
            (default its own, 256). More see finer and take longer.
    """

    def __init__(self, name: str, towers: ImageText, proposer: Proposer, options: Options, *, threshold: float) -> None:
        """Put a loaded pair of towers behind the protocol; :func:`load` is the usual way in."""
        self._name = name
        self._towers: ImageText | None = towers
        self._proposer = proposer
        self.placement = towers.placement
        self._threshold = options.number("threshold", threshold, low=0.0, high=1.0)
        self._nms_iou = options.number("nms_iou", 0.5, low=0.0, high=1.0)
        self._limit = options.integer("max_proposals", 60, low=1, high=1000)

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Boxes and heatmaps; masks come along where the proposer has them."""
        return Capabilities(detects=True, counts=True, heatmaps=True, masks=isinstance(self._proposer, PointProposer))

    def detect(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str], *, threshold: float | None = None
    ) -> list[list[Detection]]:
        """See :meth:`vlm_perception.models.base.GroundingModel.detect`."""
        self._open()
        check_images(images_rgb)
        asked = [phrase for phrase in dict.fromkeys(phrases) if head_phrase(phrase)]
        if not asked:
            return [[] for _ in images_rgb]
        lowest = self._threshold if threshold is None else threshold
        return [self._detect(image, asked, lowest) for image in images_rgb]

    def _detect(self, image_rgb: RgbImage, phrases: Sequence[str], threshold: float) -> list[Detection]:
        towers = self._open()
        proposals = self._proposer.propose(image_rgb, self._limit)
        if not proposals:
            return []
        rows: list[Any] = []
        for start in range(0, len(proposals), _CROPS_A_PASS):
            boxes = [proposal.box_xyxy for proposal in proposals[start : start + _CROPS_A_PASS]]
            rows += split_on_oom(
                lambda part: list(towers.score_crops(image_rgb, part, phrases).cpu().numpy()), boxes, what=self._name
            )
        scores = np.stack(rows)
        refuse_nan(scores, self._name, self.placement)
        corners = as_boxes([proposal.box_xyxy for proposal in proposals])
        found: list[Detection] = []
        for column, phrase in enumerate(phrases):
            good = np.flatnonzero(scores[:, column] >= threshold)
            for index in good[nms(corners[good], scores[good, column], self._nms_iou)]:
                proposal = proposals[index]
                score = min(float(scores[index, column]), 1.0)
                found.append(Detection(phrase, phrase, score, proposal.box_xyxy, mask=proposal.mask))
        return sorted(found, key=lambda detection: -detection.score)

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> Heatmap:
        """How well each patch goes with the phrase; see :class:`vlm_perception.models.base.HeatmapModel`."""
        check_request(image_rgb, phrase)
        towers = self._open()
        (grid,) = split_on_oom(lambda _: [towers.score_patches(image_rgb, phrase)], [phrase], what=self._name)
        refuse_nan(grid, self._name, self.placement)
        return over_image([grid], image_rgb)

    def _open(self) -> ImageText:
        if self._towers is None:
            raise ModelError(f"'{self._name}' is closed; build it again")
        return self._towers

    def close(self) -> None:
        """Free the networks' memory."""
        if self._towers is not None:
            self._towers.close()
            self._proposer.close()
            self._towers = None
            free_memory()


def load(checkpoint: Checkpoint, placement: Placement, options: Options) -> TwoStage:
    """Load a CLIP or SigLIP checkpoint, and the proposer that the options name.

    Raises:
        ModelError: one of them cannot be loaded, or is of another family.
    """
    proposer = load_proposer(checkpoint, placement, options)  # the smaller one first: a wrong name is found at once
    try:
        towers = load_image_text(checkpoint, placement, options)
    except Exception:
        proposer.close()
        raise
    clip = str(checkpoint.config().get("model_type", "")) == "clip"
    return TwoStage(checkpoint.name, towers, proposer, options, threshold=0.5 if clip else 0.1)
