"""Parts that no detector reported: "the top drawer of the cabinet" as a region of the cabinet.

Only the region is known, not where the drawer really begins; it is cut from the whole by halves and thirds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from vlm_perception.types import BoolMask, Entity, ObjectGeometry, SceneObject, Viewpoint

_MIN_POINTS: Final = 12
# Share of the whole along (image direction, sign): which slice a place word means.
_SLICES: Final[dict[str, tuple[str, float, float]]] = {
    "high": ("up", 2 / 3, 1.0), "low": ("up", 0.0, 1 / 3), "left": ("right", 0.0, 0.5), "right": ("right", 0.5, 1.0),
    "front": ("forward", 0.0, 0.5), "back": ("forward", 0.5, 1.0), "near": ("forward", 0.0, 0.5), "far": ("forward", 0.5, 1.0),
}  # fmt: skip
_UPWARD: Final = {"high": "back", "low": "front"}
_PLACES: Final = {
    "above": "high",
    "below": "low",
    "left_of": "left",
    "right_of": "right",
    "at_front_of": "front",
    "at_back_of": "back",
}


def whole_of(entity: Entity) -> Entity | None:
    """What the entity is a part of, if the command says."""
    return next(
        (r.anchors[0] for r in entity.relations if r.predicate == "part_of" and r.anchors and not r.negated), None
    )


def cut_part(whole: SceneObject, entity: Entity, view: Viewpoint) -> SceneObject:
    """The region of ``whole`` that the entity's place words speak of; all of it when they speak of none.

    Args:
        whole: the object the part belongs to.
        entity: its rankings and places select the region; ranks 2, 3 ... of "high" count slices from the top.
        view: axes of up, right and forward.

    Returns:
        An object with the whole's id, its box, mask and geometry reduced, and the entity's phrase as its score.
    """
    keys = [(k.key, k.rank) for k in entity.rankings] + [
        (_PLACES[r.predicate], 1) for r in entity.relations if r.predicate in _PLACES and not r.anchors
    ]
    part = replace(whole, scores={entity.phrase: whole.best_score}, label=f"{entity.phrase} of {whole.label}")
    flat = whole.geometry is not None and _lies_flat(whole.geometry, view)
    for key, rank in keys:
        span = _span(_UPWARD.get(key, key) if flat else key, rank)
        if span is not None:
            part = _cut(part, *span, view)
    return part


def _lies_flat(geometry: ObjectGeometry, view: Viewpoint) -> bool:
    """Whether a thing is much lower than it is deep: then its "top left corner" is at the back."""
    return float(np.ptp(geometry.points_m @ view.up)) < 0.5 * float(np.ptp(geometry.points_m @ view.forward))


def _span(key: str, rank: int) -> tuple[str, float, float] | None:
    if key == "middle":
        return "up", 1 / 3, 2 / 3
    if key not in _SLICES:
        return None
    axis, low, high = _SLICES[key]
    step = high - low
    shift = (abs(rank) - 1) * step
    if low > 0.0:
        return axis, max(0.0, low - shift), max(step, high - shift)
    return axis, min(1.0 - step, low + shift), min(1.0, high + shift)


def _cut(item: SceneObject, axis: str, low: float, high: float, view: Viewpoint) -> SceneObject:
    x0, y0, x1, y1 = item.box_xyxy
    if item.geometry is None:
        if axis == "right":
            box = (x0 + low * (x1 - x0), y0, x0 + high * (x1 - x0), y1)
        else:
            box = (x0, y1 - high * (y1 - y0), x1, y1 - low * (y1 - y0))
        mask = item.mask
        if mask is not None:
            inside = np.zeros_like(mask)
            a, b, c, d = (round(v) for v in box)
            inside[b:d, a:c] = True
            mask = mask & inside if (mask & inside).any() else mask
        return replace(item, box_xyxy=box, mask=mask)
    geometry = item.geometry
    direction = {"up": view.up, "right": view.right, "forward": view.forward}[axis]
    along = geometry.points_m @ direction
    start, length = float(along.min()), float(np.ptp(along))
    keep = (along >= start + low * length - 1e-9) & (along <= start + high * length + 1e-9)
    if keep.sum() < _MIN_POINTS:
        return item
    uv = geometry.pixels_uv[keep]
    mask = item.mask
    if mask is not None:
        kept = np.zeros_like(mask)
        kept[uv[:, 1], uv[:, 0]] = True
        mask = kept
    box = (float(uv[:, 0].min()), float(uv[:, 1].min()), float(uv[:, 0].max() + 1), float(uv[:, 1].max() + 1))
    return replace(item, box_xyxy=box, mask=mask, geometry=_subset(geometry, keep))


def _subset(geometry: ObjectGeometry, keep: BoolMask) -> ObjectGeometry:
    points, uv = geometry.points_m[keep], geometry.pixels_uv[keep]
    body = points @ geometry.R_camera_object
    low, high = body.min(axis=0), body.max(axis=0)
    middle = np.argmin(np.square(uv - uv.mean(axis=0)).sum(axis=1))
    return replace(
        geometry,
        points_m=points,
        pixels_uv=uv,
        center_m=geometry.R_camera_object @ ((low + high) / 2.0),
        size_m=high - low,
        surface_point_m=points[middle],
        surface_centroid_m=points.mean(axis=0),
    )
