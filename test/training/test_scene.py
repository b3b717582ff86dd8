"""Geometry of the scene generator."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

pytest.importorskip("mujoco")

from training import phrases
from training.primitives import make_primitive, revolve
from training.scene import axis_rotation, footprints_overlap, sample_color

SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def test_footprints() -> None:
    assert footprints_overlap(SQUARE, SQUARE + 1.9)
    assert not footprints_overlap(SQUARE, SQUARE + np.array([2.1, 0.0]))
    turned = SQUARE @ np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)
    assert not footprints_overlap(SQUARE, turned + 2.0)
    assert footprints_overlap(SQUARE, turned + np.array([2.3, 0.0]))


def test_a_revolved_solid_is_closed() -> None:
    vertices, faces = revolve(np.array([[0, 0], [1, 0], [1, 2], [0, 2]], float))
    corners = vertices[faces]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(2 * np.pi, rel=0.02)


@pytest.mark.parametrize("key", sorted(phrases.PROCEDURAL))
def test_every_primitive_can_be_made_and_painted(key: str) -> None:
    fragment = make_primitive(key, "x.", np.random.default_rng(0))
    painted = [g for g in fragment.body.iter("geom") if g.get("material") == "x.paint"]
    assert painted


@pytest.mark.parametrize("color", phrases.COLORS)
def test_shades_stay_near_their_name(color: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        rgb = sample_color(color, rng)
        assert ((rgb >= 0) & (rgb <= 1)).all()
        hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
        if color == "green":
            assert 0.2 < hue < 0.5
        if color == "blue":
            assert 0.5 < hue < 0.7
        if color == "white":
            assert value > 0.85
            assert saturation < 0.1
        if color == "black":
            assert value < 0.15


def test_axis_rotation_is_right_handed() -> None:
    turned = axis_rotation((0, 0, 1), np.pi / 2) @ [1.0, 0.0, 0.0]
    assert turned == pytest.approx([0.0, 1.0, 0.0], abs=1e-9)
