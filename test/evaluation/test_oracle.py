"""The oracle answers from the frame's labels, and from nothing else."""

import numpy as np
import pytest

from vlm_perception.evaluation.oracle import OracleModel
from vlm_perception.models.base import GroundingModel, Segmenter
from vlm_perception.types import ModelError


@pytest.fixture
def oracle(dataset):
    return OracleModel(dataset.frames[0])


@pytest.fixture
def image(dataset):
    return dataset.frames[0].load().color_rgb


def found(oracle, image, *phrases):
    (detections,) = oracle.detect([image], phrases)
    return [(d.phrase, d.label, d.box_xyxy) for d in detections]


def test_it_is_both_a_model_and_a_segmenter(oracle):
    assert isinstance(oracle, GroundingModel)
    assert isinstance(oracle, Segmenter)
    assert oracle.capabilities.detects
    assert oracle.capabilities.masks
    assert oracle.capabilities.vocabulary is None


@pytest.mark.parametrize("phrase", ["red box", "RED  box", "the red box", "red boxes"])
def test_a_label_fires_whatever_its_form(oracle, image, dataset, phrase):
    assert found(oracle, image, phrase) == [(phrase, "red box", dataset.frames[0].instance(1).box_xyxy)]


def test_a_head_noun_fires_on_all_that_bear_it(oracle, image):
    assert [label for _, label, _ in found(oracle, image, "box")] == ["box", "box"]
    assert [phrase for phrase, _, _ in found(oracle, image, "box", "red box")] == ["box", "red box", "box"]


@pytest.mark.parametrize("phrase", ["green box", "red", "boxing", "banana", "", "s", "ox"])
def test_what_is_no_label_does_not_fire(oracle, image, phrase):
    assert found(oracle, image, phrase) == []


@pytest.mark.parametrize(
    ("label", "phrase"), [("knife", "knives"), ("berry", "berries"), ("glass", "glasses"), ("glass", "glass")]
)
def test_irregular_plurals(dataset, image, label, phrase):
    from dataclasses import replace

    frame = dataset.frames[0]
    named = replace(frame, instances=(replace(frame.instances[0], labels=(label,)),))
    assert len(found(OracleModel(named), image, phrase)) == 1


def test_detections_carry_the_true_mask_and_score(oracle, image, dataset):
    ((detection,),) = oracle.detect([image], ["blue box"], threshold=0.99)
    assert detection.score == 1.0
    np.testing.assert_array_equal(detection.mask, dataset.frames[0].mask(2))


def test_segmenting_a_box_gives_the_instance_it_fits_best(oracle, image, dataset):
    frame = dataset.frames[0]
    x0, y0, x1, y1 = frame.instance(3).box_xyxy
    close, away = oracle.segment(image, [(x0 - 3, y0 + 2, x1 + 1, y1), (0, 0, 2, 2)])
    np.testing.assert_array_equal(close.mask, frame.mask(3))
    assert 0.8 < close.quality < 1
    assert not away.mask.any()
    assert away.quality == 0


def test_it_says_when_it_was_not_told_the_frame(image):
    with pytest.raises(ModelError, match="set_frame"):
        OracleModel().detect([image], ["box"])


def test_it_notices_another_frames_image(oracle):
    with pytest.raises(ModelError, match="64x48 px, but frame a is 640x480"):
        oracle.detect([np.zeros((48, 64, 3), np.uint8)], ["box"])


def test_set_frame_and_close(dataset, image):
    oracle = OracleModel()
    oracle.set_frame(dataset.frames[0])
    assert len(found(oracle, image, "red box")) == 1
    oracle.close()
    with pytest.raises(ModelError):
        oracle.detect([image], ["red box"])
