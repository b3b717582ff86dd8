"""The describe service and the attention image, between real processes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from geometry_msgs.msg import Point
from perception_harness import NODE, scene, status, truth_m
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, RegionOfInterest
from vlm_perception.msg import Claim
from vlm_perception.srv import Describe

from vlm_perception.describing import DescribeTask
from vlm_perception.types import Status


def describe(robot, task: str, text: str = "", **more) -> Describe.Response:
    return robot.call("describe", Describe.Request(task=task, text=text, **more))


def xyz(p) -> np.ndarray:
    return np.array([p.x, p.y, p.z])


@pytest.fixture
def speaking(seeing):
    assert seeing.set(model="speaks") == [(True, "")]
    return seeing


def test_the_tasks_of_the_interface_are_those_of_the_core():
    constants = {getattr(Describe.Request, name) for name in dir(Describe.Request) if name.startswith("TASK_")}
    assert constants == {task.value for task in DescribeTask}


def test_a_model_that_only_locates_counts_verifies_checks_and_points(seeing):
    count = describe(seeing, "count", "cubes").result
    assert (status(count), count.count) == (Status.SUCCEEDED, 3), count.message
    where = describe(seeing, "point", "the green cube").result
    assert status(where) is Status.SUCCEEDED, where.message
    np.testing.assert_allclose(xyz(where.targets[0].surface_point), truth_m("green"), atol=0.01)
    for text, word in (
        ("the red cube is left of the green cube", "Yes"),
        ("the blue cube is left of the green cube", "No"),
    ):
        verdict = describe(seeing, "verify", text)
        assert verdict.result.answer.startswith(word), verdict.result.answer
        assert [claim.verdict for claim in verdict.claims] == [Claim.HOLDS if word == "Yes" else Claim.FAILS]


def test_a_caption_is_checked_with_the_objects_that_show_it(seeing):
    response = describe(seeing, "check", "The image shows a red cube left of a green cube, and a giraffe. Hello.")
    result = response.result
    assert status(result) is Status.SUCCEEDED, result.message
    assert result.command.startswith("The image shows")
    verdicts = {claim.text: claim.verdict for claim in response.claims}
    assert verdicts == {
        "a red cube": Claim.HOLDS,
        "a green cube": Claim.HOLDS,
        "a giraffe": Claim.FAILS,
        "a red cube left of the green cube": Claim.HOLDS,
        "Hello": Claim.UNKNOWN,
    }
    boxes = {found.id: found.box.x_offset for found in result.targets}
    shown = {claim.text: {boxes[number] for number in claim.object_ids} for claim in response.claims}
    assert shown["a red cube"] == {60}
    assert shown["a red cube left of the green cube"] == {60, 140}
    assert shown["a giraffe"] == set()


@pytest.mark.parametrize(
    ("task", "words"),
    [("caption", "cannot caption an image; models that can: "), ("ask", "cannot answer questions; models that can: "),
     ("read", "cannot read text; models that can: "), ("juggle", "known are caption, ask, verify"),
     ("point", "needs the thing in 'text'")],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_there_is_a_camera(robot, task, words):
    result = describe(robot, task, "what is this" if task == "ask" else "").result
    assert status(result) is Status.INVALID_COMMAND
    assert words in result.message
    robot.wait(lambda: robot.received["result"], what="the same refusal on the topic")
    time.sleep(0.2)
    assert [r.request_id for r in robot.received["result"]] == [result.request_id], "exactly one answer"


def test_captions_questions_and_regions_come_with_places(speaking):
    caption = describe(speaking, "caption")
    assert status(caption.result) is Status.SUCCEEDED, caption.result.message
    assert caption.result.answer == "red cube beside green cube"
    assert caption.hyperlinks.startswith("<phrase>red cube</phrase><object><patch_index_")
    assert [found.phrase for found in caption.result.targets] == ["red cube", "green cube"]
    for found, color in zip(caption.result.targets, ("red", "green"), strict=True):
        np.testing.assert_allclose(xyz(found.surface_centroid), truth_m(color), atol=0.004)
    assert not speaking.received["target_pose"], "what a caption mentions is nothing to act on"

    said = speaking.say("what is on the right?")
    assert (status(said), said.answer) == (Status.SUCCEEDED, "blue cube"), said.message
    np.testing.assert_allclose(xyz(said.targets[0].surface_centroid), truth_m("blue"), atol=0.004)
    assert describe(speaking, "ask", "what is it?").result.answer == "red cube"

    region = RegionOfInterest(x_offset=138, y_offset=98, width=44, height=44)
    for where in ({"region": region}, {"points": [Point(x=150.0, y=110.0), Point(x=170.0, y=130.0)]}):
        result = describe(speaking, "region", **where).result
        assert (status(result), result.answer) == (Status.SUCCEEDED, "a green cube"), result.message
        np.testing.assert_allclose(xyz(result.targets[0].surface_centroid), truth_m("green"), atol=0.004)
        named = describe(speaking, "category", **where).result
        assert (status(named), named.answer) == (Status.SUCCEEDED, "green cube"), named.message

    assert status(describe(speaking, "read").result) is Status.NOT_FOUND
    assert status(describe(speaking, "point", "the red cube").result) is Status.SUCCEEDED
    speaking.wait(lambda: speaking.received["target_pose"], what="the pose of what was pointed at")


def test_faults_are_those_of_ground(robot):
    assert robot.set(model="speaks", input_timeout_s=0.2) == [(True, "")] * 2
    assert status(describe(robot, "caption").result) is Status.NO_INPUT
    robot.wait_images()
    assert robot.set(target_frame="nowhere") == [(True, "")]
    lost = describe(robot, "caption").result
    assert status(lost) is Status.NO_TRANSFORM
    assert "nowhere" in lost.message
    assert robot.set(target_frame="", model="speaks:badly") == [(True, "")] * 2
    failed = describe(robot, "ask", "what is it?").result
    assert status(failed) is Status.MODEL_ERROR
    assert "caught fire" in failed.message
    robot.camera.running = False
    time.sleep(1.2)
    assert status(describe(robot, "caption").result) is Status.STALE_INPUT


def test_attention_is_for_those_who_look(speaking):
    watching = speaking.listen(Image, f"{NODE}/attention_image", QoSProfile(depth=5), key="attention")
    try:
        speaking.wait(lambda: watching.get_publisher_count() > 0)
        time.sleep(0.3)
        result = speaking.say("the green cube left of the blue cube")
        speaking.wait(lambda: speaking.received["attention"], what="where the model looked")
        picture = speaking.received["attention"][0]
        assert (picture.encoding, picture.header.stamp) == ("rgb8", result.header.stamp)
        drawn = np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, 3).astype(int)
        assert drawn.shape == scene()[0].shape
        assert drawn[120, 160, 0] > drawn[120, 160, 2] + 50, "hot on the green cube"
        assert np.ptp(drawn[120, 80]) == 0, "grey on the red one"
        speaking.set(model="colors")
        speaking.received["attention"].clear()
        speaking.say("the red cube")
        time.sleep(0.3)
        assert not speaking.received["attention"], "this model gives no heatmaps"
    finally:
        speaking.node.destroy_subscription(watching)
