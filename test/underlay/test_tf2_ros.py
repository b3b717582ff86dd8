import math
import threading
import time

import pytest
import tf2_ros
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time


def transform(parent, child, stamp_s=0.0, xyz=(0.0, 0.0, 0.0), yaw=0.0):
    msg = TransformStamped()
    msg.header.stamp = Time(nanoseconds=round(stamp_s * 1e9)).to_msg()
    msg.header.frame_id, msg.child_frame_id = parent, child
    t, q = msg.transform.translation, msg.transform.rotation
    t.x, t.y, t.z = map(float, xyz)
    q.z, q.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return msg


def at(stamp_s):
    return Time(nanoseconds=round(stamp_s * 1e9))


def xyz(msg):
    t = msg.transform.translation
    return pytest.approx((t.x, t.y, t.z))


def yaw(msg):
    q = msg.transform.rotation
    return pytest.approx(2 * math.atan2(q.z, q.w))


@pytest.fixture
def buffer():
    return tf2_ros.Buffer()


def test_a_static_transform_holds_at_all_times(buffer):
    buffer.set_transform_static(transform("base", "camera", 5.0, (1, 2, 3)), "test")
    for stamp in (0.0, 1.0, 1e6):
        assert xyz(buffer.lookup_transform("base", "camera", at(stamp))) == (1, 2, 3)


def test_the_result_names_its_frames_and_time(buffer):
    buffer.set_transform_static(transform("base", "camera"), "test")
    found = buffer.lookup_transform("base", "camera", at(7.5))
    assert (found.header.frame_id, found.child_frame_id) == ("base", "camera")
    assert Time.from_msg(found.header.stamp).nanoseconds == 7.5 * 1e9


def test_the_inverse(buffer):
    # the camera at (1, 0) looks along +y: the base's origin lies 1 m to its left
    buffer.set_transform_static(transform("base", "camera", xyz=(1, 0, 0), yaw=math.pi / 2), "test")
    found = buffer.lookup_transform("camera", "base", Time())
    assert xyz(found) == (0, 1, 0)
    assert yaw(found) == -math.pi / 2


def test_between_moments_it_is_interpolated(buffer):
    buffer.set_transform(transform("odom", "base", 10.0, (0, 0, 0), yaw=0.0), "test")
    buffer.set_transform(transform("odom", "base", 11.0, (1, 2, 4), yaw=1.0), "test")
    found = buffer.lookup_transform("odom", "base", at(10.25))
    assert xyz(found) == (0.25, 0.5, 1.0)
    assert yaw(found) == 0.25


def test_rotation_takes_the_shorter_way(buffer):
    buffer.set_transform(transform("odom", "base", 10.0, yaw=math.radians(170)), "test")
    buffer.set_transform(transform("odom", "base", 11.0, yaw=math.radians(-170)), "test")
    found = buffer.lookup_transform("odom", "base", at(10.5))
    assert abs(math.remainder(2 * math.atan2(found.transform.rotation.z, found.transform.rotation.w) - math.pi, 2 * math.pi)) < 1e-6


def test_a_chain_across_the_common_ancestor(buffer):
    buffer.set_transform_static(transform("base", "left", xyz=(0, 1, 0)), "test")
    buffer.set_transform_static(transform("left", "left_optical", xyz=(0, 0, 1)), "test")
    buffer.set_transform_static(transform("base", "right", xyz=(0, -1, 0), yaw=math.pi), "test")
    # right -> left_optical is (0, 2, 1) in base axes, and right's axes are turned half round
    assert xyz(buffer.lookup_transform("right", "left_optical", Time())) == (0, -2, 1)


def test_zero_means_the_latest_common_time(buffer):
    for stamp in (1.0, 2.0, 3.0):
        buffer.set_transform(transform("map", "odom", stamp, (stamp, 0, 0)), "test")
    for stamp in (1.0, 2.0):
        buffer.set_transform(transform("odom", "base", stamp, (0, stamp, 0)), "test")
    found = buffer.lookup_transform("map", "base", Time())
    assert Time.from_msg(found.header.stamp).nanoseconds == 2.0 * 1e9
    assert xyz(found) == (2, 2, 0)


