"""What the player can play: recorded RGB-D, one synchronized set of messages after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from vlm_perception.evaluation.dataset import DatasetFrame, load_rgbd_rec
from vlm_perception.geometry.transforms import matrix_to_quaternion
from vlm_perception.resources import asset_path
from vlm_perception.ros.conversions import depth_to_image, intrinsics_to_camera_info, rgb_to_image
from vlm_perception.types import FloatArray, VlmPerceptionError

BUNDLED_RECORDING = asset_path("recordings", "libero_90")
_BAG_SUFFIXES = (".mcap", ".db3")
_CACHED_FRAMES = 8  # decoding PNGs anew at every turn of a short loop would cost a third of a core


class PlayerError(VlmPerceptionError):
    """A recording cannot be played; the message names it and the way out."""


@dataclass(frozen=True, eq=False)
class PlayedFrame:
    """One synchronized set, stamped as it was recorded (stamp 0: the recording has no times).

    Attributes:
        name: for log lines.
        depth: None when the recording has no depth.
        transforms: of the frames that move, as they were at this time.
    """

    name: str
    color: Image
    depth: Image | None
    camera_info: CameraInfo
    transforms: tuple[TransformStamped, ...] = ()


class Source(Protocol):
    """A recording.

    Attributes:
        description: what it is, for the log.
        static_transforms: those that hold for all of it.
        has_stamps: whether its frames carry the times they were recorded at.
        moves: whether ``PlayedFrame.transforms`` change from frame to frame.
    """

    description: str
    static_transforms: tuple[TransformStamped, ...]
    has_stamps: bool
    moves: bool

    def frames(self, frame: str = "") -> Iterator[PlayedFrame]:
        """One pass over the recording.

        Args:
            frame: only this one (its name, or its number from 0); "": all.

        Raises:
            PlayerError: there is no such frame, or nothing to play.
        """


class FolderSource:
    """An rgbd-rec/1 folder."""

    has_stamps = False

    def __init__(self, folder: Path, *, world_frame: str, camera_frame: str) -> None:
        """Read the folder's tables; images are read when they are played.

        Args:
            folder: in the format rgbd-rec/1.
            world_frame: TF name of the recording's world.
            camera_frame: TF name of its camera's optical frame.

        Raises:
            DatasetError: the folder is no rgbd-rec/1.
            PlayerError: it has no frames.
        """
        dataset = load_rgbd_rec(folder)
        if not dataset.frames:
            raise PlayerError(f"{folder} has no frames to play")
        self._frames = dataset.frames
        self._world_frame = world_frame
        self._camera_frame = camera_frame
        self._folder = folder
        self._message_set = lru_cache(maxsize=_CACHED_FRAMES)(self._load)
        self.description = f"{folder} (rgbd-rec/1, {len(dataset.frames)} frames)"
        self.static_transforms: tuple[TransformStamped, ...] = ()
        poses = [entry.T_world_camera for entry in dataset.frames]
        self.moves = any(not _same(pose, poses[0]) for pose in poses)

    def frames(self, frame: str = "") -> Iterator[PlayedFrame]:
        """See :meth:`Source.frames`."""
        names = [entry.frame_id for entry in self._frames]
        chosen = range(len(names)) if not frame else [_index_of(frame, names, str(self._folder))]
        for index in chosen:
            yield self._message_set(index)

    def _load(self, index: int) -> PlayedFrame:
        recorded: DatasetFrame = self._frames[index]
        images = recorded.load(frame_id=self._camera_frame)
        header = Header(frame_id=self._camera_frame)
        transforms = ()
        if recorded.T_world_camera is not None:
            transforms = (_transform(recorded.T_world_camera, self._world_frame, self._camera_frame),)
        return PlayedFrame(
            name=recorded.frame_id,
            color=rgb_to_image(images.color_rgb, header),
            depth=None if images.depth_m is None else depth_to_image(images.depth_m, "16UC1", header),
            camera_info=intrinsics_to_camera_info(images.camera, header),
            transforms=transforms,
        )


def open_source(
    path: str, *, world_frame: str, camera_frame: str, topics: Sequence[str] = ("", "", ""), slop_s: float = 0.02
) -> Source:
    """Open whatever is at a path.

    Args:
        path: an rgbd-rec/1 folder, a rosbag2 folder, an ``.mcap`` or ``.db3`` file; "" for the bundled recording.
        world_frame: for folders: TF name of the recording's world.
        camera_frame: for folders: TF name of the camera's optical frame.
        topics: for bags: color, depth and camera_info topics; "" finds them by their types.
        slop_s: for bags: largest difference between the stamps of color and depth.

    Raises:
        PlayerError: there is nothing there that can be played.
        DatasetError: an rgbd-rec/1 folder is broken.
    """
    root = Path(path).expanduser() if path else BUNDLED_RECORDING
    if not root.exists():
        raise PlayerError(f"{root} does not exist: give an rgbd-rec/1 folder, a rosbag2 folder or an .mcap file")
    if (root / "metadata.yaml").is_file() or (root.is_file() and root.suffix in _BAG_SUFFIXES):
        from vlm_perception.ros.player_bag import BagSource  # noqa: PLC0415 -- needs rosbags, which is optional

        return BagSource(root, topics=topics, slop_s=slop_s)
    if (root / "meta.json").is_file():
        return FolderSource(root, world_frame=world_frame, camera_frame=camera_frame)
    kind = "folder with neither meta.json (rgbd-rec/1) nor metadata.yaml (rosbag2)"
    if root.is_file():
        kind = f"file of type {root.suffix or 'unknown'!r}, not .mcap or .db3"
    raise PlayerError(f"{root} cannot be played: it is a {kind}")


def _index_of(frame: str, names: Sequence[str], where: str) -> int:
    if frame in names:
        return names.index(frame)
    if frame.isdecimal() and int(frame) < len(names):
        return int(frame)
    raise PlayerError(
        f"{where} has no frame {frame!r}: give a number from 0 to {len(names) - 1}, or one of {', '.join(names[:8])}"
        + (" ..." if len(names) > 8 else "")
    )


def _same(a: FloatArray | None, b: FloatArray | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.array_equal(a, b))


def _transform(T_parent_child: FloatArray, parent: str, child: str) -> TransformStamped:
    transform = TransformStamped(child_frame_id=child)
    transform.header.frame_id = parent
    translation, rotation = transform.transform.translation, transform.transform.rotation
    translation.x, translation.y, translation.z = (float(value) for value in T_parent_child[:3, 3])
    quaternion = matrix_to_quaternion(np.asarray(T_parent_child)[:3, :3])
    rotation.x, rotation.y, rotation.z, rotation.w = (float(value) for value in quaternion)
    return transform
