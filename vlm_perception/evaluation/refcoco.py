"""RefCOCO-style data: COCO-format images and boxes with an expression each.

One JSON file, ``images`` (``id, file_name``) and ``annotations`` (``id, image_id, bbox [x, y, w, h]``) as COCO
has them, and the expressions in either of two ways:

* ``refs``: ``{"ann_id", "sentences": [{"sent": ...}, ...]}`` each, as in the REFER toolbox
  (``refs(unc).p`` saved as JSON into the instances file);
* ``images[i]["caption"]``, one annotation an image entry, as MDETR's ``finetune_refcoco_val.json`` has it.

Images are looked for beside the file, then in ``images/``, ``train2014/`` and ``val2014/`` there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlm_perception.evaluation.dataset import DatasetError
from vlm_perception.evaluation.metrics import ACC_IOUS, bootstrap_intervals, box_iou, mean_scores
from vlm_perception.models.base import GroundingModel
from vlm_perception.types import BoxXyxy, ImageError

_IMAGE_FOLDERS = ("", "images", "train2014", "val2014")


@dataclass(frozen=True)
class ReferringBox:
    """One expression, the image it is about and the one box it means."""

    image_file: Path
    expression: str
    box_xyxy: BoxXyxy


def load_refcoco(file: str | Path) -> tuple[ReferringBox, ...]:
    """Read expressions with their boxes; images stay on disk.

    Raises:
        DatasetError: the file is not JSON, or an entry of it is missing or wrong.
    """
    path = Path(file)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        images = {image["id"]: image for image in data["images"]}
        annotations = data["annotations"]
        if data.get("refs"):
            by_id = {annotation["id"]: annotation for annotation in annotations}
            pairs = [(by_id[ref["ann_id"]], sentence["sent"]) for ref in data["refs"] for sentence in ref["sentences"]]
        else:
            pairs = [(annotation, images[annotation["image_id"]]["caption"]) for annotation in annotations]
        return tuple(
            ReferringBox(
                _image_file(path.parent, images[annotation["image_id"]]["file_name"]),
                str(sentence),
                _xyxy(annotation["bbox"]),
            )
            for annotation, sentence in pairs
        )
    except KeyError as err:
        raise DatasetError(f"{path}: {err.args[0]!r} is missing or refers to nothing") from err
    except (OSError, TypeError, ValueError) as err:
        raise DatasetError(f"{path}: {err}") from err


def evaluate_refcoco(
    expressions: Sequence[ReferringBox],
    model: GroundingModel,
    *,
    dataset: str = "refcoco",
    threshold: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Acc@0.5, Acc@0.75 and mIoU of the model's best box for the whole expression.

    The expression goes to the model as it stands, as in the published numbers: no relation is resolved.

    Args:
        expressions: what to ask.
        model: what is scored.
        dataset: its name, for the result.
        threshold: lowest score of a box that counts; None takes the best whatever its score.
        on_progress: called with (done, all) after each expression.

    Raises:
        ImageError: an image cannot be read.
    """
    ious = []
    for number, item in enumerate(expressions, start=1):
        (detections,) = model.detect(
            [_read_rgb(item.image_file)], [item.expression], threshold=0.0 if threshold is None else threshold
        )
        best = max(detections, key=lambda d: d.score, default=None)
        ious.append(0.0 if best is None else box_iou(best.box_xyxy, item.box_xyxy))
        if on_progress is not None:
            on_progress(number, len(expressions))
    iou = np.array(ious)
    values = {f"acc@{least:g}": (iou >= least).astype(np.float64) for least in ACC_IOUS}
    values["mIoU"] = iou
    return {
        "dataset": dataset,
        "model": model.name,
        "frames": len({item.image_file for item in expressions}),
        "expressions": len(expressions),
        "overall": mean_scores(values),
        "intervals": {"overall": {k: list(v) for k, v in bootstrap_intervals(values).items()}},
    }


def _image_file(root: Path, name: str) -> Path:
    for folder in _IMAGE_FOLDERS:
        if (root / folder / name).is_file():
            return root / folder / name
    tried = ", ".join(str(root / folder) for folder in _IMAGE_FOLDERS)
    raise DatasetError(f"image {name} is in none of {tried}")


def _xyxy(bbox: Sequence[float]) -> BoxXyxy:
    x, y, width, height = (float(value) for value in bbox)
    if width <= 0 or height <= 0:
        raise ValueError(f"bbox {list(bbox)} is empty; [x, y, width, height] is expected")
    return x, y, x + width, y + height


def _read_rgb(path: Path) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(f"{path} is not an image that OpenCV can read")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)
