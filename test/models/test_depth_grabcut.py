"""Masks without weights, looked at one kind of trouble at a time."""


import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import recordings

from vlm_perception.evaluation.dataset import load_rgbd_rec
from vlm_perception.evaluation.metrics import mask_iou
from vlm_perception.evaluation.synthetic import TableBox, table_scene
from vlm_perception.models.base import Segmenter
from vlm_perception.models.depth_evidence import depth_evidence
from vlm_perception.models.depth_grabcut import DepthGrabCut

TABLE_RGB = (176, 160, 138)


@pytest.fixture(scope="module")
def segmenter():
    return DepthGrabCut()


def segment_all(segmenter, description, images, ids, depth_m):
    boxes = [instance.box_xyxy for instance in description.instances]
    proposals = segmenter.segment(images.color_rgb, boxes, depth_m=depth_m)
    return [mask_iou(p.mask, ids == i.id) for p, i in zip(proposals, description.instances, strict=True)]


def kinect_noise(depth_m, seed=0):
    """Disparity noise, edges off by a pixel, holes where depth jumps."""
    rng = np.random.default_rng(seed)
    height, width = depth_m.shape
    rows = np.clip(np.arange(height)[:, None] + np.round(rng.normal(0, 0.7, depth_m.shape)), 0, height - 1)
    columns = np.clip(np.arange(width) + np.round(rng.normal(0, 0.7, depth_m.shape)), 0, width - 1)
    noisy = depth_m[rows.astype(int), columns.astype(int)]
    noisy = noisy + rng.normal(0, 1.8e-3, noisy.shape) * noisy**2
    kernel = np.ones((3, 3), np.uint8)
    jump = cv2.dilate(depth_m, kernel) - cv2.erode(depth_m, kernel) > 0.03
    noisy[(jump & (rng.random(noisy.shape) < 0.6)) | (depth_m == 0)] = 0
    return noisy.astype(np.float32)


def test_it_is_a_segmenter(segmenter):
    assert isinstance(segmenter, Segmenter)
    assert segmenter.name == "depth-grabcut"


TROUBLE = {
    "plain": [TableBox("box", (200, 40, 40), (0.0, 0.0), (0.12, 0.08, 0.10), 0.4)],
    "flat": [TableBox("book", (40, 60, 160), (0.0, 0.0), (0.2, 0.14, 0.025), 0.4)],
    "very flat": [TableBox("sheet", (235, 235, 235), (0.0, 0.0), (0.2, 0.14, 0.006), 0.4)],
    "small": [TableBox("die", (190, 40, 40), (0.0, 0.0), (0.02, 0.02, 0.02), 0.3)],
    "thin": [TableBox("pen", (30, 30, 30), (0.0, 0.0), (0.16, 0.016, 0.016), 0.7)],
    "dark": [TableBox("black box", (12, 12, 12), (0.0, 0.0), (0.1, 0.1, 0.06), 0.2)],
    "table-colored": [TableBox("wooden box", TABLE_RGB, (0.0, 0.0), (0.12, 0.08, 0.10), 0.4)],
    "touching, alike": [
        TableBox("red box", (200, 40, 40), (0.0, 0.05), (0.1, 0.1, 0.10)),
        TableBox("red box", (200, 40, 40), (0.02, -0.05), (0.1, 0.1, 0.05)),
    ],
    "touching, of two colors": [
        TableBox("red box", (200, 40, 40), (0.0, 0.05), (0.1, 0.1, 0.08)),
        TableBox("blue box", (40, 40, 200), (0.0, -0.05), (0.1, 0.1, 0.08)),
    ],
    "one on the other": [
        TableBox("plate", (230, 230, 230), (0.0, 0.0), (0.22, 0.22, 0.02)),
        TableBox("mug", (40, 140, 60), (0.02, 0.02), (0.07, 0.07, 0.09), 0.3, base_m=0.02),
    ],
    "before a wall": [
        TableBox("wall", (150, 150, 160), (0.25, 0.0), (0.02, 1.0, 0.5)),
        TableBox("bottle", (30, 90, 40), (0.1, 0.0), (0.06, 0.06, 0.2)),
    ],
}
LEAST_IOU = {"thin": 0.75, "small": 0.8, "touching, alike": 0.8, "one on the other": 0.7}


@pytest.mark.parametrize("noise", [False, True], ids=["clean", "noisy"])
@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble(segmenter, trouble, noise):
    description, images, ids = table_scene(TROUBLE[trouble])
    depth = kinect_noise(images.depth_m) if noise else images.depth_m
    ious = segment_all(segmenter, description, images, ids, depth)
    assert min(ious) >= LEAST_IOU.get(trouble, 0.88), ious


