"""Overlays that a person looks at: masks, boxes, names, and the oriented boxes' edges."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.geometry.camera import project
from vlm_perception.models.base import Heatmap
from vlm_perception.types import Answer, BoolMask, CameraIntrinsics, Grounding, ObjectGeometry, RgbdFrame, Role, Status

_RGB = tuple[int, int, int]
ROLE_COLORS: dict[Role, _RGB] = {
    Role.TARGET: (46, 204, 64),
    Role.DESTINATION: (0, 116, 217),
    Role.ANCHOR: (255, 165, 0),
}
_RUNNER_UP: _RGB = (170, 170, 170)
_AXES: tuple[_RGB, _RGB, _RGB] = ((230, 50, 50), (50, 200, 50), (60, 90, 255))
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]


def box_corners(geometry: ObjectGeometry) -> NDArray[np.float64]:
    """The oriented box's (8, 3) corners, metres, optical frame; corner k has the signs of k's bits."""
    signs = np.array([[(k >> axis & 1) * 2 - 1 for axis in range(3)] for k in range(8)], dtype=np.float64)
    corners: NDArray[np.float64] = (
        geometry.center_m + (signs * geometry.size_m / 2.0) @ geometry.R_camera_object.T
    )
    return corners


def _pixels(points_m: NDArray[np.float64], camera: CameraIntrinsics) -> list[tuple[int, int]] | None:
    if (points_m[:, 2] <= 0.02).any():
        return None  # behind or on the camera: projecting would draw nonsense
    uv = np.clip(project(points_m, camera), -1e4, 1e4)
    return [(round(float(u)), round(float(v))) for u, v in uv]


def _text(image: NDArray[np.uint8], text: str, at: tuple[int, int], color: _RGB, scale: float) -> None:
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = int(np.clip(at[0], 0, max(0, image.shape[1] - width)))
    y = int(np.clip(at[1], height + baseline, image.shape[0] - 1))
    cv2.rectangle(image, (x, y - height - baseline), (x + width, y), (20, 20, 20), -1)
    cv2.putText(
        image, text, (x, y - baseline // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA
    )


def _draw_geometry(image: NDArray[np.uint8], geometry: ObjectGeometry, camera: CameraIntrinsics) -> None:
    corners = _pixels(box_corners(geometry), camera)
    if corners is None:
        return
    for a, b in _EDGES:
        cv2.line(image, corners[a], corners[b], (255, 255, 255), 1, cv2.LINE_AA)
    length = max(0.03, float(geometry.size_m.max()) * 0.6)
    tips = geometry.center_m + length * geometry.R_camera_object.T
    axes = _pixels(np.vstack([geometry.center_m, tips]), camera)
    if axes is not None:
        for tip, color in zip(axes[1:], _AXES, strict=True):
            cv2.arrowedLine(image, axes[0], tip, color, 2, cv2.LINE_AA, tipLength=0.2)


def _tint(image: NDArray[np.uint8], mask: BoolMask, color: _RGB) -> None:
    u, v, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    if not width:
        return
    window = slice(v, v + height), slice(u, u + width)
    table = (0.55 * np.arange(256)[:, None] + 0.45 * np.array(color)).astype(np.uint8)
    inside = np.ascontiguousarray(mask[window])
    image[window] = np.where(inside[:, :, None], cv2.LUT(image[window], table[None]), image[window])


def _draw_grounding(
    image: NDArray[np.uint8], grounding: Grounding, color: _RGB, camera: CameraIntrinsics, scale: float
) -> None:
    scene_object = grounding.object
    if scene_object.mask is not None:
        _tint(image, scene_object.mask, color)
    x_min, y_min, x_max, y_max = (round(float(value)) for value in scene_object.box_xyxy)
    cv2.rectangle(image, (x_min, y_min), (x_max - 1, y_max - 1), color, 2)
    if scene_object.geometry is not None and grounding.role is not Role.ANCHOR:
        _draw_geometry(image, scene_object.geometry, camera)
    name = grounding.phrase or scene_object.label
    _text(image, f"{grounding.role.value}: {name} {grounding.score:.2f}", (x_min, y_min - 2), color, scale)


def draw_answer(frame: RgbdFrame, answer: Answer) -> NDArray[np.uint8]:
    """Draw an answer over its color image.

    Args:
        frame: the frame the answer was computed on.
        answer: in that frame's optical frame.

    Returns:
        (H, W, 3) uint8 RGB: runner-ups grey, anchors orange, destinations blue, targets green with oriented
        box and axes (x red, y green, z blue), a line with the command and the status at the bottom,
        and the words of the answer at the top.
    """
    image = np.ascontiguousarray(frame.color_rgb).copy()
    scale = max(0.4, frame.color_rgb.shape[1] / 1400)
    for runner_up in answer.runner_ups:
        x_min, y_min, x_max, y_max = (round(float(value)) for value in runner_up.object.box_xyxy)
        cv2.rectangle(image, (x_min, y_min), (x_max - 1, y_max - 1), _RUNNER_UP, 1)
        _text(image, f"{runner_up.phrase} {runner_up.score:.2f}", (x_min, y_min - 2), _RUNNER_UP, scale)
    order = {Role.ANCHOR: 0, Role.DESTINATION: 1, Role.TARGET: 2}
    for grounding in sorted(answer.groundings, key=lambda g: order[g.role]):
        _draw_grounding(image, grounding, ROLE_COLORS[grounding.role], frame.camera, scale)
        if grounding.place is not None:
            spot = _pixels(grounding.place.T_camera_place[None, :3, 3], frame.camera)
            if spot is not None:
                cv2.drawMarker(image, spot[0], ROLE_COLORS[Role.DESTINATION], cv2.MARKER_TILTED_CROSS, 18, 3)
    good = answer.status is Status.SUCCEEDED
    # The Hershey fonts hold ASCII only.
    caption = f"{answer.command[:90]}  [{answer.status.name}]".encode("ascii", "replace").decode()
    _text(image, caption, (0, image.shape[0] - 1), (255, 255, 255) if good else (255, 120, 120), scale * 1.1)
    if answer.answer:
        words = " ".join(answer.answer.split())[:110].encode("ascii", "replace").decode()
        _text(image, words, (0, 0), (255, 255, 255), scale)
    return image


def draw_heatmap(color_rgb: NDArray[np.uint8], heatmap: Heatmap, phrase: str) -> NDArray[np.uint8]:
    """Draw where a model looked for a phrase.

    Args:
        color_rgb: (H, W, 3) uint8.
        heatmap: (H, W) in [0, 1], of :meth:`vlm_perception.models.base.HeatmapModel.heatmap`.
        phrase: named in the picture, with the highest value.

    Returns:
        (H, W, 3) uint8 RGB: the image in grey, under colors from blue (least) to red (most) that are the more
        opaque the nearer a value is to the highest. Since values compare within one model only, the scale is the
        picture's own; the number says what its top is.
    """
    top = float(heatmap.max(initial=0.0))
    share = heatmap / top if top > 0 else np.zeros_like(heatmap)
    levels = np.clip(np.round(share * 255.0), 0, 255).astype(np.uint8)
    colors = cv2.applyColorMap(levels, cv2.COLORMAP_JET)[:, :, ::-1].astype(np.float32)
    grey = color_rgb.mean(axis=-1, keepdims=True, dtype=np.float32)
    opacity = 0.75 * np.sqrt(share)[:, :, None]
    image = np.ascontiguousarray(((1.0 - opacity) * grey + opacity * colors).astype(np.uint8))
    scale = max(0.4, color_rgb.shape[1] / 1400)
    words = f"{phrase[:90]}  [max {top:.2f}]".encode("ascii", "replace").decode()
    _text(image, words, (0, image.shape[0] - 1), (255, 255, 255), scale * 1.1)
    return image
