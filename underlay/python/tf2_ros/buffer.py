"""Transforms over time, and lookups between any two frames of one tree."""

import bisect
import math
import threading
import time as wall_time

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time

from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)

_POLL_S = 0.02
_MAX_DEPTH = 1000


class Buffer:
    """Stores transforms and answers lookups; any thread may call it.

    Args:
        cache_time: How long moving transforms are kept (rclpy Duration; default 10 s).
        node: Accepted for the sake of the real interface.
    """

    def __init__(self, cache_time=None, node=None):  # noqa: ARG002 -- the public signature
        cache_time = cache_time or Duration(seconds=10.0)
        self._cache_ns = cache_time.nanoseconds
        self._lock = threading.RLock()
        self._frames = {}  # child -> _Frame
        self._known = set()

    # --- putting transforms in ---

    def set_transform(self, transform, authority):
        """Add a transform that holds at its stamp."""
        self._insert(transform, authority, static=False)

    def set_transform_static(self, transform, authority):
        """Add a transform that holds at all times."""
        self._insert(transform, authority, static=True)

    def clear(self):
        """Forget all moving transforms."""
        with self._lock:
            self._frames = {c: f for c, f in self._frames.items() if f.static}
            self._known = set(self._frames) | {f.parents[0] for f in self._frames.values()}

    def _insert(self, transform, authority, *, static):
        parent = transform.header.frame_id.lstrip("/")
        child = transform.child_frame_id.lstrip("/")
        t = transform.transform.translation
        q = transform.transform.rotation
        translation = np.array([t.x, t.y, t.z])
        rotation = np.array([q.x, q.y, q.z, q.w])
        reason = None
        if not parent or not child:
            reason = "a frame has no name"
        elif parent == child:
            reason = "parent and child are the same frame"
        elif not np.isfinite(np.concatenate([translation, rotation])).all():
            reason = "it holds NaN or infinity"
        elif abs(float(rotation @ rotation) - 1.0) > 10e-3:
            reason = "its quaternion is not normalized"
        if reason:
            get_logger("tf2").error(f"ignoring the transform from {parent!r} to {child!r} by {authority!r}: {reason}")
            return
        stamp = Time.from_msg(transform.header.stamp).nanoseconds
        with self._lock:
            frame = self._frames.get(child)
            if frame is None or frame.static != static:
                frame = self._frames[child] = _Frame(static=static)
            frame.insert(stamp, parent, translation, rotation, self._cache_ns)
            self._known.update((parent, child))

    # --- lookups ---

    def lookup_transform(self, target_frame, source_frame, time, timeout=Duration()):  # noqa: B008
        """Return the TransformStamped that takes points from the source to the target frame.

        Args:
            target_frame: Frame to transform into.
            source_frame: Frame to transform from.
            time: rclpy Time (or builtin_interfaces Time) of the lookup; zero means the latest.
            timeout: How long to wait for the transform (rclpy Duration).

        Raises:
            TransformException: One of its kinds, when there is no such transform.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def can_transform(
        self,
        target_frame,
        source_frame,
        time,
        timeout=Duration(),  # noqa: B008
        return_debug_tuple=False,  # noqa: FBT002
    ):
        """Return whether the lookup would succeed, waiting up to `timeout` for it."""
        end = wall_time.monotonic() + timeout.nanoseconds * 1e-9
        result = self.can_transform_core(target_frame, source_frame, time)
        while not result[0] and wall_time.monotonic() < end:
            wall_time.sleep(_POLL_S)
            result = self.can_transform_core(target_frame, source_frame, time)
        return result if return_debug_tuple else result[0]

    def can_transform_core(self, target_frame, source_frame, time):
        """Return (whether the lookup would succeed, why not), without waiting."""
        try:
            self.lookup_transform_core(target_frame, source_frame, time)
        except TransformException as error:
            return False, str(error)
        return True, ""

    def lookup_transform_core(self, target_frame, source_frame, time):
        """Look up without waiting."""
        stamp = (time if isinstance(time, Time) else Time.from_msg(time)).nanoseconds
        with self._lock:
            self._check("target_frame", target_frame)
            self._check("source_frame", source_frame)
            if stamp == 0:
                stamp = self.get_latest_common_time(target_frame, source_frame).nanoseconds
            translation, rotation = self._resolve(target_frame, source_frame, stamp)
        result = TransformStamped()
        result.header.stamp = Time(nanoseconds=stamp).to_msg()
        result.header.frame_id = target_frame
        result.child_frame_id = source_frame
        t, q = result.transform.translation, result.transform.rotation
        t.x, t.y, t.z = (float(v) for v in translation)
        q.x, q.y, q.z, q.w = (float(v) for v in rotation)
        return result

    def get_latest_common_time(self, target_frame, source_frame):
        """Return the newest time at which every link between the frames has data."""
        with self._lock:
            up_source = self._ancestors(source_frame)
            up_target = self._ancestors(target_frame)
            common = next((f for f in up_source if f in up_target), None)
            if common is None:
                raise _unconnected(target_frame, source_frame)
            links = up_source[: up_source.index(common)] + up_target[: up_target.index(common)]
            moving = [self._frames[f].latest for f in links if f in self._frames and not self._frames[f].static]
            return Time(nanoseconds=min(moving, default=0))

    def all_frames_as_string(self):
        """Return a line for every known frame and its parent."""
        with self._lock:
            return "\n".join(
                f"Frame {child} exists with parent {frame.parents[-1]}."
                for child, frame in sorted(self._frames.items())
            )

    def _check(self, argument, frame):
        where = f'"{frame}" passed to lookupTransform argument {argument}'
        if not frame:
            raise InvalidArgumentException(f"Invalid argument {where}: frame_ids cannot be empty")
        if frame.startswith("/"):
            raise InvalidArgumentException(f"Invalid argument {where}: in tf2 frame_ids cannot start with a '/'")
        if frame not in self._known:
            raise LookupException(f"{where} does not exist. ")

    def _ancestors(self, frame):
        """The frame and its newest parents, up to the root."""
        chain = [frame]
        while chain[-1] in self._frames:
            chain.append(self._frames[chain[-1]].parents[-1])
            if len(chain) > _MAX_DEPTH:
                raise LookupException(f"the frames above {frame!r} form a loop")
        return chain

    def _resolve(self, target, source, stamp):
        """Translation and rotation that take source points to the target frame at a time."""
        identity = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])
        ups, failures = [], []
        for frame in (source, target):
            # every frame on the way up, with the transform from `frame` into it
            chain, name, pose = {frame: identity}, frame, identity
            while name in self._frames and len(chain) <= _MAX_DEPTH:
                try:
                    parent, link = self._frames[name].at(stamp)
                except ExtrapolationException as error:
                    failures.append(error)
                    break
                pose = _compose(link, pose)
                name = parent
                if name in chain:
                    raise LookupException(f"the frames above {frame!r} form a loop")
                chain[name] = pose
            ups.append(chain)
        up_source, up_target = ups
        for name in up_source:
            if name in up_target:
                return _compose(_inverse(up_target[name]), up_source[name])
        if failures and set(self._ancestors(source)) & set(self._ancestors(target)):
            raise ExtrapolationException(
                f"{failures[0]}, when looking up transform from frame [{source}] to frame [{target}]"
            )
        raise _unconnected(target, source)


class _Frame:
    """One frame's transforms to its parent, sorted by time."""

    def __init__(self, *, static):
        self.static = static
        self.stamps = []
        self.parents = []
        self.poses = []

    @property
    def latest(self):
        return self.stamps[-1]

    def insert(self, stamp, parent, translation, rotation, cache_ns):
        if self.static:
            self.stamps, self.parents, self.poses = [stamp], [parent], [(translation, rotation)]
            return
        if self.stamps and stamp + cache_ns < self.latest:
            return
        index = bisect.bisect_left(self.stamps, stamp)
        if index < len(self.stamps) and self.stamps[index] == stamp:
            self.parents[index], self.poses[index] = parent, (translation, rotation)
        else:
            self.stamps.insert(index, stamp)
            self.parents.insert(index, parent)
            self.poses.insert(index, (translation, rotation))
        old = bisect.bisect_left(self.stamps, self.latest - cache_ns)
        del self.stamps[:old], self.parents[:old], self.poses[:old]

    def at(self, stamp):
        """Return (parent, (translation, rotation)) at a time, interpolated.

        Raises:
            ExtrapolationException: The time is outside what is stored.
        """
        if self.static:
            return self.parents[0], self.poses[0]
        index = bisect.bisect_left(self.stamps, stamp)
        if index < len(self.stamps) and self.stamps[index] == stamp:
            return self.parents[index], self.poses[index]
        asked = f"Requested time {stamp * 1e-9:.6f} but"
        if len(self.stamps) == 1:
            raise ExtrapolationException(
                f"Lookup would require extrapolation at time {stamp * 1e-9:.6f}, "
                f"but only time {self.latest * 1e-9:.6f} is in the buffer"
            )
        if index == len(self.stamps):
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the future.  {asked} "
                f"the latest data is at time {self.latest * 1e-9:.6f}"
            )
        if index == 0:
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the past.  {asked} "
                f"the earliest data is at time {self.stamps[0] * 1e-9:.6f}"
            )
        before, after = index - 1, index
        if self.parents[before] != self.parents[after]:
            return self.parents[before], self.poses[before]
        ratio = (stamp - self.stamps[before]) / (self.stamps[after] - self.stamps[before])
        (t0, q0), (t1, q1) = self.poses[before], self.poses[after]
        return self.parents[before], ((1 - ratio) * t0 + ratio * t1, _slerp(q0, q1, ratio))


def _unconnected(target, source):
    return ConnectivityException(
        f"Could not find a connection between '{target}' and '{source}' because they are not "
        "part of the same tree.Tf has two or more unconnected trees."
    )


# Quaternions are x, y, z, w; a pose is (translation, rotation), taking child points to the parent.


def _multiply(a, b):
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def _rotate(q, v):
    u, w = q[:3], q[3]
    return v + 2.0 * np.cross(u, np.cross(u, v) + w * v)


def _compose(outer, inner):
    return outer[0] + _rotate(outer[1], inner[0]), _multiply(outer[1], inner[1])


def _inverse(pose):
    conjugate = pose[1] * np.array([-1.0, -1.0, -1.0, 1.0])
    return -_rotate(conjugate, pose[0]), conjugate


def _slerp(q0, q1, ratio):
    dot = float(q0 @ q1)
    if dot < 0.0:  # the shorter way round
        q1, dot = -q1, -dot
    angle = math.acos(min(dot, 1.0))
    if angle < 1e-9:
        return q0
    q = (math.sin((1 - ratio) * angle) * q0 + math.sin(ratio * angle) * q1) / math.sin(angle)
    return q / np.linalg.norm(q)
