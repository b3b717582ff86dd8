"""Result messages as JSON and as a table for a terminal."""

from __future__ import annotations

from typing import Any

from vlm_perception.msg import GroundedObject, GroundingResult
from vlm_perception.summary import text_table
from vlm_perception.types import Status


def status_name(result: GroundingResult) -> str:
    """The status in words; an unknown number (from a newer node) as that number."""
    return Status(result.status).name if result.status in set(Status) else f"status {result.status}"


def result_to_dict(result: GroundingResult) -> dict[str, Any]:
    """A result as plain JSON types; metres in ``frame``, boxes in pixels (xyxy). Masks are left out."""
    stamp = result.header.stamp
    return {
        "request_id": result.request_id,
        "command": result.command,
        "status": status_name(result),
        "message": result.message,
        "frame": result.header.frame_id,
        "stamp": stamp.sec + stamp.nanosec * 1e-9,
        "targets": [_object_to_dict(found) for found in result.targets],
        "runner_ups": [_object_to_dict(found) for found in result.runner_ups],
        "answer": result.answer,
        "count": None if result.count < 0 else result.count,
        "model": result.model,
        "input_age_s": round(result.input_age_s, 4),
        "latency_ms": {entry.stage: round(entry.ms, 2) for entry in result.latency},
    }


def result_table(result: GroundingResult) -> str:
    """What was heard, what was decided and where things are."""
    lines = [f"heard   {result.command}", f"status  {status_name(result)}: {result.message}"]
    if result.answer:
        lines.append(f"answer  {result.answer}")
    rows = [_row(found.role, found) for found in result.targets]
    rows += [_row("runner-up", found) for found in result.runner_ups]
    if rows:
        header = ["role", "phrase", "id", "score", "box px", f"position m in {result.header.frame_id}", "size cm"]
        lines += ["", text_table(header, rows)]
    stages = "  ".join(f"{entry.stage} {entry.ms:.0f}" for entry in result.latency)
    return "\n".join([*lines, "", f"ms      {stages}"] if stages else lines)


def _row(role: str, found: GroundedObject) -> list[str]:
    pose = found.place_pose if found.has_place else found.pose.pose
    located = found.has_place or found.has_pose
    size = found.size
    return [
        role,
        found.phrase,
        found.id,
        f"{found.score:.2f}",
        " ".join(str(value) for value in _box_xyxy(found)),
        " ".join(f"{value:+.3f}" for value in _xyz(pose.position)) if located else "-",
        " x ".join(f"{100 * value:.1f}" for value in _xyz(size)) if found.has_pose else "-",
    ]


def _object_to_dict(found: GroundedObject) -> dict[str, Any]:
    data: dict[str, Any] = {
        "id": found.id,
        "role": found.role,
        "phrase": found.phrase,
        "label": found.label,
        "score": round(found.score, 4),
        "score_calibrated": found.score_calibrated,
        "instance_id": found.instance_id,
        "box_xyxy": _box_xyxy(found),
        "valid_depth_fraction": round(found.valid_depth_fraction, 4),
        "pose": None,
        "place": None,
    }
    if found.has_pose:
        data["pose"] = {
            **_pose_to_dict(found.pose.pose),
            "size_m": _rounded(found.size),
            "surface_point_m": _rounded(found.surface_point),
            "surface_centroid_m": _rounded(found.surface_centroid),
            "covariance": [float(value) for value in found.pose.covariance],
            "num_points": found.num_points,
        }
    if found.has_place:
        data["place"] = {
            **_pose_to_dict(found.place_pose),
            "size_m": _rounded(found.place_size),
            "clearance_m": round(found.place_clearance, 4),
        }
    return data


def _pose_to_dict(pose: Any) -> dict[str, list[float]]:
    q = pose.orientation
    return {
        "position_m": _rounded(pose.position),
        "quaternion_xyzw": [round(value, 5) for value in (q.x, q.y, q.z, q.w)],
    }


def _box_xyxy(found: GroundedObject) -> list[int]:
    box = found.box
    return [box.x_offset, box.y_offset, box.x_offset + box.width, box.y_offset + box.height]


def _xyz(message: Any) -> tuple[float, float, float]:
    return message.x, message.y, message.z


def _rounded(message: Any) -> list[float]:
    return [round(value, 5) for value in _xyz(message)]
