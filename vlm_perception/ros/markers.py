"""Results -> RViz markers: oriented boxes, names, axes and places to put things.

A marker keeps its (namespace, id) while its object keeps its id, and what is gone is deleted one by one: nothing
blinks, and nothing stays behind.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from vlm_perception.msg import GroundedObject, GroundingResult

MarkerKey = tuple[str, int]

_COLORS = {
    GroundedObject.ROLE_TARGET: (0.18, 0.80, 0.25),
    GroundedObject.ROLE_DESTINATION: (0.0, 0.45, 0.85),
    GroundedObject.ROLE_ANCHOR: (1.0, 0.65, 0.0),
}
_GREY = (0.6, 0.6, 0.6)
_AXES = ((0.9, 0.2, 0.2), (0.2, 0.8, 0.2), (0.25, 0.35, 1.0))
_THINNEST_M = 0.001  # RViz refuses markers without extent
_TEXT_HEIGHT_M = 0.03


def to_markers(result: GroundingResult, previous: set[MarkerKey]) -> tuple[MarkerArray, set[MarkerKey]]:
    """Everything of a result that has a place in space.

    Args:
        result: in its target frame.
        previous: the keys returned for the result before, or an empty set.

    Returns:
        The markers (``ADD`` also updates), with a ``DELETE`` for each key that is no longer there; and the keys
        shown now.
    """
    shown: dict[MarkerKey, Marker] = {}
    taken: set[int] = set()
    for found in result.targets:
        number = _number(found, taken)
        for marker in _markers(found):
            marker.header = result.header
            marker.id = number
            marker.action = Marker.ADD
            shown[marker.ns, number] = marker
    gone = [
        Marker(header=result.header, ns=namespace, id=number, action=Marker.DELETE)
        for namespace, number in sorted(previous - shown.keys())
    ]
    return MarkerArray(markers=[*gone, *shown.values()]), set(shown)


def _number(found: GroundedObject, taken: set[int]) -> int:
    """The same number for the same object in the same role, whatever else is in the result."""
    number = zlib.crc32(f"{found.role}/{found.id}".encode()) & 0x7FFFFFFF
    while number in taken:
        number = (number + 1) & 0x7FFFFFFF
    taken.add(number)
    return number


def _markers(found: GroundedObject) -> Iterator[Marker]:
    color = _COLORS.get(found.role, _GREY)
    if found.has_pose:
        yield _cube("boxes", found.pose.pose, found.size, _rgba(color, 0.35))
        longest = max(found.size.x, found.size.y, found.size.z)
        yield _axes("axes", found.pose.pose, max(0.03, 0.6 * longest))
        yield _name(found, color)
    if found.has_place:
        pad = Vector3(x=found.place_size.x, y=found.place_size.y, z=_THINNEST_M)
        yield _cube("places", found.place_pose, pad, _rgba(color, 0.6))
        yield _axes("place_axes", found.place_pose, 0.06)


def _cube(namespace: str, pose: Pose, size: Vector3, color: ColorRGBA) -> Marker:
    scale = Vector3(x=max(size.x, _THINNEST_M), y=max(size.y, _THINNEST_M), z=max(size.z, _THINNEST_M))
    return Marker(ns=namespace, type=Marker.CUBE, pose=pose, scale=scale, color=color)


def _axes(namespace: str, pose: Pose, length_m: float) -> Marker:
    marker = Marker(ns=namespace, type=Marker.LINE_LIST, pose=pose, color=_rgba((1.0, 1.0, 1.0), 1.0))
    marker.scale.x = max(0.003, 0.04 * length_m)
    for axis, color in enumerate(_AXES):
        tip = [0.0, 0.0, 0.0]
        tip[axis] = length_m
        marker.points += [Point(), Point(x=tip[0], y=tip[1], z=tip[2])]
        marker.colors += [_rgba(color, 1.0)] * 2
    return marker


def _name(found: GroundedObject, color: tuple[float, float, float]) -> Marker:
    center = found.pose.pose.position
    above = 0.5 * max(found.size.x, found.size.y, found.size.z) + _TEXT_HEIGHT_M
    marker = Marker(ns="names", type=Marker.TEXT_VIEW_FACING, color=_rgba(color, 1.0))
    marker.pose.position = Point(x=center.x, y=center.y, z=center.z + above)
    marker.scale.z = _TEXT_HEIGHT_M
    marker.text = f"{found.role}: {found.phrase or found.label} {found.score:.2f}"
    return marker


def _rgba(color: tuple[float, float, float], alpha: float) -> ColorRGBA:
    red, green, blue = color
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)
