"""RGB-D referring expressions on disk: the folder format ``rgbd-rec/1``.

One folder a dataset::

    meta.json           {"format": "rgbd-rec/1", "source": ..., "frames": N, "expressions": M}
    frames.jsonl        one frame a line
    expressions.jsonl   one expression a line
    frames/<frame_id>/{color,depth,instances}.png

Frames are read when they are asked for, so that a large dataset costs no memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import (
    BoolMask,
    BoxXyxy,
    CameraIntrinsics,
    FloatArray,
    ImageError,
    RgbdFrame,
    VlmPerceptionError,
)

FORMAT = "rgbd-rec/1"
KINDS = (
    "category",
    "attribute",
    "relation",
    "ordinal",
    "negation",
    "comparison",
    "plural",
    "count",
    "absent",
)


class DatasetError(VlmPerceptionError):
    """A dataset folder is not what its format says; the message names the file and the line."""


@dataclass(frozen=True, eq=False)
class Instance:
    """One thing in a frame, as the dataset knows it.

    Attributes:
        id: its value in ``instances.png``, 1 or more.
        name: the dataset's own name.
        labels: what a person would call it, most specific first; empty for things nobody asks for.
        box_xyxy: color image pixels, max exclusive.
        pixels: how many pixels show it.
        visible_centroid_m: (3,) mean of the visible surface points, camera optical frame.
        body_position_m: (3,) the object's own origin, camera optical frame, where known.
    """

    id: int
    name: str
    labels: tuple[str, ...]
    box_xyxy: BoxXyxy
    pixels: int
    visible_centroid_m: FloatArray | None
    body_position_m: FloatArray | None = None


@dataclass(frozen=True)
class Expression:
    """One sentence about one frame; no ``targets`` means that nothing in the frame answers to it."""

    frame_id: str
    expression: str
    kind: str
    targets: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class DatasetFrame:
    """One frame, its images still on disk.

    Attributes:
        folder: holds ``color.png``, ``depth.png`` and ``instances.png``.
        T_world_camera: (4, 4) optical camera to world, where known.
        depth_unit_m: metres a count in ``depth.png``.
        language: the whole instruction, may be empty.
    """

    frame_id: str
    folder: Path
    camera: CameraIntrinsics
    T_world_camera: FloatArray | None
    depth_unit_m: float
    language: str
    instances: tuple[Instance, ...]

    def load(self, *, stamp_ns: int = 0, frame_id: str = "camera_optical_frame") -> RgbdFrame:
        """Read color and depth.

        Args:
            stamp_ns: time to put on the frame.
            frame_id: optical frame to put on it (a TF name, not the dataset's ``frame_id``).

        Raises:
            ImageError: a file is missing, unreadable or of another size than the frame says.
        """
        color_bgr = self._read("color.png", cv2.IMREAD_COLOR)
        depth = self._read("depth.png", cv2.IMREAD_UNCHANGED)
        if depth.ndim != 2 or depth.dtype != np.uint16:
            raise ImageError(
                f"{self.folder / 'depth.png'} is {depth.dtype} {depth.shape}, not a 16-bit one-channel image"
            )
        return RgbdFrame(
            color_rgb=np.ascontiguousarray(color_bgr[..., ::-1]),
            depth_m=depth.astype(np.float32) * np.float32(self.depth_unit_m),
            camera=self.camera,
            stamp_ns=stamp_ns,
            frame_id=frame_id,
        )

    @property
    def instance_ids(self) -> NDArray[np.int64]:
        """(H, W) instance ids, 0 = none; read-only."""
        return _read_ids(self.folder / "instances.png", (self.camera.height, self.camera.width))

    @property
    def up_camera(self) -> FloatArray | None:
        """(3,) the world's z in the camera's optical frame, or None when the pose is unknown."""
        if self.T_world_camera is None:
            return None
        up: FloatArray = self.T_world_camera[2, :3]
        return up

    def mask(self, instance_id: int) -> BoolMask:
        """(H, W) true where the instance is seen."""
        return np.asarray(self.instance_ids == instance_id)

    def instance(self, instance_id: int) -> Instance:
        """The instance with this id.

        Raises:
            DatasetError: the frame has none.
        """
        for instance in self.instances:
            if instance.id == instance_id:
                return instance
        known = [instance.id for instance in self.instances]
        raise DatasetError(f"frame {self.frame_id} has no instance {instance_id}; it has {known}")

    def _read(self, name: str, flags: int) -> NDArray[Any]:
        return _read_image(self.folder / name, flags, (self.camera.height, self.camera.width))


@dataclass(frozen=True, eq=False)
class RgbdRecDataset:
    """Frames and the expressions about them."""

    folder: Path
    source: str
    frames: tuple[DatasetFrame, ...]
    expressions: tuple[Expression, ...]

    def frame(self, frame_id: str) -> DatasetFrame:
        """The frame with this id.

        Raises:
            DatasetError: there is none.
        """
        for frame in self.frames:
            if frame.frame_id == frame_id:
                return frame
        raise DatasetError(f"{self.folder} has no frame {frame_id!r}")

    def expressions_of(self, frame_id: str) -> tuple[Expression, ...]:
        """Every expression about one frame, in file order."""
        return tuple(e for e in self.expressions if e.frame_id == frame_id)


def load_rgbd_rec(folder: str | Path) -> RgbdRecDataset:
    """Read a dataset's tables; images stay on disk.

    Raises:
        DatasetError: the folder is no ``rgbd-rec/1``, or a line of it is wrong (file and line are named).
    """
    root = Path(folder)
    meta_path = root / "meta.json"
    if not meta_path.is_file():
        raise DatasetError(f"{meta_path} does not exist: is {root} a folder in the format {FORMAT}?")
    try:
        meta = json.loads(meta_path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise DatasetError(f"{meta_path}: not JSON ({err})") from err
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else type(meta).__name__
        raise DatasetError(f"{meta_path}: format is {found!r}, this reads {FORMAT!r}")

    frames: dict[str, DatasetFrame] = {}
    for where, record in _json_lines(root / "frames.jsonl"):
        frame = _parse(where, record, lambda r: _parse_frame(root, r))
        if frame.frame_id in frames:
            raise DatasetError(f"{where}: frame_id {frame.frame_id!r} is there twice")
        frames[frame.frame_id] = frame
    expressions = []
    for where, record in _json_lines(root / "expressions.jsonl"):
        expression = _parse(where, record, _parse_expression)
        if expression.frame_id not in frames:
            raise DatasetError(f"{where}: frame_id {expression.frame_id!r} is not in frames.jsonl")
        missing = set(expression.targets) - {i.id for i in frames[expression.frame_id].instances}
        if missing:
            raise DatasetError(f"{where}: targets {sorted(missing)} are no instances of {expression.frame_id!r}")
        expressions.append(expression)
    return RgbdRecDataset(root, str(meta.get("source", "")), tuple(frames.values()), tuple(expressions))


def write_rgbd_rec(
    folder: str | Path,
    frames: Iterable[tuple[DatasetFrame, RgbdFrame, NDArray[np.integer[Any]]]],
    expressions: Sequence[Expression],
    *,
    source: str = "",
) -> RgbdRecDataset:
    """Write a dataset and read it back.

    Args:
        folder: made if need be; files of the same names are replaced.
        frames: (description, images, (H, W) instance ids); the description's ``folder`` is not used.
        expressions: all of them, of frames that are there.
        source: where the data comes from, in words.

    Raises:
        DatasetError: a depth or an id does not fit into 16 bits, or an expression's frame is missing.
    """
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    records = []
    for description, images, instance_ids in frames:
        target = root / "frames" / description.frame_id
        target.mkdir(parents=True, exist_ok=True)
        depth_m = np.zeros(instance_ids.shape) if images.depth_m is None else images.depth_m
        counts = np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, 0.0) / description.depth_unit_m
        if counts.max(initial=0) > np.iinfo(np.uint16).max or instance_ids.max(initial=0) > 65535:
            raise DatasetError(
                f"frame {description.frame_id}: a depth of {depth_m.max():.1f} m in units of "
                f"{description.depth_unit_m} m, or an instance id, exceeds 16 bits"
            )
        _write_image(target / "color.png", images.color_rgb[..., ::-1])
        _write_image(target / "depth.png", np.round(counts).astype(np.uint16))
        _write_image(target / "instances.png", instance_ids.astype(np.uint16))
        records.append(_frame_record(description))
    _write_lines(root / "frames.jsonl", records)
    _write_lines(
        root / "expressions.jsonl",
        [
            {"frame_id": e.frame_id, "expression": e.expression, "kind": e.kind, "targets": list(e.targets)}
            for e in expressions
        ],
    )
    meta = {"format": FORMAT, "source": source, "frames": len(records), "expressions": len(expressions)}
    (root / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return load_rgbd_rec(root)


# --------------------------------------------------------------------------- tables


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(``file:line``, record) of every non-empty line."""
    if not path.is_file():
        raise DatasetError(f"{path} does not exist")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as err:
                raise DatasetError(f"{path}:{number}: not JSON ({err})") from err
            if not isinstance(record, dict):
                raise DatasetError(f"{path}:{number}: a JSON object is expected, not {type(record).__name__}")
            yield f"{path}:{number}", record


def _parse(where: str, record: Mapping[str, Any], parse: Any) -> Any:
    try:
        return parse(record)
    except KeyError as err:
        raise DatasetError(f"{where}: {err.args[0]!r} is missing") from err
    except (TypeError, ValueError) as err:
        raise DatasetError(f"{where}: {err}") from err


def _vector(value: Any, size: int, name: str) -> FloatArray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != (size,) or not np.isfinite(array).all():
        raise ValueError(f"{name} must be {size} finite numbers, not {value!r}")
    return array


def _parse_frame(root: Path, record: Mapping[str, Any]) -> DatasetFrame:
    frame_id = str(record["frame_id"])
    if not frame_id or Path(frame_id).is_absolute() or ".." in Path(frame_id).parts:
        raise ValueError(f"frame_id {frame_id!r} is no folder name inside the dataset")
    fx, fy, cx, cy = _vector(record["K"], 4, "K")
    T_world_camera = None
    if record.get("T_world_camera") is not None:
        T_world_camera = np.asarray(record["T_world_camera"], dtype=np.float64)
        if T_world_camera.shape != (4, 4):
            raise ValueError(f"T_world_camera must be 4x4, not {T_world_camera.shape}")
    depth_unit_m = float(record["depth_unit_m"])
    if not depth_unit_m > 0:
        raise ValueError(f"depth_unit_m must be above 0, not {depth_unit_m}")
    return DatasetFrame(
        frame_id=frame_id,
        folder=root / "frames" / frame_id,
        camera=CameraIntrinsics(int(record["width"]), int(record["height"]), fx, fy, cx, cy),
        T_world_camera=T_world_camera,
        depth_unit_m=depth_unit_m,
        language=str(record.get("language") or ""),
        instances=tuple(_parse_instance(i) for i in record["instances"]),
    )


def _parse_instance(record: Mapping[str, Any]) -> Instance:
    x0, y0, x1, y1 = _vector(record["box"], 4, "box").tolist()
    if record["id"] < 1 or x1 <= x0 or y1 <= y0:
        raise ValueError(f"instance {record['id']!r} with box {record['box']!r}: id >= 1 and a filled box expected")
    centroid, body = record.get("visible_centroid_m"), record.get("body_position_m")
    return Instance(
        id=int(record["id"]),
        name=str(record.get("name", "")),
        labels=tuple(str(label) for label in record.get("labels", ())),
        box_xyxy=(x0, y0, x1, y1),
        pixels=int(record.get("pixels", 0)),
        visible_centroid_m=None if centroid is None else _vector(centroid, 3, "visible_centroid_m"),
        body_position_m=None if body is None else _vector(body, 3, "body_position_m"),
    )


def _parse_expression(record: Mapping[str, Any]) -> Expression:
    kind = str(record["kind"])
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    targets = tuple(int(target) for target in record["targets"])
    return Expression(str(record["frame_id"]), str(record["expression"]), kind, targets)


def _frame_record(frame: DatasetFrame) -> dict[str, Any]:
    camera = frame.camera
    if camera.distortion:
        raise DatasetError(f"frame {frame.frame_id}: {FORMAT} has no distortion; rectify the images first")
    return {
        "frame_id": frame.frame_id,
        "language": frame.language,
        "width": camera.width,
        "height": camera.height,
        "K": [camera.fx, camera.fy, camera.cx, camera.cy],
        "T_world_camera": None if frame.T_world_camera is None else frame.T_world_camera.tolist(),
        "depth_unit_m": frame.depth_unit_m,
        "instances": [_instance_record(instance) for instance in frame.instances],
    }


def _instance_record(instance: Instance) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": instance.id,
        "name": instance.name,
        "labels": list(instance.labels),
        "box": list(instance.box_xyxy),
        "pixels": instance.pixels,
    }
    if instance.visible_centroid_m is not None:
        record["visible_centroid_m"] = instance.visible_centroid_m.tolist()
    if instance.body_position_m is not None:
        record["body_position_m"] = instance.body_position_m.tolist()
    return record


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


