"""Proposals without weights: what stands out is among them, in the image's pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.evaluation.bench import five_boxes
from vlm_perception.models.boxes import iou_matrix
from vlm_perception.models.region_proposals import propose_regions


def test_five_boxes_on_a_table_are_found(tmp_path):
    frame = five_boxes(tmp_path).frames[0]
    proposals = propose_regions(frame.load().color_rgb)
    overlaps = iou_matrix([instance.box_xyxy for instance in frame.instances], proposals)
    assert overlaps.max(axis=1).min() > 0.75
    assert overlaps.argmax(axis=1).max() < 10  # and early in the list


@pytest.mark.parametrize("size", [(96, 160), (160, 96), (120, 120)])
def test_a_bright_thing_keeps_its_place(size):
    image = np.full((*size, 3), 60, np.uint8)
    image[24:60, 40:72] = (220, 40, 40)
    assert iou_matrix([(40, 24, 72, 60)], propose_regions(image)).max() > 0.85


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**16), height=st.integers(1, 70), width=st.integers(1, 70), limit=st.integers(1, 20),
    flat=st.booleans(),
)  # fmt: skip
def test_any_image(seed, height, width, limit, flat):
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 9, np.uint8) if flat else rng.integers(0, 255, (height, width, 3), np.uint8)
    boxes = propose_regions(image, limit)
    assert len(boxes) <= limit
    assert not (flat and boxes)
    for x1, y1, x2, y2 in boxes:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
