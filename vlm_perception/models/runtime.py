"""What every torch-backed family shares: device, precision, out-of-memory, what is installed.

Nothing here imports torch until a function is called.
"""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from vlm_perception.types import ModelError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Placement:
    """Where a model runs and in which precision (a torch dtype's name)."""

    device: str
    dtype: str

    @property
    def on_gpu(self) -> bool:
        """Whether the device is no CPU."""
        return not self.device.startswith("cpu")


def choose_placement(device: str = "auto", dtype: str = "auto") -> Placement:
    """Decide on device and precision.

    ``device="auto"`` is the first CUDA device, else the CPU; ``dtype="auto"`` is bfloat16 on a GPU that has it,
    float16 on one that has not, float32 on the CPU.

    Raises:
        ModelError: torch is missing, or the device or dtype named does not exist here.
    """
    torch = import_torch()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ModelError(
            f"unknown device '{device}': use 'auto', 'cpu', 'cuda' or 'cuda:N' ({first_line(error)})"
        ) from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device '{device}' asked for, but torch {torch.__version__} sees no CUDA GPU here")
    if dtype == "auto":
        dtype = "float32"
        if kind == "cuda":
            dtype = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    dtype = {"fp32": "float32", "fp16": "float16", "half": "float16", "bf16": "bfloat16"}.get(dtype, dtype)
    if dtype not in ("float32", "float16", "bfloat16"):
        raise ModelError(f"unknown dtype '{dtype}': use 'auto', 'float32', 'float16' or 'bfloat16'")
    return Placement(device, dtype)


def import_torch() -> Any:
    """``torch``, or a ModelError that says how to get it."""
    try:
        import torch
    except ImportError as error:
        raise ModelError(
            f"this model needs PyTorch, which cannot be imported ({first_line(error)}): pip install torch"
        ) from error
    return torch


def import_transformers() -> Any:
    """``transformers``, or a ModelError that says how to get it."""
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            f"this model needs transformers, which cannot be imported ({first_line(error)}): "
            "pip install transformers"
        ) from error
    return transformers


def missing_modules(names: Sequence[str]) -> list[str]:
    """Those of ``names`` that cannot be found, without importing any."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def first_line(error: BaseException) -> str:
    """The first line of an error, for a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def free_memory() -> None:
    """Collect garbage and give cached GPU memory back."""
    gc.collect()
    torch = import_torch()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def refuse_nan(values: Any, name: str, placement: Placement, what: str = "scores") -> None:
    """Refuse what is no number: compared with a threshold it would read as "nothing there".

    Args:
        values: a tensor or an array.
        name: of the model, for the message.
        placement: where it runs, likewise.
        what: the values are.

    Raises:
        ModelError: one of them is NaN.
    """
    if not bool((values.isnan() if hasattr(values, "isnan") else np.isnan(values)).any()):
        return
    damaged = "its weights are damaged: copy or download it again"
    if placement.dtype != "float32":
        damaged = f"try dtype:=float32; if that does not help, {damaged}"
    raise ModelError(f"'{name}' returned NaN {what} in {placement.dtype} on {placement.device}; {damaged}")


def split_on_oom(
    work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], *, what: str
) -> list[Result]:
    """Do ``work`` on all ``items`` at once, or in halves when memory runs out.

    Recovery happens outside the ``except`` block: a live traceback would keep the very tensors that fill
    the memory. A single item is tried once more after freeing, for the sake of fragmentation.

    Args:
        work: takes a batch, returns one result an item.
        items: what to work on.
        what: the model, for the message.

    Raises:
        ModelError: one item alone does not fit.
    """
    torch = import_torch()
    message = ""
    try:
        return work(items)
    except torch.OutOfMemoryError as error:
        message = first_line(error)
    free_memory()
    if len(items) > 1:
        middle = len(items) // 2
        first = split_on_oom(work, items[:middle], what=what)
        return first + split_on_oom(work, items[middle:], what=what)
    try:
        return work(items)
    except torch.OutOfMemoryError as error:
        message = first_line(error)
    free_memory()
    raise ModelError(
        f"'{what}' ran out of memory even on its smallest batch ({message}). "
        "Use a smaller model, dtype:=float16, load_in_4bit, smaller images, or device:=cpu"
    )


@contextmanager
def inference(placement: Placement, *, autocast: bool = False) -> Iterator[None]:
    """No gradients; with ``autocast`` the heavy operators run in the placement's precision."""
    torch = import_torch()
    kind = torch.device(placement.device).type
    dtype = getattr(torch, placement.dtype)
    with torch.inference_mode(), torch.autocast(kind, dtype=dtype, enabled=autocast and dtype != torch.float32):
        yield
