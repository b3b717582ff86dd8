"""One big compiled model with every object in it, and random scenes made by posing its parts.

Compiling takes half a minute, so it happens once a process: a scene hides what it does not
use (`HIDDEN_GROUP`) and moves, paints and lights the rest.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import mujoco
import numpy as np
from PIL import Image

from training import phrases
from training.assets import Fragment, Joint, libero_assets, load_fragment, robosuite_assets, small_texture
from training.primitives import make_primitive

HIDDEN_GROUP: Final = 5
WALLS, LIGHTS = 3, 3
# The benchmark's own viewpoint, never used: elevation and vertical field of view, deg.
AVOIDED_VIEW_DEG = (38.9, 45.0)

_HOPE_STANDING = (
    "alphabet_soup red_alphabet_soup tomato_sauce yellow_tomato_sauce milk yellow_milk orange_juice "
    "red_orange_juice ketchup green_ketchup salad_dressing new_salad_dressing red_salad_dressing"
).split()
_HOPE_FLAT = (
    "bbq_sauce green_bbq_sauce butter green_butter chocolate_pudding green_chocolate_pudding cookies "
    "yellow_cookies cream_cheese red_cream_cheese macaroni_and_cheese popcorn"
).split()
_SCANNED = (
    "akita_black_bowl black_bowl red_akita_black_bowl yellow_bowl white_bowl basket red_basket chefmate_8_frypan "
    "glazed_rim_porcelain_ramekin red_ramekin plate yellow_plate simple_rack"
).split()
_TURBOSQUID = (
    "black_book red_yellow_book yellow_book bowl_drainer wine_rack brown_rack desk_caddy yellow_desk_caddy moka_pot "
    "yellow_moka_pot porcelain_mug white_porcelain_mug red_coffee_mug white_yellow_mug wine_bottle white_bottle "
    "white_storage_box wooden_tray wooden_two_layer_shelf"
).split()
_ARTICULATED = (
    "flat_stove yellow_stove microwave short_cabinet short_fridge white_cabinet wooden_cabinet yellow_cabinet faucet"
).split()
_ROBOSUITE = "can milk bread lemon bottle cereal".split()

LARGE: Final = frozenset(
    (
        "flat_stove yellow_stove microwave short_cabinet short_fridge white_cabinet wooden_cabinet yellow_cabinet "
        "wooden_two_layer_shelf wine_rack brown_rack desk_caddy yellow_desk_caddy basket red_basket wooden_tray "
        "bowl_drainer white_storage_box chefmate_8_frypan simple_rack laptop"
    ).split()
)
# Where a small thing can rest on a thing: height above its bottom as a share of its height, and
# the half-size of that place as a share of its footprint.
HOSTS: Final[dict[str, tuple[float, float]]] = {
    "plate": (0.35, 0.6),
    "yellow_plate": (0.35, 0.6),
    "plain_plate": (0.3, 0.6),
    "wooden_tray": (0.15, 0.7),
    "basket": (0.1, 0.5),
    "red_basket": (0.1, 0.5),
    "bowl_drainer": (0.1, 0.6),
    "white_cabinet": (1.0, 0.75),
    "wooden_cabinet": (1.0, 0.75),
    "yellow_cabinet": (1.0, 0.75),
    "short_cabinet": (1.0, 0.75),
    "short_fridge": (1.0, 0.7),
    "microwave": (1.0, 0.75),
    "wooden_two_layer_shelf": (1.0, 0.75),
    "white_storage_box": (1.0, 0.7),
    "akita_black_bowl": (0.2, 0.45),
    "white_bowl": (0.2, 0.45),
    "plain_bowl": (0.2, 0.45),
    "chefmate_8_frypan": (0.15, 0.3),
    "black_book": (1.0, 0.6),
    "plain_box": (1.0, 0.8),
    "macaroni_and_cheese": (1.0, 0.7),
    "cookies": (1.0, 0.7),
}
_LYING_SHARE: Final[dict[str, float]] = {"can": 0.15, "bottle": 0.2, "carton": 0.15, "book": 0.4, "mug": 0.06}
_WEIGHTS: Final[dict[str, float]] = {
    # The common names of a table, drawn more often than color variants and toys.
    **dict.fromkeys(_HOPE_STANDING + _HOPE_FLAT + _SCANNED + _TURBOSQUID + _ARTICULATED, 1.0),
    **dict.fromkeys(
        (
            "red_alphabet_soup yellow_tomato_sauce yellow_milk red_orange_juice green_ketchup red_salad_dressing "
            "green_bbq_sauce green_butter green_chocolate_pudding yellow_cookies red_cream_cheese red_akita_black_bowl "
            "yellow_bowl red_basket red_ramekin yellow_plate red_yellow_book brown_rack yellow_desk_caddy "
            "yellow_moka_pot white_porcelain_mug white_bottle yellow_stove yellow_cabinet simple_rack faucet"
        ).split(),
        0.25,
    ),
    **dict.fromkeys("alphabet_soup tomato_sauce porcelain_mug white_yellow_mug black_book red_coffee_mug".split(), 1.7),
    **dict.fromkeys("desk_caddy wooden_tray basket wooden_cabinet white_cabinet microwave flat_stove".split(), 1.3),
    "akita_black_bowl": 2.0,
    "plate": 1.6,
    "white_bowl": 1.5,
}
_COPIES: Final[dict[str, int]] = {"akita_black_bowl": 3, "plate": 3, "porcelain_mug": 2, "black_book": 2, "cube": 6}

_COLOR_HSV: Final[dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]]] = {
    # hue in turns, saturation, value: low and high
    "red": ((-0.02, 0.015), (0.8, 1.0), (0.5, 0.95)),
    "green": ((0.27, 0.42), (0.6, 1.0), (0.35, 0.85)),
    "blue": ((0.56, 0.66), (0.65, 1.0), (0.4, 0.95)),
    "yellow": ((0.135, 0.17), (0.75, 1.0), (0.8, 1.0)),
    "orange": ((0.055, 0.09), (0.85, 1.0), (0.85, 1.0)),
    "purple": ((0.74, 0.8), (0.5, 0.9), (0.4, 0.75)),
    "pink": ((0.88, 0.95), (0.3, 0.6), (0.85, 1.0)),
    "white": ((0.0, 1.0), (0.0, 0.04), (0.88, 1.0)),
    "black": ((0.0, 1.0), (0.0, 0.1), (0.02, 0.12)),
    "gray": ((0.0, 1.0), (0.0, 0.05), (0.35, 0.6)),
    "brown": ((0.05, 0.08), (0.55, 0.8), (0.25, 0.45)),
}


@dataclass
class Prop:
    """A posable object of the model.

    Attributes:
        key: Key into `phrases.KINDS`.
        body: Body id.
        geoms: Geom ids, (G,).
        points: Points of its surface in the body's frame, (P, 3), m.
        upright: Rotation that stands it on a table, (3, 3).
        joints: Movable parts.
        paint: Material id whose color can change, or -1.
        painted: Geoms that take the paint.
        own: What those geoms' material ids were.
    """

    key: str
    body: int
    geoms: np.ndarray
    points: np.ndarray
    upright: np.ndarray
    joints: list[tuple[Joint, int, np.ndarray, np.ndarray]] = field(default_factory=list)
    paint: int = -1
    painted: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    own: np.ndarray = field(default_factory=lambda: np.zeros(0, int))


@dataclass
class Placed:
    """A prop in a scene: where it stands and what color it got."""

    prop: Prop
    color: str | None
    rotation: np.ndarray
    position: np.ndarray
    footprint: np.ndarray
    low_m: float
    high_m: float


def axis_rotation(axis: tuple[float, ...] | np.ndarray, angle_rad: float) -> np.ndarray:
    """Rotation matrix about an axis, (3, 3)."""
    quat, out = np.zeros(4), np.zeros(9)
    mujoco.mju_axisAngle2Quat(quat, np.asarray(axis, float) / np.linalg.norm(axis), angle_rad)
    mujoco.mju_quat2Mat(out, quat)
    return out.reshape(3, 3)


def matrix_quat(rotation: np.ndarray) -> np.ndarray:
    """Quaternion w, x, y, z of a rotation matrix."""
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(rotation).ravel())
    return quat


def footprints_overlap(a: np.ndarray, b: np.ndarray, gap_m: float = 0.004) -> bool:
    """Whether two convex footprints, (N, 2) and (M, 2) in m, come nearer than `gap_m` (separating axes)."""
    for polygon in (a, b):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)
        pa, pb = a @ normals.T, b @ normals.T
        if ((pa.min(0) > pb.max(0) + gap_m) | (pb.min(0) > pa.max(0) + gap_m)).any():
            return False
    return True


def sample_color(color: str, rng: np.random.Generator) -> np.ndarray:
    """A shade of a named color, RGB in [0, 1]."""
    h, s, v = (rng.uniform(*span) for span in _COLOR_HSV[color])
    k = (np.array([5.0, 3.0, 1.0]) + (h % 1.0) * 6.0) % 6.0
    return v - v * s * np.clip(np.minimum(k, 4 - k), 0, 1)


def _noise_textures(cache: Path, count: int = 24) -> list[Path]:
    """Made-up surfaces: smooth noise, stripes, checks and speckle."""
    rng = np.random.default_rng(5)
    out = []
    for index in range(count):
        path = cache / f"noise-{index}.png"
        out.append(path)
        a, b = rng.uniform(0.05, 0.95, 3), rng.uniform(0.05, 0.95, 3)
        x = np.linspace(0, 1, 256)
        kind = index % 4
        if kind == 0:
            small = Image.fromarray(rng.integers(0, 255, (12, 12), dtype=np.uint8))
            mix = np.asarray(small.resize((256, 256), Image.Resampling.BICUBIC)) / 255.0
        elif kind == 1:
            mix = 0.5 + 0.5 * np.sin(x * rng.uniform(20, 200))[None] * np.ones((256, 1))
        elif kind == 2:
            n = int(rng.integers(4, 12))
            mix = ((np.floor(x * n)[None] + np.floor(x * n)[:, None]) % 2).astype(float)
        else:
            mix = rng.random((256, 256))
            b = (a + rng.normal(0, 0.15, 3)).clip(0, 1)
        if not path.exists():
            cache.mkdir(parents=True, exist_ok=True)
            picture = a + (b - a) * mix[..., None]
            Image.fromarray((picture * 255).astype(np.uint8)).save(path)
    return out


class World:
    """The compiled model and the random scenes in it.

    Args:
        cache: Folder for shrunk textures.
        seed: Seeds the sizes of procedural objects (not the scenes).
        width: Image width, px.
        height: Image height, px.
    """

    def __init__(self, cache: Path, seed: int, width: int = 480, height: int = 360) -> None:
        self.width, self.height = width, height
        rng = np.random.default_rng([seed, 1])
        root = ET.Element("mujoco")
        ET.SubElement(root, "compiler", {"angle": "radian", "boundmass": "0.001", "boundinertia": "0.00001"})
        visual = ET.SubElement(root, "visual")
        ET.SubElement(visual, "global", {"offwidth": str(width), "offheight": str(height)})
        ET.SubElement(visual, "map", {"znear": "0.02", "zfar": "30"})
        ET.SubElement(visual, "quality", {"shadowsize": "1024", "offsamples": "0"})
        asset = ET.SubElement(root, "asset")
        world = ET.SubElement(root, "worldbody")
        self._specs: list[tuple[str, str, list[Joint], bool]] = []
        known: set[str] = set()

        def add(fragment: Fragment, key: str, prefix: str, paintable: bool) -> None:
            for element in fragment.assets:
                tag = element.tag + element.get("name", "")
                if tag not in known:
                    known.add(tag)
                    asset.append(element)
            if paintable:
                ET.SubElement(asset, "material", {"name": f"{prefix}paint", "specular": "0.4", "shininess": "0.4"})
            world.append(fragment.body)
            self._specs.append((key, fragment.body.get("name", ""), fragment.joints, paintable))

        libero, robosuite = libero_assets(), robosuite_assets()
        sources = [(n, libero / "stable_hope_objects" / n / f"{n}.xml") for n in _HOPE_STANDING + _HOPE_FLAT]
        sources += [(n, libero / "stable_scanned_objects" / n / f"{n}.xml") for n in _SCANNED]
        sources += [(n, libero / "turbosquid_objects" / n / f"{n}.xml") for n in _TURBOSQUID]
        sources += [(n, libero / "articulated_objects" / f"{n}.xml") for n in _ARTICULATED]
        sources += [("libero_mug", libero / "custom_objects" / "libero_mug" / "libero_mug.xml")]
        sources += [(f"rs_{n}", robosuite / "objects" / f"{n}.xml") for n in _ROBOSUITE]
        for key, path in sources:
            copies = _COPIES.get(key, 1 if key in LARGE else 2)
            for copy_index in range(copies):
                groups = ("0", "1") if key.startswith("rs_") else ("1",)
                fragment = load_fragment(path, f"{key}.", cache, visible_groups=groups)
                prefix = f"{key}.{copy_index}."
                joints = []
                renamed: dict[str, str] = {}
                for node in fragment.body.iter():
                    name = node.get("name")
                    if name and node.tag in ("body", "geom"):
                        renamed[name] = f"{prefix}{name}"
                        node.set("name", renamed[name])
                for joint in fragment.joints:
                    joints.append(Joint(renamed[joint.body], joint.kind, joint.axis, joint.pos, joint.limits))
                fragment.joints = joints
                add(fragment, key, prefix, key in phrases.PAINTABLE)
        for key in sorted(phrases.PROCEDURAL):
            for copy_index in range(_COPIES.get(key, 4)):
                prefix = f"{key}.{copy_index}."
                add(make_primitive(key, prefix, rng), key, prefix, True)
        self._add_robot(add, robosuite, cache)
        self._add_backgrounds(add, libero, cache)
        textures = sorted((libero / "textures").glob("*.png")) + sorted((robosuite / "textures").glob("*.png"))
        textures = [t for t in textures if t.stem not in {"can", "soda", "cereal", "bread", "lemon", "glass"}]
        surfaces = [small_texture(t, cache, 512) for t in textures] + _noise_textures(cache)
        for index, path in enumerate(surfaces):
            for kind in ("2d", "cube"):
                name = f"surface.{kind}.{index}"
                ET.SubElement(asset, "texture", {"name": name, "type": kind, "file": str(path)})
                attributes = {"name": name, "texture": name, "texrepeat": "2 2"}
                ET.SubElement(asset, "material", {**attributes, "texuniform": "true" if kind == "2d" else "false"})
        self._surface_count = len(surfaces)
        ET.SubElement(asset, "texture", {"name": "sky", "type": "skybox", "builtin": "gradient", "rgb1": ".7 .75 .8", "rgb2": ".3 .3 .35", "width": "64", "height": "64"})
        plain = {"contype": "0", "conaffinity": "0", "group": "1"}
        ET.SubElement(world, "geom", {"name": "floor", "type": "plane", "size": "6 6 .1", "material": "surface.2d.0", **plain})
        for index in range(WALLS):
            ET.SubElement(world, "geom", {"name": f"wall{index}", "type": "box", "size": "4 .05 2", "material": "surface.2d.0", **plain})
        for name, kind in (("table_box", "box"), ("table_round", "cylinder")):
            body = ET.SubElement(world, "body", {"name": name})
            ET.SubElement(body, "geom", {"name": name, "type": kind, "size": "1 1 .05", "material": "surface.cube.0", **plain})
        for index in range(LIGHTS):
            ET.SubElement(world, "light", {"name": f"light{index}", "pos": "0 0 3", "dir": "0 0 -1", "cutoff": "80"})
        ET.SubElement(world, "camera", {"name": "view", "fovy": "45"})
        self.model = mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"))
        # Geoms compiled at their body's origin would ignore geom_pos.
        self.model.geom_sameframe[:] = 0
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)
        self._collect()

    def _add_robot(self, add, robosuite: Path, cache: Path) -> None:  # noqa: ANN001
        """A Panda arm with its gripper: scenery, never named."""
        arm = load_fragment(robosuite / "robots" / "panda" / "robot.xml", "panda.", cache)
        gripper = load_fragment(robosuite / "grippers" / "panda_gripper.xml", "hand.", cache)
        links = list(arm.body.iter("body"))
        links[-1].append(gripper.body)
        arm.assets += gripper.assets
        ET.SubElement(arm.body, "geom", {"name": "panda.pedestal", "type": "cylinder", "size": ".1 .25", "pos": "0 0 -.25", "rgba": ".2 .2 .22 1", "group": "1", "contype": "0", "conaffinity": "0"})
        add(arm, "robot", "panda.", False)

    def _add_backgrounds(self, add, libero: Path, cache: Path) -> None:  # noqa: ANN001
        """Furniture seen behind the table: scenery, never named."""
        for name, scale in (
            ("kitchen_background", 10.0),
            ("living_room", 1.0),
            ("office_book_shelf", 1.0),
            ("study_background", 1.0),
            ("plant", 1.0),
            ("desk", 1.0),
        ):
            path = libero / "scenes" / name / f"{name}.xml"
            fragment = load_fragment(path, f"scenery.{name}.", cache, scale=scale)
            add(fragment, f"scenery:{name}", f"scenery.{name}.", False)

    def _collect(self) -> None:
        model, data = self.model, self.data
        root_of = np.array([model.body_rootid[b] for b in model.geom_bodyid])
        self.props: list[Prop] = []
        self.scenery: dict[str, Prop] = {}
        generator = np.random.default_rng(0)
        for key, body_name, joints, paintable in self._specs:
            body = model.body(body_name).id
            geoms = np.nonzero(root_of == body)[0]
            points = []
            for g in geoms:
                rotation, origin = data.geom_xmat[g].reshape(3, 3), data.geom_xpos[g]
                if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH:
                    mesh = model.geom_dataid[g]
                    start, number = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
                    local = model.mesh_vert[start : start + number]
                    extremes = [local[:, c].argmin() for c in range(3)] + [local[:, c].argmax() for c in range(3)]
                    picks = generator.choice(number, min(number, 150), replace=False)
                    local = local[np.concatenate([extremes, picks])]
                else:
                    size = model.geom_size[g]
                    kind = model.geom_type[g]
                    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
                        half = np.full(3, size[0])
                    elif kind in (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER):
                        cap = size[0] if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
                        half = np.array([size[0], size[0], size[1] + cap])
                    else:
                        half = size.copy()
                    local = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T * half
                points.append(local @ rotation.T + origin)
            cloud = np.concatenate(points)
            frame = data.xmat[body].reshape(3, 3)
            cloud = (cloud - data.xpos[body]) @ frame
            upright = axis_rotation((1, 0, 0), math.pi / 2) if key in _HOPE_STANDING else np.eye(3)
            prop = Prop(key, body, geoms, cloud, upright)
            for joint in joints:
                part = model.body(joint.body).id
                prop.joints.append((joint, part, model.body_pos[part].copy(), model.body_quat[part].copy()))
            if paintable:
                prefix = body_name.split(".")[0] + "." + body_name.split(".")[1] + "."
                prop.paint = model.material(f"{prefix}paint").id
                if key in phrases.PROCEDURAL:
                    prop.painted = np.array([g for g in geoms if model.geom_matid[g] == prop.paint], int)
                else:
                    prop.painted = geoms
                prop.own = model.geom_matid[prop.painted].copy()
            if key == "robot" or key.startswith("scenery:"):
                self.scenery[key] = prop
            else:
                self.props.append(prop)
        self._root_of = root_of
        self._material_rgba = model.mat_rgba.copy()
        self.by_key: dict[str, list[Prop]] = {}
        for prop in self.props:
            self.by_key.setdefault(prop.key, []).append(prop)

    def _show(self, prop: Prop, rotation: np.ndarray, position: np.ndarray) -> None:
        self.model.body_pos[prop.body] = position
        self.model.body_quat[prop.body] = matrix_quat(rotation)
        self.model.geom_group[prop.geoms] = 1

    def _place(self, prop: Prop, color: str | None, rng: np.random.Generator, at: np.ndarray, z_m: float) -> Placed:
        """Rest a prop at a point: upright or lying, turned anyhow about the vertical."""
        rotation = prop.upright
        names = phrases.naming(prop.key, color).names
        head = names[-1].split()[-1] if names else ""
        if prop.key in _HOPE_FLAT and prop.key not in ("bbq_sauce", "green_bbq_sauce"):
            if rng.random() < 0.35:
                rotation = axis_rotation((1, 0, 0) if rng.random() < 0.5 else (0, 1, 0), math.pi / 2) @ rotation
        elif rng.random() < _LYING_SHARE.get(head, 0.0):
            side = (1, 0, 0) if rng.random() < 0.5 else (0, 1, 0)
            rotation = axis_rotation(side, rng.choice([-1, 1]) * math.pi / 2) @ rotation
            if head in ("can", "bottle"):
                rotation = rotation @ axis_rotation(prop.upright.T @ np.array([0, 0, 1.0]), rng.uniform(0, 2 * math.pi))
        elif prop.key in phrases.PROCEDURAL and head in ("cube", "block", "box") and rng.random() < 0.2:
            rotation = axis_rotation((1, 0, 0), math.pi / 2) @ rotation
        rotation = axis_rotation((0, 0, 1), rng.uniform(0, 2 * math.pi)) @ rotation
        cloud = prop.points @ rotation.T
        low, high = cloud.min(0), cloud.max(0)
        centre = (low + high) / 2
        position = np.array([at[0] - centre[0], at[1] - centre[1], z_m - low[2]])
        flat = cloud[:, :2] + position[:2]
        # The tightest of a few oriented boxes around the footprint.
        best: np.ndarray | None = None
        best_area = np.inf
        for angle in np.linspace(0, math.pi / 2, 7)[:-1]:
            c, s = math.cos(angle), math.sin(angle)
            turn = np.array([[c, -s], [s, c]])
            turned = flat @ turn
            lo, hi = turned.min(0), turned.max(0)
            area = float(np.prod(hi - lo))
            if area < best_area:
                best_area = area
                best = np.array([[lo[0], lo[1]], [hi[0], lo[1]], [hi[0], hi[1]], [lo[0], hi[1]]]) @ turn.T
        assert best is not None
        return Placed(prop, color, rotation, position, best, z_m, z_m + float(high[2] - low[2]))

    def _pose_joints(self, prop: Prop, rng: np.random.Generator, openness: float) -> None:
        for joint, part, pos, quat in prop.joints:
            low, high = joint.limits
            value = rng.uniform(low, high) if rng.random() < openness else min(max(0.0, low), high)
            rotation = np.zeros(9)
            mujoco.mju_quat2Mat(rotation, quat)
            frame = rotation.reshape(3, 3)
            axis, anchor = np.array(joint.axis), np.array(joint.pos)
            if joint.kind == "slide":
                self.model.body_pos[part] = pos + frame @ axis * value
            else:
                turn = axis_rotation(axis, value)
                self.model.body_pos[part] = pos + frame @ (anchor - turn @ anchor)
                self.model.body_quat[part] = matrix_quat(frame @ turn)

    def _choose(self, rng: np.random.Generator) -> list[tuple[Prop, str | None]]:
        """What the scene holds: a theme of few kinds or a mixture, copies and near look-alikes included."""
        free = {key: list(props) for key, props in self.by_key.items()}
        out: list[tuple[Prop, str | None]] = []

        def take(key: str) -> None:
            if not free.get(key):
                return
            prop = free[key].pop(int(rng.integers(len(free[key]))))
            color: str | None = None
            if prop.paint >= 0 and (key in phrases.PROCEDURAL or rng.random() < 0.3):
                color = str(rng.choice(phrases.PAINTED_COLORS.get(key, phrases.COLORS)))
            out.append((prop, color))

        keys = [k for k in free if k not in LARGE]
        weights = np.array([_WEIGHTS.get(k, 0.5 if k in phrases.PROCEDURAL else 0.6) for k in keys])
        large = [k for k in free if k in LARGE]
        large_weights = np.array([_WEIGHTS.get(k, 0.5) for k in large])
        for key in rng.choice(large, int(rng.choice([0, 1, 1, 2, 2, 3])), replace=False, p=large_weights / large_weights.sum()):
            take(str(key))
        number = int(rng.integers(2, 12))
        for key in rng.choice(keys, number, p=weights / weights.sum()):
            take(str(key))
            if rng.random() < 0.2:
                take(str(key))
        return out

    def randomize(self, rng: np.random.Generator) -> list[Placed]:
        """Lay out a new scene; returns the named things in it."""
        model = self.model
        model.geom_group[:] = HIDDEN_GROUP
        model.geom_group[model.geom("floor").id] = 1
        model.mat_rgba[:] = self._material_rgba
        table_m = self._dress_room(rng)
        centre = rng.uniform(-0.15, 0.15, 2)
        spread = rng.uniform(0.16, 0.48)
        placed: list[Placed] = []
        chosen = self._choose(rng)
        for prop, color in chosen:
            host = None
            if prop.key not in LARGE and rng.random() < 0.33:
                hosts = [p for p in placed if p.prop.key in HOSTS and p.low_m == 0.0]
                host = hosts[int(rng.integers(len(hosts)))] if hosts else None
            if host is not None:
                share_z, share_xy = HOSTS[host.prop.key]
                middle = host.footprint.mean(0)
                half = (host.footprint - middle) * share_xy
                weight = rng.dirichlet([1.0, 1.0, 1.0, 1.0]) if share_z == 1.0 else np.full(4, 0.25)
                trial = self._place(prop, color, rng, middle + weight @ half * 0.8, host.high_m * share_z)
                size = np.ptp(trial.footprint, axis=0).max()
                room = np.linalg.norm(host.footprint[1] - host.footprint[0]), np.linalg.norm(host.footprint[2] - host.footprint[1])
                stacked = [p for p in placed if p.low_m > 0]
                if size < min(room) * share_xy * 1.5 and not any(footprints_overlap(trial.footprint, p.footprint) for p in stacked):
                    placed.append(trial)
                    continue
            for _ in range(12):
                at = centre + rng.uniform(-1, 1, 2) * spread * np.array([1.3, 1.0]) * (1.25 if prop.key in LARGE else 1.0)
                trial = self._place(prop, color, rng, at, 0.0)
                if np.abs(trial.footprint).max() > table_m:
                    continue
                if not any(footprints_overlap(trial.footprint, p.footprint) for p in placed):
                    placed.append(trial)
                    break
        for item in placed:
            prop = item.prop
            self._show(prop, item.rotation, item.position)
            self._pose_joints(prop, rng, 0.3)
            if len(prop.painted):
                if item.color is None:
                    model.geom_matid[prop.painted] = prop.own
                else:
                    model.geom_matid[prop.painted] = prop.paint
                    model.mat_rgba[prop.paint, :3] = sample_color(item.color, rng)
                    model.mat_specular[prop.paint] = rng.uniform(0, 0.8)
                    model.mat_shininess[prop.paint] = rng.uniform(0.1, 0.9)
        self._place_robot(rng)
        self._light(rng)
        return placed

    def _surface(self, rng: np.random.Generator, kind: str) -> int:
        material = self.model.material(f"surface.{kind}.{rng.integers(self._surface_count)}").id
        shade = rng.uniform(0.45, 1.0) * (1 + rng.normal(0, 0.07, 3))
        self.model.mat_rgba[material, :3] = shade.clip(0.1, 1)
        self.model.mat_texrepeat[material] = rng.uniform(0.5, 4) * np.ones(2)
        self.model.mat_reflectance[material] = 0.0
        self.model.mat_specular[material] = rng.uniform(0, 0.5)
        return material

    def _dress_room(self, rng: np.random.Generator) -> float:
        """Table, floor, walls and furniture; returns half the table's usable width, m."""
        model = self.model
        half = rng.uniform(0.55, 1.1)
        name = "table_round" if rng.random() < 0.25 else "table_box"
        geom = model.geom(name).id
        model.geom_group[geom] = 1
        thickness = rng.uniform(0.01, 0.04)
        tall = rng.uniform(0.3, 0.9)
        model.geom_size[geom] = (half, thickness, 0) if name == "table_round" else (half, half * rng.uniform(0.75, 1.3), thickness)
        if name == "table_round":
            half *= 0.72
        model.geom_pos[geom] = (0, 0, -thickness)
        model.geom_matid[geom] = self._surface(rng, "cube" if rng.random() < 0.7 else "2d")
        floor = model.geom("floor").id
        model.geom_pos[floor] = (0, 0, -tall if rng.random() < 0.9 else -2 * thickness - 0.001)
        model.geom_matid[floor] = self._surface(rng, "2d")
        wall_material = self._surface(rng, "2d")
        heading = rng.uniform(0, 2 * math.pi)
        for index in range(WALLS):
            geom = model.geom(f"wall{index}").id
            if rng.random() < 0.2:
                continue
            model.geom_group[geom] = 1
            angle = heading + index * math.pi / 2
            away = rng.uniform(1.3, 3.0)
            model.geom_pos[geom] = (away * math.cos(angle), away * math.sin(angle), 0.6)
            model.geom_quat[geom] = matrix_quat(axis_rotation((0, 0, 1), angle + math.pi / 2))
            model.geom_matid[geom] = wall_material
        for key, prop in self.scenery.items():
            if key == "robot" or rng.random() > 0.15:
                continue
            angle, away = rng.uniform(0, 2 * math.pi), rng.uniform(1.9, 2.8)
            rotation = axis_rotation((0, 0, 1), angle + rng.choice([0, math.pi / 2, math.pi, -math.pi / 2]))
            self._show(prop, rotation, np.array([away * math.cos(angle), away * math.sin(angle), -tall]))
        return half - 0.03

    def _place_robot(self, rng: np.random.Generator) -> None:
        if rng.random() > 0.4:
            return
        robot = self.scenery["robot"]
        angle, away = rng.uniform(0, 2 * math.pi), rng.uniform(0.45, 0.8)
        rotation = axis_rotation((0, 0, 1), angle + math.pi + rng.normal(0, 0.4))
        self._show(robot, rotation, np.array([away * math.cos(angle), away * math.sin(angle), rng.uniform(-0.1, 0.1)]))
        folded = np.array([0, -0.6, 0, -2.3, 0, 1.9, 0.8])
        for index, (joint, part, pos, quat) in enumerate(robot.joints):
            if index >= len(folded):
                continue
            frame = np.zeros(9)
            mujoco.mju_quat2Mat(frame, quat)
            value = float(np.clip(folded[index] + rng.normal(0, 0.35), *joint.limits))
            self.model.body_pos[part] = pos
            self.model.body_quat[part] = matrix_quat(frame.reshape(3, 3) @ axis_rotation(joint.axis, value))

    def _light(self, rng: np.random.Generator) -> None:
        model = self.model
        model.vis.headlight.ambient[:] = rng.uniform(0.15, 0.5)
        model.vis.headlight.diffuse[:] = rng.uniform(0.1, 0.6)
        model.vis.headlight.specular[:] = rng.uniform(0.0, 0.4)
        shadows = rng.random() < 0.25
        number = int(rng.integers(1, LIGHTS + 1))
        for index in range(LIGHTS):
            model.light_active[index] = index < number
            position = np.array([*rng.uniform(-2, 2, 2), rng.uniform(1.0, 3.0)])
            aim = np.array([*rng.uniform(-0.3, 0.3, 2), 0.0]) - position
            model.light_pos[index] = position
            model.light_dir[index] = aim / np.linalg.norm(aim)
            tint = 1 + rng.normal(0, 0.06, 3)
            model.light_diffuse[index] = (rng.uniform(0.25, 0.9) / number**0.5 * tint).clip(0, 1)
            model.light_specular[index] = rng.uniform(0, 0.5)
            model.light_castshadow[index] = bool(shadows and index == 0)

    def sample_camera(self, placed: list[Placed], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
        """A viewpoint around the table, never the benchmark's own.

        Returns:
            Rotation (3, 3) with columns right, up, back; position (3,), m; vertical field of view, deg.
        """
        while True:
            elevation = rng.uniform(16, 72)
            fovy = rng.uniform(32, 62)
            if abs(elevation - AVOIDED_VIEW_DEG[0]) > 1.0 or abs(fovy - AVOIDED_VIEW_DEG[1]) > 1.0:
                break
        middle = np.mean([p.footprint.mean(0) for p in placed], axis=0) if placed else np.zeros(2)
        target = np.array([*(middle + rng.normal(0, 0.1, 2)), rng.uniform(-0.02, 0.15)])
        # Farther for a narrow lens: things keep the size a workspace camera shows them at.
        away = rng.uniform(0.45, 1.45) * math.tan(math.radians(22.5)) / math.tan(math.radians(fovy / 2))
        azimuth = rng.uniform(0, 2 * math.pi)
        el = math.radians(elevation)
        back = np.array([math.cos(el) * math.cos(azimuth), math.cos(el) * math.sin(azimuth), math.sin(el)])
        right = np.cross([0, 0, 1.0], back)
        right /= np.linalg.norm(right)
        up = np.cross(back, right)
        rotation = np.stack([right, up, back], axis=1) @ axis_rotation((0, 0, 1), rng.normal(0, 0.035))
        return rotation, target + away * back, fovy