def test_a_reflective_thing_without_any_depth_is_cut_out_by_color(segmenter):
    description, images, ids = table_scene(TROUBLE["plain"])
    depth = images.depth_m.copy()
    depth[ids == 1] = 0
    assert min(segment_all(segmenter, description, images, ids, depth)) >= 0.85


def test_a_thing_with_half_of_its_depth_missing_is_whole(segmenter):
    description, images, ids = table_scene(TROUBLE["plain"])
    depth = images.depth_m.copy()
    rows, columns = np.nonzero(ids == 1)
    left = columns < np.median(columns)
    depth[rows[left], columns[left]] = np.nan
    assert min(segment_all(segmenter, description, images, ids, depth)) >= 0.85


@pytest.mark.parametrize("depth", [None, 0.0, np.nan])
def test_it_works_without_depth(segmenter, depth):
    description, images, ids = table_scene(TROUBLE["plain"])
    depth_m = None if depth is None else np.full_like(images.depth_m, depth)
    assert min(segment_all(segmenter, description, images, ids, depth_m)) >= 0.85


def test_quality_is_lower_without_depth(segmenter):
    description, images, _ = table_scene(TROUBLE["plain"])
    box = [description.instances[0].box_xyxy]
    with_depth, without = (
        segmenter.segment(images.color_rgb, box, depth_m=depth)[0].quality for depth in (images.depth_m, None)
    )
    assert 0 < without <= 0.5 < with_depth <= 1


def test_what_continues_a_plane_from_outside_is_background():
    _, images, ids = table_scene(TROUBLE["plain"])
    inside = np.zeros(ids.shape, bool)
    rows, columns = np.nonzero(ids == 1)
    inside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    evidence = depth_evidence(images.depth_m, inside)
    assert not (evidence.thing & evidence.background).any()
    assert not (evidence.thing & ~inside).any()
    assert np.mean(evidence.background[inside & (ids == 0)]) > 0.95
    assert np.mean(evidence.thing[ids == 1]) > 0.9


