"""Where the weight-free mask stage fails: masks in true boxes of rendered scenes, by kind of trouble and of depth.

    MUJOCO_GL=osmesa python -m training.generate data/masks --frames 300 --seed 950 --masks --depth --exact-depth
    python -m training.mask_study data/masks [--sheets DIR] [--depth sensor ...] [--limit 100]

Depth is `exact`, `sensor` (noise, holes at steps), `holes` (the same, and dark, bright and shiny things have lost
60 % of theirs) or `none`. The pose error is that of the surface's centroid, localized from the mask and that depth,
against the exact depth under the true mask.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.mask_groups import GROUPS, Mask, groups_of, lose_depth
from vlm_perception.evaluation.metrics import mask_iou
from vlm_perception.geometry.localize import localize
from vlm_perception.models.base import Segmenter
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.types import CameraIntrinsics

DEPTHS: Final = ("exact", "sensor", "holes", "none")
# Of a thing's box; as in training, where less is neither asked for nor missed.
MIN_SHOWN = 0.25


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame of the study: picture (H, W, 3) RGB, instance numbers (H, W), depths in m, things and their groups."""

    name: str
    color_rgb: NDArray[np.uint8]
    ids: NDArray[np.uint8]
    depth_m: dict[str, NDArray[np.float32] | None]
    camera: CameraIntrinsics
    things: list[dict[str, Any]]
    groups: list[tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Case:
    """One mask: how well it fits, and how far off the centroid is (NaN without depth, inf where there is no pose)."""

    scene: str
    thing: dict[str, Any]
    groups: tuple[str, ...]
    iou: float
    off_m: float
    mask: Mask = field(repr=False)


def scenes(folder: Path, limit: int | None = None, only: frozenset[str] | None = None) -> Iterator[Scene]:
    """The frames of a folder that `training.generate --masks --depth --exact-depth` wrote.

    Args:
        folder: of chunks.
        limit: how many, evenly spread; None for all.
        only: names of those to read, `00003/017`; None for all.

    Raises:
        SystemExit: there are none, or they lack masks or depth.
    """
    rows = [
        _row(path, line) for path in sorted(folder.glob("*/labels.jsonl")) for line in path.read_text().splitlines()
    ]
    if not rows or "exact_depth_unit_m" not in rows[0] or "depth_unit_m" not in rows[0]:
        raise SystemExit(
            f"{folder}: no scenes with depth; make them with training.generate --masks --depth --exact-depth"
        )
    step = max(1, len(rows) // limit) if limit else 1
    for number, row in list(enumerate(rows))[::step][:limit]:
        if only is None or _name(row) in only:
            yield _read(row, number)


def _row(path: Path, line: str) -> dict[str, Any]:
    row = json.loads(line)
    return {**row, "image": str(path.parent / row["image"])}


def _name(row: dict[str, Any]) -> str:
    image = Path(row["image"])
    return f"{image.parent.name}/{image.stem}"


def _read(row: dict[str, Any], number: int) -> Scene:
    stem = Path(row["image"]).with_suffix("")
    color = cv2.cvtColor(cv2.imread(row["image"]), cv2.COLOR_BGR2RGB)
    ids = cv2.imread(f"{stem}.png", cv2.IMREAD_UNCHANGED)
    if ids is None:
        raise SystemExit(f"{stem}.png is missing: generate the scenes with --masks")
    exact, sensor = (
        cv2.imread(f"{stem}.{name}.png", cv2.IMREAD_UNCHANGED).astype(np.float32) * row[unit]
        for name, unit in (("exact", "exact_depth_unit_m"), ("depth", "depth_unit_m"))
    )
    lab = cv2.cvtColor(color, cv2.COLOR_RGB2LAB).astype(np.float32)
    things = [o for o in row["objects"] if o["shown"] >= MIN_SHOWN]
    groups = [groups_of(o, row["objects"], ids, lab) for o in things]
    masks = [ids == o["number"] for o in things]
    holes = lose_depth(sensor, list(zip(masks, groups, strict=True)), np.random.default_rng([number, 3]))
    f, width, height = row["focal_px"], row["width"], row["height"]
    camera = CameraIntrinsics(width, height, f, f, width / 2 - 0.5, height / 2 - 0.5)
    depths = {"exact": exact, "sensor": sensor, "holes": holes, "none": None}
    return Scene(_name(row), color, ids, depths, camera, things, groups)


def cases(scene: Scene, depth: str, segmenter: Segmenter) -> tuple[list[Case], float]:
    """The masks of one frame in the true boxes, and the CPU seconds they took."""
    depth_m = scene.depth_m[depth]
    begin = time.process_time()
    proposals = segmenter.segment(scene.color_rgb, [tuple(o["box"]) for o in scene.things], depth_m=depth_m)
    spent = time.process_time() - begin
    out = []
    for thing, groups, proposal in zip(scene.things, scene.groups, proposals, strict=True):
        truth = scene.ids == thing["number"]
        off_m = np.nan if depth_m is None else _off_m(proposal.mask, depth_m, truth, scene)
        out.append(Case(scene.name, thing, groups, mask_iou(proposal.mask, truth), off_m, proposal.mask))
    return out, spent


def _off_m(mask: Mask, depth_m: NDArray[np.float32], truth: Mask, scene: Scene) -> float:
    found = localize(mask, depth_m, scene.camera).geometry
    exact = scene.depth_m["exact"]
    rows, columns = np.nonzero(truth)
    z = exact[rows, columns]  # type: ignore[index]
    x, y = ((pixel - c) * z / scene.camera.fx for pixel, c in ((columns, scene.camera.cx), (rows, scene.camera.cy)))
    centroid = np.array([x.mean(), y.mean(), z.mean()])
    return float(np.linalg.norm(found.surface_centroid_m - centroid)) if found is not None else np.inf


def table(found: dict[str, list[Case]]) -> str:
    """Markdown: a line a group, for each kind of depth mean IoU / share under 0.6 / median and 90 % error, cm."""
    names = list(found)
    lines = ["| group | things | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for group in (*GROUPS, "all"):
        picked = {name: [c for c in found[name] if group == "all" or group in c.groups] for name in names}
        count = len(picked[names[0]])
        if count:
            lines.append(f"| {group} | {count} | " + " | ".join(_cell(picked[name]) for name in names) + " |")
    return "\n".join(lines)


def _cell(found: list[Case]) -> str:
    iou, off_m = np.array([c.iou for c in found]), np.array([c.off_m for c in found])
    told = f"{iou.mean():.3f} / {(iou < 0.6).mean():.1%}"
    if np.isnan(off_m).all():
        return told
    # "higher": no number between a distance and "no pose".
    median, most = np.quantile(off_m, [0.5, 0.9], method="higher") * 100
    return f"{told} / {median:.1f} {most:.1f}"


def main() -> None:
    """Command line: print the table; write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--depth", nargs="+", choices=DEPTHS, default=list(DEPTHS))
    parser.add_argument("--limit", type=int, help="how many frames, evenly spread; default all")
    parser.add_argument("--sheets", type=Path, help="write a picture of the worst masks of each group here")
    args = parser.parse_args()
    found: dict[str, list[Case]] = {depth: [] for depth in args.depth}
    seconds = dict.fromkeys(args.depth, 0.0)
    segmenter = DepthGrabCut()
    for scene in scenes(args.folder, args.limit):
        for depth in args.depth:
            got, spent = cases(scene, depth, segmenter)
            found[depth] += got
            seconds[depth] += spent
    print("A cell: mean IoU / share of things under 0.6 / error of the centroid, cm: median, 90 %.\n")
    print(table(found))
    print(
        "\nCPU time a mask: " + ", ".join(f"{d} {1e3 * seconds[d] / max(1, len(found[d])):.1f} ms" for d in args.depth)
    )
    if args.sheets is not None:
        from training.mask_sheets import write_sheets

        write_sheets(args.folder, found, args.sheets)


if __name__ == "__main__":
    main()
