"""PaliGemma's mask tokens: 16 codes -> 64 x 64 -> the box at the camera's pixels.

The codes index the codebook of a small VQ-VAE, whose decoder is published apart from the checkpoints, as
``vae-oid.npz``. Ning et al., "All in Tokens: Unifying Output Space of Visual Tasks via Soft Token", 2023, for the
VQ-VAE; Beyer et al., "PaliGemma", 2024, for its use; architecture and array names as in the authors' evaluator
(``big_vision``, ``evaluators/proj/paligemma/transfers/segmentation.py``).
"""

from __future__ import annotations

import importlib.util
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.options import Options
from vlm_perception.models.parsers.paligemma import MASK_CODES
from vlm_perception.models.runtime import Placement, import_torch, inference
from vlm_perception.types import BoolMask, BoxXyxy, ModelError

FILE_NAME: Final = "vae-oid.npz"
MASK_SIDE: Final = 64
_GRID: Final = 4
_CODEBOOK: Final = "_vq_vae._embedding"
_WIDTHS: Final = (128, 128, 64, 32, 16)  # into each of the four transposed convolutions, and out of the last
_RESIDUAL: Final = ("decoder.2.net", "decoder.3.net")
_UPSAMPLING: Final = ("decoder.4", "decoder.6", "decoder.8", "decoder.10")
_HUB_SPACE: Final = "big-vision/paligemma-hf"
HOW_TO_GET: Final = (
    f"To get it, run `hf download {_HUB_SPACE} {FILE_NAME} --repo-type space`; or put {FILE_NAME} into the model's own "
    "folder, or name it with the option 'mask_decoder'"
)


def _shapes() -> dict[str, tuple[int, ...]]:
    """Every array of the file that the decoder needs, with its shape.

    They are in torch's own layout: (out, in, height, width), for the transposed convolutions (in, out, ...).
    """
    kernels: dict[str, tuple[int, ...]] = {"decoder.0": (_WIDTHS[0], 512, 1, 1)}
    for block in _RESIDUAL:
        for layer, side in ((0, 3), (2, 3), (4, 1)):
            kernels[f"{block}.{layer}"] = (_WIDTHS[0], _WIDTHS[0], side, side)
    for step, name in enumerate(_UPSAMPLING):
        kernels[name] = (_WIDTHS[step], _WIDTHS[step + 1], 4, 4)
    kernels["decoder.12"] = (1, _WIDTHS[4], 1, 1)
    shapes: dict[str, tuple[int, ...]] = {_CODEBOOK: (128, 512)}
    for name, shape in kernels.items():
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = (shape[1 if name in _UPSAMPLING else 0],)
    return shapes


ARRAY_SHAPES: Final[Mapping[str, tuple[int, ...]]] = _shapes()


