"""A segmenter that is set beside a model with masks of its own: said once, at load, with whose masks are used."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from cube_scene import ColorModel, scene, write_scene
from describing_models import GREEN

from vlm_perception import cli
from vlm_perception.models import factory
from vlm_perception.models.base import Capabilities
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import Detection, MaskProposal, Status


class Careful(DepthGrabCut):
    """Another segmenter, which counts what it is asked for."""

    name = "careful"

    def __init__(self) -> None:
        super().__init__()
        self.boxes: list = []

    def segment(self, image_rgb, boxes_xyxy, *, depth_m=None):
        self.boxes += boxes_xyxy
        return super().segment(image_rgb, boxes_xyxy, depth_m=depth_m)


class Clicked(Careful):
    def segment_points(self, image_rgb, points_uv):
        return [MaskProposal(np.zeros(image_rgb.shape[:2], bool), 0.5) for _ in points_uv]


class Masked(ColorModel):
    """Gives its masks along."""

    def detect(self, images_rgb, phrases, *, threshold=None):
        mask = np.zeros(images_rgb[0].shape[:2], bool)
        mask[100:140, 140:180] = True
        return [[Detection(phrase, phrase, 0.9, GREEN, mask=mask) for phrase in phrases] for _ in images_rgb]


def model(*, masks: bool = True) -> ColorModel:
    return Masked(name="clipseg", capabilities=Capabilities(detects=True, masks=masks))


def warnings_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(("segmenter", "left"), [(Careful(), "without one."), (Clicked(), "without one, and points.")])
def test_whose_masks_are_used_is_said_once_and_is_so(caplog, segmenter, left) -> None:
    pipeline = Pipeline(model(), segmenter)
    (told,) = warnings_of(caplog)
    assert "'clipseg' gives masks with its boxes, and these are used: the segmenter 'careful'" in told
    assert left in told
    answers = [pipeline.answer(scene(), "the green cube") for _ in range(2)]
    assert [answer.status for answer in answers] == [Status.SUCCEEDED] * 2
    assert segmenter.boxes == []
    assert len(warnings_of(caplog)) == 1


@pytest.mark.parametrize(
    ("masks", "segmenter"), [(True, DepthGrabCut()), (True, None), (False, Careful())], ids=["default", "none", "no masks"]
)
def test_what_is_used_or_was_not_asked_for_is_not_said(caplog, masks, segmenter) -> None:
    Pipeline(model(masks=masks), segmenter)
    assert warnings_of(caplog) == []


def test_the_command_line_says_it(caplog, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(factory, "build_model", lambda *_, **__: model())
    monkeypatch.setattr(factory, "build_segmenter", lambda *_, **__: Careful())
    files = [word for pair in write_scene(tmp_path).items() for word in pair]
    assert cli.main(["ground", "the green cube", *files]) == 0
    assert ["segmenter 'careful'" in told for told in warnings_of(caplog)] == [True]
