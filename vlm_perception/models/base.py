"""The protocols every model family is behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vlm_perception.types import BoxXyxy, Detection, MaskProposal

RgbImage = NDArray[np.uint8]
Heatmap = NDArray[np.float32]


@dataclass(frozen=True)
class Capabilities:
    """What a model can do; checked before it is asked.

    Attributes:
        heatmaps: it is a :class:`HeatmapModel`.
        vocabulary: for closed-vocabulary models, every word the model knows; None means open vocabulary.
        languages: ISO 639-1 codes.
    """

    detects: bool = False
    masks: bool = False
    points: bool = False
    captions: bool = False
    answers: bool = False
    counts: bool = False
    reads_text: bool = False
    describes_regions: bool = False
    names_regions: bool = False
    heatmaps: bool = False
    needs_gpu: bool = False
    languages: tuple[str, ...] = ("en",)
    vocabulary: frozenset[str] | None = None


@runtime_checkable
class GroundingModel(Protocol):
    """Phrases + images -> boxes in original image pixels."""

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can be asked for."""

    def detect(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str], *, threshold: float | None = None
    ) -> list[list[Detection]]:
        """Ground every phrase in every image.

        Args:
            images_rgb: (H, W, 3) uint8 each; sizes may differ.
            phrases: without articles, e.g. ``["red mug", "plate"]``; may be empty.
            threshold: lowest score to return; None takes the model's default.

        Returns:
            One list an image, best score first. ``Detection.phrase`` is one of ``phrases``, verbatim.

        Raises:
            CommandError: a phrase holds a control token of a model that writes; the message names it.
            ModelError: an image is no (H, W, 3) uint8 array; or the model failed, and the message says how and what to
                do.
        """

    def close(self) -> None:
        """Free the model's memory."""


@dataclass(frozen=True)
class Unread:
    """What a model said of where things are, and what could not be read.

    Attributes:
        phrases: those it was asked for, of which it may have said more than was read.
        why: what is wrong with its words, and how they begin.
        partly: whether some place was read for these phrases.
    """

    phrases: tuple[str, ...]
    why: str
    partly: bool = False


@runtime_checkable
class TellsUnread(Protocol):
    """A grounding model that answers in words, which may be unreadable; the others need not have this."""

    @property
    def unread(self) -> Sequence[tuple[Unread, ...]]:
        """What could not be read in the last ``detect``, for each of its images: no box is then no "there is none"."""


@runtime_checkable
class Segmenter(Protocol):
    """Boxes -> masks; some take points too: :class:`PointSegmenter`.

    Any of them goes with any detector, so all refuse the same boxes, in the words of
    :func:`vlm_perception.models.inputs.check_boxes`.
    """

    @property
    def name(self) -> str:
        """What the user called it."""

    def segment(
        self,
        image_rgb: RgbImage,
        boxes_xyxy: Sequence[BoxXyxy],
        *,
        depth_m: NDArray[np.float32] | None = None,
    ) -> list[MaskProposal]:
        """The things in boxes, as masks.

        Args:
            image_rgb: (H, W, 3) uint8.
            boxes_xyxy: original image pixels, with x1 < x2 and y1 < y2; may be none. One that reaches beyond the image
                is cut at its border.
            depth_m: (H, W) float32 along Z, registered to the image; 0, NaN and Inf are no depth. Segmenters that see
                color only take no notice of it. None: there is none.

        Returns:
            One proposal a box, in the order given, its masks (H, W) bool. A mask may be empty (all False), never
            missing.

        Raises:
            ModelError: the image is no (H, W, 3) uint8 array; a box has no area, is not finite, or does not meet the
                image (the message names it); or the model failed, and the message says how and what to do.
        """

    def close(self) -> None:
        """Free the model's memory."""


@runtime_checkable
class PointSegmenter(Segmenter, Protocol):
    """A segmenter that also takes points, as promptable ones do."""

    def segment_points(
        self, image_rgb: RgbImage, points_uv: Sequence[Sequence[tuple[float, float]]]
    ) -> list[MaskProposal]:
        """The things that points lie on, as masks.

        Args:
            image_rgb: (H, W, 3) uint8.
            points_uv: groups of ``(u, v)`` in original image pixels, one group a thing; may be none.

        Returns:
            One proposal a group, in the order given, its masks (H, W) bool. A mask may be empty (all False), never
            missing.

        Raises:
            ModelError: the image is no (H, W, 3) uint8 array; a group is empty, or one of its points is not finite or
                lies outside of the image (the message names it); or the model failed, and the message says how and
                what to do.
        """


@runtime_checkable
class HeatmapModel(Protocol):
    """A model that shows where it looked for a phrase; ``capabilities.heatmaps`` says so."""

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can be asked for."""

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> Heatmap:
        """How strongly each pixel speaks for a phrase.

        Args:
            image_rgb: (H, W, 3) uint8.
            phrase: without article, e.g. "red mug".

        Returns:
            (H, W) float32 in [0, 1], pixel for pixel over ``image_rgb``. What the values are is the model's:
            probabilities or similarities, which compare within one model, not between models; or attention as a
            share of the map's own peak, which compares within one map only.

        Raises:
            CommandError: the phrase is empty, or the model gives no heatmaps.
            ModelError: the model failed; the message says how and what to do.
        """


@dataclass(frozen=True)
class Mention:
    """Words of a text and the boxes they speak of.

    Attributes:
        span: start and end (exclusive) in ``GroundedText.text``; None when the words are not part of it.
        label: the words.
        boxes_xyxy: original image pixels; a point is a box whose corners coincide.
    """

    span: tuple[int, int] | None
    label: str
    boxes_xyxy: tuple[BoxXyxy, ...]


@dataclass(frozen=True)
class GroundedText:
    """Words of a model, each thing it speaks of tied to its place as far as the model said so.

    Attributes:
        score: the model's own confidence in its words, geometric mean of the token probabilities; not calibrated.
        problems: what of the model's output was dropped or mended, for a log.
        lost: those of the problems that cost a place, or the end of the words.
    """

    text: str
    mentions: tuple[Mention, ...] = ()
    score: float = 0.0
    problems: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@runtime_checkable
class VisionLanguageModel(Protocol):
    """A grounding model that also speaks; ``capabilities`` says which of these it can do.

    A method that the model cannot do raises CommandError, naming models that can; so do words that hold a control token of
    the model, naming the token. What is no (H, W, 3) uint8 image, and a failure of the model, is a ModelError.
    """

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can be asked for."""

    def caption(self, image_rgb: RgbImage) -> GroundedText:
        """Say what is in the image; every mention with its boxes where the model ties them."""

    def answer(self, image_rgb: RgbImage, question: str) -> GroundedText:
        """Answer a question in words, with the boxes of the evidence where the model gives them."""

    def describe_region(self, image_rgb: RgbImage, box_xyxy: BoxXyxy) -> GroundedText:
        """Say what is in a box of original image pixels."""

    def name_region(self, image_rgb: RgbImage, box_xyxy: BoxXyxy) -> GroundedText:
        """Name the category of the thing in a box of original image pixels, e.g. "mug"."""

    def read_text(self, image_rgb: RgbImage, box_xyxy: BoxXyxy | None = None) -> GroundedText:
        """Read the writing in the image, or in a box of it; places are of the whole image."""

    def point(self, image_rgb: RgbImage, phrase: str) -> GroundedText:
        """Point at what a phrase names: one mention a point."""
