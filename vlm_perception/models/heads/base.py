"""What the detection heads have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from vlm_perception.models.base import RgbImage
from vlm_perception.models.loading import image_device
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import Placement


@dataclass(frozen=True, eq=False)
class HeadOutput:
    """What a head says of one image.

    Attributes:
        scores: (Q, P) in [0, 1], query by phrase.
        boxes_cxcywh: (Q, 4), centre and size, as fractions of ``extent_wh``.
        extent_wh: the size in original image pixels that the fractions refer to; more than the image where
            the network sees it padded.
    """

    scores: NDArray[np.float64]
    boxes_cxcywh: NDArray[np.float64]
    extent_wh: tuple[float, float]


@dataclass(frozen=True, eq=False)
class HeadParts:
    """A loaded checkpoint: model, the two halves of its processor, and how it was asked to run."""

    model: Any
    image_processor: Any
    tokenizer: Any
    placement: Placement
    options: Options

    def pixels(self, images_rgb: Sequence[RgbImage]) -> Any:
        """The image processor's output on the device; images must be of one size."""
        batch = self.image_processor(
            images=list(images_rgb),
            return_tensors="pt",
            input_data_format="channels_last",
            **image_device(self.image_processor, self.placement),
        )
        return batch.to(self.placement.device)


@dataclass(frozen=True, eq=False)
class HeadMap:
    """Where a head looked for one phrase.

    Attributes:
        levels: (h, w) tensors of probabilities, one a feature level, all over ``extent_wh``.
        extent_wh: as in :class:`HeadOutput`.
    """

    levels: Sequence[Any]
    extent_wh: tuple[float, float]


class Head(Protocol):
    """One architecture.

    Attributes:
        hot: the methods of the network that ``forward`` calls, for ``torch.compile``.
    """

    hot: ClassVar[tuple[str, ...]]

    def groups(self, phrases: Sequence[str]) -> list[list[int]]:
        """Indices of phrases that go into one forward pass together."""

    def forward(self, images_rgb: Sequence[RgbImage], phrases: Sequence[str]) -> list[HeadOutput]:
        """One output an image; all images are of one size and the phrases are one group."""

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> HeadMap:
        """How well the features at each place go with a phrase, before any box is made of them."""

    def close(self) -> None:
        """Drop caches that would keep the model alive."""


def split_levels(values: Any, shapes: Sequence[Sequence[int]]) -> list[Any]:
    """(N,) values over all levels -> one (h, w) tensor a level."""
    sizes = [int(h) * int(w) for h, w in shapes]
    return [part.reshape(int(h), int(w)) for part, (h, w) in zip(values.split(sizes), shapes, strict=True)]


def to_numpy(tensor: Any) -> NDArray[np.float64]:
    """A torch tensor of any precision and device as float64."""
    return np.asarray(tensor.detach().float().cpu().numpy(), dtype=np.float64)
