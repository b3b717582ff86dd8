"""Answers as JSON and as small text tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_perception.geometry.transforms import quaternion_xyzw
from vlm_perception.types import Answer, FloatArray, Grounding


def _floats(values: FloatArray | Sequence[float], digits: int = 5) -> list[float]:
    return [round(float(value), digits) for value in values]


def grounding_to_dict(grounding: Grounding) -> dict[str, Any]:
    """One grounding as plain JSON types; metres and the optical frame, boxes in pixels (xyxy)."""
    scene_object = grounding.object
    geometry = scene_object.geometry
    data: dict[str, Any] = {
        "role": grounding.role.value,
        "phrase": grounding.phrase,
        "label": scene_object.label,
        "score": round(grounding.score, 4),
        "score_calibrated": scene_object.calibrated,
        "instance_id": scene_object.instance_id,
        "box_xyxy": _floats(scene_object.box_xyxy, 1),
        "mask_pixels": int(scene_object.mask.sum()) if scene_object.mask is not None else 0,
        "valid_depth_fraction": round(scene_object.valid_depth_fraction, 4),
        "pose": None,
        "place": None,
    }
    if geometry is not None:
        data["pose"] = {
            "position_m": _floats(geometry.center_m),
            "quaternion_xyzw": _floats(quaternion_xyzw(geometry.R_camera_object)),
            "size_m": _floats(geometry.size_m),
            "surface_point_m": _floats(geometry.surface_point_m),
            "surface_centroid_m": _floats(geometry.surface_centroid_m),
            "covariance": [_floats(row, 9) for row in geometry.covariance],
            "num_points": geometry.num_points,
        }
    if grounding.place is not None:
        T = grounding.place.T_camera_place
        data["place"] = {
            "position_m": _floats(T[:3, 3]),
            "quaternion_xyzw": _floats(quaternion_xyzw(T[:3, :3])),
            "size_m": _floats(grounding.place.size_m),
            "clearance_m": round(grounding.place.clearance_m, 4),
        }
    return data


def answer_to_dict(answer: Answer, frame_id: str) -> dict[str, Any]:
    """A whole answer as plain JSON types."""
    return {
        "command": answer.command,
        "status": answer.status.name,
        "message": answer.message,
        "frame": frame_id,
        "groundings": [grounding_to_dict(grounding) for grounding in answer.groundings],
        "runner_ups": [grounding_to_dict(grounding) for grounding in answer.runner_ups],
        "count": answer.count,
        "answer": answer.answer,
        "verdict": answer.verdict,
        "problems": list(answer.extra.get("problems", ())),
        "latency_ms": {stage: round(ms, 2) for stage, ms in answer.latency_ms.items()},
    }


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns under a rule, for a terminal."""
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in [header, ["-" * width for width in widths], *rows]]  # fmt: skip
    return "\n".join(lines)


def answer_table(answer: Answer, frame_id: str) -> str:
    """What was heard, what was decided and where things are, for a terminal."""
    rows = []
    for grounding in (*answer.groundings, *answer.runner_ups):
        geometry = grounding.object.geometry
        position = geometry.center_m if geometry is not None else None
        if grounding.place is not None:
            position = grounding.place.T_camera_place[:3, 3]
        rows.append(
            [
                grounding.role.value if grounding in answer.groundings else "runner-up",
                grounding.phrase,
                f"{grounding.score:.2f}",
                " ".join(f"{value:.0f}" for value in grounding.object.box_xyxy),
                "-" if position is None else " ".join(f"{value:+.3f}" for value in position),
                "-" if geometry is None else " x ".join(f"{value * 100:.1f}" for value in geometry.size_m),
            ]
        )
    lines = [f"heard   {answer.command}", f"status  {answer.status.name}: {answer.message}"]
    if answer.answer:
        lines.append(f"answer  {answer.answer}")
    lines += [f"problem {problem}" for problem in answer.extra.get("problems", ())]
    if rows:
        header = ["role", "phrase", "score", "box px", f"position m in {frame_id}", "size cm"]
        lines += ["", text_table(header, rows)]
    stages = "  ".join(f"{stage} {ms:.0f}" for stage, ms in answer.latency_ms.items())
    return "\n".join([*lines, "", f"ms      {stages}"])
