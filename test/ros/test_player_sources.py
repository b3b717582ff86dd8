"""Folders become messages, and what cannot be played is said."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from vlm_perception.evaluation.dataset import DatasetError, load_rgbd_rec
from vlm_perception.geometry.transforms import quaternion_to_matrix
from vlm_perception.ros.player_sources import BUNDLED_RECORDING, PlayerError, Source, open_source


def opened(path: str | Path = "") -> Source:
    return open_source(str(path), world_frame="world", camera_frame="cam")


def write_folder(folder: Path, poses: list[list[list[float]] | None]) -> Path:
    """A small rgbd-rec/1 with these camera poses, one frame each."""
    lines = []
    for number, pose in enumerate(poses):
        images = folder / "frames" / f"f{number}"
        images.mkdir(parents=True)
        cv2.imwrite(str(images / "color.png"), np.full((6, 8, 3), (3, 2, 1 + number), np.uint8))
        cv2.imwrite(str(images / "depth.png"), np.full((6, 8), 250 + number, np.uint16))
        cv2.imwrite(str(images / "instances.png"), np.zeros((6, 8), np.uint16))
        lines.append({
            "frame_id": f"f{number}", "width": 8, "height": 6, "K": [50.0, 51.0, 4.0, 3.0],
            "T_world_camera": pose, "depth_unit_m": 0.002, "language": "", "instances": [],
        })  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "frames.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "expressions.jsonl").write_text("")
    (folder / "meta.json").write_text(json.dumps({"format": "rgbd-rec/1", "frames": len(lines), "expressions": 0}))
    return folder


IDENTITY = np.eye(4).tolist()
RAISED = [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1]]


def test_messages_of_a_folder(tmp_path: Path) -> None:
    source = opened(write_folder(tmp_path / "rec", [RAISED, RAISED]))
    first, second = source.frames()
    assert (first.name, first.color.header.frame_id, first.color.encoding) == ("f0", "cam", "rgb8")
    assert [list(frame.color.data[:3]) for frame in (first, second)] == [[1, 2, 3], [2, 2, 3]]
    # 250 counts of 2 mm are 500 mm, whatever the file's unit.
    assert (first.depth.encoding, np.frombuffer(first.depth.data, "<u2")[0]) == ("16UC1", 500)
    assert (first.camera_info.width, first.camera_info.height) == (8, 6)
    assert (first.camera_info.k[0], first.camera_info.k[4]) == (50.0, 51.0)
    (transform,) = first.transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("world", "cam")
    assert transform.transform.translation.z == 0.5
    assert not source.moves and not source.has_stamps


def test_a_pose_that_changes_is_known_to_move(tmp_path: Path) -> None:
    assert opened(write_folder(tmp_path / "a", [IDENTITY, RAISED])).moves
    assert opened(write_folder(tmp_path / "b", [IDENTITY, None])).moves
    assert not opened(write_folder(tmp_path / "c", [None, None])).moves


def test_a_frame_without_pose_has_no_transform(tmp_path: Path) -> None:
    (frame,) = opened(write_folder(tmp_path / "rec", [None])).frames()
    assert frame.transforms == ()


def test_frames_by_name_and_number(tmp_path: Path) -> None:
    source = opened(write_folder(tmp_path / "rec", [IDENTITY, RAISED]))
    assert [frame.name for frame in source.frames("f1")] == ["f1"]
    assert [frame.name for frame in source.frames("0")] == ["f0"]
    for wrong in ("2", "f7", "-1"):
        with pytest.raises(PlayerError, match=f"no frame '{wrong}'.*0 to 1.*f0, f1"):
            list(source.frames(wrong))


def test_the_bundled_recording_is_played_by_default() -> None:
    source, dataset = opened(), load_rgbd_rec(BUNDLED_RECORDING)
    frames = {frame.name: frame for frame in source.frames()}
    assert set(frames) == {frame.frame_id for frame in dataset.frames}
    for recorded in dataset.frames:
        rotation = frames[recorded.frame_id].transforms[0].transform.rotation
        R = quaternion_to_matrix(np.array([rotation.x, rotation.y, rotation.z, rotation.w]))
        assert recorded.T_world_camera is not None
        assert pytest.approx(recorded.T_world_camera[:3, :3], abs=1e-5) == R


def test_what_cannot_be_played_is_said(tmp_path: Path) -> None:
    with pytest.raises(PlayerError, match="nowhere does not exist"):
        opened(tmp_path / "nowhere")
    with pytest.raises(PlayerError, match="neither meta.json"):
        opened(tmp_path)
    (tmp_path / "video.mp4").write_bytes(b"")
    with pytest.raises(PlayerError, match="video.mp4 cannot be played.*'.mp4'"):
        opened(tmp_path / "video.mp4")
    with pytest.raises(PlayerError, match="no frames"):
        opened(write_folder(tmp_path / "empty", []))
    broken = write_folder(tmp_path / "broken", [IDENTITY])
    (broken / "meta.json").write_text('{"format": "rgbd-rec/9"}')
    with pytest.raises(DatasetError, match="rgbd-rec/9"):
        opened(broken)
