"""Ask before asking: whether a model can do what a command wants, and who could."""

from __future__ import annotations

import logging
from typing import Protocol, runtime_checkable

from vlm_perception.models.base import Capabilities, GroundingModel, VisionLanguageModel
from vlm_perception.models.registry import load_registry
from vlm_perception.models.runtime import Placement
from vlm_perception.types import CommandError

_LOG = logging.getLogger(__name__)


@runtime_checkable
class Placed(Protocol):
    """A model that tells where it runs; those without a network need not have this."""

    @property
    def placement(self) -> Placement | None:
        """Its device and precision, if that is known."""


_WORDS = {
    "detects": "locate things",
    "masks": "give masks",
    "points": "point",
    "captions": "caption an image",
    "answers": "answer questions",
    "counts": "count (several things may be one to it)",
    "reads_text": "read text",
    "describes_regions": "describe a region",
    "names_regions": "name what is in a region",
    "heatmaps": "give heatmaps",
}


def who_can(task: str) -> list[str]:
    """Names of the registry's models that can do a task, e.g. "captions"."""
    return [name for name, entry in load_registry().items() if task in entry.tasks]


def refuse(name: str, task: str) -> CommandError:
    """The error for a model that cannot do a task; names those that can."""
    able = [other for other in who_can(task) if other != name]
    others = f"models that can: {', '.join(able)}" if able else "no model of the registry can"
    return CommandError(f"'{name}' cannot {_WORDS.get(task, task)}; {others}")


def require(model: GroundingModel | VisionLanguageModel, task: str) -> None:
    """Check a capability before it is used.

    Args:
        model: any model.
        task: a yes/no attribute of :class:`~vlm_perception.models.base.Capabilities`.

    Raises:
        CommandError: the model cannot; names those that can.
    """
    if task not in _WORDS:
        raise ValueError(f"'{task}' is no capability; known are {', '.join(_WORDS)}")
    capabilities: Capabilities = model.capabilities
    if not getattr(capabilities, task):
        raise refuse(model.name, task)


def require_places(model: GroundingModel, *, counting: bool = False) -> None:
    """Check that a model says where things are, by boxes or by points.

    Args:
        model: any model.
        counting: each thing must have a place of its own.

    Raises:
        CommandError: the model cannot; names those that can.
    """
    if not model.capabilities.points:
        require(model, "detects")
        if counting:
            require(model, "counts")


def warn_if_slow(model: GroundingModel) -> None:
    """Say it once, before anyone waits for it, when a model that is made for a GPU runs on the CPU."""
    placement = model.placement if isinstance(model, Placed) else None
    if model.capabilities.needs_gpu and placement is not None and not placement.on_gpu:
        _LOG.warning(
            "'%s' is made for a GPU and runs on the CPU, many times slower; if that is too slow, take a model that "
            "needs none, e.g. tabletop or grounding-dino-tiny",
            model.name,
        )
