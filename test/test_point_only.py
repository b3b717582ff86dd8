"""A model that only points is located, resolved and counted by like any detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cube_scene import CUBES, scene
from describing_models import Speaker, middle_m

from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.models.base import Capabilities, GroundedText, Mention
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.pipeline import Pipeline, PipelineSettings
from vlm_perception.point_detections import detections_of
from vlm_perception.types import Answer, MaskProposal, Status

# Not in the order from left to right, as a model may say them.
POINTS = {
    "cube": ((161.0, 118.0), (82.0, 121.0), (244.0, 126.0)),
    "red cube": ((243.0, 128.0), (79.0, 119.0)),
    "green cube": ((160.0, 120.0),),
}


class Pointer(Speaker):
    """Points at what it is asked for, and gives no boxes."""

    def __init__(self, score: float = 0.6) -> None:
        super().__init__(name="pointer", capabilities=Capabilities(points=True, captions=True))
        self.score = score

    def detect(self, images_rgb, phrases, *, threshold=None):
        raise AssertionError("it gives no boxes")

    def point(self, image_rgb, phrase):
        self.asked.append(("point", phrase))
        mentions = tuple(Mention(None, "thing", ((u, v, u, v),)) for u, v in POINTS.get(phrase, ()))
        return GroundedText("", mentions, self.score)


def ground(command: str, *, segmenter=None, depth: bool = True, settings: PipelineSettings | None = None) -> Answer:
    frame = scene() if depth else replace(scene(), depth_m=None)
    return Pipeline(Pointer(), segmenter or DepthGrabCut(), settings).answer(frame, command)


def cubes_of(groundings) -> list[int]:
    found = []
    for grounding in groundings:
        x0, y0, x1, y1 = grounding.object.box_xyxy
        u, v = (x0 + x1) / 2, (y0 + y1) / 2
        found += [k for k, (_, _, (a, b), (c, d), _) in enumerate(CUBES) if a <= u <= b and c <= v <= d]
    return found


@pytest.mark.parametrize(
    ("command", "cubes"),
    [
        ("the second cube from the left", [1]),
        ("the green cube", [1]),
        ("the red cube on the left", [0]),
        ("the cube right of the green cube", [2]),
        ("the cube that is not red", [1]),
        ("three cubes", [0, 1, 2]),
        ("all red cubes", [0, 2]),
    ],
)
def test_relations_and_numbers_are_resolved(command, cubes) -> None:
    answer = ground(command)
    assert answer.status is Status.SUCCEEDED, answer.message
    assert sorted(cubes_of(answer.targets)) == cubes
    for target, cube in zip(answer.targets, cubes_of(answer.targets), strict=True):
        np.testing.assert_allclose(target.object.geometry.surface_centroid_m, middle_m(cube), atol=0.004)


def test_two_that_fit_are_ambiguous_and_too_few_are_not_enough() -> None:
    assert ground("the red cube").status is Status.AMBIGUOUS
    few = ground("four cubes")
    assert (few.status, few.message) == (Status.NOT_FOUND, "I see only 3 cubes of the 4 asked for.")
    assert ground("the giraffe").status is Status.NOT_FOUND


def test_what_is_placed_has_its_destination() -> None:
    answer = ground("put the green cube on the red cube on the left")
    assert answer.status is Status.SUCCEEDED, answer.message
    assert [(g.role.value, *cubes_of([g])) for g in answer.groundings][:2] == [("target", 1), ("destination", 0)]


@pytest.mark.parametrize(("command", "verdict"), [("is the green cube left of a red cube?", True), ("is there a giraffe?", False)])
def test_statements_are_verified(command, verdict) -> None:
    answer = ground(command)
    assert (answer.status, answer.verdict) == (Status.SUCCEEDED, verdict), answer.message


def test_describe_tasks_too() -> None:
    pipeline = Pipeline(Pointer(), DepthGrabCut())
    counted = pipeline.describe(scene(), DescribeRequest(DescribeTask.COUNT, "red cubes"))
    assert (counted.status, counted.count, sorted(cubes_of(counted.targets))) == (Status.SUCCEEDED, 2, [0, 2])
    checked = pipeline.describe(scene(), DescribeRequest(DescribeTask.CHECK, "a green cube and a giraffe"))
    assert {claim.text: claim.holds for claim in checked.extra["claims"]} == {"a green cube": True, "a giraffe": False}


def test_what_it_declares_besides_changes_nothing() -> None:
    model = Pointer()
    model.capabilities = Capabilities(points=True, counts=True)
    assert Pipeline(model, DepthGrabCut()).answer(scene(), "how many cubes are there?").count == 3


@pytest.mark.parametrize("depth", [True, False])
def test_counting_counts_the_points(depth) -> None:
    answer = ground("how many cubes are there?", depth=depth)
    assert (answer.status, answer.count) == (Status.SUCCEEDED, 3)


def test_a_low_score_counts_for_nothing() -> None:
    strict = PipelineSettings(score_threshold=0.7)
    assert ground("the green cube", settings=strict).status is Status.NOT_FOUND


def test_boxes_that_do_not_count_give_way_to_points() -> None:
    class Lumping(Pointer):
        """Its boxes hold all that touches, as those of heatmaps do."""

        def detect(self, images_rgb, phrases, *, threshold=None):
            return Speaker.detect(self, images_rgb, phrases, threshold=threshold)

    model = Lumping()
    model.capabilities = Capabilities(points=True, detects=True)
    pipeline = Pipeline(model, DepthGrabCut())
    assert pipeline.answer(scene(), "how many cubes are there?").count == 3
    assert model.asked == [("point", "cube")]
    assert pipeline.answer(scene(), "the green cube").status is Status.SUCCEEDED
    assert model.asked == [("point", "cube")], "a thing is located by its box"


class Promptable(DepthGrabCut):
    """Squares of 20 pixels around the points."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def segment_points(self, image_rgb, points_uv):
        self.calls.append(len(points_uv))
        proposals = []
        for group in points_uv:
            mask = np.zeros(image_rgb.shape[:2], bool)
            for u, v in group:
                mask[int(v) - 10 : int(v) + 10, int(u) - 10 : int(u) + 10] = True
            proposals.append(MaskProposal(mask, 0.9))
        return proposals


