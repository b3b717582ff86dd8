"""Contact sheets of masks: truth in green, what was cut in red, the box in white."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.mask_groups import GROUPS
from training.mask_study import Case, Scene, scenes

CELL_PX = 150
PAGE_SCALE = 0.75
_DEPTH_RANGE_M = 0.35


def write_sheets(folder: Path, found: dict[str, list[Case]], out: Path, each: int = 12) -> None:
    """`out/DEPTH-GROUP.png`: the worst masks of each group, worst first, no scene twice; `DEPTH.jpg`: four of each."""
    out.mkdir(parents=True, exist_ok=True)
    picked: dict[str, list[tuple[Case, str]]] = {}
    for depth, all_cases in found.items():
        for group in GROUPS:
            worst: dict[str, Case] = {}
            for case in sorted((c for c in all_cases if group in c.groups), key=lambda c: c.iou):
                worst.setdefault(case.scene, case)
            if worst:
                picked[f"{depth}-{group.replace(' ', '_')}"] = [(case, depth) for case in list(worst.values())[:each]]
    wanted = frozenset(case.scene for sheet in picked.values() for case, _ in sheet)
    by_name = {scene.name: scene for scene in scenes(folder, only=wanted)}
    rows: dict[str, list[NDArray[np.uint8]]] = {depth: [] for depth in found}
    for name, sheet in picked.items():
        cells = [cell(by_name[case.scene], case, depth) for case, depth in sheet]
        cv2.imwrite(str(out / f"{name}.png"), grid(cells)[..., ::-1])
        rows[sheet[0][1]] += [_heading(name.split("-", 1)[1].replace("_", " "), 8 * CELL_PX), grid(cells[:4])]
    for depth, stack in rows.items():
        page = cv2.resize(np.vstack(stack), None, fx=PAGE_SCALE, fy=PAGE_SCALE, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(out / f"{depth}.jpg"), page[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 72])


def cell(scene: Scene, case: Case, depth: str) -> NDArray[np.uint8]:
    """(CELL_PX, 2 CELL_PX, 3) RGB: the picture with both outlines, and the depth (near is bright, none is blue)."""
    x0, y0, x1, y1 = case.thing["box"]
    side = 1.5 * max(x1 - x0, y1 - y0, 16)
    scale = CELL_PX / side
    shift = np.array([(x0 + x1) / 2 - side / 2, (y0 + y1) / 2 - side / 2])
    warp = np.array([[scale, 0, -shift[0] * scale], [0, scale, -shift[1] * scale]])
    size = (CELL_PX, CELL_PX)
    picture = cv2.warpAffine(scene.color_rgb, warp, size, flags=cv2.INTER_LINEAR)
    depth_m = scene.depth_m[depth]
    shown = np.zeros((CELL_PX, CELL_PX, 3), np.uint8)
    if depth_m is not None:
        z = cv2.warpAffine(depth_m, warp, size, flags=cv2.INTER_NEAREST)
        lost = z <= 0
        middle = np.median(z[~lost]) if (~lost).any() else 1.0
        gray = np.clip(127 - 127 * (z - middle) / (_DEPTH_RANGE_M / 2), 0, 255)
        shown = np.where(lost[..., None], (40, 40, 160), gray[..., None]).astype(np.uint8)
    truth = scene.ids == case.thing["number"]
    for image in (picture, shown):
        for mask, color in ((truth, (0, 230, 0)), (case.mask, (240, 20, 20))):
            large = cv2.warpAffine(mask.astype(np.uint8), warp, size, flags=cv2.INTER_NEAREST)
            outlines, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(image, outlines, -1, color, 1)
        corners = (np.array([[x0, y0], [x1, y1]]) - shift) * scale
        cv2.rectangle(image, *(tuple(int(v) for v in corner) for corner in corners), (255, 255, 255), 1)
    name = f"{case.iou:.2f} {case.thing['key']}"
    cv2.putText(picture, name, (3, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 2)
    cv2.putText(picture, name, (3, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (255, 255, 255), 1)
    return np.hstack((picture, shown))


def _heading(text: str, width: int) -> NDArray[np.uint8]:
    line = np.full((18, width, 3), 255, np.uint8)
    return cv2.putText(line, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)


def grid(cells: list[NDArray[np.uint8]], columns: int = 4) -> NDArray[np.uint8]:
    """Cells of one size, row by row; what is left over is black."""
    blank = np.zeros_like(cells[0])
    rows = [cells[k : k + columns] for k in range(0, len(cells), columns)]
    return np.vstack([np.hstack(row + [blank] * (columns - len(row))) for row in rows])
