"""A table with boxes on it whose every number is known: for benchmarks and tests, not for scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlm_perception.evaluation.dataset import DatasetFrame, Instance
from vlm_perception.types import CameraIntrinsics, FloatArray, RgbdFrame

# Ambient and directional light, so that a box's faces differ.
_FACE_BRIGHTNESS = np.array([0.7, 0.85, 1.0])
_TABLE_RGB = (176, 160, 138)


@dataclass(frozen=True, eq=False)
class TableBox:
    """An upright box on the table, or on another.

    Attributes:
        position_m: (2,) of its middle, in the table's plane.
        size_m: (3,) lengths along its own x, y and up.
        yaw: about up, rad.
        base_m: height of its underside above the table.
    """

    label: str
    color_rgb: tuple[int, int, int]
    position_m: tuple[float, float]
    size_m: tuple[float, float, float]
    yaw: float = 0.0
    base_m: float = 0.0

    @property
    def pose_world(self) -> FloatArray:
        """T_world_box, (4, 4): origin in the box's middle; the world's z is up, the table is z = 0."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        T = np.eye(4)
        T[:2, :2] = [[cos, -sin], [sin, cos]]
        T[:3, 3] = (*self.position_m, self.base_m + self.size_m[2] / 2)
        return T


def table_scene(
    boxes: Sequence[TableBox],
    *,
    T_world_camera: FloatArray | None = None,
    camera: CameraIntrinsics | None = None,
    frame_id: str = "synthetic",
) -> tuple[DatasetFrame, RgbdFrame, NDArray[np.int64]]:
    """Ray-cast boxes on an endless table.

    Args:
        boxes: ids are 1, 2, ... in this order.
        T_world_camera: (4, 4) optical camera to world; None: 0.7 m up, looking 45 degrees down.
        camera: undistorted intrinsics; None: 640x480, 60 degrees wide.
        frame_id: of the description.

    Returns:
        The description with true centroids and positions, the images, and the (H, W) ids: what
        ``write_rgbd_rec`` takes.
    """
    camera = camera if camera is not None else CameraIntrinsics(640, 480, 554.0, 554.0, 319.5, 239.5)
    T = T_world_camera if T_world_camera is not None else looking_down(0.7, np.pi / 4)
    v, u = np.indices((camera.height, camera.width), dtype=np.float64)
    rays_camera = np.stack(((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)), axis=-1)
    rays = rays_camera @ T[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(rays[..., 2] < 0, -T[2, 3] / rays[..., 2], np.inf)
    depth[depth > 5.0] = np.inf
    color = np.where(np.isfinite(depth)[..., None], np.array(_TABLE_RGB), 60).astype(np.float64)
    # A checkerboard grain, so that the table is no single color.
    color *= 1.0 + 0.04 * (((u // 7 + v // 7) % 2)[..., None] - 0.5)
    ids = np.zeros(depth.shape, dtype=np.int64)
    for number, box in enumerate(boxes, start=1):
        entry, face = _hit(box, T[:3, 3], rays)
        nearer = entry < depth
        depth[nearer], ids[nearer] = entry[nearer], number
        color[nearer] = np.array(box.color_rgb) * _FACE_BRIGHTNESS[face[nearer]][:, None]
    depth_m = np.where(np.isfinite(depth), depth, 0.0).astype(np.float32)
    points = rays_camera * depth_m[..., None]
    T_camera_world = np.linalg.inv(T)
    instances = []
    for number, box in enumerate(boxes, start=1):
        rows, columns = np.nonzero(ids == number)
        if not len(rows):
            continue
        position = T_camera_world @ box.pose_world[:, 3]
        instances.append(
            Instance(
                id=number,
                name=f"box_{number}",
                labels=(box.label, box.label.split()[-1]),
                box_xyxy=(
                    float(columns.min()),
                    float(rows.min()),
                    float(columns.max() + 1),
                    float(rows.max() + 1),
                ),
                pixels=len(rows),
                visible_centroid_m=points[rows, columns].mean(axis=0),
                body_position_m=position[:3],
            )
        )
    description = DatasetFrame(frame_id, Path(), camera, T, 0.001, "", tuple(instances))
    images = RgbdFrame(np.clip(color, 0, 255).astype(np.uint8), depth_m, camera)
    return description, images, ids


def looking_down(height_m: float, pitch: float) -> FloatArray:
    """T_world_camera of a camera above the world's z axis's foot, at which it looks, ``pitch`` rad down."""
    forward = np.array([np.cos(pitch), 0.0, -np.sin(pitch)])
    right = np.array([0.0, -1.0, 0.0])
    T = np.eye(4)
    T[:3, :3] = np.column_stack((right, np.cross(forward, right), forward))
    T[:3, 3] = -forward * height_m / np.sin(pitch)
    return T


def _hit(box: TableBox, origin_world: FloatArray, rays: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """Depth (inf: none) at which each ray enters a box, and the axis of the face it enters by.

    Slab method: Kay & Kajiya, "Ray tracing complex scenes", SIGGRAPH 1986.
    """
    R, center = box.pose_world[:3, :3], box.pose_world[:3, 3]
    origin = R.T @ (origin_world - center)
    directions = rays @ R
    half = np.array(box.size_m) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (-half - origin) / directions, (half - origin) / directions
    near, far = np.minimum(one, other), np.maximum(one, other)
    face = np.argmax(near, axis=-1)
    entry = near.max(axis=-1)
    missed = (entry > far.min(axis=-1)) | (entry <= 0)
    return np.where(missed, np.inf, entry), face
