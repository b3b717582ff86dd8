"""Images as a segmenter's network takes them, and its masks back at the camera's pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vlm_perception.models.base import RgbImage
from vlm_perception.models.device_images import device_images
from vlm_perception.models.loading import Checkpoint, image_device, load_image_processor
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import Placement, import_torch
from vlm_perception.models.square_images import load_square_images


@dataclass(frozen=True, eq=False)
class NetworkImage:
    """An image as the network takes it.

    Attributes:
        pixels: (1, 3, h, w) tensor.
        scale_xy: original pixels -> network pixels.
        to_original: mask logits (N, M, h', w') -> (N, M, H, W).
    """

    pixels: Any
    scale_xy: tuple[float, float]
    to_original: Callable[[Any], Any]


def stretching(checkpoint: Checkpoint, placement: Placement) -> Callable[[RgbImage], NetworkImage]:
    """SAM 2, EdgeTAM, SAM 3: the image fills the square, both axes scale on their own."""
    images = load_square_images(checkpoint)
    torch = import_torch()

    def prepare(image_rgb: RgbImage) -> NetworkImage:
        height, width = image_rgb.shape[:2]

        def to_original(logits: Any) -> Any:
            return torch.nn.functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)

        scale = (images.width / width, images.height / height)
        return NetworkImage(images(image_rgb, placement), scale, to_original)

    return prepare


def padding(
    checkpoint: Checkpoint, placement: Placement, options: Options
) -> Callable[[RgbImage], NetworkImage]:
    """SAM, SAM-HQ: the longest side fills the square, the rest is padding, as the library's processor has it."""
    processor = load_image_processor(checkpoint)
    images = device_images(processor, placement, options)

    def prepare(image_rgb: RgbImage) -> NetworkImage:
        where = image_device(processor, placement)
        batch = images(images=image_rgb, return_tensors="pt", input_data_format="channels_last", **where)
        height, width = image_rgb.shape[:2]
        new_height, new_width = (int(value) for value in batch["reshaped_input_sizes"][0])

        def to_original(logits: Any) -> Any:
            (masks,) = processor.post_process_masks(
                [logits], [(height, width)], [(new_height, new_width)], binarize=False
            )
            return masks

        pixels = batch["pixel_values"].to(placement.device)
        return NetworkImage(pixels, (new_width / width, new_height / height), to_original)

    return prepare
