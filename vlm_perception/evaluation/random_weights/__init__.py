"""Checkpoints of a registry model's real architecture with random weights, to measure speed where there is no hub.

They are written in the hub's layout and loaded by the path that public checkpoints take. The tokenizers have the
public ones' vocabulary size and special ids, and words of their own; what a forward pass costs does not depend on
what the words are. Detectors, segmenters and models that write have a module of recipes each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from vlm_perception.evaluation.random_weights.detectors import DETECTORS
from vlm_perception.evaluation.random_weights.recipe import Recipe
from vlm_perception.evaluation.random_weights.segmenters import SEGMENTERS
from vlm_perception.evaluation.random_weights.writers import WRITERS
from vlm_perception.models.registry import ModelEntry, load_registry
from vlm_perception.models.runtime import import_torch, import_transformers, missing_modules
from vlm_perception.types import ModelError

RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType({**DETECTORS, **SEGMENTERS, **WRITERS})


def random_checkpoint(name: str, folder: Path, *, new_tokens: int | None = None) -> ModelEntry:
    """Write a checkpoint of a registry model's architecture.

    Args:
        name: of a registry row with ``architecture``.
        folder: an empty folder; needs about the row's ``size_mb`` (half of it for Molmo 2, which is published in
            float32 and made in bfloat16). The memory needed is as much, once.
        new_tokens: a model that writes what it finds stops at a word that random weights never find; with this number
            in its generation settings every answer is so many tokens long.

    Returns:
        The row; its defaults hold what the model needs to find anything, see :class:`Recipe`.

    Raises:
        ModelError: there is no such row, no architecture is recorded for it, or a package that its network is made of
            is missing.
    """
    entry, recipe = _row(name)
    config, side = network_config(entry)
    torch, transformers = import_torch(), import_transformers()
    torch.manual_seed(0)
    with _weights_in(torch.bfloat16 if recipe.half else torch.float32):
        network = getattr(transformers, recipe.network)(config)
    if recipe.writes and new_tokens is not None:
        network.generation_config.update(min_new_tokens=new_tokens, max_new_tokens=new_tokens)
    network.save_pretrained(folder)
    if recipe.tokenizer is not None:
        recipe.tokenizer(config).save_pretrained(folder)
    saved = {**recipe.preprocessor(config, side), "processor_class": recipe.processor}
    (folder / "preprocessor_config.json").write_text(json.dumps(saved), encoding="utf-8")
    if recipe.settings is not None:
        settings = {**recipe.settings(config), "processor_class": recipe.processor}
        (folder / "processor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return replace(entry, defaults=MappingProxyType({**entry.defaults, **recipe.needs}))


def network_config(entry: ModelEntry) -> tuple[Any, int]:
    """The library's configuration of a registry row's network, and the side of the image that it sees.

    Raises:
        ModelError: the row has no architecture, or a package that its network is made of is missing.
    """
    entry, recipe = _row(entry.name, entry)
    missing = missing_modules(("timm",)) if "timm" in json.dumps(dict(entry.architecture or {})) else []
    if missing:
        raise ModelError(
            f"the network of '{entry.name}' is made by timm, which is not installed: pip install timm torchvision"
        )
    given = dict(entry.architecture or {})
    side = int(given.pop("input_side"))
    return getattr(import_transformers(), recipe.config)(**given), side


def _row(name: str, entry: ModelEntry | None = None) -> tuple[ModelEntry, Recipe]:
    registry = load_registry()
    entry = entry if entry is not None else registry.get(name)
    if entry is None or entry.architecture is None or entry.model_type not in RECIPES:
        able = [row.name for row in registry.values() if row.architecture is not None and row.model_type in RECIPES]
        why = "is no name of the registry" if entry is None else "has no architecture recorded in config/models.yaml"
        raise ModelError(f"'{name}' {why}; random weights can be made for {', '.join(able)}")
    return entry, RECIPES[entry.model_type]


@contextmanager
def _weights_in(dtype: Any) -> Iterator[None]:
    """New parameters are of this type."""
    torch = import_torch()
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
