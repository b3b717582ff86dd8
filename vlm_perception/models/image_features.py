"""What a network's vision tower makes of an image, computed once however many prompts go with it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import wraps
from typing import Any


@dataclass(frozen=True, eq=False)
class _Seen:
    """A call of the tower: held, so that what is the same object is the same image."""

    arguments: tuple[Any, ...]
    named: dict[str, Any]
    features: Any

    def is_of(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> bool:
        return (
            len(arguments) == len(self.arguments)
            and named.keys() == self.named.keys()
            and all(_same(a, b) for a, b in zip(arguments, self.arguments, strict=True))
            and all(_same(value, self.named[name]) for name, value in named.items())
        )


def remember_features(network: Any) -> None:
    """Let a network's vision tower remember what it made of its last input.

    It is asked anew for each prompt; with :class:`~vlm_perception.models.last_image.LastImage` before it, the tensors of one
    image are the same objects each time, and that is what is compared. A network whose own ``forward`` is compiled, the
    tower in it, is left as it is, and so is one whose tower the library does not name.
    """
    if hasattr(network.forward, "_torchdynamo_orig_callable"):
        return
    tower = network.get_encoder(modality="image")
    if tower is network or tower is network.base_model:
        return
    compute = tower.forward
    seen: _Seen | None = None

    @wraps(compute, updated=())  # what a compiled function says of itself is not said of this
    def forward(*arguments: Any, **named: Any) -> Any:
        nonlocal seen
        if seen is None or not seen.is_of(arguments, named):
            seen = _Seen(arguments, named, compute(*arguments, **named))
        return copy.copy(seen.features)  # callers write into it

    tower.forward = forward


def _same(first: Any, second: Any) -> bool:
    """Whether two arguments are one object, or equal words or numbers."""
    return first is second or (isinstance(first, (bool, int, float, str)) and type(first) is type(second) and first == second)
