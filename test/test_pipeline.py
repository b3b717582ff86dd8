"""The pipeline on a rendered scene whose truth is known to the micrometre."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cube_scene import CAMERA, CUBES, ColorModel, scene

from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.pipeline import Pipeline, PipelineSettings
from vlm_perception.scene import box_iou, merge_detections
from vlm_perception.types import Detection, ModelError, Status


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline(ColorModel(), DepthGrabCut())


def test_one_sentence_one_pose(pipeline: Pipeline) -> None:
    answer = pipeline.answer(scene(), "please pick up the green cube")
    assert answer.status is Status.SUCCEEDED, answer.message
    (target,) = answer.targets
    assert target.object.geometry is not None
    x = (160.0 - 0.5 - CAMERA.cx) / CAMERA.fx * 0.8
    y = (120.0 - 0.5 - CAMERA.cy) / CAMERA.fy * 0.8
    np.testing.assert_allclose(target.object.geometry.surface_centroid_m, [x, y, 0.8], atol=0.003)
    assert {"language", "detect", "segment", "geometry", "resolve", "total"} <= set(answer.latency_ms)
    assert answer.latency_ms["total"] >= answer.latency_ms["detect"]


@pytest.mark.parametrize(
    ("command", "index"),
    [
        ("the red cube on the left", 0),
        ("the red cube right of the green cube", 2),
        ("the leftmost cube", 0),
        ("the second cube from the left", 1),
        ("the cube that is not red", 1),
    ],
)
def test_relations_pick_one(pipeline: Pipeline, command: str, index: int) -> None:
    answer = pipeline.answer(scene(), command)
    assert answer.status is Status.SUCCEEDED, answer.message
    (target,) = answer.targets
    _, _, (x0, x1), (y0, y1), _ = CUBES[index]
    assert box_iou(target.object.box_xyxy, (x0, y0, x1, y1)) > 0.99


def test_two_of_a_kind_are_ambiguous(pipeline: Pipeline) -> None:
    answer = pipeline.answer(scene(), "the red cube")
    assert answer.status is Status.AMBIGUOUS
    assert len(answer.runner_ups) >= 2
    assert "?" in answer.message


def test_counting(pipeline: Pipeline) -> None:
    answer = pipeline.answer(scene(), "how many red cubes are there?")
    assert (answer.status, answer.count) == (Status.SUCCEEDED, 2)


def test_what_is_not_there_is_named(pipeline: Pipeline) -> None:
    answer = pipeline.answer(scene(), "the purple giraffe")
    assert answer.status is Status.NOT_FOUND
    assert "purple giraffe" in answer.message


@pytest.mark.parametrize("depth", ["none", "zero", "nan"])
def test_no_depth_keeps_the_box_and_says_why(pipeline: Pipeline, depth: str) -> None:
    frame = scene()
    assert frame.depth_m is not None
    bad = {
        "none": None,
        "zero": np.zeros_like(frame.depth_m),
        "nan": np.full_like(frame.depth_m, np.nan),
    }[depth]
    answer = pipeline.answer(replace(frame, depth_m=bad), "the green cube")
    assert answer.status is Status.NO_DEPTH
    (target,) = answer.targets
    assert target.object.geometry is None
    assert box_iou(target.object.box_xyxy, (140, 100, 180, 140)) > 0.99
    assert "depth" in answer.message


def test_depth_of_another_size(pipeline: Pipeline) -> None:
    frame = scene()
    assert frame.depth_m is not None
    half = pipeline.answer(replace(frame, depth_m=frame.depth_m[::2, ::2].copy()), "the green cube")
    assert half.status is Status.SUCCEEDED
    odd = pipeline.answer(replace(frame, depth_m=frame.depth_m[:199, :311].copy()), "the green cube")
    assert odd.status is Status.NO_DEPTH
    assert "311" in odd.message
    assert "320" in odd.message


@pytest.mark.parametrize("error", [ModelError("weights are gone"), RuntimeError("boom")])
def test_a_model_that_raises_is_a_status(error: Exception) -> None:
    answer = Pipeline(ColorModel(error=error), None).answer(scene(), "the green cube")
    assert answer.status is Status.MODEL_ERROR
    assert str(error) in answer.message


@pytest.mark.parametrize("command", ["", "   ", "x" * 10_000, "\U0001f916\U0001f34c", "\x00\x01\x02"])
def test_bad_commands_are_refused_with_a_reason(pipeline: Pipeline, command: str) -> None:
    answer = pipeline.answer(scene(), command)
    assert answer.status is Status.INVALID_COMMAND
    assert answer.message


def test_cancel_takes_effect_between_stages(pipeline: Pipeline) -> None:
    asked: list[int] = []

    def canceled() -> bool:
        asked.append(1)
        return len(asked) > 2

    answer = pipeline.answer(scene(), "the green cube", canceled=canceled)
    assert answer.status is Status.CANCELED
    assert "resolve" not in answer.latency_ms


def test_without_segmenter_there_is_a_box_but_no_pose() -> None:
    answer = Pipeline(ColorModel(), None, PipelineSettings()).answer(scene(), "the green cube")
    assert answer.status is Status.NO_DEPTH
    assert len(answer.targets) == 1


def test_merge_joins_phrases_and_keeps_neighbours_apart() -> None:
    merged = merge_detections(
        [
            Detection("mug", "mug", 0.6, (10, 10, 50, 50)),
            Detection("red mug", "red mug", 0.8, (11, 10, 51, 50)),
            Detection("mug", "mug", 0.7, (60, 10, 100, 50)),
            Detection("mug", "mug", 0.9, (20, 20, 20, 30)),
        ]
    )
    assert [group.scores for group in merged] == [{"red mug": 0.8, "mug": 0.6}, {"mug": 0.7}]
    assert merged[0].best.box_xyxy == (11, 10, 51, 50)


def test_box_iou_by_hand() -> None:
    assert box_iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert box_iou((0, 0, 1, 1), (1, 0, 2, 1)) == 0.0
    assert box_iou((0, 0, 0, 5), (0, 0, 5, 5)) == 0.0
