"""Answers -> ROS messages: results, vision_msgs detections, label images, point clouds, poses, overlays.

Answers speak in the camera's optical frame; messages in the target frame. Objects move there as rigid bodies:
positions and axes turn, lengths stay lengths along the box's own axes, covariances turn with the axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Vector3
from sensor_msgs.msg import Image, PointCloud2, RegionOfInterest
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, LabelInfo, ObjectHypothesisWithPose, VisionClass

from vlm_perception.draw import draw_answer
from vlm_perception.geometry.transforms import matrix_to_quaternion, rotate_covariance, transform_points
from vlm_perception.msg import GroundedObject, GroundingResult, StageLatency
from vlm_perception.ros.conversions import label_to_image, mask_to_image, rgb_to_image
from vlm_perception.ros.pointcloud import to_cloud
from vlm_perception.types import Answer, BoolMask, BoxXyxy, FloatArray, Grounding, RgbdFrame, Status

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_result(
    answer: Answer,
    *,
    stamp: Time,
    frame_id: str,
    T_target_camera: FloatArray,
    request_id: str,
    model: str,
    object_ids: Mapping[int, str],
    input_age_s: float,
    image_size: tuple[int, int] | None = None,
) -> GroundingResult:
    """Put an answer into its message, in the target frame.

    Args:
        answer: in the camera's optical frame.
        stamp: the image's time.
        frame_id: the target frame.
        T_target_camera: (4, 4) rigid, optical frame to target frame.
        request_id: unique per command.
        model: the model that answered.
        object_ids: instance id -> id that is stable across frames; a missing one falls back to the instance id.
        input_age_s: age of the images now.
        image_size: (width, height) of the color image, to which boxes are clipped; None: that of the masks.
    """
    size = image_size if image_size is not None else _image_size(answer)

    def convert(grounding: Grounding) -> GroundedObject:
        return _grounded_object(grounding, T_target_camera, object_ids, size)

    result = failure_result(
        answer.status, answer.message, command=answer.command, request_id=request_id, stamp=stamp,
        frame_id=frame_id, model=model,
    )  # fmt: skip
    result.targets = [convert(grounding) for grounding in answer.groundings]
    result.runner_ups = [convert(grounding) for grounding in answer.runner_ups]
    result.answer = answer.answer
    result.count = -1 if answer.count is None else int(answer.count)
    result.input_age_s = float(input_age_s)
    result.latency = [StageLatency(stage=stage, ms=float(ms)) for stage, ms in answer.latency_ms.items()]
    return result


def failure_result(
    status: Status,
    message: str,
    *,
    command: str,
    request_id: str,
    stamp: Time | None = None,
    frame_id: str = "",
    model: str = "",
) -> GroundingResult:
    """A result without objects; ``message`` says why and what to do about it."""
    result = GroundingResult()
    result.header = Header(stamp=stamp if stamp is not None else Time(), frame_id=frame_id)
    result.request_id = request_id
    result.command = command
    result.status = int(status)
    result.message = message
    result.count = -1
    result.model = model
    return result


def to_detections(result: GroundingResult) -> Detection3DArray:
    """The result's objects that have a pose, for tools that speak vision_msgs.

    ``class_id`` is the model's label; the pose with its covariance is the oriented box's centre.
    """
    detections = Detection3DArray(header=result.header)
    for found in result.targets:
        if not found.has_pose:
            continue
        hypothesis = ObjectHypothesisWithPose(pose=found.pose)
        hypothesis.hypothesis.class_id = found.label or found.phrase
        hypothesis.hypothesis.score = float(found.score)
        detection = Detection3D(header=result.header, results=[hypothesis], id=found.id)
        detection.bbox.center = found.pose.pose
        detection.bbox.size = found.size
        detections.detections.append(detection)
    return detections


def to_label_image(answer: Answer, header: Header, *, image_size: tuple[int, int] | None = None) -> Image:
    """Instance ids of everything that was found, 16UC1, 0 = none.

    Where masks overlap the smaller one is on top: what lies on a plate is not hidden by the plate.

    Args:
        answer: its objects' masks are drawn.
        header: of the color image (its optical frame).
        image_size: (width, height); needed only where no object has a mask, else the masks' size.
    """
    width, height = _image_size(answer) or image_size or (0, 0)
    labels = np.zeros((height, width), dtype=np.uint16)
    masks = [(found.instance_id, found.mask) for found in answer.objects if found.mask is not None]
    for instance_id, mask in sorted(masks, key=lambda entry: -np.count_nonzero(entry[1])):
        np.copyto(labels, instance_id, where=mask)
    return label_to_image(labels, header)


def to_label_info(answer: Answer, header: Header) -> LabelInfo:
    """What the ids in the label image of the same header are."""
    classes = [
        VisionClass(class_id=found.instance_id, class_name=found.label)
        for found in answer.objects
        if found.mask is not None
    ]
    return LabelInfo(header=header, class_map=classes)


def to_points(answer: Answer, color_rgb: NDArray[np.uint8], header: Header, T_target_camera: FloatArray) -> PointCloud2:
    """The visible surface points of every target, colored.

    Args:
        answer: in the optical frame.
        color_rgb: (H, W, 3) uint8, the image the points' pixels index.
        header: the image's stamp and the target frame.
        T_target_camera: (4, 4) rigid, optical frame to target frame.

    Returns:
        See :func:`vlm_perception.ros.pointcloud.to_cloud`; empty when no target has depth.
    """
    shapes = [target.object.geometry for target in answer.targets if target.object.geometry is not None]
    points_m = np.concatenate([np.empty((0, 3)), *(shape.points_m for shape in shapes)])
    u, v = np.concatenate([np.empty((0, 2), np.int64), *(shape.pixels_uv for shape in shapes)]).T
    return to_cloud(transform_points(T_target_camera, points_m), color_rgb[v, u], header)


def to_target_pose(result: GroundingResult) -> PoseStamped | None:
    """The best target's pose; None unless the command succeeded with a target in 3-D."""
    if result.status != GroundingResult.SUCCEEDED:
        return None
    for found in result.targets:
        if found.role == GroundedObject.ROLE_TARGET and found.has_pose:
            return PoseStamped(header=result.header, pose=found.pose.pose)
    return None


