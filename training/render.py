"""Pictures and exact labels of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from training.scene import HIDDEN_GROUP, Placed, World, matrix_quat

MIN_PIXELS = 40


@dataclass(frozen=True)
class Frame:
    """A rendered scene.

    Attributes:
        color: (H, W, 3) uint8 RGB.
        instances: (H, W) uint8, number in `objects` plus one; 0 is scenery.
        objects: Per thing `key`, `color`, `box` [x1, y1, x2, y2) px, `pixels`, `shown` (share of its
            whole box that is seen).
        depth_m: (H, W) float32, exact depth along the optical axis; None where it was not asked for.
        focal_px: Of both axes; the principal point is the middle of the picture.
    """

    color: np.ndarray
    instances: np.ndarray
    objects: list[dict[str, Any]]
    depth_m: np.ndarray | None = None
    focal_px: float = 0.0


class Camera:
    """Renders a world. Keep one a process: it owns the GL context."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._renderer = mujoco.Renderer(world.model, world.height, world.width, max_geom=4000)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[1] = 1
        self._option.geomgroup[HIDDEN_GROUP] = 0

    def shoot(self, placed: list[Placed], rng: np.random.Generator, *, with_depth: bool = False) -> Frame | None:
        """Render from a random viewpoint, with depth if asked for; None where nothing named can be seen."""
        world = self.world
        model, data = world.model, world.data
        rotation, position, fovy_deg = world.sample_camera(placed, rng)
        view = model.camera("view").id
        model.cam_pos[view], model.cam_quat[view] = position, matrix_quat(rotation)
        model.cam_fovy[view] = fovy_deg
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        self._renderer.update_scene(data, camera="view", scene_option=self._option)
        self._renderer.enable_segmentation_rendering()
        ids = self._renderer.render()
        self._renderer.disable_segmentation_rendering()
        owner = np.zeros(model.ngeom + 1, np.uint8)
        for number, item in enumerate(placed, start=1):
            owner[item.prop.geoms] = number
        is_geom = ids[..., 1] == int(mujoco.mjtObj.mjOBJ_GEOM)  # the enum itself compares pixel by pixel
        instances = owner[np.where(is_geom, ids[..., 0], model.ngeom)]
        focal_px = world.height / 2 / np.tan(np.radians(fovy_deg) / 2)
        objects = []
        for number, item in enumerate(placed, start=1):
            v, u = np.nonzero(instances == number)
            if len(u) < MIN_PIXELS:
                instances[instances == number] = 0
                continue
            box = [int(u.min()), int(v.min()), int(u.max()) + 1, int(v.max()) + 1]
            points = (item.prop.points @ item.rotation.T + item.position - position) @ rotation
            depth = np.maximum(-points[:, 2], 0.02)
            x = world.width / 2 + focal_px * points[:, 0] / depth
            y = world.height / 2 - focal_px * points[:, 1] / depth
            whole = max(np.ptp(x) * np.ptp(y), 1.0)
            shown = float((box[2] - box[0]) * (box[3] - box[1]) / whole)
            objects.append(
                {
                    "number": number,
                    "key": item.prop.key,
                    "color": item.color,
                    "box": box,
                    "pixels": len(u),
                    "shown": round(min(shown, 1.0), 2),
                }
            )
        if not objects or instances.astype(bool).mean() > 0.8:
            return None
        color = self._renderer.render().copy()
        depth_m = None
        if with_depth:
            self._renderer.enable_depth_rendering()
            depth_m = self._renderer.render().copy()
            self._renderer.disable_depth_rendering()
        return Frame(color, instances, objects, depth_m, float(focal_px))
