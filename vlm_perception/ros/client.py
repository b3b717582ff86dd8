"""Says a command to a running perception node over its topics and waits for the answer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import TracebackType

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node, NodeNameNonExistentError
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from vlm_perception.msg import GroundingResult
from vlm_perception.ros.result_text import result_table, result_to_dict
from vlm_perception.types import VlmPerceptionError

# The node latches its last result; asking for that makes sure that none is missed while the two sides find each
# other. The backlog is told from the answer by its request id.
_RESULT_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_COMMAND_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_BACKLOG_S = 0.3  # for the latched result to come in; on one machine it takes a few milliseconds
_CONNECT_S = 10.0
_RESULT_TYPE, _STRING_TYPE = "vlm_perception/msg/GroundingResult", "std_msgs/msg/String"
_OK, _NO_TARGET, _NO_ANSWER = 0, 1, 2


class ClientError(VlmPerceptionError):
    """There is no node to talk to; the message says where it was looked for."""


class CommandClient:
    """A connection to one perception node, with a ROS context of its own. Not thread-safe."""

    def __init__(self, node_name: str = "vlm_perception", namespace: str = "") -> None:
        """Join the ROS graph.

        Args:
            node_name: of the perception node.
            namespace: of the perception node; "" for none.
        """
        self._node_name = node_name.strip("/")
        self._namespace = namespace.strip("/")
        self.result_topic = ""  # known once connected
        self._results: list[GroundingResult] = []
        self._publisher: Publisher | None = None
        self._context = Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node("vlm_perception_client", context=self._context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def __enter__(self) -> CommandClient:  # noqa: PYI034 -- typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the ROS graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def connect(self, timeout_s: float = _CONNECT_S) -> None:
        """Wait until the perception node listens and answers.

        Its topics are read from the ROS graph, so remapped ones are found too.

        Raises:
            ClientError: there is no such node within ``timeout_s``, or more than one; the message names what is there.
        """
        deadline = time.monotonic() + timeout_s
        found: list[tuple[str, str]] = []

        def discovered() -> bool:
            found[:] = self._topics()
            return bool(found)

        if not self.spin_until(discovered, timeout_s):
            raise ClientError(self._nobody())
        if len(found) > 1:
            where = ", ".join(result.rsplit("/", 1)[0] or "/" for _, result in found)
            raise ClientError(f"several nodes are called {self._node_name!r}, at {where}: give a namespace")
        command_topic, self.result_topic = found[0]
        self.node.create_subscription(GroundingResult, self.result_topic, self._results.append, _RESULT_QOS)
        publisher = self.node.create_publisher(String, command_topic, _COMMAND_QOS)
        if not self.spin_until(lambda: publisher.get_subscription_count() > 0, max(0.0, deadline - time.monotonic())):
            raise ClientError(f"nobody listens on {command_topic}: is the node active?")
        self._publisher = publisher
        self.spin_until(lambda: bool(self._results), _BACKLOG_S)

    def ask(self, command: str, timeout_s: float) -> GroundingResult | None:
        """Send a command.

        Returns:
            Its result; None when none came within ``timeout_s``.

        Raises:
            ClientError: :meth:`connect` has not found a node.
        """
        if self._publisher is None:
            raise ClientError("not connected to a perception node: call connect() first")
        known = {result.request_id for result in self._results}
        self._results.clear()
        answers: list[GroundingResult] = []

        def answered() -> bool:
            answers.extend(
                result
                for result in self._results
                if result.request_id not in known and _same_words(result.command, command)
            )
            known.update(result.request_id for result in self._results)
            self._results.clear()
            return bool(answers)

        self._publisher.publish(String(data=command))
        return answers[0] if self.spin_until(answered, timeout_s) else None

    def spin_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Handle what arrives until ``done()``; false when the time is up first."""
        deadline = time.monotonic() + timeout_s
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(0.05, left))
        return True

    def _topics(self) -> list[tuple[str, str]]:
        """(command, result) topics of every node that has the name."""
        found = []
        for name, namespace in self.node.get_node_names_and_namespaces():
            if name != self._node_name or (self._namespace and namespace.strip("/") != self._namespace):
                continue
            try:
                published = self.node.get_publisher_names_and_types_by_node(name, namespace)
                heard = self.node.get_subscriber_names_and_types_by_node(name, namespace)
            except NodeNameNonExistentError:
                continue  # it has just gone
            results = [topic for topic, kinds in published if _RESULT_TYPE in kinds]
            commands = [topic for topic, kinds in heard if topic.endswith("command") and _STRING_TYPE in kinds]
            if results and commands:
                found.append((commands[0], results[0]))
        return found

    def _nobody(self) -> str:
        where = f" in namespace /{self._namespace}" if self._namespace else ""
        message = f"no perception node is called {self._node_name!r}{where}. "
        names = {
            f"/{namespace}/{name}".replace("//", "/").replace("//", "/")
            for name, namespace in self.node.get_node_names_and_namespaces()
            if name != self.node.get_name()
        }
        if names:
            return message + f"Nodes that are there: {', '.join(sorted(names))}"
        return message + (
            "No ROS node is in sight: is it running (ros2 launch vlm_perception perception.launch.xml), "
            "with the same ROS_DOMAIN_ID?"
        )


def say(
    command: str, *, timeout_s: float, node_name: str = "vlm_perception", namespace: str = ""
) -> GroundingResult | None:
    """Send one command to a running node.

    Args:
        command: free language.
        timeout_s: how long to wait for the node and for its answer, together.
        node_name: of the perception node.
        namespace: of the perception node.

    Returns:
        The command's own result; None when the node is there but did not answer in time.

    Raises:
        ClientError: no such node.
    """
    deadline = time.monotonic() + timeout_s
    with CommandClient(node_name, namespace) as client:
        client.connect(min(timeout_s, _CONNECT_S))
        return client.ask(command, max(0.0, deadline - time.monotonic()))


def say_command(command: str, *, timeout_s: float, node_name: str, namespace: str, as_json: bool) -> int:
    """``vlm-perception say``: send, print, return the exit code (0 good, 1 no target, 2 no answer).

    Raises:
        ClientError: no such node.
    """
    result = say(command, timeout_s=timeout_s, node_name=node_name, namespace=namespace)
    if result is None:
        sys.stderr.write(f"vlm-perception: no answer within {timeout_s:g} s; is the node's model still busy?\n")
        return _NO_ANSWER
    text = json.dumps(result_to_dict(result), indent=2) if as_json else result_table(result)
    sys.stdout.write(text + "\n")
    return _OK if result.status == GroundingResult.SUCCEEDED else _NO_TARGET


def _same_words(heard: str, said: str) -> bool:
    """Whether a result's command is the one that was sent; nodes may tidy white space and cut what is too long."""
    heard_words, said_words = " ".join(heard.split()), " ".join(said.split())
    cut = heard_words.rstrip(".…").rstrip()
    return heard_words == said_words or (len(cut) >= 64 and said_words.startswith(cut))
