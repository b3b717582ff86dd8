"""The pipeline on a rendered scene whose truth is known to the micrometre."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from cube_scene import CAMERA, CUBES, ColorModel, scene
from describing_models import Speaker

from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.evaluation.dataset import load_rgbd_rec
from vlm_perception.models.base import Capabilities, GroundedText
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.models.runtime import Placement
from vlm_perception.pipeline import Look, Pipeline, PipelineSettings
from vlm_perception.resources import asset_path
from vlm_perception.scene import box_iou, merge_detections
from vlm_perception.types import Detection, MaskProposal, ModelError, RgbdFrame, Status, Viewpoint


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
    assert "without a mask" in answer.message
    assert "set a segmenter, e.g. depth-grabcut" in answer.message
    blind = Pipeline(ColorModel(), None).answer(replace(scene(), depth_m=None), "the green cube")
    assert "no depth image" in blind.message


def test_an_empty_mask_is_the_segmenters_fault_and_not_the_depths() -> None:
    class Empty(DepthGrabCut):
        def segment(self, image_rgb, boxes_xyxy, *, depth_m=None):
            return [MaskProposal(np.zeros(image_rgb.shape[:2], bool), 0.0) for _ in boxes_xyxy]

    answer = Pipeline(ColorModel(), Empty()).answer(scene(), "the green cube")
    assert answer.status is Status.NO_DEPTH
    assert "the segmenter 'depth-grabcut' gave no mask for it; try another" in answer.message


@pytest.mark.parametrize(
    "command", ["how many cubes are there?", "count the red cubes", "are there two red cubes?", "are there at least two cubes?"]
)
def test_what_lumps_things_together_does_not_count(command: str) -> None:
    lumping = ColorModel(capabilities=Capabilities(detects=True))
    answer = Pipeline(lumping, None).answer(scene(), command)
    assert (answer.status, answer.count) == (Status.INVALID_COMMAND, None)
    assert "'colors' cannot count" in answer.message
    assert "grounding-dino-tiny" in answer.message
    described = Pipeline(lumping, None).describe(scene(), DescribeRequest(DescribeTask.COUNT, "cubes"))
    assert described.status is Status.INVALID_COMMAND
    claims = "a green cube and two red cubes"
    checked = Pipeline(lumping, None).describe(scene(), DescribeRequest(DescribeTask.CHECK, claims))
    assert {c.text: c.holds for c in checked.extra["claims"]} == {"a green cube": True, "2 red cubes": None}
    assert "cannot count" in checked.extra["claims"][1].reason
    assert Pipeline(lumping, None).answer(scene(), "is there a red cube?").verdict is True
    assert Pipeline(lumping, DepthGrabCut()).answer(scene(), "the green cube").status is Status.SUCCEEDED


def test_a_model_made_for_a_gpu_says_so_on_a_cpu(caplog: pytest.LogCaptureFixture) -> None:
    model = ColorModel(capabilities=Capabilities(detects=True, needs_gpu=True))
    Pipeline(model, None)
    assert not caplog.records, "where it runs is not known"
    model.placement = Placement("cuda:0", "bfloat16")
    Pipeline(model, None)
    assert not caplog.records
    model.placement = Placement("cpu", "float32")
    Pipeline(model, None)
    assert "'colors' is made for a GPU and runs on the CPU" in caplog.text


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


# --------------------------------------------------------------------------- several cameras at once


class CountingModel(ColorModel):
    """Remembers how many images each of its calls had."""

    def __init__(self, **fields: object) -> None:
        super().__init__(**fields)
        self.calls: list[int] = []

    def detect(self, images_rgb, phrases, *, threshold=None):
        self.calls.append(len(images_rgb))
        return super().detect(images_rgb, phrases, threshold=threshold)


def nearer(frame: RgbdFrame, by_m: float) -> RgbdFrame:
    return replace(frame, depth_m=frame.depth_m - np.float32(by_m))


def test_a_batch_is_one_call_and_the_answers_are_those_of_one_by_one() -> None:
    model = CountingModel()
    pipeline = Pipeline(model, DepthGrabCut())
    frames = [scene(), nearer(scene(), 0.1), replace(scene(), depth_m=None)]
    answers = pipeline.answer_all([Look(frame) for frame in frames], "the green cube")
    assert model.calls == [3]
    alone = [pipeline.answer(frame, "the green cube") for frame in frames]
    assert [a.status for a in answers] == [Status.SUCCEEDED, Status.SUCCEEDED, Status.NO_DEPTH]
    for answer, expected in zip(answers, alone, strict=True):
        assert (answer.status, answer.message) == (expected.status, expected.message)
        assert [g.object.box_xyxy for g in answer.groundings] == [g.object.box_xyxy for g in expected.groundings]
        assert [g.score for g in answer.groundings] == [g.score for g in expected.groundings]
    for answer, expected in zip(answers[:2], alone[:2], strict=True):
        places = [a.targets[0].object.geometry.surface_centroid_m for a in (answer, expected)]
        np.testing.assert_array_equal(*places)
    z = [a.targets[0].object.geometry.surface_centroid_m[2] for a in answers[:2]]
    assert z[0] - z[1] == pytest.approx(0.1, abs=0.003)


def test_the_times_of_a_batch_are_everybodys() -> None:
    first, second = Pipeline(ColorModel(), DepthGrabCut()).answer_all([Look(scene()), Look(scene())], "the green cube")
    assert first.latency_ms["detect"] == second.latency_ms["detect"] > 0
    own = sum(ms for stage, ms in second.latency_ms.items() if stage not in ("total", "detect"))
    for answer in (first, second):
        assert answer.latency_ms["total"] >= answer.latency_ms["detect"] + own


def test_a_failure_of_the_model_is_everybodys_and_it_is_not_tried_again() -> None:
    model = CountingModel(error=RuntimeError("boom"))
    answers = Pipeline(model, None).answer_all([Look(scene()), Look(scene())], "the green cube")
    assert [a.status for a in answers] == [Status.MODEL_ERROR] * 2
    assert all("boom" in a.message for a in answers)
    assert model.calls == [2]


def test_a_model_that_loses_an_image_is_an_error() -> None:
    class Forgetful(ColorModel):
        def detect(self, images_rgb, phrases, *, threshold=None):
            return super().detect(images_rgb, phrases, threshold=threshold)[1:]

    (answer,) = Pipeline(Forgetful(), None).answer_all([Look(scene())], "the green cube")
    assert answer.status is Status.MODEL_ERROR
    assert "0 lists of boxes for 1 images" in answer.message


def test_each_frame_has_its_own_up_and_viewpoint() -> None:
    behind = Viewpoint(right=np.array([-1.0, 0.0, 0.0]), forward=np.array([0.0, 0.0, -1.0]), frame="viewer")
    answers = Pipeline(ColorModel(), DepthGrabCut()).answer_all(
        [Look(scene()), Look(scene(), viewpoint=behind)], "the leftmost cube"
    )
    assert [a.targets[0].object.box_xyxy[0] for a in answers] == [60, 230]


def test_statements_are_checked_in_one_call_and_words_are_the_frames_own() -> None:
    looks = [Look(scene()), Look(scene())]
    model = CountingModel()
    request = DescribeRequest(DescribeTask.VERIFY, "there is a green cube")
    answers = Pipeline(model, DepthGrabCut()).describe_all(looks, request)
    assert [a.verdict for a in answers] == [True, True]
    assert model.calls == [2]

    class CountingSpeaker(Speaker):
        calls: ClassVar[list[int]] = []

        def detect(self, images_rgb, phrases, *, threshold=None):
            self.calls.append(len(images_rgb))
            return super().detect(images_rgb, phrases, threshold=threshold)

    speaker = CountingSpeaker(said=GroundedText("a green cube"))
    answers = Pipeline(speaker, DepthGrabCut()).describe_all(looks, DescribeRequest(DescribeTask.CAPTION))
    assert [a.answer for a in answers] == ["a green cube"] * 2
    assert speaker.asked == [("caption",)] * 2
    assert speaker.calls == [1, 1], "what one image's words name is not looked for in the other"


@pytest.mark.skipif(
    not (asset_path("tabletop") / "config.json").is_file(), reason="the tabletop checkpoint is not there"
)
def test_the_shipped_model_finds_in_a_batch_what_it_finds_alone() -> None:
    pytest.importorskip("transformers")
    from vlm_perception.models.factory import build_model

    model = build_model("tabletop", device="cpu")
    dataset = load_rgbd_rec(asset_path("recordings", "libero_90"))
    looks = [Look(frame.load()) for frame in dataset.frames[1:4]]
    pipeline = Pipeline(model, None)
    together = pipeline.answer_all(looks, "the bowl")
    alone = [pipeline.answer(look.frame, "the bowl") for look in looks]
    for answer, expected in zip(together, alone, strict=True):
        assert (answer.status, len(answer.objects)) == (expected.status, len(expected.objects))
        for found, known in zip(answer.objects, expected.objects, strict=True):
            assert found.scores.keys() == known.scores.keys()
            assert found.scores == pytest.approx(known.scores, abs=1e-4)
            np.testing.assert_allclose(found.box_xyxy, known.box_xyxy, atol=0.05)
    assert all(a.objects for a in together[:2]), "there is something to compare"
    model.close()
