"""What the tests of this folder share: a node in its own process, a camera, and everything the node publishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TransformStamped
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header, String
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
from vision_msgs.msg import Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray
from vlm_perception.msg import GroundingResult
from vlm_perception.srv import Describe, Ground

from vlm_perception.ros.conversions import depth_to_image, intrinsics_to_camera_info, rgb_to_image
from vlm_perception.types import CameraIntrinsics, Status

ROOT = Path(__file__).resolve().parents[2]
COLOR_NODE = (sys.executable, str(Path(__file__).with_name("color_node.py")))
REAL_NODE = (sys.executable, str(ROOT / "scripts" / "perception_node"))
NODE = "/vlm_perception"
OPTICAL = "camera_optical"
SENSOR = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=1, reliability=QoSReliabilityPolicy.RELIABLE, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
)
RELIABLE = QoSProfile(depth=200, reliability=QoSReliabilityPolicy.RELIABLE)

CAMERA = CameraIntrinsics(320, 240, 300.0, 300.0, 160.0, 120.0)
# color, box px, front depth m
CUBES = {
    "red": ((210, 30, 30), (60, 100, 100, 140), 0.80),
    "green": ((30, 200, 40), (140, 100, 180, 140), 0.80),
    "blue": ((30, 40, 210), (230, 110, 260, 140), 1.00),
}


def scene(*colors: str, shift_px: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cubes facing the camera before a grey wall at 1.5 m: (240, 320, 3) rgb and (240, 320) metres."""
    rgb = np.full((240, 320, 3), 128, np.uint8)
    depth_m = np.full((240, 320), 1.5, np.float32)
    for name in colors or CUBES:
        color, (x0, y0, x1, y1), z = CUBES[name]
        rgb[y0:y1, x0 + shift_px : x1 + shift_px] = color
        depth_m[y0:y1, x0 + shift_px : x1 + shift_px] = z
    return rgb, depth_m


def truth_m(color: str) -> np.ndarray:
    """Middle of a cube's front in the optical frame."""
    _, (x0, y0, x1, y1), z = CUBES[color]
    u, v = (x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2
    return np.array([(u - CAMERA.cx) / CAMERA.fx * z, (v - CAMERA.cy) / CAMERA.fy * z, z])


class NodeProcess:
    """A node in a process of its own, its output kept."""

    def __init__(self, command, *parameters: str, env: dict[str, str]) -> None:
        arguments = ["--ros-args", *(word for p in parameters for word in ("-p", p))] if parameters else []
        self._lines: list[str] = []
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_COLORIZED_OUTPUT": "0", **env},
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.append(line)

    @property
    def output(self) -> str:
        return "".join(self._lines)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def interrupt(self, timeout_s: float = 5.0) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout_s)
        self._reader.join(2.0)
        return code

    def end(self) -> None:
        if self.alive:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Camera:
    """Publishes the current scene at a rate, with fresh stamps."""

    def __init__(self, node, rate_hz: float = 15.0, name: str = "") -> None:
        self._node = node
        self._optical = f"{name}_optical" if name else OPTICAL
        below = f"{name}/" if name else ""
        self._publishers = {
            "color": node.create_publisher(Image, f"{below}color/image_raw", SENSOR),
            "depth": node.create_publisher(Image, f"{below}depth/image_raw", SENSOR),
            "info": node.create_publisher(CameraInfo, f"{below}color/camera_info", SENSOR),
        }
        self.reset()
        self._timer = node.create_timer(1.0 / rate_hz, self._tick, callback_group=ReentrantCallbackGroup())

    def reset(self) -> None:
        self.running = False
        self.frame_id = self._optical
        self.info = CAMERA
        self.depth_offset_s = 0.0
        self.stamp_offset_s = 0.0
        self.fixed_stamp = None
        self.muted: set[str] = set()
        self.show(*scene())

    def show(self, rgb, depth_m, *, encoding: str = "16UC1") -> None:
        """Change the scene; messages can be changed afterwards in ``messages``."""
        header = Header()
        self.messages = {
            "color": rgb_to_image(rgb, header),
            "depth": depth_to_image(depth_m, encoding, header),
        }

    def _tick(self) -> None:
        if self.running:
            self.publish()

    def close(self) -> None:
        self._node.destroy_timer(self._timer)
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)

    def publish(self) -> None:
        now_ns = self._node.get_clock().now().nanoseconds + int(self.stamp_offset_s * 1e9)
        messages = dict(self.messages, info=intrinsics_to_camera_info(self.info, Header()))
        for name, msg in messages.items():
            ns = now_ns + (int(self.depth_offset_s * 1e9) if name == "depth" else 0)
            header = Header(frame_id=self.frame_id)
            header.stamp.sec, header.stamp.nanosec = divmod(ns, 10**9)
            if self.fixed_stamp is not None:
                header.stamp = self.fixed_stamp
            msg.header = header
            if name not in self.muted:
                self._publishers[name].publish(msg)


