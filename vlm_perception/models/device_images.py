"""Images made into a network's input on its device, in the place of the library's image processors on PIL.

Those work on the CPU, in NumPy and image by image. Here the camera's bytes go up once, and are resized, rescaled,
normalised and padded there. Only processors whose every parameter is understood are replaced; for the others, and for
those that work on torchvision and so on the device by themselves, nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vlm_perception.models.base import RgbImage
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import Placement, import_torch, import_transformers

# Numbers of PIL's filters, as processor configurations hold them.
FILTERS: Final[Mapping[int, str]] = {2: "bilinear", 3: "bicubic"}

_SizeHw = tuple[int, int]


def device_images(processor: Any, placement: Placement, options: Options) -> Any:
    """What makes pixels of images: the processor's work on the device where that can be done, else the processor.

    Args:
        processor: one of the library's image processors.
        placement: the device.
        options: ``device_preprocessing``: true asks for it on a CPU too, false refuses it; not given, it is for GPUs.

    Returns:
        Callable as the processor is, with images of one size.
    """
    asked = options.values.get("device_preprocessing")
    if not (placement.on_gpu if asked is None else options.flag("device_preprocessing")):
        return processor
    make = _MAKERS.get(type(processor).__name__)
    made = make(processor, placement) if make is not None and _plain(processor) else None
    return made if made is not None else processor


def upload(images_rgb: Sequence[RgbImage], placement: Placement) -> Any:
    """(H, W, 3) uint8 of one size -> (N, 3, H, W) float32 on the device, 0 ... 255; the bytes go up, not the floats."""
    torch = import_torch()
    stacked = np.stack(images_rgb) if len(images_rgb) > 1 else images_rgb[0][None].copy()
    return torch.from_numpy(stacked).to(placement.device).permute(0, 3, 1, 2).float()


def resize(pixels: Any, size_hw: _SizeHw, interpolation: str) -> Any:
    """(N, 3, H, W) in 0 ... 255, resized as PIL does it.

    The filter widens when it shrinks; rows come before columns, and after either the values are whole.
    """
    torch = import_torch()
    for target in ((pixels.shape[2], size_hw[1]), size_hw):
        if tuple(pixels.shape[2:]) != target:
            pixels = torch.nn.functional.interpolate(
                pixels, target, mode=interpolation, antialias=True, align_corners=False
            )
        pixels = (pixels + 0.5).floor().clamp(0, 255)  # halves go up, as PIL has it
    return pixels


@dataclass(frozen=True, eq=False)
class DeviceImages:
    """Resize, rescale, normalise, pad.

    Attributes:
        placement: the device.
        resize: (N, 3, H, W) in 0 ... 255 -> the network's size.
        scale: of the values.
        mean, std: per channel, of scaled values.
        padded_hw: zeros at the right and the bottom up to here; None: no padding.
        gives_mask: a "pixel_mask" of what is no padding.
        gives_size: "reshaped_input_sizes", the size before padding.
    """

    placement: Placement
    resize: Callable[[Any], Any]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padded_hw: _SizeHw | None = None
    gives_mask: bool = False
    gives_size: bool = False

    def __call__(self, images: RgbImage | Sequence[RgbImage], **_: Any) -> Any:
        """As the processor's call; what else that takes (formats of images and tensors) has one value here."""
        torch = import_torch()
        given = [images] if isinstance(images, np.ndarray) else list(images)
        pixels = self.resize(upload(given, self.placement)) * self.scale
        mean, std = (torch.tensor(v, device=pixels.device).view(1, -1, 1, 1) for v in (self.mean, self.std))
        pixels = (pixels - mean) / std
        count, (height, width) = len(given), pixels.shape[2:]
        data: dict[str, Any] = {}
        if self.gives_size:
            data["reshaped_input_sizes"] = torch.tensor([[height, width]] * count)
        if self.padded_hw is not None:
            below, right = self.padded_hw[0] - height, self.padded_hw[1] - width
            pixels = torch.nn.functional.pad(pixels, (0, right, 0, below))
        if self.gives_mask:
            data["pixel_mask"] = torch.zeros((count, *pixels.shape[2:]), dtype=torch.int64, device=pixels.device)
            data["pixel_mask"][:, :height, :width] = 1
        return import_transformers().BatchFeature({"pixel_values": pixels, **data})


def _plain(processor: Any) -> bool:
    """Whether it does the usual steps, all of them, to three channels."""
    steps = ("do_resize", "do_rescale", "do_normalize")
    statistics = (processor.image_mean, processor.image_std)
    return (
        all(getattr(processor, step, None) is True for step in steps)
        and not getattr(processor, "do_center_crop", None)
        and all(isinstance(values, (list, tuple)) and len(values) == 3 for values in statistics)
    )


def _made(processor: Any, placement: Placement, resize_: Callable[[Any], Any], **values: Any) -> DeviceImages:
    mean, std = (tuple(float(v) for v in values_) for values_ in (processor.image_mean, processor.image_std))
    return DeviceImages(placement, resize_, float(processor.rescale_factor), mean, std, **values)


