"""RefCOCO-style files of both kinds."""

import json

import cv2
import numpy as np
import pytest

from vlm_perception.evaluation.dataset import DatasetError
from vlm_perception.evaluation.refcoco import evaluate_refcoco, load_refcoco
from vlm_perception.types import Detection, ImageError

IMAGES = [{"id": 5, "file_name": "five.jpg"}, {"id": 6, "file_name": "six.jpg"}]
ANNOTATIONS = [
    {"id": 50, "image_id": 5, "bbox": [10, 20, 30, 40]},
    {"id": 60, "image_id": 6, "bbox": [0, 0, 8, 8]},
]


class Fixed:
    """Gives the same detections for every expression, and remembers what it was asked."""

    name = "fixed"

    def __init__(self, *detections):
        self.detections = detections
        self.asked = []

    def detect(self, images_rgb, phrases, *, threshold=None):
        self.asked.append((images_rgb[0].shape, tuple(phrases), threshold))
        return [[Detection(phrases[0], "", score, box) for score, box in self.detections]]


@pytest.fixture
def write(tmp_path):
    (tmp_path / "train2014").mkdir()
    for folder, name in (("train2014", "five.jpg"), (".", "six.jpg")):
        cv2.imwrite(str(tmp_path / folder / name), np.zeros((100, 60, 3), np.uint8))

    def write(**changes):
        data = {"images": IMAGES, "annotations": ANNOTATIONS, **changes}
        file = tmp_path / "refs.json"
        file.write_text(json.dumps(data))
        return file

    return write


def test_refer_style(write):
    refs = [
        {"ann_id": 50, "sentences": [{"sent": "man in red"}, {"sent": "left guy"}]},
        {"ann_id": 60, "sentences": [{"sent": "dog"}]},
    ]
    items = load_refcoco(write(refs=refs))
    assert [item.expression for item in items] == ["man in red", "left guy", "dog"]
    assert [item.box_xyxy for item in items] == [(10, 20, 40, 60)] * 2 + [(0, 0, 8, 8)]
    assert [item.image_file.name for item in items] == ["five.jpg", "five.jpg", "six.jpg"]


def test_mdetr_style(write):
    images = [{**IMAGES[0], "caption": "man in red"}, {**IMAGES[1], "caption": "dog"}]
    assert [item.expression for item in load_refcoco(write(images=images))] == ["man in red", "dog"]


def test_scores_by_hand(write):
    images = [{**image, "caption": "x"} for image in IMAGES]
    # The best-scored box counts. Against [10 20 40 60]: 30x30 of 30x40, IoU 0.75; the other image: 0.
    model = Fixed((0.2, (0.0, 0.0, 8.0, 8.0)), (0.9, (10.0, 20.0, 40.0, 50.0)))
    result = evaluate_refcoco(load_refcoco(write(images=images)), model, dataset="refs")
    assert result["overall"] == {"acc@0.5": 0.5, "acc@0.75": 0.5, "mIoU": pytest.approx(0.375)}
    assert result["intervals"]["overall"]["acc@0.5"] == [0, 1]
    assert (result["dataset"], result["model"], result["frames"], result["expressions"]) == ("refs", "fixed", 2, 2)
    assert model.asked == [((100, 60, 3), ("x",), 0.0)] * 2
    json.dumps(result)


def test_nothing_found_scores_zero(write):
    images = [{**image, "caption": "x"} for image in IMAGES]
    result = evaluate_refcoco(load_refcoco(write(images=images)), Fixed())
    assert set(result["overall"].values()) == {0.0}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, "'caption'"),
        ({"refs": [{"ann_id": 99, "sentences": [{"sent": "x"}]}]}, "99"),
        ({"refs": [{"sentences": [{"sent": "x"}]}]}, "'ann_id'"),
        ({"images": []}, "5"),
        ({"annotations": [{"image_id": 5, "bbox": [1, 2, 0, 4]}], "images": [{**IMAGES[0], "caption": "x"}]}, "empty"),
        (
            {"images": [{"id": 5, "file_name": "lost.jpg", "caption": "x"}], "annotations": ANNOTATIONS[:1]},
            "lost.jpg is in none of",
        ),
    ],
)
def test_what_is_wrong_is_named(write, changes, complaint):
    with pytest.raises(DatasetError, match=rf"refs\.json: .*{complaint}|{complaint}"):
        load_refcoco(write(**changes))


def test_no_json(tmp_path):
    (tmp_path / "refs.json").write_text("{")
    with pytest.raises(DatasetError, match=r"refs\.json"):
        load_refcoco(tmp_path / "refs.json")
    with pytest.raises(DatasetError, match=r"missing\.json"):
        load_refcoco(tmp_path / "missing.json")


def test_a_broken_image(write, tmp_path):
    (tmp_path / "six.jpg").write_bytes(b"no")
    images = [{**image, "caption": "x"} for image in IMAGES]
    with pytest.raises(ImageError, match=r"six\.jpg"):
        evaluate_refcoco(load_refcoco(write(images=images)), Fixed())
