"""Record frames of LIBERO-90 tasks as an `rgbd-rec/1` dataset (the demo's recording).

    MUJOCO_GL=osmesa python -m training.record_libero OUT --tasks 18 30 36 52 71 86
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.labels import LIBERO_LABELS, plural

os.environ.setdefault("MUJOCO_GL", "osmesa")

WIDTH, HEIGHT, CAMERA, DEPTH_UNIT_M = 640, 480, "agentview", 0.001
MARGIN_M = 0.06
ABSENT = ("the hammer", "the banana", "the laptop", "the stapler", "the toothbrush", "the green apple")
ABSENT_KNOWN = (
    "the red bowl",
    "the wine bottle",
    "the desk caddy",
    "the green mug",
    "the milk carton",
    "the ketchup bottle",
)


def labels_of(name: str) -> list[str]:
    """Labels of a simulator instance name such as `akita_black_bowl_1`."""
    return list(LIBERO_LABELS.get(re.sub(r"_\d+$", "", name), ()))


def surface_centroid_m(mask: np.ndarray, depth_m: np.ndarray, K: tuple[float, ...]) -> list[float]:
    """Mean visible surface point of a mask.

    Args:
        mask: (H, W) bool.
        depth_m: (H, W) depth along Z, m; zero is no depth.
        K: fx, fy, cx, cy in px.

    Returns:
        x, y, z in the camera's optical frame, m.
    """
    v, u = np.nonzero(mask & (depth_m > 0))
    z = depth_m[v, u]
    fx, fy, cx, cy = K
    return [round(float(c.mean()), 4) for c in ((u - cx) * z / fx, (v - cy) * z / fy, z)]


def record_task(
    bddl: Path, state: np.ndarray, settle_steps: int = 60
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Render one task from an initial state, after a short settling time.

    Args:
        bddl: Task file.
        state: Flattened simulator state, one of the suite's own.
        settle_steps: Idle control steps before the picture is taken.

    Returns:
        The frame record without its id, and the images `color`, `depth`, `instances`.
    """
    from libero.libero.envs import OffScreenRenderEnv
    from robosuite.utils.camera_utils import (
        get_camera_extrinsic_matrix,
        get_camera_intrinsic_matrix,
        get_real_depth_map,
    )

    env = OffScreenRenderEnv(
        bddl_file_name=str(bddl),
        camera_heights=HEIGHT,
        camera_widths=WIDTH,
        camera_depths=True,
        camera_segmentations="instance",
        camera_names=[CAMERA],
    )
    try:
        env.reset()
        env.set_init_state(state)
        idle = [0.0] * 6 + [-1.0]
        for _ in range(settle_steps):
            obs = env.step(idle)[0]
        color = np.ascontiguousarray(obs[f"{CAMERA}_image"][::-1])
        depth_m = get_real_depth_map(env.sim, obs[f"{CAMERA}_depth"])[::-1].squeeze()
        ids = obs[f"{CAMERA}_segmentation_instance"][::-1].squeeze().astype(np.int64)
        matrix = get_camera_intrinsic_matrix(env.sim, CAMERA, HEIGHT, WIDTH)
        K = (float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2]))
        T_world_camera = get_camera_extrinsic_matrix(env.sim, CAMERA)
        names = list(env.env.model.instances_to_ids)
        bodies = {name: env.env.obj_body_id.get(name) for name in names}
        depth = np.round(depth_m / DEPTH_UNIT_M).clip(0, 65535).astype(np.uint16)
        T_camera_world = np.linalg.inv(T_world_camera)
        instances, image = [], np.zeros((HEIGHT, WIDTH), np.uint16)
        for index, name in enumerate(names):
            # robosuite numbers instances from 0 and moves everything by one in the picture: 0 is "none".
            mask = ids == index + 1
            if not mask.any():
                continue
            image[mask] = index + 1
            v, u = np.nonzero(mask)
            record = {
                "id": index + 1,
                "name": name,
                "box": [int(u.min()), int(v.min()), int(u.max()) + 1, int(v.max()) + 1],
                "pixels": int(mask.sum()),
                "visible_centroid_m": surface_centroid_m(mask, depth * DEPTH_UNIT_M, K),
            }
            if bodies[name] is not None:
                position = T_camera_world @ np.append(env.sim.data.body_xpos[bodies[name]], 1.0)
                record["body_position_m"] = [round(float(c), 4) for c in position[:3]]
            record["labels"] = labels_of(name)
            instances.append(record)
        frame = {
            "language": env.language_instruction,
            "width": WIDTH,
            "height": HEIGHT,
            "K": list(K),
            "T_world_camera": np.round(T_world_camera, 6).tolist(),
            "depth_unit_m": DEPTH_UNIT_M,
            "instances": instances,
        }
    finally:
        env.close()
    return frame, {"color": color, "depth": depth, "instances": image}