def test_the_segmenter_is_called_once_for_all_points() -> None:
    segmenter = Promptable()
    assert ground("the red cube left of the green cube", segmenter=segmenter).status is Status.SUCCEEDED
    assert segmenter.calls == [6], "of 'red cube', 'green cube' and 'cube'"
    said = GroundedText("x", tuple(Mention(None, "x", ((u, v, u, v),)) for u, v in POINTS["cube"]), 0.6)
    segmenter.calls.clear()
    answer = Pipeline(Speaker(said=said), segmenter).describe(scene(), DescribeRequest(DescribeTask.POINT, "cubes"))
    assert (segmenter.calls, len(answer.targets)) == ([3], 3)


def test_a_segmenter_that_fails_is_a_status() -> None:
    class Broken(Promptable):
        def segment_points(self, image_rgb, points_uv):
            raise RuntimeError("boom")

    class Forgetful(Promptable):
        def segment_points(self, image_rgb, points_uv):
            return super().segment_points(image_rgb, points_uv)[1:]

    for segmenter in (Broken(), Forgetful()):
        answer = ground("the green cube", segmenter=segmenter)
        assert answer.status is Status.MODEL_ERROR
        assert "'segmenter depth-grabcut' failed on this frame" in answer.message


# --------------------------------------------------------------------------- points -> things


def points(*places) -> GroundedText:
    return GroundedText("", tuple(Mention(None, "", ((u, v, u, v),)) for u, v in places), 0.5)


def square(u0: int, u1: int) -> np.ndarray:
    mask = np.zeros((20, 60), bool)
    mask[5:15, u0:u1] = True
    return mask


def things(*masks):
    def things_at(points_uv):
        assert len(points_uv) == len(masks)
        return [(mask, (0.0, 0.0, 1.0, 1.0)) for mask in masks]

    return things_at


def test_two_points_on_one_region_are_two_things() -> None:
    whole = square(10, 50)
    first, second = detections_of([("cube", points((15, 10), (45, 10)))], (60, 20), things(whole, whole))
    assert (first.mask & second.mask).sum() == 0
    assert ((first.mask | second.mask) == whole).all()
    assert (first.box_xyxy, second.box_xyxy) == ((10, 5, 31, 15), (31, 5, 50, 15))


