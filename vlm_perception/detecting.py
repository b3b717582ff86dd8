"""One call of the model for the images of several cameras, with what could not be read of its answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from vlm_perception.models.base import GroundingModel, RgbImage, TellsUnread, Unread
from vlm_perception.types import Detection, ModelError, VlmPerceptionError

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Found:
    """What a model found in one image.

    Attributes:
        detections: best score first.
        unread: what it said besides and could not be read; for most models there is no such thing.
    """

    detections: list[Detection]
    unread: tuple[Unread, ...] = ()


class BatchDetector:
    """Boxes in a batch of images: who first asks for some phrases asks for all images, in one call of the model."""

    def __init__(self, model: GroundingModel, images_rgb: Sequence[RgbImage], threshold: float | None) -> None:
        """Get ready; nothing runs yet.

        Args:
            model: is called once for each set of phrases.
            images_rgb: (H, W, 3) uint8 each; sizes may differ.
            threshold: lowest score; None takes the model's default.
        """
        self.elapsed_ms = 0.0  # in the model, for all images together
        self._model, self._images_rgb, self._threshold = model, images_rgb, threshold
        self._known: dict[tuple[str, ...], list[Found] | str] = {}  # a text is why it failed

    def detect(self, index: int, phrases: Sequence[str]) -> Found:
        """What the model finds for phrases in one of the images.

        Raises:
            ModelError: it failed; the same for every image that was in the call.
        """
        asked = tuple(phrases)
        known = self._known.get(asked)
        if known is None:
            start = time.perf_counter()
            try:
                known = guarded(self._model.name, lambda: self._call(asked))
            except ModelError as error:
                known = str(error)
            self.elapsed_ms += (time.perf_counter() - start) * 1e3
            self._known[asked] = known
        if isinstance(known, str):
            raise ModelError(known)
        return known[index]

    def _call(self, phrases: Sequence[str]) -> list[Found]:
        model, images = self._model, self._images_rgb
        found = model.detect(images, phrases, threshold=self._threshold)
        if len(found) != len(images):
            raise ValueError(f"it gave {len(found)} lists of boxes for {len(images)} images")
        unread = model.unread if isinstance(model, TellsUnread) else [()] * len(images)
        return [Found(detections, lost) for detections, lost in zip(found, unread, strict=True)]


def guarded(name: str, work: Callable[[], _T]) -> _T:
    """Run a model's code.

    Raises:
        ModelError: a model is third-party code: whatever it raises is its failure, and must not take the node down.
    """
    try:
        return work()
    except VlmPerceptionError:
        raise
    except Exception as error:
        raise ModelError(f"'{name}' failed on this frame: {type(error).__name__}: {error}") from error
