"""Images stretched to the network's square, as SAM 2, EdgeTAM and SAM 3 want them.

The library's processors for these need torchvision; what they do is four documented steps (resize with
antialiasing, rescale, normalise, no padding), done here in torch on the model's device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlm_perception.models.base import RgbImage
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.runtime import Placement, import_torch, import_transformers
from vlm_perception.types import ModelError


@dataclass(frozen=True)
class SquareImages:
    """Size and color statistics of a checkpoint.

    Attributes:
        height, width: of the network's input.
        mean, std: per channel, of values in [0, 1].
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, image_rgb: RgbImage, placement: Placement) -> Any:
        """(H, W, 3) uint8 -> (1, 3, height, width) float32 on the device."""
        torch = import_torch()
        pixels = torch.from_numpy(image_rgb.copy()).to(placement.device).permute(2, 0, 1)[None].float()
        pixels = torch.nn.functional.interpolate(
            pixels, (self.height, self.width), mode="bilinear", antialias=True, align_corners=False
        )
        # The library resizes in 8 bits, so its values are whole.
        pixels = pixels.round().clamp(0, 255) / 255.0
        mean = torch.tensor(self.mean, device=pixels.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(1, 3, 1, 1)
        return (pixels - mean) / std


def load_square_images(checkpoint: Checkpoint) -> SquareImages:
    """Read size and statistics from the checkpoint's processor configuration.

    Raises:
        ModelError: there is none, or it lacks a value.
    """
    reader = import_transformers().ImageProcessingMixin
    try:
        config, _ = reader.get_image_processor_dict(checkpoint.location, local_files_only=checkpoint.offline)
    except Exception as error:
        raise ModelError(checkpoint.explain(error)) from error
    return _from_config(config, checkpoint.name)


def _from_config(config: Mapping[str, Any], name: str) -> SquareImages:
    try:
        size = config["size"]
        return SquareImages(
            int(size["height"]),
            int(size["width"]),
            tuple(float(value) for value in config["image_mean"]),
            tuple(float(value) for value in config["image_std"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the processor configuration of '{name}' lacks size, image_mean or image_std ({error!r})"
        ) from error
