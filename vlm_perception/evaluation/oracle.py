"""A model that looks up the answer: it scores language, relations and geometry apart from detection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlm_perception.evaluation.dataset import DatasetFrame, Instance
from vlm_perception.evaluation.metrics import box_iou_matrix
from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.types import BoxXyxy, Detection, MaskProposal, ModelError

_ARTICLES = ("the ", "a ", "an ")


class OracleModel:
    """GroundingModel and Segmenter from a dataset frame's own labels and masks.

    A phrase fires on the instances that have it among their labels, in singular or plural, whatever the case.
    Tell it with :meth:`set_frame` which frame the next image is.
    """

    def __init__(self, frame: DatasetFrame | None = None) -> None:
        """Build, for one frame to begin with."""
        self._frame = frame

    def set_frame(self, frame: DatasetFrame) -> None:
        """Answer from this frame from now on."""
        self._frame = frame

    @property
    def name(self) -> str:
        """What reports call it."""
        return "oracle"

    @property
    def capabilities(self) -> Capabilities:
        """It detects, counts and gives masks."""
        return Capabilities(detects=True, masks=True, counts=True)

    def detect(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str], *, threshold: float | None = None
    ) -> list[list[Detection]]:
        """Look phrases up; see ``GroundingModel.detect``. Every score is 1, so ``threshold`` cuts nothing.

        Raises:
            ModelError: no frame is set, or an image is not of the frame's size.
        """
        del threshold
        return [self._detect_one(self._check(image), phrases) for image in images_rgb]

    def segment(
        self,
        image_rgb: RgbImage,
        boxes_xyxy: Sequence[BoxXyxy],
        *,
        depth_m: NDArray[np.float32] | None = None,
    ) -> list[MaskProposal]:
        """The true mask of whichever instance's box agrees best; see ``Segmenter.segment``."""
        del depth_m
        frame = self._check(image_rgb)
        ids = frame.instance_ids
        ious = box_iou_matrix(boxes_xyxy, [instance.box_xyxy for instance in frame.instances])
        proposals = []
        for row in ious:
            if row.size and row.max() > 0:
                best = int(np.argmax(row))
                proposals.append(MaskProposal(ids == frame.instances[best].id, float(row[best])))
            else:
                proposals.append(MaskProposal(np.zeros(ids.shape, dtype=np.bool_), 0.0))
        return proposals

    def close(self) -> None:
        """Forget the frame."""
        self._frame = None

    def _check(self, image_rgb: RgbImage) -> DatasetFrame:
        if self._frame is None:
            raise ModelError("the oracle knows no frame; call set_frame first")
        size = (self._frame.camera.height, self._frame.camera.width)
        if image_rgb.shape[:2] != size:
            raise ModelError(
                f"the image is {image_rgb.shape[1]}x{image_rgb.shape[0]} px, but frame "
                f"{self._frame.frame_id} is {size[1]}x{size[0]}; was set_frame called for it?"
            )
        return self._frame

    @staticmethod
    def _detect_one(frame: DatasetFrame, phrases: Sequence[str]) -> list[Detection]:
        ids = frame.instance_ids
        detections = []
        for instance in frame.instances:
            for phrase in phrases:
                label = _matching_label(phrase, instance)
                if label is not None:
                    mask = np.asarray(ids == instance.id)
                    detections.append(Detection(phrase, label, 1.0, instance.box_xyxy, mask, calibrated=True))
        return detections


def _matching_label(phrase: str, instance: Instance) -> str | None:
    wanted = _forms(phrase)
    for label in instance.labels:
        if wanted & _forms(label):
            return label
    return None


def _forms(phrase: str) -> set[str]:
    """A phrase and what its singular could be."""
    words = " ".join(phrase.lower().split())
    for article in _ARTICLES:
        words = words.removeprefix(article)
    forms = {words}
    if words.endswith("ies"):
        forms.add(words[:-3] + "y")
    if words.endswith("ves"):
        forms |= {words[:-3] + "f", words[:-3] + "fe"}
    if words.endswith("es"):
        forms.add(words[:-2])
    if words.endswith("s") and not words.endswith("ss"):
        forms.add(words[:-1])
    return forms
