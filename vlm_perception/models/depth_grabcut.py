"""Boxes to masks without weights: depth tells thing from background, color draws the outline.

GrabCut (Rother, Kolmogorov & Blake, "GrabCut: interactive foreground extraction using iterated graph cuts",
SIGGRAPH 2004) with its seeds taken from depth instead of from a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.models.base import RgbImage
from vlm_perception.models.depth_evidence import DepthEvidence, depth_evidence
from vlm_perception.models.inputs import check_boxes
from vlm_perception.models.mask_overlaps import stand_apart
from vlm_perception.types import BoolMask, BoxXyxy, FloatArray, MaskProposal


@dataclass(frozen=True)
class DepthGrabCutSettings:
    """How much is looked at, and how closely.

    Attributes:
        max_side_px: a crop with a longer side is scaled down to this for the cut.
        min_side_px: one with a shorter side is scaled up to this: few pixels are too few to learn colors from.
        margin: how far around the box background is looked at, as a share of its longer side.
        slack: how far a mask may leave the box, likewise: boxes of detectors are not exact.
        edge_px: depth is not trusted this near to its own edges, where color decides: depth cameras widen or
            eat away outlines by a few pixels.
        iterations: of the cut.
        min_thing_share: with less of the box told to be the thing by depth, color decides alone.
    """

    max_side_px: int = 128
    min_side_px: int = 64
    margin: float = 0.2
    slack: float = 0.02
    edge_px: int = 2
    iterations: int = 2
    min_thing_share: float = 0.05


class DepthGrabCut:
    """A Segmenter for any detector, on any machine.

    ``MaskProposal.quality`` is a heuristic, not a probability: how well the mask's own bounding box agrees
    with the prompt (IoU), halved when depth had no say.
    """

    def __init__(self, settings: DepthGrabCutSettings | None = None) -> None:
        """Build; nothing is loaded."""
        self._settings = settings if settings is not None else DepthGrabCutSettings()

    @property
    def name(self) -> str:
        """What the user called it."""
        return "depth-grabcut"

    def segment(
        self,
        image_rgb: RgbImage,
        boxes_xyxy: Sequence[BoxXyxy],
        *,
        depth_m: NDArray[np.float32] | None = None,
    ) -> list[MaskProposal]:
        """See :meth:`vlm_perception.models.base.Segmenter.segment`."""
        inside = check_boxes(boxes_xyxy, image_rgb)
        proposals = [self._segment_box(image_rgb, box, depth_m) for box in inside]
        if depth_m is not None and len(proposals) > 1:
            masks = stand_apart([proposal.mask for proposal in proposals], depth_m)
            proposals = [replace(proposal, mask=mask) for proposal, mask in zip(proposals, masks, strict=True)]
        return proposals

    def close(self) -> None:
        """Nothing is held."""

    def _segment_box(self, image_rgb: RgbImage, inside_xyxy: FloatArray, depth_m: NDArray[np.float32] | None) -> MaskProposal:
        height, width = image_rgb.shape[:2]
        x0, y0 = (int(value) for value in np.floor(inside_xyxy[:2]))
        x1, y1 = (int(value) for value in np.ceil(inside_xyxy[2:]))
        mask = np.zeros((height, width), dtype=np.bool_)
        margin = max(8, round(self._settings.margin * max(x1 - x0, y1 - y0)))
        u0, v0 = max(0, x0 - margin), max(0, y0 - margin)
        u1, v1 = min(width, x1 + margin), min(height, y1 + margin)
        crop = np.s_[v0:v1, u0:u1]
        scale = min(1.0, self._settings.max_side_px / max(u1 - u0, v1 - v0))
        size = (max(2, round((u1 - u0) * scale)), max(2, round((v1 - v0) * scale)))
        box = np.array([x0 - u0, y0 - v0, x1 - u0, y1 - v0]) * np.tile(np.array(size) / (u1 - u0, v1 - v0), 2)
        evidence = None if depth_m is None else self._evidence(depth_m[crop], _box_mask(box, size[::-1]), size)
        more = max(1.0, self._settings.min_side_px / max(size))
        if more > 1:
            size = (round(size[0] * more), round(size[1] * more))
            box = box * more
            evidence = evidence and evidence.scaled(size)
        there, back = (cv2.INTER_CUBIC, cv2.INTER_AREA) if more > 1 else (cv2.INTER_AREA, cv2.INTER_LINEAR)
        color = cv2.resize(image_rgb[crop], size, interpolation=there)
        inside = _box_mask(box, size[::-1])
        small = self._cut(color, inside, box, evidence)
        large = cv2.resize(small.astype(np.float32), (u1 - u0, v1 - v0), interpolation=back) > 0.5
        mask[crop] = large
        quality = _box_agreement(mask, (x0, y0, x1, y1))
        with_depth = evidence is not None and bool((evidence.thing | evidence.doubtful).any())
        return MaskProposal(mask, quality if with_depth else quality / 2)

    def _evidence(
        self, depth_m: NDArray[np.floating[Any]], inside: BoolMask, size: tuple[int, int]
    ) -> DepthEvidence:
        """What depth says of a crop at another (width, height), the thing only where enough of it is told."""
        evidence = depth_evidence(cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST), inside)
        found = np.count_nonzero(evidence.thing | evidence.doubtful)
        if found >= self._settings.min_thing_share * np.count_nonzero(inside):
            return evidence
        # What is in line with the table may then be the thing as well: a sheet of paper.
        nothing = np.zeros_like(inside)
        return DepthEvidence(nothing, evidence.background & ~inside, nothing)

    def _cut(self, color: RgbImage, inside: BoolMask, box: NDArray[Any], evidence: DepthEvidence | None) -> BoolMask:
        settings = self._settings
        slack = 1 + settings.slack * max(box[2] - box[0], box[3] - box[1])
        reachable = _box_mask(box + slack * np.array([-1, -1, 1, 1]), inside.shape)
        trimap = np.full(inside.shape, cv2.GC_PR_BGD, np.uint8)
        if evidence is not None and (evidence.thing.any() or evidence.doubtful.any()):
            told = evidence.thing | evidence.doubtful
            trimap[told] = cv2.GC_PR_FGD
            untold = inside & ~told & ~evidence.background
            if np.count_nonzero(untold) < np.count_nonzero(told):
                untold &= _colored_like(color, told, ~inside | evidence.background)
            trimap[untold] = cv2.GC_PR_FGD
            trimap[_shrink(evidence.background, settings.edge_px)] = cv2.GC_BGD
            trimap[_shrink(evidence.thing, settings.edge_px)] = cv2.GC_FGD
        else:
            trimap[_ellipse(box, inside.shape)] = cv2.GC_PR_FGD
            if evidence is not None:
                trimap[_shrink(evidence.background, settings.edge_px)] = cv2.GC_BGD
        trimap[~reachable] = cv2.GC_BGD
        first = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
        if not first.any() or first.all() or not (trimap == cv2.GC_BGD).any():
            return np.asarray(first)
        cut = trimap.copy()
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(
            np.ascontiguousarray(color[..., ::-1]),
            cut,
            (0, 0, 1, 1),
            *models,
            settings.iterations,
            cv2.GC_INIT_WITH_MASK,
        )
        result = (cut == cv2.GC_FGD) | (cut == cv2.GC_PR_FGD)
        # A cut that eats up the thing, or keeps a speck, found no color to tell it by.
        if np.count_nonzero(result) < 0.25 * np.count_nonzero(first):
            return np.asarray(first)
        return np.asarray(result)


def _colored_like(color: RgbImage, thing: BoolMask, background: BoolMask) -> BoolMask:
    """Where a color is at least as frequent in the thing as in the background; so is one seen in neither.

    Compared over 8 x 8 x 8 bins, each smoothed by half a pixel.
    """
    bins = (color >> 5).astype(np.intp) @ np.array([64, 8, 1])
    count = [np.bincount(bins[where], minlength=512) + 0.5 for where in (thing, background)]
    share = [c / c.sum() for c in count]
    return np.asarray((share[0] >= share[1])[bins])


def _box_mask(box: NDArray[Any], shape: tuple[int, ...]) -> BoolMask:
    """Pixels whose centre lies in a box (max exclusive)."""
    rows, columns = np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
    return np.asarray(
        ((rows >= box[1]) & (rows < box[3]))[:, None] & ((columns >= box[0]) & (columns < box[2]))[None, :]
    )


def _ellipse(box: NDArray[Any], shape: tuple[int, ...]) -> BoolMask:
    rows, columns = np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
    across = (columns - (box[0] + box[2]) / 2) / max((box[2] - box[0]) / 2, 0.5)
    down = (rows - (box[1] + box[3]) / 2) / max((box[3] - box[1]) / 2, 0.5)
    return np.asarray(down[:, None] ** 2 + across[None, :] ** 2 <= 1.0)


def _shrink(pixels: BoolMask, by_px: int) -> BoolMask:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by_px + 1, 2 * by_px + 1))
    return np.asarray(cv2.erode(pixels.astype(np.uint8), kernel) > 0)


def _box_agreement(mask: BoolMask, box_xyxy: tuple[int, int, int, int]) -> float:
    u, v, width, height = cv2.boundingRect(mask.view(np.uint8))
    x0, y0, x1, y1 = box_xyxy
    overlap = max(0, min(x1, u + width) - max(x0, u)) * max(0, min(y1, v + height) - max(y0, v))
    return float(overlap) / float((x1 - x0) * (y1 - y0) + width * height - overlap)
