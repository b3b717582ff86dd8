"""What reading one entity against a frame's objects gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import Entity, FloatArray, Ranking, Relation


@dataclass(eq=False)
class Reading:
    """One entity against all N objects.

    Attributes:
        detection: (N,) detection score for its words, 0 where it is no candidate.
        relation: (N,) how well its relations hold together, in [0, 1]; rankings leave only the chosen ones.
        anchors: for each relation or ranking, the index of the anchors that serve object i best: (N, anchors).
        missing: an anchor that nothing answers to.
        failed: the relation that no candidate holds.
        tied: (N,) not told apart from the chosen one by a ranking.
        members: how many things there were to rank.
        short: the ranking that asked for more things than there are.
    """

    detection: FloatArray
    relation: FloatArray
    anchors: list[tuple[Entity, NDArray[np.intp]]] = field(default_factory=list)
    missing: Entity | None = None
    failed: Relation | None = None
    tied: NDArray[np.bool_] | None = None
    members: int = 0
    short: Ranking | None = None

    @property
    def goodness(self) -> FloatArray:
        """(N,) one number to sort by: relations count in full, the detector's score by its root."""
        best = self.detection.max(initial=0.0)
        if best <= 0.0:
            return np.zeros_like(self.detection)
        return np.sqrt(self.detection / best) * self.relation
