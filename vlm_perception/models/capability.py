"""Ask before asking: whether a model can do what a command wants, and who could."""

from __future__ import annotations

from vlm_perception.models.base import Capabilities, GroundingModel, VisionLanguageModel
from vlm_perception.models.registry import load_registry
from vlm_perception.types import CommandError

_WORDS = {
    "detects": "locate things",
    "masks": "give masks",
    "points": "point",
    "captions": "caption an image",
    "answers": "answer questions",
    "counts": "count",
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
    able = who_can(task)
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