def to_debug_image(frame: RgbdFrame, answer: Answer, header: Header) -> Image:
    """The overlay of :func:`vlm_perception.draw.draw_answer` as rgb8."""
    return rgb_to_image(draw_answer(frame, answer), header)


# --------------------------------------------------------------------------- one object


def _grounded_object(
    grounding: Grounding,
    T_target_camera: FloatArray,
    object_ids: Mapping[int, str],
    image_size: tuple[int, int] | None,
) -> GroundedObject:
    source = grounding.object
    found = GroundedObject()
    found.id = object_ids.get(source.instance_id, str(source.instance_id))
    found.instance_id = source.instance_id if source.mask is not None else 0
    found.role = grounding.role.value
    found.phrase = grounding.phrase
    found.label = source.label
    found.score = min(1.0, max(0.0, float(grounding.score)))
    found.score_calibrated = bool(source.calibrated)
    found.box = _region(source.box_xyxy, image_size)
    if source.mask is not None:
        found.mask = _cropped(source.mask, found.box)
    found.valid_depth_fraction = float(source.valid_depth_fraction)
    geometry = source.geometry
    if geometry is not None:
        R = T_target_camera[:3, :3]
        center, surface_point, surface_centroid = transform_points(
            T_target_camera,
            np.stack([geometry.center_m, geometry.surface_point_m, geometry.surface_centroid_m]),
        )
        found.has_pose = True
        found.pose.pose = _pose(center, R @ geometry.R_camera_object)
        found.pose.covariance = rotate_covariance(geometry.covariance, R).ravel()
        found.size = _vector(geometry.size_m)
        found.surface_point = _point(surface_point)
        found.surface_centroid = _point(surface_centroid)
        found.num_points = geometry.num_points
        found.valid_depth_fraction = float(geometry.valid_depth_fraction)
    if grounding.place is not None:
        T_target_place = T_target_camera @ grounding.place.T_camera_place
        found.has_place = True
        found.place_pose = _pose(T_target_place[:3, 3], T_target_place[:3, :3])
        found.place_size = _vector(grounding.place.size_m)
        found.place_clearance = float(grounding.place.clearance_m)
    return found


def _image_size(answer: Answer) -> tuple[int, int] | None:
    groundings = (*answer.groundings, *answer.runner_ups)
    for found in (*answer.objects, *(grounding.object for grounding in groundings)):
        if found.mask is not None:
            return found.mask.shape[1], found.mask.shape[0]
    return None


def _region(box_xyxy: BoxXyxy, image_size: tuple[int, int] | None) -> RegionOfInterest:
    """Whole pixels that the box touches, inside the image."""
    width, height = image_size if image_size is not None else (2**31, 2**31)
    x_min = min(max(0, math.floor(box_xyxy[0])), width)
    y_min = min(max(0, math.floor(box_xyxy[1])), height)
    x_max = max(x_min, min(width, math.ceil(box_xyxy[2])))
    y_max = max(y_min, min(height, math.ceil(box_xyxy[3])))
    return RegionOfInterest(x_offset=x_min, y_offset=y_min, width=x_max - x_min, height=y_max - y_min)


def _cropped(mask: BoolMask, box: RegionOfInterest) -> Image:
    rows = slice(box.y_offset, box.y_offset + box.height)
    columns = slice(box.x_offset, box.x_offset + box.width)
    return mask_to_image(mask[rows, columns], Header())


def _pose(position_m: FloatArray, R: FloatArray) -> Pose:
    x, y, z, w = (float(value) for value in matrix_to_quaternion(R))
    return Pose(position=_point(position_m), orientation=Quaternion(x=x, y=y, z=z, w=w))


def _point(xyz_m: FloatArray) -> Point:
    x, y, z = (float(value) for value in xyz_m)
    return Point(x=x, y=y, z=z)


def _vector(xyz_m: FloatArray) -> Vector3:
    x, y, z = (float(value) for value in xyz_m)
    return Vector3(x=x, y=y, z=z)
