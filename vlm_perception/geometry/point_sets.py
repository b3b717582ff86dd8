"""Points of several objects in one array: what is done to each is done to all of them in one go.

An object has a few thousand points, so that most of the time of a NumPy call goes into the call itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import BoolMask, FloatArray


@dataclass(frozen=True, eq=False)
class PointSets:
    """Points of M objects, object after object; none is empty.

    Each coordinate lies in one piece in memory: sums and products run along it.

    Attributes:
        uv: (2, N) pixels.
        xyz: (3, N) points.
        counts: (M,) how many of them each object has.
    """

    uv: NDArray[np.int64]
    xyz: FloatArray
    counts: NDArray[np.intp]

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """(M,) where each object's points begin."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def slices(self) -> Sequence[slice]:
        """Each object's points."""
        starts = self.starts.tolist()
        return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], self.uv.shape[1]], strict=True)]

    def take(self, keep: BoolMask) -> PointSets:
        """Those of (N,); at least one of each object."""
        chosen = np.flatnonzero(keep)
        counts = self.count(keep)
        return PointSets(self.uv.take(chosen, axis=1), self.xyz.take(chosen, axis=1), counts)

    def count(self, which: BoolMask) -> NDArray[np.intp]:
        """(M,) how many of (N,) are true in each object."""
        return np.add.reduceat(which, self.starts, dtype=np.intp)

    @cached_property
    def means(self) -> FloatArray:
        """(3, M) of each object's points."""
        return np.asarray(np.add.reduceat(self.xyz, self.starts, axis=1) / self.counts)

    @cached_property
    def spreads(self) -> FloatArray:
        """(M, 3, 3) covariance of each object's points; zeros for a single one."""
        offsets = self.xyz - self.means.repeat(self.counts, axis=1)
        sums = np.array([own @ own.T for own in (offsets[:, part] for part in self.slices)])
        return np.asarray(sums / np.maximum(self.counts - 1, 1)[:, None, None])

    @cached_property
    def middles(self) -> NDArray[np.intp]:
        """(M,) which of all points has the pixel that is nearest to the mean of its object's pixels."""
        means = np.add.reduceat(self.uv, self.starts, axis=1) / self.counts
        u, v = self.uv - means.repeat(self.counts, axis=1)
        squares = u * u + v * v
        return np.array([part.start + squares[part].argmin() for part in self.slices], dtype=np.intp)
