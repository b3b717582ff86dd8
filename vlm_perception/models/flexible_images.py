"""Images that keep their shape, as a list of patches: SigLIP 2 of variable resolution (NaFlex).

Dehghani et al., "Patch n' Pack: NaViT, a Vision Transformer for any Aspect Ratio and Resolution", 2023. An image is
resized so that its patches are as many as allowed, and no more; the library's image processor does all of that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vlm_perception.models.base import RgbImage
from vlm_perception.models.loading import Checkpoint, image_device, load_image_processor
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import Placement, import_torch
from vlm_perception.types import BoxXyxy, ModelError

OPTION: Final = "max_num_patches"


@dataclass(frozen=True, eq=False)
class FlexibleImages:
    """The library's image processor, asked for whole images and for crops.

    Attributes:
        processor: a ``Siglip2ImageProcessor``, on torchvision or on PIL.
        max_num_patches: of an image; each is padded to as many.
    """

    processor: Any
    max_num_patches: int

    def whole(self, image_rgb: RgbImage, placement: Placement) -> Mapping[str, Any]:
        """As :meth:`crops`, of one image."""
        height, width = image_rgb.shape[:2]
        return self.crops(image_rgb, [(0.0, 0.0, float(width), float(height))], placement)

    def crops(self, image_rgb: RgbImage, boxes_xyxy: Sequence[BoxXyxy], placement: Placement) -> Mapping[str, Any]:
        """What is in each box, to the nearest pixel; boxes keep their shape, so there are no surroundings.

        Args:
            image_rgb: (H, W, 3) uint8; goes up once where the processor works on the device.
            boxes_xyxy: pixels. At least one pixel of the image is taken for each.
            placement: the device.

        Returns:
            ``pixel_values`` (N, max_num_patches, D) float32 and ``pixel_attention_mask`` (N, max_num_patches) on the
            device; ``spatial_shapes`` (N, 2), rows and columns of patches, on the CPU.
        """
        torch = import_torch()
        where = image_device(self.processor, placement)
        source = torch.from_numpy(image_rgb.copy()).to(placement.device) if where else image_rgb
        height, width = image_rgb.shape[:2]
        parts = []
        for x1, y1, x2, y2 in boxes_xyxy:
            (u1, u2), (v1, v2) = _pixels(x1, x2, width), _pixels(y1, y2, height)
            parts.append(source[v1:v2, u1:u2])
        made = self.processor(
            images=parts,
            max_num_patches=self.max_num_patches,
            input_data_format="channels_last",  # else a crop of three rows may be taken for three channels
            return_tensors="pt",
            **where,
        )
        return {
            "pixel_values": made["pixel_values"].to(placement.device),
            "pixel_attention_mask": made["pixel_attention_mask"].to(placement.device),
            # Read number by number when positions are resized: on a GPU that would wait for it each time.
            "spatial_shapes": made["spatial_shapes"].cpu(),
        }


def _pixels(low: float, high: float, side: int) -> tuple[int, int]:
    """First pixel and the one after the last, at least one of them within the image."""
    first = min(max(math.floor(low + 0.5), 0), side - 1)
    return first, min(max(math.floor(high + 0.5), first + 1), side)


def load_flexible_images(checkpoint: Checkpoint, options: Options) -> FlexibleImages:
    """The checkpoint's image processor.

    Args:
        checkpoint: of a ``Siglip2Model``.
        options: ``max_num_patches``, 16 ... 4096; the checkpoint's own where it is not given.

    Raises:
        ModelError: it cannot be loaded, or is another one.
    """
    processor = load_image_processor(checkpoint)
    own = getattr(processor, OPTION, None)
    if own is None:
        raise ModelError(f"'{checkpoint.name}': {type(processor).__name__} makes no patches of variable resolution")
    return FlexibleImages(processor, options.integer(OPTION, int(own), low=16, high=4096))
