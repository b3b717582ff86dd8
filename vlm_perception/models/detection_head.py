"""The family that regresses boxes: Grounding DINO, MM Grounding DINO, OWL-ViT, OWLv2, OmDet-Turbo."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vlm_perception.models.base import Capabilities, Heatmap, RgbImage
from vlm_perception.models.boxes import clip_boxes, cxcywh_to_xyxy, nms
from vlm_perception.models.device_images import device_images
from vlm_perception.models.heads.base import Head, HeadMap, HeadOutput, HeadParts
from vlm_perception.models.heads.grounding_dino import GroundingDinoHead
from vlm_perception.models.heads.omdet import OmDetTurboHead
from vlm_perception.models.heads.owl import OwlHead
from vlm_perception.models.heatmaps import check_request, over_image
from vlm_perception.models.inputs import check_image
from vlm_perception.models.loading import (
    Checkpoint,
    load_image_processor,
    load_tokenizer,
    load_weights,
)
from vlm_perception.models.options import Options
from vlm_perception.models.options_check import check_options
from vlm_perception.models.prompts import head_phrase
from vlm_perception.models.runtime import Placement, free_memory, import_transformers, refuse_nan, split_on_oom
from vlm_perception.types import Detection, ModelError

HEADS: Mapping[str, type[GroundingDinoHead | OwlHead | OmDetTurboHead]] = {
    "grounding-dino": GroundingDinoHead,
    "mm-grounding-dino": GroundingDinoHead,
    "owlvit": OwlHead,
    "owlv2": OwlHead,
    "omdet-turbo": OmDetTurboHead,
}

# What the documentation of each class uses.
_THRESHOLDS = {"grounding-dino": 0.25, "mm-grounding-dino": 0.25, "owlvit": 0.1, "owlv2": 0.1, "omdet-turbo": 0.3}

# What a file of thresholds may hold, beside "score_threshold" and "vocabulary".
_IN_FILE = ("phrase_thresholds", "nms_containment", "calibrated", "task")


def detections_from_output(
    output: HeadOutput,
    phrases: Sequence[str],
    *,
    thresholds: Sequence[float],
    nms_iou: float,
    nms_containment: float = 1.0,
    image_wh: tuple[int, int],
    calibrated: bool = False,
) -> list[Detection]:
    """Threshold and suppress, phrase by phrase.

    Every phrase is judged on its own, so "mug" and "red mug" may both hold for one box; boxes compete only
    within their phrase.

    Args:
        output: the head's raw answer; its scores' columns are ``phrases``.
        phrases: as the caller gave them.
        thresholds: lowest score of each phrase, inclusive.
        nms_iou: boxes of one phrase that overlap by more are one thing.
        nms_containment: so are those of which more than this share of the smaller one lies in the other; 1.0: never.
        image_wh: boxes are cut at the image's border; what lies outside goes.
        calibrated: copied into the detections.

    Returns:
        Best score first; at equal scores in the order of ``phrases``.
    """
    corners = cxcywh_to_xyxy(output.boxes_cxcywh) * np.tile(output.extent_wh, 2)
    boxes = clip_boxes(corners, *image_wh)
    # A NaN compares false, so it goes with the empty boxes.
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    found: list[Detection] = []
    for column, phrase in enumerate(phrases):
        scores = output.scores[:, column]
        candidates = np.flatnonzero(real & (scores >= thresholds[column]) & (scores > 0.0))
        for index in candidates[nms(boxes[candidates], scores[candidates], nms_iou, nms_containment)]:
            x1, y1, x2, y2 = (float(value) for value in boxes[index])
            score = min(float(scores[index]), 1.0)
            found.append(Detection(phrase, phrase, score, (x1, y1, x2, y2), calibrated=calibrated))
    return sorted(found, key=lambda detection: -detection.score)


class DetectionHeadModel:
    """A zero-shot detector behind :class:`~vlm_perception.models.base.GroundingModel`."""

    def __init__(
        self,
        name: str,
        head: Head,
        *,
        capabilities: Capabilities,
        options: Options,
        threshold: float,
        placement: Placement,
    ) -> None:
        """Put a head behind the protocol; :func:`load` is the usual way in."""
        self._name = name
        self._head: Head | None = head
        self._capabilities = capabilities
        self._threshold = threshold
        self._phrase_thresholds = {
            head_phrase(phrase).lower(): value for phrase, value in options.by_phrase("phrase_thresholds").items()
        }
        self._nms_iou = options.number("nms_iou", 0.5, low=0.0, high=1.0)
        self._nms_containment = options.number("nms_containment", 1.0, low=0.0, high=1.0)
        self._calibrated = options.flag("calibrated")
        self.placement = placement

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Boxes and heatmaps; a vocabulary when the checkpoint declares one."""
        return self._capabilities

    @property
    def default_threshold(self) -> float:
        """The lowest score that ``detect`` returns when it is not told otherwise."""
        return self._threshold

    def detect(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str], *, threshold: float | None = None
    ) -> list[list[Detection]]:
        """See :meth:`vlm_perception.models.base.GroundingModel.detect`."""
        head = self._head
        if head is None:
            raise ModelError(f"'{self._name}' is closed; build it again")
        results: list[list[Detection]] = [[] for _ in images_rgb]
        asked = [phrase for phrase in dict.fromkeys(phrases) if head_phrase(phrase)]
        if not asked:
            return results
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images_rgb):
            check_image(image, f"image {index}")
            by_size[image.shape[:2]].append(index)
        for indices in by_size.values():
            for group in head.groups(asked):
                names = [asked[i] for i in group]
                outputs = self._forward(head, [images_rgb[i] for i in indices], names)
                for index, output in zip(indices, outputs, strict=True):
                    results[index] += self._detections(output, names, images_rgb[index], threshold)
        return [sorted(found, key=lambda detection: -detection.score) for found in results]

    def _forward(self, head: Head, images: Sequence[RgbImage], phrases: Sequence[str]) -> list[HeadOutput]:
        if len(images) > 1 or len(phrases) == 1:
            return split_on_oom(lambda batch: head.forward(batch, phrases), images, what=self._name)
        # One image: what can still be made smaller is the text.
        (image,) = images

        def parts(batch: Sequence[str]) -> list[HeadOutput]:
            return head.forward([image], batch)

        return [join_outputs(split_on_oom(parts, phrases, what=self._name))]

    def _detections(
        self, output: HeadOutput, phrases: Sequence[str], image: RgbImage, threshold: float | None
    ) -> list[Detection]:
        refuse_nan(output.scores, self._name, self.placement)
        lowest = self._threshold if threshold is None else threshold
        limits = [self._phrase_thresholds.get(head_phrase(p).lower(), lowest) for p in phrases]
        return detections_from_output(
            output,
            phrases,
            thresholds=limits,
            nms_iou=self._nms_iou,
            nms_containment=self._nms_containment,
            image_wh=(image.shape[1], image.shape[0]),
            calibrated=self._calibrated,
        )

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> Heatmap:
        """The head's scores at each place of its features; see :class:`vlm_perception.models.base.HeatmapModel`."""
        check_request(image_rgb, phrase)
        head = self._head
        if head is None:
            raise ModelError(f"'{self._name}' is closed; build it again")

        def work(batch: Sequence[RgbImage]) -> list[HeadMap]:
            return [head.heatmap(image, phrase) for image in batch]

        (found,) = split_on_oom(work, [image_rgb], what=self._name)
        for level in found.levels:
            refuse_nan(level, self._name, self.placement)
        return over_image(found.levels, image_rgb, found.extent_wh)

    def close(self) -> None:
        """Free the model's memory; the model cannot be used afterwards."""
        if self._head is not None:
            self._head.close()
            self._head = None
            free_memory()


