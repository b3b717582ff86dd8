"""Box arithmetic: what is one thing, and what are two."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_perception.models.boxes import containment_matrix, iou_matrix, nms

CABINET = (100.0, 100.0, 300.0, 300.0)
DRAWER = (110.0, 120.0, 190.0, 160.0)
MUG = (310.0, 200.0, 360.0, 260.0)


def test_a_part_overlaps_little_and_is_contained_wholly() -> None:
    assert iou_matrix([CABINET], [DRAWER])[0, 0] == pytest.approx(80 * 40 / 200**2)
    assert containment_matrix([CABINET], [DRAWER, MUG]).tolist() == [[1.0, 0.0]]
    assert containment_matrix([DRAWER], [(0.0, 0.0, 0.0, 0.0)]).tolist() == [[0.0]]


def test_a_part_goes_where_containment_is_asked_for() -> None:
    boxes, scores = [DRAWER, CABINET, MUG], [0.7, 0.9, 0.6]
    assert nms(boxes, scores, 0.5) == [1, 0, 2]
    assert nms(boxes, scores, 0.5, containment=0.6) == [1, 2]
    # The better one stays, be it the smaller one.
    assert nms(boxes, [0.9, 0.7, 0.6], 0.5, containment=0.6) == [0, 2]


def test_nothing() -> None:
    assert nms(np.zeros((0, 4)), [], 0.5, containment=0.6) == []
