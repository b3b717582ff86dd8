"""Images on the network's square, made on the model's device: SAM 2, EdgeTAM, SAM 3, CLIP, SigLIP, CLIPSeg.

What the library's processors do for these is four documented steps (resize with antialiasing, rescale, normalise,
no padding), done here in torch: one upload of the camera's bytes a frame, and no torchvision, which the processors
of SAM 2, EdgeTAM and SAM 3 need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlm_perception.models.base import RgbImage
from vlm_perception.models.device_images import FILTERS, resize, upload
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.runtime import Placement, import_torch, import_transformers
from vlm_perception.types import BoxXyxy, ModelError


@dataclass(frozen=True)
class SquareImages:
    """Size and color statistics of a checkpoint.

    Attributes:
        height, width: of the network's input.
        mean, std: per channel, of values in [0, 1].
        interpolation: "bilinear" or "bicubic".
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"

    def __call__(self, image_rgb: RgbImage, placement: Placement) -> Any:
        """(H, W, 3) uint8 -> (1, 3, height, width) float32 on the device."""
        return self._normalised(self._resized(upload([image_rgb], placement)))

    def batch(self, images_rgb: Sequence[RgbImage], placement: Placement) -> Any:
        """(H, W, 3) uint8 each, sizes may differ -> (N, 3, height, width) float32 on the device."""
        torch = import_torch()
        return self._normalised(torch.cat([self._resized(upload([image], placement)) for image in images_rgb]))

    def whole(self, image_rgb: RgbImage, placement: Placement) -> dict[str, Any]:
        """``pixel_values`` (1, 3, height, width) of an image."""
        return {"pixel_values": self(image_rgb, placement)}

    def crops(self, image_rgb: RgbImage, boxes_xyxy: Sequence[BoxXyxy], placement: Placement) -> dict[str, Any]:
        """A square around each box, with the image's own surroundings; what lies outside the image is the mean color.

        Args:
            image_rgb: (H, W, 3) uint8, uploaded once.
            boxes_xyxy: pixels, each with an area.
            placement: the device.

        Returns:
            ``pixel_values`` (N, 3, height, width), float32 on the device.
        """
        torch = import_torch()
        whole = upload([image_rgb], placement)
        fill = torch.tensor(self.mean, device=whole.device).view(1, 3, 1, 1) * 255.0
        parts = []
        for x1, y1, x2, y2 in boxes_xyxy:
            side = max(round(max(x2 - x1, y2 - y1)), 1)
            left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
            square = fill.expand(1, 3, side, side).clone()
            u1, v1 = max(left, 0), max(top, 0)
            u2, v2 = min(left + side, whole.shape[3]), min(top + side, whole.shape[2])
            if u2 > u1 and v2 > v1:
                square[:, :, v1 - top : v2 - top, u1 - left : u2 - left] = whole[:, :, v1:v2, u1:u2]
            parts.append(self._resized(square))
        return {"pixel_values": self._normalised(torch.cat(parts))}

    def _resized(self, pixels: Any) -> Any:
        return resize(pixels, (self.height, self.width), self.interpolation) / 255.0

    def _normalised(self, pixels: Any) -> Any:
        torch = import_torch()
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
        raise checkpoint.failure(error) from error
    return _from_config(config, checkpoint.name)


def _from_config(config: Mapping[str, Any], name: str) -> SquareImages:
    try:
        height, width = _size(config["size"])
        return SquareImages(
            height,
            width,
            tuple(float(value) for value in config["image_mean"]),
            tuple(float(value) for value in config["image_std"]),
            FILTERS[int(config.get("resample") or 2)],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the processor configuration of '{name}' lacks size, image_mean or image_std ({error!r})"
        ) from error


def _size(size: Any) -> tuple[int, int]:
    """``{"height", "width"}``, CLIP's ``{"shortest_edge"}`` (before its square crop), or one number."""
    if not isinstance(size, Mapping):
        return int(size), int(size)
    if "shortest_edge" in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    return int(size["height"]), int(size["width"])
