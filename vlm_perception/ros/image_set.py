"""One color + depth + camera_info set as it arrived, its age, and its way into an :class:`RgbdFrame`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vlm_perception.geometry.depth import match_depth_to_color
from vlm_perception.ros.compressed import compressed_color_to_rgb, compressed_depth_to_metres
from vlm_perception.ros.conversions import camera_info_to_intrinsics, color_to_rgb, depth_to_metres
from vlm_perception.types import CameraIntrinsics, ImageError, RgbdFrame

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time
    from numpy.typing import NDArray

# A stamp further from the node's clock than this is recorded or simulated, or the clocks are not synchronized:
# then only the time since reception says how old an image is.
COMPARABLE_LAG_S = 10.0

_T = TypeVar("_T")


def stamp_ns(stamp: Time) -> int:
    """Nanoseconds of a stamp."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def stamp_lag_s(now_ns: int, image_ns: int) -> float:
    """How old the image already was when it came; 0.0 where stamp and clock cannot be compared."""
    lag_s = (now_ns - image_ns) * 1e-9
    return lag_s if image_ns and 0.0 <= lag_s <= COMPARABLE_LAG_S else 0.0


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Messages of one instant.

    Attributes:
        depth: None when no depth came.
        received_s: monotonic clock at reception.
        lag_s: age at reception, from the stamp.
        note: what is to be said about this set, e.g. why it has no depth.
        camera: which of the node's cameras it is from; "" when the node has but one, or a caller brought it.
    """

    color: Image | CompressedImage
    depth: Image | CompressedImage | None
    info: CameraInfo
    received_s: float
    lag_s: float = 0.0
    note: str = ""
    camera: str = ""

    @property
    def stamp(self) -> Time:
        """The color image's."""
        return self.color.header.stamp

    @property
    def frame_id(self) -> str:
        """The color camera's optical frame."""
        return str(self.color.header.frame_id or self.info.header.frame_id).lstrip("/")

    def same_as(self, other: ImageSet | None) -> bool:
        """Whether it is made of the same messages."""
        return other is not None and self.color is other.color and self.depth is other.depth

    def age_s(self, now_s: float) -> float:
        """Age on the monotonic clock: since reception, plus what the stamp says it was old then."""
        return now_s - self.received_s + self.lag_s


def anything_new(images: Sequence[ImageSet], before: Sequence[ImageSet]) -> bool:
    """Whether a camera's set was not there before."""
    return any(not any(one.same_as(other) for other in before) for one in images)


def to_frame(images: ImageSet, *, rectified: bool) -> tuple[RgbdFrame, str]:
    """Convert a set; what is wrong with its depth is told in words and the depth left out.

    Returns:
        The frame, and what is to be said about it ("" when all is well).

    Raises:
        ImageError: the color image or the calibration cannot be used.
    """
    color_rgb = _converted(images.color, color_to_rgb, compressed_color_to_rgb, "color image")
    height, width = color_rgb.shape[:2]
    camera = _fitted(camera_info_to_intrinsics(images.info, rectified=rectified), width, height)
    depth_m: NDArray[np.float32] | None = None
    note = images.note
    if images.depth is not None:
        try:
            depth_m = _converted(images.depth, depth_to_metres, compressed_depth_to_metres, "depth image")
            if depth_m.shape != (height, width):
                size = f"{depth_m.shape[1]}x{depth_m.shape[0]}"
                depth_m = match_depth_to_color(depth_m, (height, width))
                note = f"Depth is {size} and color {width}x{height}: depth was resized to color."
        except ImageError as error:
            depth_m, note = None, f"The depth image was not used: {error}."
    frame = RgbdFrame(
        color_rgb, depth_m, camera, stamp_ns=stamp_ns(images.stamp), frame_id=images.frame_id
    )
    return frame, note


def _converted(msg: Any, raw: Callable[[Any], _T], compressed: Callable[[Any], _T], what: str) -> _T:
    try:
        return compressed(msg) if isinstance(msg, CompressedImage) else raw(msg)
    except ImageError as error:
        raise ImageError(f"{what}: {error}") from error


def _fitted(camera: CameraIntrinsics, width: int, height: int) -> CameraIntrinsics:
    """Intrinsics at the image's size: a driver that scales its images may keep the sensor's calibration."""
    if (camera.width, camera.height) == (width, height):
        return camera
    if camera.width == 0 or camera.height == 0:
        return replace(camera, width=width, height=height)
    if camera.width * height != camera.height * width:
        raise ImageError(
            f"camera_info is for {camera.width}x{camera.height} and the color image is {width}x{height}, which is"
            " not the same shape: color/camera_info must belong to color/image_raw"
        )
    scale = width / camera.width
    return replace(
        camera,
        width=width,
        height=height,
        fx=camera.fx * scale,
        fy=camera.fy * scale,
        cx=(camera.cx + 0.5) * scale - 0.5,
        cy=(camera.cy + 0.5) * scale - 0.5,
    )
