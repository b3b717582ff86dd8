"""Models that fail, and parameters that are wrong."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticStatus
from perception_harness import status
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters

from vlm_perception.ros.parameters import NAMES
from vlm_perception.types import Status


def test_a_model_that_raises(seeing):
    seeing.set(model="raises")
    result = seeing.say("the red cube")
    assert status(result) is Status.MODEL_ERROR
    assert "the network caught fire" in result.message
    assert not result.targets
    seeing.set(model="colors")
    assert status(seeing.say("the red cube")) is Status.SUCCEEDED


@pytest.mark.parametrize("name", ["no-such-model", "/no/such/folder"])
def test_a_model_that_cannot_be_loaded_leaves_the_old_one(seeing, name):
    assert seeing.set(model=name) == [(True, "")]
    result = seeing.say("the red cube")
    assert status(result) is Status.MODEL_ERROR
    assert name in result.message
    assert "'colors' is still loaded" in result.message
    seeing.wait(lambda: (d := seeing.diagnostic("model")) and name in d.message)
    result = seeing.say("the red cube")
    assert (status(result), result.model) == (Status.SUCCEEDED, "colors")
    seeing.set(model="slow:0.01")
    result = seeing.say("the red cube")
    assert (status(result), result.model) == (Status.SUCCEEDED, "slow:0.01")
    seeing.wait(lambda: (d := seeing.diagnostic("model")) and d.message == "'slow:0.01' is ready")


def test_a_model_that_loads_and_fails_at_its_first_image_leaves_the_old_one(seeing):
    assert seeing.set(model="fails-at-once") == [(True, "")]
    result = seeing.say("the red cube")
    assert status(result) is Status.MODEL_ERROR
    assert "Model 'fails-at-once' was loaded, but failed on the blank image" in result.message
    assert "scores are NaN" in result.message
    assert "'colors' is still loaded" in result.message
    seeing.received["diagnostics"].clear()
    seeing.wait(lambda: (d := seeing.diagnostic("model")) and "scores are NaN" in d.message)
    assert seeing.diagnostic("model").level == DiagnosticStatus.ERROR
    result = seeing.say("the red cube")
    assert (status(result), result.model) == (Status.SUCCEEDED, "colors")
    seeing.set(model="colors")
    seeing.wait(lambda: (d := seeing.diagnostic("model")) and d.message == "'colors' is ready")


def test_a_segmenter_that_cannot_be_loaded(seeing):
    seeing.set(segmenter="no-such-segmenter")
    result = seeing.say("the red cube")
    assert status(result) is Status.MODEL_ERROR
    assert "no-such-segmenter" in result.message
    seeing.set(segmenter="depth-grabcut")
    assert status(seeing.say("the red cube")) is Status.SUCCEEDED


def test_options_of_the_segmenter_are_a_parameter(seeing):
    seeing.set(segmenter_options=["multimask=false"])
    result = seeing.say("the red cube")
    assert status(result) is Status.MODEL_ERROR
    assert "'depth-grabcut' has no option 'multimask'" in result.message
    assert "set the parameter 'segmenter'" in result.message
    assert status(seeing.say("the red cube")) is Status.SUCCEEDED, "with what was there before"
    seeing.set(segmenter_options=[""])
    assert status(seeing.say("the red cube")) is Status.SUCCEEDED


def test_a_model_that_is_swapped_in_is_warmed_up(seeing):
    """The first command is its second call, even one that was waiting while the model was loaded."""
    seeing.set(model="tells")
    (target,) = seeing.say("the red cube").targets
    assert target.label.startswith("call 2 ")
    seeing.set(model="colors")


def test_commands_wait_for_the_model_that_was_asked_for(seeing):
    seeing.set(model="loads-slowly:0.5")
    result = seeing.say("the red cube")
    assert (status(result), result.model) == (Status.SUCCEEDED, "loads-slowly:0.5")


def test_tracking_goes_on_when_a_new_model_fails(seeing):
    seeing.track("the red cube")
    seeing.wait(lambda: seeing.received["result"])
    seeing.set(model="no-such-model")
    seeing.wait(lambda: any(status(r) is Status.MODEL_ERROR for r in seeing.received["result"]))
    seeing.wait(lambda: status(seeing.received["result"][-1]) is Status.SUCCEEDED)
    seeing.track("")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_input_age_s", 0.0, "max_input_age_s 0.05 3600"),
        ("max_input_age_s", float("nan"), "max_input_age_s 0.05 3600"),
        ("score_threshold", 1.5, "score_threshold -1 1"),
        ("sync_queue", 0, "sync_queue 1 100"),
        ("sync_slop_s", "fast", "number"),
        ("image_transport", "telepathy", "raw, compressed"),
        ("dtype", "int3", "float16"),
        ("model", 7, "string"),
        ("model", " ", "empty"),
        ("images_rectified", "yes", "bool"),
        ("viewpoint", "", "empty"),
    ],
)
def test_wrong_parameters_are_refused_with_the_way_out(robot, name, value, words):
    ((accepted, reason),) = robot.set(**{name: value})
    assert not accepted
    assert all(word.lower() in reason.lower() for word in words.split()), reason


def test_an_integer_is_a_number(robot):
    """'ros2 param set ... max_input_age_s 2' sends an integer."""
    value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=2)
    assert robot.set_raw("max_input_age_s", value) == (True, "")


def test_every_parameter_is_described(robot):
    client = robot.node.create_client(DescribeParameters, "/vlm_perception/describe_parameters")
    future = client.call_async(DescribeParameters.Request(names=list(NAMES)))
    robot.wait(future.done)
    for descriptor in future.result().descriptors:
        assert len(descriptor.description) > 20, descriptor.name
        assert descriptor.type != ParameterType.PARAMETER_NOT_SET, descriptor.name
    ranged = {d.name for d in future.result().descriptors if d.floating_point_range or d.integer_range}
    assert {"max_input_age_s", "score_threshold", "sync_queue", "tf_timeout_s"} <= ranged
    robot.node.destroy_client(client)