def join_outputs(outputs: Sequence[HeadOutput]) -> HeadOutput:
    """Answers to several phrase groups on one image as one: queries stacked, foreign scores 0."""
    if len(outputs) == 1:
        return outputs[0]
    columns = sum(output.scores.shape[1] for output in outputs)
    rows: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    start = 0
    for output in outputs:
        block = np.zeros((len(output.scores), columns))
        block[:, start : start + output.scores.shape[1]] = output.scores
        start += output.scores.shape[1]
        rows.append(block)
    boxes = np.concatenate([output.boxes_cxcywh for output in outputs])
    return HeadOutput(np.concatenate(rows), boxes, outputs[0].extent_wh)


def load(checkpoint: Checkpoint, placement: Placement, options: Options) -> DetectionHeadModel:
    """Load a checkpoint of any class of the family.

    Args:
        checkpoint: in hub layout.
        placement: device and precision.
        options: see :mod:`vlm_perception.models.options_table`.

    Raises:
        ModelError: the checkpoint cannot be loaded, or is of another family.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if model_type not in HEADS:
        raise ModelError(f"'{checkpoint.name}' is a '{model_type}', not one of {', '.join(HEADS)}")
    merged, vocabulary = _merged(checkpoint, options, model_type)
    auto = import_transformers().AutoModelForZeroShotObjectDetection
    parts = HeadParts(
        model=load_weights(
            checkpoint, auto, placement, options=options.values, keep_float32=True, hot=HEADS[model_type].hot
        ),
        image_processor=device_images(load_image_processor(checkpoint), placement, options),
        tokenizer=load_tokenizer(checkpoint),
        placement=placement,
        options=merged,
    )
    return DetectionHeadModel(
        checkpoint.name,
        HEADS[model_type](parts),
        capabilities=Capabilities(
            detects=True,
            counts=True,
            heatmaps=True,
            vocabulary=vocabulary,
        ),
        options=merged,
        threshold=merged.number("threshold", _THRESHOLDS[model_type], low=0.0, high=1.0),
        placement=placement,
    )


def _merged(checkpoint: Checkpoint, options: Options, model_type: str) -> tuple[Options, frozenset[str] | None]:
    """The options over those of the JSON file beside the weights that they name, and its vocabulary.

    Raises:
        ModelError: there is no such file, or a value in it is not what the option takes.
    """
    file_name = options.text("threshold_file")
    if not file_name:
        return options, None
    content = checkpoint.read_json(file_name)
    if content is None:
        why = "" if checkpoint.is_local else ", which is read from a local folder only"
        raise ModelError(
            f"'{options.owner}': option 'threshold_file': there is no file {file_name} in '{checkpoint.location}'{why}"
        )
    kept = {name: content[name] for name in _IN_FILE if name in content}
    if "score_threshold" in content:
        kept["threshold"] = content["score_threshold"]
    beside = Options(kept, f"{checkpoint.name}/{file_name}")
    check_options(beside, family="detection-head", role="grounder", model_type=model_type)
    return Options({**kept, **options.values}, options.owner), _vocabulary(content.get("vocabulary"))


def _vocabulary(words: object) -> frozenset[str] | None:
    """Every single word of a list of words or phrases, lower-case; None for no list."""
    if not isinstance(words, (list, tuple)):
        return None
    return frozenset(word for phrase in words for word in head_phrase(str(phrase)).lower().split())