def test_two_phrases_for_one_thing_share_it() -> None:
    said = [("red cube", points((15, 10))), ("cube", points((17, 11), (40, 10)))]
    red, same, other = detections_of(said, (60, 20), things(square(10, 20), square(12, 24), square(35, 50)))
    assert [d.phrase for d in (red, same, other)] == ["red cube", "cube", "cube"]
    assert same.mask is red.mask
    assert (same.box_xyxy, other.box_xyxy) == ((10, 5, 20, 15), (35, 5, 50, 15))


def test_boxes_among_points_and_points_on_the_border() -> None:
    said = [("cube", GroundedText("", (Mention(None, "", ((1.0, 2.0, 9.0, 8.0),)), Mention(None, "", ((60.0, 20.0, 60.0, 20.0),))), 0.5))]
    seen = []

    def things_at(points_uv):
        seen.extend(points_uv)
        return [(square(50, 60), (0.0, 0.0, 1.0, 1.0))]

    box, point = detections_of(said, (60, 20), things_at)
    assert (box.box_xyxy, box.mask, point.box_xyxy) == ((1.0, 2.0, 9.0, 8.0), None, (50, 5, 60, 15))
    assert seen == [(59.0, 19.0)]
    assert detections_of([("cube", points())], (60, 20), things()) == []


def test_a_place_keeps_its_turn() -> None:
    """So that a caption's things come in the order of its words, boxes and points among one another."""
    box, point = Mention(None, "", ((1.0, 2.0, 9.0, 8.0),)), Mention(None, "", ((55.0, 10.0, 55.0, 10.0),))
    said = [("cube", GroundedText("", (point,), 0.5)), ("box", GroundedText("", (box,), 0.5)), ("cube", points((12, 10)))]
    found = detections_of(said, (60, 20), things(square(50, 60), square(5, 20)))
    assert [d.phrase for d in found] == ["cube", "box", "cube"]
    assert [d.box_xyxy for d in found] == [(50, 5, 60, 15), (1.0, 2.0, 9.0, 8.0), (5, 5, 20, 15)]


# --------------------------------------------------------------------------- points on things that touch


class Crate(DepthGrabCut):
    """Takes the two cubes on the left for one region."""

    def segment_points(self, image_rgb, points_uv):
        mask = np.zeros(image_rgb.shape[:2], bool)
        mask[100:140, 60:180] = True
        return [MaskProposal(mask.copy(), 0.9) for _ in points_uv]


def test_pointing_counting_and_locating_tell_the_same_things_apart() -> None:
    said = GroundedText("", tuple(Mention(None, f"cube {k}", ((u, 120.0, u, 120.0),)) for k, u in enumerate((80.0, 160.0))), 0.6)
    model = Speaker(said=said, capabilities=Capabilities(points=True))
    pipeline = Pipeline(model, Crate())
    pointed = pipeline.describe(scene(), DescribeRequest(DescribeTask.POINT, "cubes"))
    counted = pipeline.describe(scene(), DescribeRequest(DescribeTask.COUNT, "cubes"))
    located = pipeline.answer(scene(), "the cubes")
    assert (pointed.status, pointed.message, counted.count) == (Status.SUCCEEDED, "2 points for 'cubes'.", 2)
    boxes = [sorted(t.object.box_xyxy for t in answer.targets) for answer in (pointed, counted, located)]
    assert boxes[0] == boxes[1] == boxes[2]
    assert len(boxes[0]) == 2
    assert {t.phrase for t in pointed.targets} == {"cubes"}


def test_two_points_of_a_caption_in_one_region_are_two_things() -> None:
    said = GroundedText("two cubes", (Mention((0, 9), "two cubes", ((80.0, 120.0, 80.0, 120.0), (160.0, 120.0, 160.0, 120.0))),), 0.6)
    answer = Pipeline(Speaker(said=said), Crate()).describe(scene(), DescribeRequest(DescribeTask.CAPTION))
    assert (answer.status, len(answer.targets)) == (Status.SUCCEEDED, 2), answer.message
