"""The stand-ins between real nodes, on real topics."""

import os
import time

import message_filters
import pytest
import rclpy
import tf2_ros
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

pytestmark = pytest.mark.integration


@pytest.fixture
def nodes():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=100 + os.getpid() % 100)
    executor = SingleThreadedExecutor(context=context)
    made = [rclpy.create_node(name, context=context) for name in ("sender", "receiver")]
    for node in made:
        executor.add_node(node)

    def spin_until(condition, timeout_s=10.0):
        end = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        return condition()

    yield (*made, spin_until)
    executor.shutdown()
    for node in made:
        node.destroy_node()
    rclpy.try_shutdown(context=context)


def transform(parent, child, x):
    msg = TransformStamped()
    msg.header.frame_id, msg.child_frame_id = parent, child
    msg.transform.translation.x = x
    msg.transform.rotation.w = 1.0
    return msg


def test_transforms_travel(nodes):
    sender, receiver, spin_until = nodes
    static = tf2_ros.StaticTransformBroadcaster(sender)
    static.sendTransform(transform("base", "camera", 1.0))
    static.sendTransform([transform("camera", "optical", 2.0)])
    buffer = tf2_ros.Buffer()
    # after the sending: static transforms are latched, and both are still there
    tf2_ros.TransformListener(buffer, receiver)
    moving = tf2_ros.TransformBroadcaster(sender)

    def arrived():
        moving.sendTransform(transform("map", "base", 4.0))
        return buffer.can_transform("map", "optical", Time())

    assert spin_until(arrived)
    assert buffer.lookup_transform("map", "optical", Time()).transform.translation.x == 7.0


def test_a_synchronizer_between_topics(nodes):
    sender, receiver, spin_until = nodes
    subscribers = [
        message_filters.Subscriber(receiver, Image, "image", qos_profile=qos_profile_sensor_data),
        message_filters.Subscriber(receiver, CameraInfo, "info", qos_profile=qos_profile_sensor_data),
    ]
    sync = message_filters.ApproximateTimeSynchronizer(subscribers, 5, 0.05)
    got = []
    sync.registerCallback(lambda *msgs: got.append(msgs))
    images = sender.create_publisher(Image, "image", qos_profile_sensor_data)
    infos = sender.create_publisher(CameraInfo, "info", qos_profile_sensor_data)

    def matched():
        stamp = sender.get_clock().now().to_msg()
        image, info = Image(width=3), CameraInfo(width=4)
        image.header.stamp = info.header.stamp = stamp
        images.publish(image)
        infos.publish(info)
        return bool(got)

    assert spin_until(matched)
    image, info = got[0]
    assert (image.width, info.width) == (3, 4)
    assert subscribers[0].topic == "image"
