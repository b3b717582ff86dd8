"""What the demo leaves on disk: the overlay as PNG, the target's points as PLY."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from sensor_msgs.msg import Image, PointCloud2

from vlm_perception.ros.conversions import color_to_rgb
from vlm_perception.ros.pointcloud import from_cloud
from vlm_perception.types import VlmPerceptionError

_PLY_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")])


def write_overlay(path: Path, message: Image) -> None:
    """Write a debug image.

    Raises:
        VlmPerceptionError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), color_to_rgb(message)[..., ::-1]):
        raise VlmPerceptionError(f"{path} cannot be written")


def write_ply(path: Path, cloud: PointCloud2) -> int:
    """Write a colored cloud as binary PLY (opens in MeshLab, CloudCompare, Open3D); returns the number of points."""
    points = from_cloud(cloud)
    vertices = np.zeros(len(points), dtype=_PLY_POINT)
    for axis in "xyz":
        vertices[axis] = points[axis]
    for name, shift in (("red", 16), ("green", 8), ("blue", 0)):
        vertices[name] = (points["rgb"] >> shift) & 0xFF
    kinds = {"f": "float", "u": "uchar"}
    lines = ["ply", "format binary_little_endian 1.0", f"comment frame {cloud.header.frame_id}, metres"]
    lines.append(f"element vertex {len(vertices)}")
    lines += [f"property {kinds[vertices.dtype[name].kind]} {name}" for name in vertices.dtype.names or ()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join([*lines, "end_header"]) + "\n").encode() + vertices.tobytes())
    return len(vertices)
