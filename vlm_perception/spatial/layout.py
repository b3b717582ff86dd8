"""Where things are, in the viewer's own axes: right, up, forward.

Predicates compare extents along these axes. With depth they are metres in space; without, pixels in the image,
where "forward" is read from the lower edge of the box: on a surface seen from above, higher up is further away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import BoolMask, FloatArray, SceneObject, Viewpoint

RIGHT: Final = 0
UP: Final = 1
FORWARD: Final = 2
_MAX_POINTS: Final = 400
_STRAY: Final = 50  # one point in so many may be a stray at either end


@dataclass(frozen=True, eq=False)
class Extents:
    """Axis-aligned boxes of N things along (right, up, forward).

    Attributes:
        low, high: (N, 3).
        center: (N, 3) the surface centroid (in 2-D: the box centre).
        heading: (N, 3) unit vector of the longest horizontal axis of the oriented box; zeros in 2-D.
        hollow: (N,) whether the middle lies lower than the rim, as in a bowl: 0 no, 1 yes, 0.5 not seen.
        solid: metres in space (true) or pixels (false).
    """

    low: FloatArray
    high: FloatArray
    center: FloatArray
    heading: FloatArray
    hollow: FloatArray
    solid: bool

    def __len__(self) -> int:
        return len(self.center)

    @property
    def size(self) -> FloatArray:
        """(N, 3) lengths."""
        return self.high - self.low

    def take(self, index: int | Sequence[int] | NDArray[np.intp]) -> Extents:
        """The things at ``index``."""
        i = np.atleast_1d(np.asarray(index, dtype=np.intp))
        return Extents(self.low[i], self.high[i], self.center[i], self.heading[i], self.hollow[i], self.solid)

    def rows(self) -> Extents:
        """Shaped (N, 1, 3), to be compared with ``columns``."""
        return Extents(
            self.low[:, None],
            self.high[:, None],
            self.center[:, None],
            self.heading[:, None],
            self.hollow[:, None],
            self.solid,
        )

    def columns(self) -> Extents:
        """Shaped (1, N, 3)."""
        return Extents(
            self.low[None], self.high[None], self.center[None], self.heading[None], self.hollow[None], self.solid
        )


def solid_extents(objects: Sequence[SceneObject], view: Viewpoint) -> tuple[Extents, BoolMask]:
    """Extents in space.

    Args:
        objects: with or without geometry.
        view: gives the axes and the origin.

    Returns:
        Extents in metres from ``view.origin_m`` (NaN for objects without geometry), and (N,) bool which have it.
    """
    axes = np.array((view.right, view.up, view.forward))
    origin = axes @ view.origin_m
    n = len(objects)
    nothing = np.full((n, 3), np.nan)
    extents = Extents(nothing, nothing.copy(), nothing.copy(), np.zeros((n, 3)), np.full(n, 0.5), solid=True)
    seen = {i: item.geometry for i, item in enumerate(objects) if item.geometry is not None and len(item.geometry.points_m)}
    known = np.zeros(n, dtype=bool)
    if not seen:
        return extents, known
    which = list(seen)
    known[which] = True
    for i, geometry in seen.items():
        step = max(1, len(geometry.points_m) // _MAX_POINTS)
        points = axes @ geometry.points_m[::step].T - origin[:, None]
        ordered = np.sort(points, axis=1)
        stray = points.shape[1] // _STRAY
        extents.low[i], extents.high[i] = ordered[:, stray], ordered[:, -1 - stray]
        extents.hollow[i] = hollow_share(points, extents.low[i], extents.high[i])
    extents.center[which] = np.array([geometry.surface_centroid_m for geometry in seen.values()]) @ axes.T - origin
    extents.heading[which] = _headings(
        axes @ np.array([geometry.R_camera_object for geometry in seen.values()]),
        np.array([geometry.size_m for geometry in seen.values()]),
    )
    return extents, known


def _headings(bodies: FloatArray, sizes_m: FloatArray) -> FloatArray:
    """(N, 3) the longer of the two axes that lie flattest, of (N, 3, 3) axes as columns."""
    every = np.arange(len(bodies))
    lengths = sizes_m.copy()
    lengths[every, np.abs(bodies[:, UP]).argmax(axis=1)] = -1.0
    return bodies[every, :, lengths.argmax(axis=1)]


def hollow_share(points: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Share of (3, N) points in the middle of the footprint that lie well below the rim; 0.5 when none is seen."""
    middle, reach = (low + high) / 2.0, 0.2 * (high - low)
    central = np.abs(points[RIGHT] - middle[RIGHT]) < reach[RIGHT]
    central &= np.abs(points[FORWARD] - middle[FORWARD]) < reach[FORWARD]
    heights = points[UP][central]
    if len(heights) < 3:
        return 0.5
    return np.count_nonzero(heights < high[UP] - 0.35 * (high[UP] - low[UP])) / len(heights)


def flat_extents(objects: Sequence[SceneObject], view: Viewpoint | None = None) -> Extents:
    """Extents in the image: pixels, up against y, "forward" the height of the lower edge.

    Args:
        objects: their boxes.
        view: a viewer other than the camera; the image's directions are turned to his by quarters of a circle.
    """
    boxes = np.array([item.box_xyxy for item in objects], dtype=np.float64).reshape(-1, 4)
    low = np.column_stack((boxes[:, 0], -boxes[:, 3], -boxes[:, 3]))
    high = np.column_stack((boxes[:, 2], -boxes[:, 1], -boxes[:, 3]))
    if view is not None and view.frame != "camera":
        low, high = _turned(low, high, view)
    center = (low + high) / 2.0
    return Extents(low, high, center, np.zeros_like(low), np.full(len(low), 0.5), solid=False)


def _turned(low: FloatArray, high: FloatArray, view: Viewpoint) -> tuple[FloatArray, FloatArray]:
    """The image's right and forward as the viewer would call them, to the nearest quarter turn."""
    across, away = float(view.right[0]), float(view.forward[0])
    source, sign = ((RIGHT, FORWARD), across) if abs(across) >= abs(away) else ((FORWARD, RIGHT), away)
    turned_low, turned_high = low.copy(), high.copy()
    for axis, origin in zip((RIGHT, FORWARD), source, strict=True):
        # A quarter turn keeps one of the two directions and reverses the other.
        reverse = (sign < 0) if axis in {origin, FORWARD} else (sign > 0)
        a, b = low[:, origin], high[:, origin]
        turned_low[:, axis], turned_high[:, axis] = (-b, -a) if reverse else (a, b)
    return turned_low, turned_high


def whole_scene(extents: Extents) -> Extents:
    """One box around everything: what "the table" is when it was not detected itself."""
    keep = np.isfinite(extents.center[:, 0])
    if not keep.any():
        nothing = np.zeros((1, 3))
        return Extents(nothing, nothing + 1.0, nothing + 0.5, nothing, np.zeros(1), extents.solid)
    low, high = extents.low[keep].min(axis=0)[None], extents.high[keep].max(axis=0)[None]
    return Extents(low, high, (low + high) / 2.0, np.zeros((1, 3)), np.zeros(1), extents.solid)