def cropped(depth_m, box, margin):
    x0, y0, x1, y1 = (int(v) for v in box)
    window = np.s_[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
    inside = np.zeros(depth_m.shape, bool)
    inside[y0:y1, x0:x1] = True
    return window, inside[window]


def test_a_thing_that_the_image_cuts_is_the_thing_though_its_box_ends_sooner():
    """What reaches the picture's edge need not go on for long; what reaches the end of a whole margin does."""
    description, images, ids = table_scene([TableBox("box", (200, 40, 40), (-0.38, 0.0), (0.16, 0.2, 0.10))])
    x0, y0, x1, y1 = description.instances[0].box_xyxy
    assert y1 == 480
    window, inside = cropped(images.depth_m, (x0, y0, x1, y1 - 12), 40)
    evidence = depth_evidence(images.depth_m[window], inside)
    assert np.mean(evidence.thing[inside & (ids[window] == 1)]) > 0.9
    assert not evidence.doubtful.any()


def test_what_goes_on_beyond_the_margin_stands_before_the_thing():
    description, images, ids = table_scene(
        [
            TableBox("red box", (200, 40, 40), (0.06, 0.0), (0.1, 0.2, 0.08)),
            TableBox("blue box", (40, 40, 200), (-0.08, 0.0), (0.05, 0.05, 0.16)),
        ]
    )
    window, inside = cropped(images.depth_m, description.instances[0].box_xyxy, 20)
    evidence = depth_evidence(images.depth_m[window], inside)
    told = evidence.thing | evidence.doubtful
    assert np.mean(told[inside & (ids[window] == 1)]) > 0.9
    assert not told[ids[window] == 2].any()


def test_no_boxes_no_masks(segmenter):
    assert segmenter.segment(np.zeros((48, 64, 3), np.uint8), []) == []


@settings(max_examples=25, deadline=None)
@given(
    corner=st.tuples(st.floats(-20, 63), st.floats(-20, 47)),
    inside=st.tuples(st.floats(0.01, 80), st.floats(0.01, 60)),
    seed=st.integers(0, 100),
    flat=st.booleans(),
)
def test_any_box_on_any_image_gives_a_mask_near_it(corner, inside, seed, flat):
    box = (*corner, *(max(0.0, start) + size for start, size in zip(corner, inside, strict=True)))
    rng = np.random.default_rng(seed)
    image = np.full((48, 64, 3), 128, np.uint8) if flat else rng.integers(0, 255, (48, 64, 3)).astype(np.uint8)
    depth = None if seed % 3 == 0 else rng.choice([0.0, np.nan, 0.5, 1.0, 2.0], (48, 64)).astype(np.float32)
    (proposal,) = DepthGrabCut().segment(image, [box], depth_m=depth)
    assert proposal.mask.shape == (48, 64)
    assert proposal.mask.dtype == np.bool_
    assert 0 <= proposal.quality <= 1
    rows, columns = np.nonzero(proposal.mask)
    if len(rows):
        slack = 4
        assert columns.min() >= box[0] - slack
        assert columns.max() <= box[2] + slack
        assert rows.min() >= box[1] - slack
        assert rows.max() <= box[3] + slack


@pytest.mark.parametrize("noise", [False, True], ids=["clean", "noisy"])
def test_what_hides_half_of_a_thing_is_not_cut_out_with_it(segmenter, noise):
    """The tall one before it goes on beyond its box; nobody asked for the tall one."""
    boxes = [
        TableBox("red box", (200, 40, 40), (0.06, 0.0), (0.1, 0.2, 0.08)),
        TableBox("blue box", (40, 40, 200), (-0.08, 0.0), (0.05, 0.05, 0.16)),
    ]
    description, images, ids = table_scene(boxes)
    red = description.instances[0]
    assert red.pixels > 3000
    depth = kinect_noise(images.depth_m) if noise else images.depth_m
    (proposal,) = segmenter.segment(images.color_rgb, [red.box_xyxy], depth_m=depth)
    assert mask_iou(proposal.mask, ids == 1) >= 0.9


def test_what_is_asked_for_together_is_told_apart(segmenter):
    description, images, ids = table_scene(TROUBLE["one on the other"])
    plate, mug = (instance.box_xyxy for instance in description.instances)
    together = [p.mask for p in segmenter.segment(images.color_rgb, [plate, mug], depth_m=images.depth_m)]
    alone = [segmenter.segment(images.color_rgb, [box], depth_m=images.depth_m)[0].mask for box in (plate, mug)]
    assert mask_iou(together[0], ids == 1) > 0.9
    assert not (together[0] & together[1] & (ids == 2)).any()
    assert mask_iou(together[1], ids == 2) >= mask_iou(alone[1], ids == 2)


def test_the_same_input_gives_the_same_mask(segmenter):
    description, images, _ = table_scene(TROUBLE["touching, alike"])
    box = [description.instances[0].box_xyxy]
    one, other = (segmenter.segment(images.color_rgb, box, depth_m=images.depth_m)[0].mask for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("noise", [False, True], ids=["clean", "noisy"])
@recordings()
def test_libero_things_in_their_true_boxes(segmenter, folder, noise):
    ious = []
    for frame in load_rgbd_rec(folder).frames:
        images = frame.load()
        depth = kinect_noise(images.depth_m) if noise else images.depth_m
        named = [instance for instance in frame.instances if instance.labels]
        proposals = segmenter.segment(images.color_rgb, [i.box_xyxy for i in named], depth_m=depth)
        ious += [mask_iou(p.mask, frame.mask(i.id)) for p, i in zip(proposals, named, strict=True)]
    assert len(ious) >= 20
    assert np.mean(ious) >= 0.9
    assert np.min(ious) >= 0.7


def test_a_table_seen_through_a_handle_is_no_part_of_the_mug():
    """A ring that stands out from a wall: its hole shows the wall, in the wall's plane and colors."""
    rows, columns = np.indices((120, 160))
    radius = np.hypot(rows - 60, columns - 80)
    ring = (radius >= 18) & (radius < 34)
    depth_m = np.where(ring, 0.7, 1.0).astype(np.float32)
    color = np.where(ring[..., None], (200, 30, 30), (120, 90, 60)).astype(np.uint8)
    (proposal,) = DepthGrabCut().segment(color, [(46, 26, 114, 94)], depth_m=depth_m)
    assert mask_iou(proposal.mask, ring) > 0.9
    assert not proposal.mask[52:68, 72:88].any()


def test_the_bottom_of_a_bowl_in_the_plane_of_the_table_belongs_to_the_bowl():
    """Seen from above, a bowl rises from its bottom without a step."""
    rows, columns = np.indices((160, 160))
    radius = np.hypot(rows - 80, columns - 80)
    wall_m = np.clip((radius - 14) / 26, 0.0, 1.0) * 0.05
    bowl = radius < 40
    depth_m = np.where(bowl, 1.0 - wall_m, 1.0).astype(np.float32)
    color = np.where(bowl[..., None], (230, 230, 230), (90, 60, 40)).astype(np.uint8)
    (proposal,) = DepthGrabCut().segment(color, [(40, 40, 120, 120)], depth_m=depth_m)
    assert mask_iou(proposal.mask, bowl) > 0.9