def _filter(processor: Any) -> str | None:
    return FILTERS.get(int(processor.resample) if processor.resample is not None else 2)


def _size(processor: Any) -> dict[str, int]:
    """What is set of "height", "width", "shortest_edge" ..."""
    return {name: int(value) for name, value in dict(processor.size).items() if value}


def _like_detr(processor: Any, placement: Placement) -> DeviceImages | None:
    """DETR, Grounding DINO, OmDet-Turbo: a size, or a short side with a limit to the long one."""
    size, interpolation = _size(processor), _filter(processor)
    if interpolation is None:
        return None
    if set(size) == {"shortest_edge", "longest_edge"}:
        of = import_transformers().image_transforms.get_size_with_aspect_ratio

        def resized(pixels: Any) -> Any:
            height, width = of(tuple(pixels.shape[2:]), size["shortest_edge"], size["longest_edge"])
            return resize(pixels, (int(height), int(width)), interpolation)

    elif set(size) == {"height", "width"}:

        def resized(pixels: Any) -> Any:
            return resize(pixels, (size["height"], size["width"]), interpolation)

    else:
        return None
    pads = bool(processor.do_pad)
    pad_size = getattr(processor, "pad_size", None) if pads else None
    padded = (int(pad_size["height"]), int(pad_size["width"])) if pad_size else None
    return _made(processor, placement, resized, padded_hw=padded, gives_mask=pads)


def _stretched(processor: Any, placement: Placement) -> DeviceImages | None:
    """OWL-ViT: both sides as they are asked for."""
    size, interpolation = _size(processor), _filter(processor)
    if set(size) != {"height", "width"} or interpolation is None or getattr(processor, "do_pad", None):
        return None
    return _made(processor, placement, lambda pixels: resize(pixels, (size["height"], size["width"]), interpolation))


def _longest_side(processor: Any, placement: Placement) -> DeviceImages | None:
    """SAM, SAM-HQ: the longest side fills the square, zeros the rest."""
    size, interpolation = _size(processor), _filter(processor)
    if set(size) != {"longest_edge"} or interpolation is None or not processor.do_pad or not processor.pad_size:
        return None

    def resized(pixels: Any) -> Any:
        height, width = pixels.shape[2:]
        scale = size["longest_edge"] / max(height, width)
        return resize(pixels, (int(height * scale + 0.5), int(width * scale + 0.5)), interpolation)

    padded = (int(processor.pad_size["height"]), int(processor.pad_size["width"]))
    return _made(processor, placement, resized, padded_hw=padded, gives_size=True)


def _warped(processor: Any, placement: Placement) -> DeviceImages | None:
    """OWLv2: zeros to a square, then a Gaussian and linear interpolation, both in floats and mirrored at the border.

    Both are linear and work on rows and columns apart, so each is a matrix, taken from the very functions that the
    library calls, and the image goes between two of them. The library hands the number of its filter to an argument
    that switches the Gaussian on.
    """
    size = _size(processor)
    if set(size) != {"height", "width"} or not processor.do_pad:
        return None
    smooth = bool(processor.resample)
    matrices = _Matrices(placement)

    def resized(pixels: Any) -> Any:
        height, width = pixels.shape[2:]
        side = max(height, width)
        rows = matrices(side, size["height"], smooth)[:, :height]
        columns = matrices(side, size["width"], smooth)[:, :width]
        return rows @ pixels @ columns.T

    return _made(processor, placement, resized)


@dataclass(frozen=True, eq=False)
class _Matrices:
    """Warps of one axis, kept on the device for as long as the camera keeps its size."""

    placement: Placement
    kept: dict[tuple[int, int, bool], Any] = field(default_factory=dict)

    def __call__(self, length: int, target: int, smooth: bool) -> Any:
        key = (length, target, smooth)
        if key not in self.kept:
            if len(self.kept) > 8:
                self.kept.clear()
            self.kept[key] = import_torch().from_numpy(_warp_matrix(*key)).to(self.placement.device)
        return self.kept[key]


@lru_cache(maxsize=8)
def _warp_matrix(length: int, target: int, smooth: bool) -> NDArray[np.float32]:
    """(target, length): what ``gaussian_filter`` and ``zoom`` make of each pixel of an axis."""
    from scipy import ndimage

    unit = np.eye(length)
    sigma = max(0.0, (length / target - 1) / 2)
    if smooth and sigma > 0:
        unit = ndimage.gaussian_filter1d(unit, sigma, axis=0, mode="mirror")
    warped = ndimage.zoom(unit, (target / length, 1.0), order=1, mode="mirror", grid_mode=True)
    return np.asarray(warped, dtype=np.float32)


_MAKERS: Final[Mapping[str, Callable[[Any, Placement], DeviceImages | None]]] = {
    "GroundingDinoImageProcessorPil": _like_detr,
    "DetrImageProcessorPil": _like_detr,
    "OwlViTImageProcessorPil": _stretched,
    "Owlv2ImageProcessorPil": _warped,
    "SamImageProcessorPil": _longest_side,
}