def expressions_of(frame: dict[str, Any], index: int) -> list[dict[str, Any]]:
    """Expressions whose answer in `frame` is beyond doubt.

    Args:
        frame: A frame record with `frame_id`.
        index: Number of the frame, which picks the absent things.
    """
    named = [i for i in frame["instances"] if i["labels"] and i["pixels"] >= 150]
    groups: dict[str, list[dict[str, Any]]] = {}
    for instance in named:
        for label in instance["labels"]:
            groups.setdefault(label, []).append(instance)
    out: list[dict[str, Any]] = []

    def add(expression: str, kind: str, targets: list[dict[str, Any]]) -> None:
        out.append(
            {
                "frame_id": frame["frame_id"],
                "expression": expression,
                "kind": kind,
                "targets": [t["id"] for t in targets],
            }
        )

    for label, members in groups.items():
        if len(members) == 1:
            add(f"the {label}", "category", members)
        else:
            add(f"the {plural(label)}", "plural", members)
    for label, members in groups.items():
        if len(members) < 2:
            continue
        for member in members:
            specific = member["labels"][0]
            if len(groups[specific]) == 1 and specific.endswith(" " + label):
                color = specific[: -len(label) - 1]
                if color in {"white", "red", "black", "yellow and white"}:
                    add(f"the {color} one of the {plural(label)}", "attribute", [member])
        by_x = sorted(members, key=lambda m: m["visible_centroid_m"][0])
        if by_x[1]["visible_centroid_m"][0] - by_x[0]["visible_centroid_m"][0] > MARGIN_M:
            add(f"the leftmost {label}", "ordinal", by_x[:1])
    relations = 0
    for label, members in groups.items():
        for anchor in named:
            name = anchor["labels"][0]
            if len(groups[name]) != 1 or anchor in members or relations >= 8:
                continue
            away_m = [m["visible_centroid_m"][0] - anchor["visible_centroid_m"][0] for m in members]
            for side, sign in (("left", -1), ("right", 1)):
                picked = [m for m, dx in zip(members, away_m, strict=True) if sign * dx > MARGIN_M]
                unclear = any(abs(dx) <= MARGIN_M for dx in away_m)
                if len(picked) == 1 and not unclear and (len(members) > 1 or label == picked[0]["labels"][0]):
                    add(f"the {label} to the {side} of the {name}", "relation", picked)
                    relations += 1
            if len(members) > 1:
                centre = np.array(anchor["visible_centroid_m"])
                far_m = [float(np.linalg.norm(np.array(m["visible_centroid_m"]) - centre)) for m in members]
                order = np.argsort(far_m)
                if far_m[order[1]] - far_m[order[0]] > MARGIN_M:
                    add(f"the {label} nearest to the {name}", "relation", [members[int(order[0])]])
    heads = {label for i in frame["instances"] for label in i["labels"]}
    add(ABSENT[index % len(ABSENT)], "absent", [])
    known = [a for a in ABSENT_KNOWN if a.removeprefix("the ") not in heads]
    for offset in range(2):
        add(known[(index + offset) % len(known)], "absent", [])
    return out


def main() -> None:
    """Command line: record the tasks given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--suite", default="libero_90")
    parser.add_argument("--tasks", type=int, nargs="+", default=[18, 30, 36, 52, 71, 86])
    parser.add_argument("--settle", type=int, default=60, help="control steps before the picture")
    parser.add_argument("--state", type=int, default=3, help="which of the suite's initial states")
    args = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        from libero.libero import benchmark, get_libero_path
    suite = benchmark.get_benchmark(args.suite)()
    frames, expressions = [], []
    for index, task_id in enumerate(args.tasks):
        task = suite.get_task(task_id)
        bddl = Path(get_libero_path("bddl_files")) / task.problem_folder / task.bddl_file
        state = suite.get_task_init_states(task_id)[args.state]
        record, images = record_task(bddl, state, args.settle)
        frame = {"frame_id": f"{args.suite}-{task_id:02d}-00", "task": task.name, **record}
        folder = args.out / "frames" / frame["frame_id"]
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in images.items():
            Image.fromarray(image).save(folder / f"{name}.png", optimize=True)
        frames.append(frame)
        expressions += expressions_of(frame, index)
        print(frame["frame_id"], task.name, [i["name"] for i in frame["instances"]], flush=True)
    meta = {
        "format": "rgbd-rec/1",
        "source": "LIBERO-90 tasks rendered with MuJoCo (training/record_libero.py)",
        "frames": len(frames),
        "expressions": len(expressions),
    }
    (args.out / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    for name, rows in (("frames", frames), ("expressions", expressions)):
        (args.out / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
