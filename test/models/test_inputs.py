"""Images, boxes and points that are none: every family refuses them, in the same words."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.models.base import PointSegmenter
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.inputs import check_boxes, check_image, check_points
from vlm_perception.types import ModelError

NAN, INF = math.nan, math.inf
IMAGE = np.zeros((48, 64, 3), np.uint8)
NO_IMAGES = [
    (np.zeros((48, 64), np.uint8), r"must be \(H, W, 3\) uint8, got \(48, 64\) uint8"),
    (np.zeros((48, 64, 4), np.uint8), r"got \(48, 64, 4\) uint8"),
    (np.zeros((48, 64, 1), np.uint8), r"got \(48, 64, 1\) uint8"),
    (np.zeros((3, 48, 64), np.uint8), r"got \(3, 48, 64\) uint8"),
    (np.zeros((1, 48, 64, 3), np.uint8), r"got \(1, 48, 64, 3\) uint8"),
    (np.zeros((48, 64, 3), np.float32), r"got \(48, 64, 3\) float32"),
    (np.zeros((48, 64, 3), np.uint16), r"got \(48, 64, 3\) uint16"),
    (np.zeros((0, 64, 3), np.uint8), r"got \(0, 64, 3\) uint8"),
    (np.zeros((48, 0, 3), np.uint8), r"got \(48, 0, 3\) uint8"),
    (None, r"must be an \(H, W, 3\) uint8 array, got NoneType"),
    ([[[0, 0, 0]]], r"must be an \(H, W, 3\) uint8 array, got list"),
]
NO_BOXES = [
    ((NAN, 0, 1, 1), r"box 1 must be finite, got \(nan, 0, 1, 1\)"),
    ((0, 0, INF, 1), r"box 1 must be finite, got \(0, 0, inf, 1\)"),
    ((20, 20, 5, 5), r"box 1, \(20, 20, 5, 5\), has no area: .* x1 < x2 and y1 < y2"),
    ((5, 20, 20, 5), r"box 1, \(5, 20, 20, 5\), has no area"),
    ((5, 5, 5, 20), r"box 1, \(5, 5, 5, 20\), has no area"),
    ((-50, -50, -10, -10), r"box 1, \(-50, -50, -10, -10\), does not meet the 64 x 48 image"),
    ((64, 0, 90, 20), r"box 1, \(64, 0, 90, 20\), does not meet"),
    ((0, 48, 20, 90), r"box 1, \(0, 48, 20, 90\), does not meet"),
    ((-5, 10, 0, 20), r"box 1, \(-5, 10, 0, 20\), does not meet"),
    ((1, 2, 3), r"box 1 must be 4 numbers, got \(1, 2, 3\)"),
    (7, "box 1 must be 4 numbers, got 7"),
    ("mug", "box 1 must be 4 numbers, got 'mug'"),
    ((1, 2, 3, None), r"box 1 must be (4 numbers|finite)"),
]
NO_POINTS = [
    ([(NAN, 3)], r"point 0 of group 1 must be finite, got \(nan, 3\)"),
    ([(5, 5), (3, -1)], r"point 1 of group 1, \(3, -1\), does not lie in the 64 x 48 image"),
    ([(65, 5)], r"point 0 of group 1, \(65, 5\), does not lie in"),
    ([(5, 5, 5)], "point 0 of group 1 must be 2 numbers"),
    ([5, 5], "point 0 of group 1 must be 2 numbers, got 5"),
    ([], "group 1 has no point"),
]
MODELS = ("owlvit", "clipseg", "clip", "sam3", "paligemma", "qwen3_vl")
SEGMENTERS = ("sam", "sam_hq", "sam2", "edgetam", "sam3_tracker", "florence2", "depth-grabcut")


@pytest.fixture(scope="module")
def segmenter_of(tiny_checkpoints):
    cache = {}

    def get(kind):
        if kind not in cache:
            cache[kind] = build_segmenter(kind if kind == "depth-grabcut" else str(tiny_checkpoints(kind)), device="cpu")
        return cache[kind]

    return get


@pytest.mark.parametrize(("image", "message"), NO_IMAGES)
def test_no_images(image, message):
    with pytest.raises(ModelError, match=f"^the image .*{message}"):
        check_image(image)
    with pytest.raises(ModelError, match=f"^image 3 .*{message}"):
        check_image(image, "image 3")
    check_image(IMAGE)
    check_image(IMAGE[::2, ::-1])  # a view is an image


@pytest.mark.parametrize(("box", "message"), NO_BOXES)
def test_no_boxes(box, message):
    with pytest.raises(ModelError, match=message):
        check_boxes([(1, 1, 5, 5), box], IMAGE)


@pytest.mark.parametrize(("group", "message"), NO_POINTS)
def test_no_points(group, message):
    with pytest.raises(ModelError, match=message):
        check_points([[(5, 5)], group], IMAGE)


def test_what_reaches_beyond_the_image_is_cut():
    assert check_boxes([(-5, -6, 100, 20), (63.5, 47.5, 64.5, 50)], IMAGE).tolist() == [
        [0, 0, 64, 20],
        [63.5, 47.5, 64, 48],
    ]
    assert check_boxes([], IMAGE).shape == (0, 4)
    assert check_boxes(np.array([[1, 2, 3, 4]]), IMAGE).tolist() == [[1, 2, 3, 4]]
    assert [group.tolist() for group in check_points([[(0, 0), (64, 48)], np.ones((1, 2))], IMAGE)] == [
        [[0, 0], [64, 48]],
        [[1, 1]],
    ]
    assert check_points([], IMAGE) == []


NUMBERS = st.floats(-200, 200) | st.sampled_from([NAN, INF, -INF, 0.0, 48.0, 64.0])


@settings(max_examples=200, deadline=None)
@given(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS))
def test_a_box_is_refused_or_has_an_area_in_the_image(box):
    try:
        ((x1, y1, x2, y2),) = check_boxes([box], IMAGE)
    except ModelError:
        inside = np.zeros((48, 64), bool)
        if np.isfinite(box).all():
            u, v = np.arange(64), np.arange(48)
            columns = (u + 1 > box[0]) & (u < box[2])
            rows = (v + 1 > box[1]) & (v < box[3])
            inside = rows[:, None] & columns
        assert not inside.any() or box[0] >= box[2] or box[1] >= box[3]
    else:
        assert 0 <= x1 < x2 <= 64
        assert 0 <= y1 < y2 <= 48


# --------------------------------------------------------------------------- every family


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_refuses_what_is_no_image(model_of, kind):
    model = model_of(kind)
    for image, message in NO_IMAGES:
        with pytest.raises(ModelError, match=f"image 1 .*{message}"):
            model.detect([IMAGE, image], ["red mug"])
        if model.capabilities.heatmaps:
            with pytest.raises(ModelError, match=message):
                model.heatmap(image, "red mug")


@pytest.mark.parametrize(
    ("kind", "method", "arguments"),
    [
        ("paligemma", "caption", ()),
        ("paligemma", "answer", ("what is it?",)),
        ("qwen3_vl", "point", ("mug",)),
        ("qwen3_vl", "read_text", ()),
        ("qwen3_vl", "read_text", ((1, 1, 20, 20),)),
        ("qwen3_vl", "describe_region", ((1, 1, 20, 20),)),
        ("qwen3_vl", "name_region", ((1, 1, 20, 20),)),
    ],
)
def test_so_do_models_that_write_whatever_they_are_asked(model_of, kind, method, arguments):
    for image, message in NO_IMAGES:
        with pytest.raises(ModelError, match=message):
            getattr(model_of(kind), method)(image, *arguments)


@pytest.mark.parametrize("kind", SEGMENTERS)
def test_every_segmenter_refuses_what_is_no_image_box_or_point(segmenter_of, kind):
    segmenter = segmenter_of(kind)
    for image, message in NO_IMAGES:
        with pytest.raises(ModelError, match=message):
            segmenter.segment(image, [(1, 1, 20, 20)])
    for box, message in NO_BOXES:
        with pytest.raises(ModelError, match=message):
            segmenter.segment(IMAGE, [(1, 1, 20, 20), box])
    if isinstance(segmenter, PointSegmenter):
        for image, message in NO_IMAGES:
            with pytest.raises(ModelError, match=message):
                segmenter.segment_points(image, [[(5, 5)]])
        for group, message in NO_POINTS:
            with pytest.raises(ModelError, match=message):
                segmenter.segment_points(IMAGE, [[(5, 5)], group])


@pytest.mark.parametrize("kind", SEGMENTERS)
def test_a_box_that_reaches_beyond_the_image_is_its_part_inside(tiny_checkpoints, kind):
    options = {"max_new_tokens": 4} if kind == "florence2" else {}
    name = kind if kind == "depth-grabcut" else str(tiny_checkpoints(kind))
    segmenter = build_segmenter(name, device="cpu", options=options)
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    beyond, inside = (segmenter.segment(image, [box])[0] for box in ((30.0, -20.0, 500.0, 30.0), (30.0, 0.0, 64.0, 30.0)))
    assert beyond.mask.shape == (48, 64)
    assert np.array_equal(beyond.mask, inside.mask)
    assert beyond.quality == inside.quality


def test_an_image_is_refused_before_any_work(tiny_checkpoints):
    model = build_model(str(tiny_checkpoints("qwen3_vl")), device="cpu")
    model._model.generate = None  # whoever calls it fails in another way
    with pytest.raises(ModelError, match=r"image 1 must be \(H, W, 3\) uint8"):
        model.detect([IMAGE, IMAGE[..., 0]], ["mug"])