def test_data_may_arrive_out_of_order(buffer):
    for stamp in (3.0, 1.0, 2.0):
        buffer.set_transform(transform("odom", "base", stamp, (stamp, 0, 0)), "test")
    assert xyz(buffer.lookup_transform("odom", "base", at(1.5))) == (1.5, 0, 0)


def test_an_unknown_frame_is_named(buffer):
    buffer.set_transform_static(transform("base", "camera"), "test")
    with pytest.raises(tf2_ros.LookupException, match="gripper"):
        buffer.lookup_transform("gripper", "camera", Time())


def test_two_trees_are_not_connected(buffer):
    buffer.set_transform_static(transform("base", "camera"), "test")
    buffer.set_transform_static(transform("map", "odom"), "test")
    with pytest.raises(tf2_ros.ConnectivityException, match="not part of the same tree"):
        buffer.lookup_transform("map", "camera", Time())


@pytest.mark.parametrize(("stamp", "word"), [(9.9, "past"), (12.1, "future")])
def test_outside_the_data_it_refuses_to_guess(buffer, stamp, word):
    for known in (10.0, 12.0):
        buffer.set_transform(transform("odom", "base", known), "test")
    with pytest.raises(tf2_ros.ExtrapolationException, match=word):
        buffer.lookup_transform("odom", "base", at(stamp))


def test_one_moment_only_answers_for_itself(buffer):
    buffer.set_transform(transform("odom", "base", 10.0, (1, 0, 0)), "test")
    assert xyz(buffer.lookup_transform("odom", "base", at(10.0))) == (1, 0, 0)
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("odom", "base", at(10.1))


def test_old_data_is_forgotten():
    buffer = tf2_ros.Buffer(cache_time=Duration(seconds=2))
    for stamp in range(10):
        buffer.set_transform(transform("odom", "base", float(stamp)), "test")
    assert buffer.can_transform("odom", "base", at(7.5))
    assert not buffer.can_transform("odom", "base", at(5.0))


@pytest.mark.parametrize("frame", ["", "/base"])
def test_malformed_names_are_refused(buffer, frame):
    buffer.set_transform_static(transform("base", "camera"), "test")
    with pytest.raises(tf2_ros.InvalidArgumentException):
        buffer.lookup_transform(frame, "camera", Time())


def test_malformed_transforms_are_ignored(buffer):
    buffer.set_transform(transform("base", "camera", xyz=(math.nan, 0, 0)), "test")
    unnormalized = transform("base", "camera")
    unnormalized.transform.rotation.w = 2.0
    buffer.set_transform(unnormalized, "test")
    buffer.set_transform(transform("camera", "camera"), "test")
    assert not buffer.can_transform("base", "camera", Time())


def test_can_transform_says_why_not(buffer):
    result = buffer.can_transform("base", "camera", Time(), return_debug_tuple=True)
    assert result[0] is False
    assert "base" in result[1]


def test_every_failure_is_a_transform_exception():
    for kind in ("Connectivity", "Extrapolation", "InvalidArgument", "Lookup", "Timeout"):
        assert issubclass(getattr(tf2_ros, f"{kind}Exception"), tf2_ros.TransformException)


def test_waiting_ends_when_the_transform_comes(buffer):
    later = threading.Timer(0.2, buffer.set_transform_static, (transform("base", "camera"), "test"))
    later.start()
    start = time.monotonic()
    assert buffer.can_transform("base", "camera", Time(), Duration(seconds=5))
    assert 0.1 < time.monotonic() - start < 2
    later.join()


def test_waiting_ends_when_the_time_is_up(buffer):
    start = time.monotonic()
    with pytest.raises(tf2_ros.LookupException):
        buffer.lookup_transform("base", "camera", Time(), Duration(seconds=0.2))
    assert 0.15 < time.monotonic() - start < 2
