"""An image's pixels, made and uploaded once however many prompts go with it.

The library's processors prepare an image and a text in one call: a model that is asked for three phrases, or for a caption
and then for the boxes of its words, would prepare and upload the same image each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vlm_perception.models.base import RgbImage
from vlm_perception.models.runtime import Placement, import_torch


@dataclass(frozen=True, eq=False)
class _Made:
    """What was made of an image, and of that what was uploaded, by name and placement."""

    image_rgb: RgbImage
    arguments: dict[str, Any]
    batch: Any
    uploaded: dict[tuple[str, Placement], Any] = field(default_factory=dict)


class LastImage:
    """One of the library's image processors, which remembers what it made of the last image.

    Images are the same when their bytes are, so one that was changed in place is worked on anew; to compare is a
    hundredth of the work. All that the processor has beside its call is had here as well.
    """

    def __init__(self, processor: Any) -> None:
        """Stand in for a processor."""
        self._processor = processor
        self._made: _Made | None = None

    def __getattr__(self, name: str) -> Any:
        """The processor's."""
        if name.startswith("__"):  # what copies and pickles look for, before there is a processor
            raise AttributeError(name)
        return getattr(self._processor, name)

    def __call__(self, images: Any, **arguments: Any) -> Any:
        """As the processor's call; only one image at a time, given as an array, is remembered."""
        image_rgb = _only(images)
        if image_rgb is None:
            return self._processor(images, **arguments)
        made = self._made
        if made is None or made.arguments != arguments or not _same(made.image_rgb, image_rgb):
            made = _Made(image_rgb.copy(), arguments, self._processor(images, **arguments))
            self._made = made
        return type(made.batch)(dict(made.batch))  # callers take things out of it

    def on_device(self, batch: Mapping[str, Any], placement: Placement) -> dict[str, Any]:
        """The tensors of a whole processor's output where the model is, those of the last image uploaded once.

        Args:
            batch: image and text by name; what is no tensor is left out.
            placement: the device, and the precision of floating values.
        """
        made = self._made
        moved = {}
        for name, value in batch.items():
            if made is None or made.batch.get(name) is not value:
                moved[name] = to_device(value, placement)
                continue
            key = (name, placement)
            if key not in made.uploaded:
                made.uploaded[key] = to_device(value, placement)
            moved[name] = made.uploaded[key]
        return {name: value for name, value in moved.items() if value is not None}


def to_device(value: Any, placement: Placement) -> Any:
    """A tensor where the model is, floating values in its precision; None for what is no tensor."""
    if not hasattr(value, "to"):
        return None
    if value.is_floating_point():
        return value.to(placement.device, getattr(import_torch(), placement.dtype))
    return value.to(placement.device)


def remember_image(processor: Any) -> LastImage:
    """Let a whole processor's image processor remember its last image; what stands in for it from now on."""
    images = LastImage(processor.image_processor)
    processor.image_processor = images
    return images


def _same(first: RgbImage, second: RgbImage) -> bool:
    return first.dtype == second.dtype and np.array_equal(first, second)


def _only(images: Any) -> RgbImage | None:
    """The array in lists of one."""
    while isinstance(images, (list, tuple)) and len(images) == 1:
        images = images[0]
    return images if isinstance(images, np.ndarray) else None
