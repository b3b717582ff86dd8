"""Procedural objects: solids of revolution and small assemblies, painted in one color."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np

from training.assets import Fragment

SEGMENTS = 28

# Profiles are (radius, height) in units of the object's height or radius, outside up, then inside down.
_PROFILES: dict[str, tuple[tuple[float, float], ...]] = {
    "plain_cup": ((0, 0), (0.30, 0), (0.42, 1), (0.38, 1), (0.27, 0.06), (0, 0.06)),
    "plain_mug": ((0, 0), (0.38, 0), (0.42, 0.06), (0.42, 1), (0.37, 1), (0.37, 0.08), (0, 0.08)),
    "plain_bowl": ((0, 0), (0.45, 0), (0.8, 0.3), (1.1, 1), (1.03, 1), (0.74, 0.34), (0.42, 0.1), (0, 0.1)),
    "plain_plate": ((0, 0), (3.0, 0), (4.6, 0.9), (4.6, 1.05), (3.0, 0.25), (0, 0.2)),
    "plain_bottle": ((0, 0), (0.16, 0), (0.17, 0.55), (0.15, 0.66), (0.06, 0.78), (0.055, 1), (0, 1)),
    "plain_vase": ((0, 0), (0.2, 0), (0.33, 0.35), (0.28, 0.6), (0.13, 0.82), (0.2, 1), (0.17, 1), (0.1, 0.82), (0, 0.8)),
    "cone": ((0, 0), (0.45, 0), (0, 1)),
    "apple": ((0, 0.1), (0.25, 0), (0.46, 0.2), (0.54, 0.55), (0.42, 0.9), (0.2, 1), (0, 0.86)),
}
_HEIGHTS_M: dict[str, tuple[float, float]] = {
    "plain_cup": (0.07, 0.13),
    "plain_mug": (0.08, 0.12),
    "plain_bowl": (0.04, 0.075),
    "plain_plate": (0.014, 0.026),
    "plain_bottle": (0.15, 0.24),
    "plain_vase": (0.12, 0.22),
    "cone": (0.05, 0.12),
    "apple": (0.06, 0.085),
}


def revolve(profile: np.ndarray, segments: int = SEGMENTS) -> tuple[np.ndarray, np.ndarray]:
    """Solid of revolution about z.

    Args:
        profile: (P, 2) radius and height, m.
        segments: Steps around the axis.

    Returns:
        (V, 3) vertices, m, and (F, 3) triangles.
    """
    angle = np.linspace(0, 2 * math.pi, segments, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices = np.concatenate([np.column_stack([r * ring, np.full(segments, z)]) for r, z in profile])
    faces = []
    for row in range(len(profile) - 1):
        for k in range(segments):
            a, b = row * segments + k, row * segments + (k + 1) % segments
            c, d = a + segments, b + segments
            if profile[row, 0] > 0:
                faces.append((a, b, d))
            if profile[row + 1, 0] > 0:
                faces.append((a, d, c))
    return vertices, np.array(faces)


def _mesh(name: str, vertices: np.ndarray, faces: np.ndarray) -> ET.Element:
    return ET.Element(
        "mesh",
        {
            "name": name,
            "vertex": " ".join(f"{v:.5f}" for v in vertices.ravel()),
            "face": " ".join(str(f) for f in faces.ravel()),
            "inertia": "shell",
        },
    )


def make_primitive(key: str, prefix: str, rng: np.random.Generator) -> Fragment:
    """One object of random size; geoms named `<prefix>paint*` take its color.

    Args:
        key: One of `phrases.PROCEDURAL`.
        prefix: Put before every name.
        rng: Source of sizes.
    """
    assets: list[ET.Element] = []
    body = ET.Element("body", {"name": f"{prefix}body"})
    count = 0

    def geom(kind: str, size: list[float], pos: list[float] = [0, 0, 0], rgba: str = "", **more: str) -> None:  # noqa: B006
        nonlocal count
        count += 1
        attributes = {
            "name": f"{prefix}{'fixed' if rgba else 'paint'}{count}",
            "type": kind,
            "size": " ".join(f"{s:.5f}" for s in size),
            "pos": " ".join(f"{p:.5f}" for p in pos),
            "group": "1",
            "contype": "0",
            "conaffinity": "0",
            "mass": "0.01",
            **more,
        }
        if not size:
            del attributes["size"]
        if "fromto" in more:
            del attributes["pos"]
        if rgba:
            attributes["rgba"] = rgba
        else:
            attributes["material"] = f"{prefix}paint"
        ET.SubElement(body, "geom", attributes)

    def fromto(*ends: float) -> str:
        return " ".join(f"{e:.5f}" for e in ends)

    if key in _PROFILES:
        height_m = rng.uniform(*_HEIGHTS_M[key])
        widen = rng.uniform(0.85, 1.2)
        profile = np.array(_PROFILES[key]) * height_m * [widen, 1.0]
        if key == "plain_mug" and rng.random() < 0.4:
            profile[1:3, 0] *= 0.8
        assets.append(_mesh(f"{prefix}mesh", *revolve(profile)))
        geom("mesh", [], mesh=f"{prefix}mesh")
        if key == "plain_mug":
            radius, r_m = height_m * 0.30, float(profile[3, 0])
            for k in range(6):
                a, b = (math.pi * (j / 6 - 0.5) for j in (k, k + 1))
                ends = [(r_m + radius * 0.85 * math.cos(t), 0.0, height_m * 0.52 + radius * math.sin(t)) for t in (a, b)]
                geom("capsule", [height_m * 0.055], fromto=fromto(*ends[0], *ends[1]))
        elif key == "apple":
            geom("capsule", [0.0025], rgba="0.3 0.2 0.1 1", fromto=fromto(0, 0, height_m * 0.86, 0.004, 0, height_m * 1.15))
        elif key == "plain_bottle" and rng.random() < 0.6:
            geom("cylinder", [height_m * 0.062, height_m * 0.03], [0, 0, height_m], rgba="0.9 0.9 0.9 1")
    elif key == "cube":
        geom("box", [rng.uniform(0.015, 0.04)] * 3)
    elif key == "ball":
        geom("sphere", [rng.uniform(0.018, 0.05)])
    elif key == "cylinder":
        geom("cylinder", [rng.uniform(0.015, 0.04), rng.uniform(0.015, 0.06)])
    elif key == "plain_box":
        geom("box", sorted(rng.uniform(0.015, 0.09, 3), reverse=True))
    elif key == "ring":
        radius, thickness = rng.uniform(0.03, 0.055), rng.uniform(0.007, 0.014)
        for k in range(14):
            a, b = (2 * math.pi * j / 14 for j in (k, k + 1))
            ends = [radius * math.cos(a), radius * math.sin(a), 0, radius * math.cos(b), radius * math.sin(b), 0]
            geom("capsule", [thickness], fromto=fromto(*ends))
    elif key == "banana":
        bend, thickness = rng.uniform(0.09, 0.12), rng.uniform(0.014, 0.019)
        angles = np.linspace(-0.75, 0.75, 8)
        for k in range(7):
            ends = [bend * math.sin(angles[k]), bend * math.cos(angles[k]), 0]
            ends += [bend * math.sin(angles[k + 1]), bend * math.cos(angles[k + 1]), 0]
            geom("capsule", [thickness * (1 - 0.09 * abs(k - 3))], fromto=fromto(*ends))
        geom("capsule", [0.005], rgba="0.25 0.2 0.1 1", fromto=fromto(*ends[3:], ends[3] + 0.015, ends[4] - 0.015, 0))
    elif key == "hammer":
        length = rng.uniform(0.2, 0.28)
        wood = rng.random() < 0.5
        geom("capsule", [0.012], fromto=fromto(-length / 2, 0, 0, length / 2, 0, 0), rgba="" if not wood else "0.6 0.42 0.22 1")
        if wood:
            geom("cylinder", [0.0135, 0.02], [-length / 2 + 0.02, 0, 0], quat="0.7071 0 0.7071 0")
        geom("box", [0.014, 0.045, 0.014], [length / 2, 0, 0], rgba="0.3 0.3 0.32 1")
        geom("cylinder", [0.017, 0.012], [length / 2, 0.05, 0], rgba="0.35 0.35 0.37 1", quat="0.7071 0.7071 0 0")
    elif key == "laptop":
        w, d = rng.uniform(0.12, 0.16), rng.uniform(0.085, 0.11)
        tilt = rng.uniform(0.1, 0.5)
        geom("box", [w, d, 0.007], [0, 0, 0])
        geom("box", [w * 0.86, d * 0.42, 0.001], [0, d * 0.3, 0.0075], rgba="0.12 0.12 0.13 1")
        quat = f"{math.cos((math.pi / 2 + tilt) / 2):.4f} {math.sin((math.pi / 2 + tilt) / 2):.4f} 0 0"
        up, back = d * math.cos(tilt), d * math.sin(tilt)
        geom("box", [w, d, 0.004], [0, d + back, up], quat=quat)
        shade = rng.choice(["0.05 0.06 0.09 1", "0.2 0.35 0.6 1", "0.75 0.8 0.85 1"])
        geom("box", [w * 0.93, d * 0.9, 0.001], [0, d + back - 0.005 * math.cos(tilt), up + 0.005 * math.sin(tilt)], rgba=shade, quat=quat)
    elif key == "pen":
        length = rng.uniform(0.12, 0.16)
        geom("cylinder", [0.006, length / 2], quat="0.7071 0 0.7071 0")
        geom("capsule", [0.003], rgba="0.15 0.15 0.15 1", fromto=fromto(length / 2, 0, 0, length / 2 + 0.012, 0, 0))
    else:
        raise ValueError(f"no primitive called {key!r}: one of {sorted(_PROFILES)} or a solid was expected")
    return Fragment(assets, body)
