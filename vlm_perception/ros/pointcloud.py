"""Colored clouds, NumPy <-> PointCloud2, whole arrays at a time."""

from __future__ import annotations

import array
import sys
from typing import Any

import numpy as np
from numpy.lib import recfunctions
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_POINT = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("rgb", "u4")])


def to_cloud(xyz_m: NDArray[np.float64], rgb: NDArray[np.uint8], header: Header) -> PointCloud2:
    """An unordered cloud.

    Args:
        xyz_m: (N, 3).
        rgb: (N, 3).
        header: stamp and the frame of ``xyz_m``.

    Returns:
        Fields x, y, z (float32) and rgb (0x00RRGGBB, declared a float, as PCL and RViz read it).
    """
    points = np.zeros(len(xyz_m), dtype=_POINT)
    points["x"], points["y"], points["z"] = xyz_m.T
    red, green, blue = rgb.astype(np.uint32).T
    points["rgb"] = (red << 16) | (green << 8) | blue
    cloud = PointCloud2()
    cloud.header = header
    cloud.height, cloud.width = 1, len(points)
    cloud.fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(_POINT.names or ())
    ]
    cloud.is_bigendian = sys.byteorder == "big"
    cloud.point_step = _POINT.itemsize
    cloud.row_step = _POINT.itemsize * len(points)
    cloud.is_dense = True
    data = array.array("B")  # what rclpy takes over without looking at each byte
    data.frombytes(points.tobytes())
    cloud.data = data
    return cloud


def from_cloud(cloud: PointCloud2) -> NDArray[Any]:
    """A cloud with fields x, y, z and rgb -> structured array of x, y, z (float32) and rgb (uint32)."""
    offsets = {field.name: field.offset for field in cloud.fields}
    order = ">" if cloud.is_bigendian else "<"
    layout = np.dtype(
        {
            "names": ["x", "y", "z", "rgb"],
            "formats": [f"{order}f4"] * 3 + [f"{order}u4"],
            "offsets": [offsets[name] for name in ("x", "y", "z", "rgb")],
            "itemsize": cloud.point_step,
        }
    )
    packed = np.frombuffer(bytes(cloud.data), dtype=layout, count=cloud.width * cloud.height)
    return np.asarray(recfunctions.repack_fields(packed))
