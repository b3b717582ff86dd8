"""The client finds the node, tells its own answer from others, and says what is wrong, over real DDS."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from vlm_perception.msg import GroundedObject, GroundingResult, StageLatency

from vlm_perception import cli
from vlm_perception.ros.client import ClientError, CommandClient, say
from vlm_perception.ros.demo_processes import free_domain

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
Answer = Callable[[str], list[GroundingResult]]


def result_for(command: str, request_id: str, **fields: object) -> GroundingResult:
    return GroundingResult(command=command, request_id=request_id, count=-1, **fields)


class Responder:
    """A node with the perception node's topics that answers what the test tells it to."""

    def __init__(self, answer: Answer, *, name: str = "vlm_perception", namespace: str = "vlm_perception") -> None:
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = Node(name, namespace=namespace, context=self._context)
        self._result = self._node.create_publisher(GroundingResult, "result", LATCHED)
        self._answer = answer
        self._node.create_subscription(String, "command", self._on_command, 10)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def publish(self, result: GroundingResult) -> None:
        self._result.publish(result)

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(5.0)
        self._node.destroy_node()
        self._context.try_shutdown()

    def _on_command(self, message: String) -> None:
        for result in self._answer(message.data):
            self._result.publish(result)


@pytest.fixture(autouse=True)
def domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@pytest.fixture
def respond() -> Iterator[Callable[..., Responder]]:
    responders = []

    def start(answer: Answer, **options: str) -> Responder:
        responders.append(Responder(answer, **options))
        return responders[-1]

    yield start
    for responder in responders:
        responder.close()


@pytest.mark.parametrize("namespace", ["", "vlm_perception", "robot_1/eyes"])
def test_finds_the_node_wherever_it_is(respond: Callable[..., Responder], namespace: str) -> None:
    respond(lambda command: [result_for(command, "new", message="found")], namespace=namespace)
    result = say("the red mug", timeout_s=10.0, namespace=namespace)
    assert result is not None
    assert (result.command, result.message) == ("the red mug", "found")


def test_an_old_result_for_the_same_words_is_not_the_answer(respond: Callable[..., Responder]) -> None:
    old = result_for("the mug", "old")
    responder = respond(lambda command: [old, result_for(command, "new")])
    responder.publish(old)
    result = say("the mug", timeout_s=10.0)
    assert result is not None
    assert result.request_id == "new"


def test_results_of_others_are_passed_over(respond: Callable[..., Responder]) -> None:
    respond(lambda command: [result_for("the plate", "other"), result_for(" ".join(command.split()), "mine")])
    result = say("  the   mug ", timeout_s=10.0)
    assert result is not None
    assert result.request_id == "mine"


def test_one_connection_asks_many_times(respond: Callable[..., Responder]) -> None:
    numbers = iter(range(100))
    respond(lambda command: [result_for(command, str(next(numbers)))])
    with CommandClient() as client:
        client.connect()
        answers = [client.ask("the mug", 5.0) for _ in range(5)]
    assert [answer.request_id for answer in answers if answer is not None] == ["0", "1", "2", "3", "4"]


def test_no_answer_in_time_is_none(respond: Callable[..., Responder]) -> None:
    respond(lambda _: [])
    assert say("the mug", timeout_s=1.5) is None


def test_no_node_at_all() -> None:
    with pytest.raises(ClientError, match="No ROS node is in sight.*ROS_DOMAIN_ID"):
        say("the mug", timeout_s=0.5)


def test_another_name_is_named(respond: Callable[..., Responder]) -> None:
    respond(lambda _: [], name="eyes", namespace="robot_1")
    with pytest.raises(ClientError, match="no perception node is called 'vlm_perception'.*/robot_1/eyes"):
        say("the mug", timeout_s=1.5)


def test_two_nodes_need_a_namespace(respond: Callable[..., Responder]) -> None:
    for namespace in ("left", "right"):
        respond(lambda command, where=namespace: [result_for(command, where)], namespace=namespace)
    with CommandClient() as client:
        client.spin_until(lambda: len(client.node.get_node_names()) == 3, 5.0)
        with pytest.raises(ClientError, match="several.*give a namespace"):
            client.connect(5.0)
    result = say("the mug", timeout_s=10.0, namespace="right")
    assert result is not None
    assert result.request_id == "right"


def test_cli_prints_the_answer(respond: Callable[..., Responder], capsys: pytest.CaptureFixture[str]) -> None:
    found = GroundedObject(id="mug_1", role="target", phrase="red mug", score=0.875, has_pose=True)
    found.pose.pose.position.x = 0.25
    found.size.z = 0.1
    fields = {"message": "found it", "targets": [found], "latency": [StageLatency(stage="detect", ms=41.0)]}

    numbers = iter(range(100))

    def answer(command: str) -> list[GroundingResult]:
        status = GroundingResult.SUCCEEDED if "red" in command else GroundingResult.NOT_FOUND
        result = result_for(command, str(next(numbers)), status=status, **(fields if "red" in command else {}))
        result.header.frame_id = "world"
        return [result]

    respond(answer)
    assert cli.main(["say", "the red mug"]) == 0
    table = capsys.readouterr().out
    for part in ("heard   the red mug", "SUCCEEDED: found it", "mug_1", "0.88", "+0.250", "detect 41", "world"):
        assert part in table
    assert cli.main(["say", "the red mug", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["status"] == "SUCCEEDED"
    assert data["targets"][0]["pose"]["position_m"] == [0.25, 0.0, 0.0]
    assert data["count"] is None
    assert cli.main(["say", "the plate"]) == 1
    assert "NOT_FOUND" in capsys.readouterr().out


def test_cli_without_a_node_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["say", "the red mug", "--timeout", "0.5"]) == 2
    assert "no perception node" in capsys.readouterr().err