class Harness:
    """The test's own node: sends, listens, and waits."""

    def __init__(self, domain_id: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("harness", context=self.context)
        self.received: dict[str, list] = defaultdict(list)
        self._condition = threading.Condition()
        for topic, kind, qos in (
            ("result", GroundingResult, RELIABLE),
            ("target_pose", PoseStamped, RELIABLE),
            ("detections", Detection3DArray, RELIABLE),
            ("label_image", Image, RELIABLE),
            ("label_info", LabelInfo, RELIABLE),
            ("points", PointCloud2, RELIABLE),
            ("markers", MarkerArray, RELIABLE),
        ):
            self.listen(kind, f"{NODE}/{topic}", qos, key=topic)
        self.listen(DiagnosticArray, "/diagnostics", RELIABLE, key="diagnostics")
        self._command = self.node.create_publisher(String, f"{NODE}/command", RELIABLE)
        self._track = self.node.create_publisher(String, f"{NODE}/track", RELIABLE)
        self.static_tf = StaticTransformBroadcaster(self.node)
        self.tf = TransformBroadcaster(self.node)
        self.camera = Camera(self.node)
        self._clients = {
            "set_parameters": self.node.create_client(SetParameters, f"{NODE}/set_parameters"),
            "change_state": self.node.create_client(ChangeState, f"{NODE}/change_state"),
            "get_state": self.node.create_client(GetState, f"{NODE}/get_state"),
            # At the default depth of 10, a client that calls fifty times at once loses calls of its own.
            "ground": self.node.create_client(Ground, f"{NODE}/ground", qos_profile=RELIABLE),
            "describe": self.node.create_client(Describe, f"{NODE}/describe", qos_profile=RELIABLE),
        }
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while self.context.ok():
            try:
                self.executor.spin()
            except ExternalShutdownException:
                return
            except Exception as error:
                # A test destroyed a client or subscription just while this thread was about to wait for it.
                if type(error).__name__ not in ("RCLError", "InvalidHandle"):
                    raise

    def close(self) -> None:
        self.camera.running = False
        self.context.try_shutdown()
        self._thread.join(5.0)
        self.node.destroy_node()

    # ------------------------------------------------------------- listening

    def listen(self, kind, topic: str, qos, *, key: str):
        def receive(msg) -> None:
            with self._condition:
                self.received[key].append(msg)
                self._condition.notify_all()

        return self.node.create_subscription(kind, topic, receive, qos)

    def wait(self, predicate, timeout_s: float = 10.0, what: str = "") -> None:
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while not predicate():
                left = deadline - time.monotonic()
                assert left > 0, f"waited {timeout_s} s for {what or predicate}"
                self._condition.wait(min(left, 0.05))

    def connect(self, process: NodeProcess, timeout_s: float = 30.0) -> None:
        """Wait until the node is there and hears us."""

        def connected():
            assert process.alive, process.output
            return (
                self._command.get_subscription_count()
                and self._track.get_subscription_count()
                and self.node.count_publishers(f"{NODE}/result")
                and all(client.service_is_ready() for client in self._clients.values())
            )

        self.wait(connected, timeout_s, "the node")
        time.sleep(0.2)  # the other direction of discovery

    def wait_gone(self) -> None:
        """Wait until the node of the test before is out of the graph."""
        self.wait(lambda: not self.node.count_publishers(f"{NODE}/result"), 25.0, "the last node to go")

    def wait_images(self) -> None:
        """Start the camera and wait until the node has matched a set: tracking something answers then."""
        self.camera.running = True
        self.track("the red cube")
        self.wait(lambda: any(r.command == "the red cube" and r.header.stamp.nanosec for r in self.received["result"]))
        self.track("")
        self.say("")  # what comes after this answer has nothing to do with the tracking
        time.sleep(0.1)  # nor with this answer's own other topics
        for messages in self.received.values():
            messages.clear()

    def diagnostic(self, part: str):
        """The newest status whose name ends with ``part``."""
        for status in self.received["diagnostics"][-1].status if self.received["diagnostics"] else ():
            if status.name.endswith(f": {part}"):
                return status
        return None

    # ------------------------------------------------------------- asking

    def say(self, command: str, timeout_s: float = 10.0) -> GroundingResult:
        """Publish a command; its result, which must be the only one."""
        seen = len(self.received["result"])
        self._command.publish(String(data=command))
        self.wait(lambda: len(self.received["result"]) > seen, timeout_s, f"the answer to {command[:50]!r}")
        return self.received["result"][seen]

    def publish_command(self, command: str) -> None:
        self._command.publish(String(data=command))

    def track(self, text: str) -> None:
        self._track.publish(String(data=text))

    def call(self, service: str, request, timeout_s: float = 10.0):
        future = self._clients[service].call_async(request)
        self.wait(future.done, timeout_s, f"the service {service}")
        return future.result()

    def ground(self, command: str, timeout_s: float = 10.0) -> GroundingResult:
        return self.call("ground", Ground.Request(command=command), timeout_s).result

    def set(self, **values) -> list[tuple[bool, str]]:
        """Set parameters; (accepted, reason) of each."""
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        response = self.call("set_parameters", SetParameters.Request(parameters=parameters))
        return [(result.successful, result.reason) for result in response.results]

    def set_raw(self, name: str, value: ParameterValue) -> tuple[bool, str]:
        request = SetParameters.Request(parameters=[ParameterMsg(name=name, value=value)])
        result = self.call("set_parameters", request).results[0]
        return result.successful, result.reason

    def transition(self, label: str, timeout_s: float = 10.0) -> bool:
        request = ChangeState.Request()
        request.transition.label = label
        return self.call("change_state", request, timeout_s).success

    def state(self) -> str:
        return self.call("get_state", GetState.Request()).current_state.label

    def send_static_tf(self, parent: str, child: str, xyz, quaternion_xyzw) -> None:
        self.static_tf.sendTransform(self.transform(parent, child, xyz, quaternion_xyzw))

    def transform(self, parent: str, child: str, xyz, quaternion_xyzw) -> TransformStamped:
        msg = TransformStamped(child_frame_id=child)
        msg.header.frame_id = parent
        msg.header.stamp = self.node.get_clock().now().to_msg()
        t, q = msg.transform.translation, msg.transform.rotation
        t.x, t.y, t.z = (float(v) for v in xyz)
        q.x, q.y, q.z, q.w = (float(v) for v in quaternion_xyzw)
        return msg


def status(result: GroundingResult) -> Status:
    """The status with its name, for messages of failed assertions."""
    return Status(result.status)


def wait_arriving(harness: Harness, *names: str) -> None:
    """Until fresh diagnostics say that the images of these cameras come, and match."""
    harness.received["diagnostics"].clear()

    def arrives(name: str) -> bool:
        came, matched = harness.diagnostic(f"input {name}"), harness.diagnostic(f"sync {name}")
        if came is None or matched is None or came.level == DiagnosticStatus.ERROR:
            return False
        sets = next(int(value.value) for value in matched.values if value.key == "sets")
        return matched.level == DiagnosticStatus.OK and sets > 0

    harness.wait(lambda: all(arrives(name) for name in names), 60.0, f"the images of {names}")
    for messages in harness.received.values():
        messages.clear()
