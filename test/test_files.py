"""Image files to frames: units, shapes, and errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vlm_perception.files import load_frame, parse_camera, read_depth
from vlm_perception.types import ImageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    color_rgb = np.zeros((6, 8, 3), np.uint8)
    color_rgb[..., 0] = 200
    cv2.imwrite(str(tmp_path / "color.png"), color_rgb[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "depth.png"), np.full((6, 8), 1234, np.uint16))
    (tmp_path / "camera.json").write_text(json.dumps({"K": [10, 11, 4, 3], "depth_unit_m": 0.0001}))
    return tmp_path


def test_load_frame_units_and_channels(folder: Path) -> None:
    frame = load_frame(folder / "color.png", folder / "depth.png", folder / "camera.json")
    assert frame.color_rgb[0, 0].tolist() == [200, 0, 0]
    assert frame.depth_m is not None
    assert frame.depth_m[2, 2] == pytest.approx(0.1234)
    assert (frame.camera.fx, frame.camera.fy, frame.camera.cx, frame.camera.cy) == (10, 11, 4, 3)


def test_float_depth_is_metres(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.full((2, 2), 1.5, np.float32))
    assert read_depth(tmp_path / "d.npy", 0.001)[0, 0] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("K", "expected"),
    [([1, 2, 3, 4], (1, 2, 3, 4)), ([[5, 0, 6], [0, 7, 8], [0, 0, 1]], (5, 7, 6, 8))],
)
def test_parse_camera_forms(K: list[object], expected: tuple[float, ...]) -> None:
    camera = parse_camera({"K": K}, 4, 4)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == expected


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        ("{}", "needs 'K'"),
        ('{"K": [1, 2, 3]}', "3 numbers"),
        ('{"K": [0, 1, 1, 1]}', "positive"),
        ('{"K": [1, 1, 1, 1], "width": 640}', "640x6"),
        ("[1]", "list"),
        ("nonsense", "camera.json"),
    ],
)
def test_bad_camera_names_the_fault(folder: Path, camera: str, words: str) -> None:
    (folder / "camera.json").write_text(camera)
    with pytest.raises(ImageError, match="camera.json") as raised:
        load_frame(folder / "color.png", None, folder / "camera.json")
    assert words in str(raised.value)


def test_missing_and_wrong_images_are_named(folder: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png: no such file"):
        load_frame(folder / "nowhere.png", None, folder / "camera.json")
    with pytest.raises(ImageError, match=r"camera\.json: not an image"):
        load_frame(folder / "camera.json", None, folder / "camera.json")
    with pytest.raises(ImageError, match="one channel"):
        load_frame(folder / "color.png", folder / "color.png", folder / "camera.json")
