"""Scores, worked by hand, and against libraries that compute the same."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.evaluation.metrics import (
    bootstrap_intervals,
    box_iou,
    box_iou_matrix,
    mask_iou,
    mean_scores,
    set_f1,
    would_touch,
)
from vlm_perception.types import CameraIntrinsics

NAN = float("nan")
boxes = st.tuples(*[st.integers(0, 40)] * 4).map(
    lambda b: (float(min(b[0], b[2])), float(min(b[1], b[3])), float(max(b[0], b[2]) + 1), float(max(b[1], b[3]) + 1))
)


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 50 / 150),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),  # max is exclusive: touching boxes share nothing
        ((0, 0, 10, 10), (2, 2, 4, 4), 4 / 100),
        ((0, 0, 10, 10), (3, 3, 3, 9), 0.0),
        ((4, 4, 4, 4), (4, 4, 4, 4), 0.0),
        ((10, 10, 0, 0), (0, 0, 10, 10), 0.0),
    ],
)
def test_box_iou_by_hand(a, b, iou):
    assert box_iou(a, b) == pytest.approx(iou)


def test_no_boxes():
    assert box_iou_matrix([], [(0, 0, 1, 1)]).shape == (0, 1)
    assert box_iou_matrix([(0, 0, 1, 1)], []).shape == (1, 0)


@settings(max_examples=50, deadline=None)
@given(boxes, boxes)
def test_box_iou_is_that_of_the_boxes_masks(a, b):
    def paint(box):
        mask = np.zeros((50, 50), bool)
        mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = True
        return mask

    assert box_iou(a, b) == pytest.approx(mask_iou(paint(a), paint(b)))
    assert box_iou(a, b) == box_iou(b, a)


def test_mask_iou_by_hand():
    a, b = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    assert mask_iou(a, b) == 0.0
    a[0, :3] = True
    b[0, 1:] = True
    assert mask_iou(a, b) == 2 / 4


def test_set_f1_by_hand():
    one, two, three = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)
    assert set_f1([], []) == 1.0
    assert set_f1([one], []) == set_f1([], [one]) == 0.0
    assert set_f1([one, two], [two, one]) == 1.0
    assert set_f1([one], [one, two]) == pytest.approx(2 / 3)
    assert set_f1([one, two, three], [one, two]) == pytest.approx(4 / 5)
    assert set_f1([one, one], [one]) == pytest.approx(2 / 3)  # a double is a false positive


def test_set_f1_matches_as_well_as_can_be():
    # Greedy by the first box's best overlap would take the truth that the second box needs.
    found = [(0, 0, 10, 10), (0, 0, 10, 16)]
    truth = [(0, 0, 10, 11), (0, 0, 10, 7)]
    assert box_iou(found[0], truth[0]) > box_iou(found[0], truth[1]) >= 0.5
    assert box_iou(found[1], truth[1]) < 0.5
    assert set_f1(found, truth) == 1.0


@settings(max_examples=40, deadline=None)
@given(st.lists(boxes, max_size=4), st.lists(boxes, max_size=4))
def test_set_f1_is_the_best_of_all_matchings(found, truth):
    longer, shorter = (found, truth) if len(found) >= len(truth) else (truth, found)
    best = max(
        sum(box_iou(a, b) >= 0.5 for a, b in zip(order, shorter, strict=False))
        for order in itertools.permutations(longer)
    )
    total = len(found) + len(truth)
    assert set_f1(found, truth) == pytest.approx(2 * best / total if total else 1.0)


def test_would_touch():
    camera = CameraIntrinsics(40, 30, 50.0, 50.0, 20.0, 15.0)
    depth = np.full((30, 40), 1.0, np.float32)
    mask = np.zeros((30, 40), bool)
    mask[10:20, 15:25] = True
    assert would_touch(np.array([0.0, 0.0, 1.0]), mask, depth, camera)
    assert would_touch(np.array([0.0, 0.0, 1.0199]), mask, depth, camera)
    assert not would_touch(np.array([0.0, 0.0, 1.03]), mask, depth, camera)  # 3 cm behind the surface
    assert not would_touch(np.array([0.2, 0.0, 1.0]), mask, depth, camera)  # beside it
    assert not would_touch(np.array([2.0, 0.0, 1.0]), mask, depth, camera)  # outside the image
    assert not would_touch(np.array([0.0, 0.0, -1.0]), mask, depth, camera)  # behind the camera
    depth[15, 20] = 0
    assert not would_touch(np.array([0.0, 0.0, 1.0]), mask, depth, camera)


def test_means_leave_out_what_does_not_apply():
    values = {
        "acc@0.5": np.array([1.0, 0.0, NAN, 1.0]),
        "absent_acc": np.array([NAN, NAN, 1.0, NAN]),
        "count_acc": np.array([NAN] * 4),
        "centroid_cm": np.array([1.0, NAN, 3.0, 2.0]),
    }
    means = mean_scores(values)
    assert means == {
        "acc@0.5": pytest.approx(2 / 3),
        "absent_acc": 1.0,
        "centroid_cm_median": 2.0,
        "centroid_cm_p90": pytest.approx(2.8),
    }


def test_bootstrap_agrees_with_the_binomial():
    column = np.r_[np.ones(160), np.zeros(40), np.full(50, NAN)]
    low, high = bootstrap_intervals({"acc@0.5": column})["acc@0.5"]
    standard_error = np.sqrt(0.8 * 0.2 / 200)
    assert low == pytest.approx(0.8 - 1.96 * standard_error, abs=0.01)
    assert high == pytest.approx(0.8 + 1.96 * standard_error, abs=0.01)


def test_bootstrap_is_seeded_and_holds_the_mean():
    values = {"mIoU": np.random.default_rng(0).uniform(0, 1, 30)}
    assert bootstrap_intervals(values) == bootstrap_intervals(values)
    assert bootstrap_intervals(values) != bootstrap_intervals(values, seed=1)
    low, high = bootstrap_intervals(values)["mIoU"]
    assert low < mean_scores(values)["mIoU"] < high
    assert bootstrap_intervals({"mIoU": np.array([0.4])})["mIoU"] == (0.4, 0.4)


@settings(max_examples=25, deadline=None)
@given(st.lists(boxes, min_size=1, max_size=5), st.lists(boxes, min_size=1, max_size=5))
def test_box_iou_is_pycocotools(a, b):
    coco = pytest.importorskip("pycocotools.mask")

    def xywh(items):
        return [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in items]

    np.testing.assert_allclose(box_iou_matrix(a, b), coco.iou(xywh(a), xywh(b), [0] * len(b)), atol=1e-9)


def test_mask_iou_is_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 30, 40)) > 0.6
    encoded = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in (a, b)]
    assert mask_iou(a, b) == pytest.approx(coco.iou([encoded[0]], [encoded[1]], [0])[0, 0])


def test_mask_iou_is_torchmetrics():
    functional = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 30, 40)) > 0.4
    theirs = functional.binary_jaccard_index(torch.tensor(a), torch.tensor(b).int())
    assert mask_iou(a, b) == pytest.approx(float(theirs), abs=1e-6)