# --------------------------------------------------------------------------- images


def _read_image(path: Path, flags: int, size_hw: tuple[int, int]) -> NDArray[Any]:
    if not path.is_file():
        raise ImageError(f"{path} does not exist")
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flags) if path.stat().st_size else None
    if image is None:
        raise ImageError(f"{path} is not an image that OpenCV can read")
    if image.shape[:2] != size_hw:
        raise ImageError(f"{path} is {image.shape[1]}x{image.shape[0]} px, frames.jsonl says {size_hw[1]}x{size_hw[0]}")
    return np.asarray(image)


@lru_cache(maxsize=4)
def _read_ids(path: Path, size_hw: tuple[int, int]) -> NDArray[np.int64]:
    image = _read_image(path, cv2.IMREAD_UNCHANGED, size_hw)
    if image.ndim != 2:
        raise ImageError(f"{path} has {image.shape[2]} channels; a one-channel image of ids is expected")
    ids = image.astype(np.int64)
    ids.setflags(write=False)
    return ids


def _write_image(path: Path, image: NDArray[Any]) -> None:
    ok, data = cv2.imencode(".png", np.ascontiguousarray(image))
    if not ok:
        raise ImageError(f"cannot encode {path} from {image.dtype} {image.shape}")
    path.write_bytes(data.tobytes())
