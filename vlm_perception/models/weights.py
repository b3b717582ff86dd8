"""Weights once they are read: are they whole, in how many bits, where, compiled or not."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from vlm_perception.models.runtime import (
    Placement,
    first_line,
    import_torch,
    import_transformers,
    missing_modules,
)
from vlm_perception.types import ModelError


def refuse_partial(model: Any, report: Mapping[str, Any], name: str, *, allowed: Sequence[str], again: str) -> None:
    """Refuse a model of which the checkpoint held a part: the library makes up the rest at random, and runs.

    Tied weights, and buffers that are not saved, the library does not report. Of saved buffers only real numbers are
    learned or drawn (running means, frequencies); whole numbers are indices and counters, which the class makes itself.

    Args:
        model: as the library returned it.
        report: the library's, with ``missing_keys`` and ``mismatched_keys``.
        name: of the model, for the message.
        allowed: parts of the names of weights that the network does without.
        again: what to do to have the files whole.

    Raises:
        ModelError: names some of the weights.
    """
    kind = type(model).__name__
    for key, held, wanted in sorted(report.get("mismatched_keys") or ()):
        raise ModelError(
            f"cannot load '{name}': '{key}' is {tuple(held)} in its files and {tuple(wanted)} in {kind} as its "
            f"config.json has it, so the two are of different checkpoints. {again}"
        )
    learned = {key for key, _ in model.named_parameters(remove_duplicate=False)}
    learned |= {key for key, held in model.named_buffers(remove_duplicate=False) if held.is_floating_point()}
    missing = learned & set(report["missing_keys"])
    lacking = sorted(key for key in missing if not any(part in key for part in allowed))
    if lacking:
        shown = ", ".join(lacking[:3]) + (" ..." if len(lacking) > 3 else "")
        raise ModelError(
            f"cannot load '{name}': its files lack {len(lacking)} of the {len(learned)} weights of {kind} ({shown}), "
            f"and in their place it would answer at random. {again}. If the network is known to do without them, name them "
            "in the option 'missing_weights'"
        )


def refuse_unknown_backend(backend: object, name: str) -> None:
    """Hold the option ``compile`` of the model ``name`` against what ``torch.compile`` has; true is its default one.

    Raises:
        ModelError: there is no such backend.
    """
    if isinstance(backend, bool):
        return
    dynamo = import_torch()._dynamo  # noqa: SLF001
    if backend not in dynamo.list_backends(exclude_tags=()):
        known = ", ".join(dynamo.list_backends())
        raise ModelError(f"'{name}': option 'compile' must be true, false or one of {known}, got {backend!r}")


def compile_methods(model: Any, hot: Sequence[str], backend: object) -> None:
    """Replace methods of a model by compiled ones.

    Args:
        model: changed in place.
        hot: paths of methods from the model, e.g. "vision_model.forward".
        backend: true for the library's default one, or its name.
    """
    torch = import_torch()
    for path in hot:
        owner, _, method = path.rpartition(".")
        part = operator.attrgetter(owner)(model) if owner else model
        chosen = {} if backend is True else {"backend": backend}
        setattr(part, method, torch.compile(getattr(part, method), **chosen))


@contextmanager
def uncompiled(model: Any) -> Iterator[None]:
    """Let a model that is compiled, or parts of which are, run as it is written, for those who listen inside.

    Compiled code calls no hooks but those that were there when it was compiled.

    Args:
        model: compiled by :func:`compile_methods`, or not.
    """
    compiled = any(hasattr(part.forward, "_torchdynamo_orig_callable") for part in model.modules())
    with import_torch().compiler.set_stance("force_eager") if compiled else nullcontext():
        yield


def quantisation(name: str, bits: list[str], placement: Placement) -> Any:
    """The library's configuration for ``load_in_8bit`` or ``load_in_4bit``.

    Raises:
        ModelError: both are asked for, or this machine cannot do it; says what is missing.
    """
    if len(bits) > 1:
        raise ModelError(f"'{name}': load_in_8bit and load_in_4bit exclude each other")
    if not placement.on_gpu:
        raise ModelError(f"'{name}': {bits[0]} needs a CUDA GPU, the device is '{placement.device}'")
    missing = missing_modules(("bitsandbytes", "accelerate"))
    if missing:
        raise ModelError(f"'{name}': {bits[0]} needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    return import_transformers().BitsAndBytesConfig(**{bits[0]: True})


def to_device(model: Any, name: str, placement: Placement) -> Any:
    """The model, moved.

    Raises:
        ModelError: it does not fit there, or there is no such device.
    """
    torch = import_torch()
    try:
        return model.to(placement.device)
    except torch.OutOfMemoryError:
        pass
    except RuntimeError as error:
        raise ModelError(f"cannot move '{name}' to {placement.device}: {first_line(error)}") from error
    del model
    raise ModelError(
        f"'{name}' does not fit into the memory of {placement.device}. "
        "Use a smaller model, load_in_8bit / load_in_4bit, or device:=cpu"
    )
