"""What the node does around the pipeline for each frame, as calls that a benchmark times."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from vlm_perception.msg import GroundingResult
from vlm_perception.ros.conversions import (
    camera_info_to_intrinsics,
    color_to_rgb,
    depth_to_image,
    depth_to_metres,
    intrinsics_to_camera_info,
    rgb_to_image,
)
from vlm_perception.ros.markers import to_markers
from vlm_perception.ros.messages import (
    to_debug_image,
    to_detections,
    to_label_image,
    to_label_info,
    to_points,
    to_result,
    to_target_pose,
)
from vlm_perception.types import Answer, RgbdFrame


def node_calls(frame: RgbdFrame, answer: Answer) -> Mapping[str, Callable[[], object]]:
    """The work on messages for a frame and its answer; sending them is the middleware's.

    Args:
        frame: with depth.
        answer: on that frame.

    Returns:
        ``conversions`` (a bgr8 image, 16UC1 depth and camera_info to arrays), ``messages`` (what is always published
        about an answer), and what is made only while someone listens: ``viewers`` (markers, label image, cloud) and
        ``drawing`` (the overlay).
    """
    if frame.depth_m is None:
        raise ValueError("the frame has no depth, so there is nothing to convert")
    header = Header(frame_id=frame.frame_id)
    color = rgb_to_image(np.ascontiguousarray(frame.color_rgb[:, :, ::-1]), header)
    color.encoding = "bgr8"
    depth = depth_to_image(frame.depth_m, "16UC1", header)
    info = intrinsics_to_camera_info(frame.camera, header)
    T_target_camera = np.eye(4)
    size = (frame.camera.width, frame.camera.height)

    def conversions() -> object:
        return color_to_rgb(color), depth_to_metres(depth), camera_info_to_intrinsics(info)

    def messages() -> tuple[GroundingResult, object, object, object]:
        result = to_result(
            answer, stamp=Time(), frame_id=frame.frame_id, T_target_camera=T_target_camera, request_id="1",
            model="oracle", object_ids={}, input_age_s=0.0, image_size=size,
        )  # fmt: skip
        return result, to_target_pose(result), to_detections(result), to_label_info(answer, header)

    result = messages()[0]

    def viewers() -> object:
        return (
            to_markers(result, set()),
            to_label_image(answer, header, image_size=size),
            to_points(answer, frame.color_rgb, header, T_target_camera),
        )

    return {
        "conversions": conversions,
        "messages": messages,
        "viewers": viewers,
        "drawing": lambda: to_debug_image(frame, answer, header),
    }
