"""A frame and its answer in 3-D with Open3D: as a file, or in a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vlm_perception.draw import ROLE_COLORS
from vlm_perception.geometry.camera import deproject
from vlm_perception.geometry.depth import match_depth_to_color, valid_depth
from vlm_perception.types import Answer, RgbdFrame, VlmPerceptionError


def _open3d() -> Any:
    try:
        import open3d
    except (ImportError, OSError) as error:  # OSError: a system library such as libGL is missing
        raise VlmPerceptionError(
            f"the 3-D view needs Open3D ({error}). Install it with 'pip install open3d', "
            "and on a machine without a desktop 'apt install libgl1 libgomp1 libx11-6'."
        ) from error
    return open3d


def scene_cloud(frame: RgbdFrame) -> Any:
    """The whole frame as a colored ``open3d.geometry.PointCloud`` in the optical frame, metres.

    Raises:
        VlmPerceptionError: Open3D is missing, or the frame has no valid depth.
    """
    o3d = _open3d()
    if frame.depth_m is None:
        raise VlmPerceptionError("the 3-D view needs depth, and the frame has none")
    depth_m = match_depth_to_color(frame.depth_m, frame.color_rgb.shape[:2])
    v, u = np.nonzero(valid_depth(depth_m))
    if len(u) == 0:
        raise VlmPerceptionError("the 3-D view needs depth, and no pixel of this depth image is valid")
    points_m = deproject(np.stack([u, v], axis=1), depth_m[v, u], frame.camera)
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points_m))
    cloud.colors = o3d.utility.Vector3dVector(frame.color_rgb[v, u] / 255.0)
    return cloud


def answer_shapes(answer: Answer) -> list[Any]:
    """Each grounding's oriented box in its role's color, and the box's axes (x red, y green, z blue).

    Returns:
        ``OrientedBoundingBox`` and ``TriangleMesh`` (axes), in the optical frame.
    """
    o3d = _open3d()
    shapes: list[Any] = []
    for grounding in answer.groundings:
        geometry = grounding.object.geometry
        if geometry is None:
            continue
        box = o3d.geometry.OrientedBoundingBox(
            geometry.center_m, geometry.R_camera_object, np.maximum(geometry.size_m, 1e-3)
        )
        box.color = np.array(ROLE_COLORS[grounding.role]) / 255.0
        axes = o3d.geometry.TriangleMesh.create_coordinate_frame(size=max(0.03, float(geometry.size_m.max()) / 2))
        T_camera_object = np.eye(4)
        T_camera_object[:3, :3], T_camera_object[:3, 3] = geometry.R_camera_object, geometry.center_m
        shapes += [box, axes.transform(T_camera_object)]
    return shapes


def write_scene(path: Path, frame: RgbdFrame) -> int:
    """Write the frame's cloud as PLY (or PCD, by the suffix).

    Returns:
        The number of points.

    Raises:
        VlmPerceptionError: Open3D is missing, there is no depth, or the file cannot be written.
    """
    cloud = scene_cloud(frame)
    if not _open3d().io.write_point_cloud(str(path), cloud):
        raise VlmPerceptionError(f"{path} cannot be written: Open3D knows .ply, .pcd, .xyz and .pts")
    return len(cloud.points)


def show(frame: RgbdFrame, answer: Answer) -> None:
    """Open a window with the cloud and the answer's boxes; returns when it is closed.

    Raises:
        VlmPerceptionError: Open3D is missing, there is no depth, or there is no display.
    """
    o3d = _open3d()
    viewer = o3d.visualization.Visualizer()
    if not viewer.create_window(window_name=f"vlm_perception: {answer.command[:80]}"):
        raise VlmPerceptionError("no window could be opened: is there a display (DISPLAY)? --scene writes a file")
    for shape in [scene_cloud(frame), *answer_shapes(answer)]:
        viewer.add_geometry(shape)
    control = viewer.get_view_control()
    control.set_front([0.0, 0.0, -1.0])
    control.set_up([0.0, -1.0, 0.0])
    viewer.run()
    viewer.destroy_window()
