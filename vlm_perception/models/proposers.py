"""Where something might be, whatever it is: the first of two stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vlm_perception.models.base import RgbImage
from vlm_perception.models.boxes import nms
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.options import Options
from vlm_perception.models.promptable_masks import PromptableMasks
from vlm_perception.models.region_proposals import propose_regions
from vlm_perception.models.runtime import Placement
from vlm_perception.types import BoolMask, BoxXyxy, ModelError


@dataclass(frozen=True, eq=False)
class Proposal:
    """Something, whatever it is; the mask where the proposer has one."""

    box_xyxy: BoxXyxy
    mask: BoolMask | None = None


class Proposer(Protocol):
    """Where something might be."""

    def propose(self, image_rgb: RgbImage, limit: int) -> list[Proposal]:
        """At most ``limit`` proposals, the likeliest first."""

    def close(self) -> None:
        """Free what it holds."""


class RegionProposer:
    """:func:`~vlm_perception.models.region_proposals.propose_regions`: no weights, boxes only."""

    def propose(self, image_rgb: RgbImage, limit: int) -> list[Proposal]:
        """See :class:`Proposer`."""
        return [Proposal(box) for box in propose_regions(image_rgb, limit)]

    def close(self) -> None:
        """Nothing to free."""


class PointProposer:
    """A promptable segmenter asked at every point of a grid, as its authors' automatic mask generator does.

    Kirillov et al., "Segment Anything", 2023: masks of predicted IoU 0.88 and more, boxes suppressed at IoU 0.7.
    """

    def __init__(self, segmenter: PromptableMasks, points_per_side: int, *, min_quality: float = 0.88) -> None:
        """Take over a segmenter."""
        self._segmenter = segmenter
        self._points_per_side = points_per_side
        self._min_quality = min_quality

    def propose(self, image_rgb: RgbImage, limit: int) -> list[Proposal]:
        """See :class:`Proposer`."""
        height, width = image_rgb.shape[:2]
        steps = (np.arange(self._points_per_side) + 0.5) / self._points_per_side
        points = [[(float(u * width), float(v * height))] for v in steps for u in steps]
        boxes: list[BoxXyxy] = []
        cut_out: list[BoolMask] = []
        qualities: list[float] = []
        for proposal in self._segmenter.at_points(image_rgb, points):
            for mask, quality in ((proposal.mask, proposal.quality), *proposal.alternatives):
                box = _box_of(mask)
                if quality >= self._min_quality and box is not None and mask.mean() <= 0.5:
                    boxes.append(box)
                    cut_out.append(mask[_inside(box)].copy())  # whole ones, of a whole grid, fill the memory
                    qualities.append(quality)
        kept = nms(boxes, qualities, 0.7)[:limit]
        return [Proposal(boxes[index], _whole(cut_out[index], boxes[index], (height, width))) for index in kept]

    def close(self) -> None:
        """Free the segmenter."""
        self._segmenter.close()


def _box_of(mask: BoolMask) -> BoxXyxy | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _inside(box_xyxy: BoxXyxy) -> tuple[slice, slice]:
    x1, y1, x2, y2 = (int(value) for value in box_xyxy)
    return slice(y1, y2), slice(x1, x2)


def _whole(cut_out: BoolMask, box_xyxy: BoxXyxy, size_hw: tuple[int, int]) -> BoolMask:
    mask = np.zeros(size_hw, dtype=np.bool_)
    mask[_inside(box_xyxy)] = cut_out
    return mask


def load_proposer(checkpoint: Checkpoint, placement: Placement, options: Options) -> Proposer:
    """What the option ``proposer`` names.

    Args:
        checkpoint: the towers', for what the user said about the network.
        placement: where a segmenter goes.
        options: ``proposer``, ``proposer_options`` and ``points_per_side``.

    Raises:
        ModelError: it is no segmenter that takes points, or cannot be loaded.
    """
    spec = options.text("proposer", "regions")
    side = options.integer("points_per_side", 16, low=1, high=64)
    if spec == "regions":
        return RegionProposer()
    from vlm_perception.models.factory import build_segmenter

    segmenter = build_segmenter(
        spec,
        device=placement.device,
        dtype=placement.dtype,
        offline=checkpoint.offline_choice,
        options=options.named("proposer_options"),
    )
    if not isinstance(segmenter, PromptableMasks):
        raise ModelError(
            f"'{options.owner}': option 'proposer' must be 'regions' or a promptable segmenter such as "
            f"'sam2.1-hiera-tiny'; '{spec}' takes no points"
        )
    return PointProposer(segmenter, side)