class MaskDecoder:
    """The VQ-VAE's decoder. It stays in float32: it is small, and its zero crossing is the mask's outline."""

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]], placement: Placement) -> None:
        """Put checked arrays (see :func:`read_arrays`) on the device."""
        torch = import_torch()
        self._placement = placement
        self._weights = {
            name: torch.from_numpy(np.ascontiguousarray(array)).to(placement.device) for name, array in arrays.items()
        }

    def decode(self, codes: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The masks before they are put in their boxes.

        Args:
            codes: 16 each, in [0, 127]; rows of a 4 x 4 grid, top left first.

        Returns:
            (N, 64, 64), about -1 where the thing is not and 1 where it is.
        """
        for row in codes:
            if len(row) != MASK_CODES or not all(0 <= code < len(self._weights[_CODEBOOK]) for code in row):
                raise ValueError(f"a mask is {MASK_CODES} codes in [0, 127], got {list(row)}")
        if not len(codes):
            return np.zeros((0, MASK_SIDE, MASK_SIDE), np.float32)
        torch = import_torch()
        with inference(self._placement):
            index = torch.as_tensor([list(row) for row in codes], device=self._placement.device)
            grid = self._weights[_CODEBOOK][index].unflatten(1, (_GRID, _GRID)).permute(0, 3, 1, 2)
            logits = self._forward(grid)[:, 0]
        return np.asarray(logits.cpu().numpy(), dtype=np.float32)

    def _forward(self, pixels: Any) -> Any:
        """(N, 512, 4, 4) -> (N, 1, 64, 64)."""
        relu = import_torch().relu
        pixels = relu(self._conv(pixels, "decoder.0"))
        for block in _RESIDUAL:
            inner = relu(self._conv(pixels, f"{block}.0", padding=1))
            inner = relu(self._conv(inner, f"{block}.2", padding=1))
            pixels = pixels + self._conv(inner, f"{block}.4")
        for name in _UPSAMPLING:
            pixels = relu(self._doubled(pixels, name))
        return self._conv(pixels, "decoder.12")

    def _conv(self, pixels: Any, name: str, *, padding: int = 0) -> Any:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return import_torch().nn.functional.conv2d(pixels, weight, bias, padding=padding)

    def _doubled(self, pixels: Any, name: str) -> Any:
        """Twice the size. Flax pads the spread-out input by 2 = (4 - 1) - 1, which is padding 1 in torch's terms."""
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return import_torch().nn.functional.conv_transpose2d(pixels, weight, bias, stride=2, padding=1)

    def mask(self, codes: Sequence[int], box_xyxy: BoxXyxy, image_wh: tuple[int, int]) -> BoolMask | None:
        """One thing's mask over the image; None where not a pixel of it is left."""
        (small,) = self.decode([codes])
        pasted = paste(small, box_xyxy, image_wh)
        return pasted if pasted.any() else None


def paste(values: NDArray[np.float32], box_xyxy: BoxXyxy, image_wh: tuple[int, int]) -> BoolMask:
    """A box's small mask at the image's size, as the authors' evaluator does it.

    Args:
        values: (h, w), 0 on the outline (which is probability 0.5).
        box_xyxy: image pixels; its corners are rounded, and it keeps at least one pixel each way.
        image_wh: of the image.

    Returns:
        (H, W): resized bilinearly (with antialiasing where the box is smaller than the mask), then cut at 0.
    """
    from PIL import Image

    width, height = image_wh
    x1, y1 = (min(max(round(low), 0), limit - 1) for low, limit in zip(box_xyxy[:2], image_wh, strict=True))
    x2 = min(max(round(box_xyxy[2]), x1 + 1), width)
    y2 = min(max(round(box_xyxy[3]), y1 + 1), height)
    resized = Image.fromarray(values.astype(np.float32)).resize((x2 - x1, y2 - y1), Image.Resampling.BILINEAR)
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[y1:y2, x1:x2] = np.asarray(resized) > 0.0
    return mask


def read_arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    """The decoder's arrays, checked; what else the file holds (the encoder) is left out.

    Raises:
        ModelError: it is no such file, or an array is missing, misshapen or not finite; names file and array.
    """
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise ModelError(f"mask decoder {path}: a single array, not an .npz with several. {HOW_TO_GET}")
        with file:
            names = list(file.files)
            held = {name: np.asarray(file[name]) for name in ARRAY_SHAPES if name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"mask decoder {path}: cannot be read as .npz ({error}). {HOW_TO_GET}") from error
    missing = [name for name in ARRAY_SHAPES if name not in held]
    if missing:
        raise ModelError(
            f"mask decoder {path}: lacks {len(missing)} of {len(ARRAY_SHAPES)} arrays, first '{missing[0]}'; it holds "
            f"{', '.join(names[:6]) or 'nothing'}{' ...' if len(names) > 6 else ''}. {HOW_TO_GET}"
        )
    for name, array in held.items():
        if array.shape != ARRAY_SHAPES[name]:
            raise ModelError(f"mask decoder {path}: '{name}' has shape {array.shape}, expected {ARRAY_SHAPES[name]}")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ModelError(f"mask decoder {path}: '{name}' ({array.dtype}) is not all finite numbers")
    return {name: array.astype(np.float32) for name, array in held.items()}


def load_mask_decoder(checkpoint: Checkpoint, placement: Placement, options: Options) -> MaskDecoder | None:
    """The decoder that the options name, else the one beside the weights, else the one in the hub's cache.

    Options:
        mask_decoder: ``vae-oid.npz``, or a folder that holds it.
        masks: true: the decoder has to be there; false: leave it alone.

    Returns:
        None where there is none, or it is not wanted.

    Raises:
        ModelError: a file that was named or asked for is missing or broken; says how to get it.
    """
    named = options.text("mask_decoder")
    wanted = options.values.get("masks")
    if wanted is not None and not options.flag("masks"):
        return None
    if named:
        path: Path | None = _in_folder(Path(named).expanduser())
        if path is None:
            raise ModelError(f"'{options.owner}': option 'mask_decoder': there is no file {named}. {HOW_TO_GET}")
    else:
        path = (_in_folder(Path(checkpoint.location)) if checkpoint.is_local else None) or _in_cache()
    if path is not None:
        return MaskDecoder(read_arrays(path), placement)
    if wanted:
        raise ModelError(
            f"'{options.owner}': masks need the decoder of its mask tokens, which the checkpoint does not hold. {HOW_TO_GET}"
        )
    return None


def _in_folder(path: Path) -> Path | None:
    path = path / FILE_NAME if path.is_dir() else path
    return path if path.is_file() else None


def _in_cache() -> Path | None:
    """The file as ``hf download`` leaves it; looks at the disk only."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(_HUB_SPACE, FILE_NAME, repo_type="space")
    return Path(found) if isinstance(found, str) else None
