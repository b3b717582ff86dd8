"""The models that have a name: ``config/models.yaml`` as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from vlm_perception.resources import asset_path, config_path
from vlm_perception.types import ModelError

ROLES = ("grounder", "segmenter")
_INSTALLED = ("torch", "transformers", "PIL", "scipy")  # with this package


@dataclass(frozen=True)
class ModelEntry:
    """One row of the registry.

    Attributes:
        name: what a user types.
        family: the file of this package that runs it, e.g. "detection-head".
        roles: "grounder" (phrases -> boxes), "segmenter" (boxes -> masks), or both.
        tasks: what it can do, in the words of ``Capabilities`` ("detects", "masks", "captions" ...).
        languages: ISO 639-1 codes, as in ``Capabilities``.
        model_type: ``model_type`` of its ``config.json``; "" for what is no transformers model.
        hub_id: where it is downloaded from; "" for what ships with this package.
        asset: folder under ``vlm_perception/assets`` for what ships with this package.
        licence: of the weights.
        size_mb: of the download (0: nothing to download).
        gated: whether the hub asks to accept a licence first.
        requires: Python modules it needs beside NumPy and OpenCV.
        defaults: options of the family, e.g. ``{"threshold": 0.25}``.
        architecture: where the checkpoint's configuration differs from its class's default one, and
            ``input_side`` of the network's image; None: not recorded.
    """

    name: str
    family: str
    roles: tuple[str, ...]
    tasks: tuple[str, ...]
    languages: tuple[str, ...] = ("en",)
    model_type: str = ""
    hub_id: str = ""
    asset: str = ""
    licence: str = ""
    size_mb: float = 0.0
    gated: bool = False
    requires: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    architecture: Mapping[str, Any] | None = None

    @property
    def source(self) -> str:
        """The hub id, or "built in"."""
        return self.hub_id or "built in"

    @property
    def packages(self) -> tuple[str, ...]:
        """What has to be installed for it beside this package, e.g. "timm"."""
        return tuple(name for name in self.requires if name not in _INSTALLED)

    @property
    def asset_folder(self) -> Path | None:
        """The folder of a checkpoint that ships with this package, else None."""
        return asset_path(self.asset) if self.asset else None


def load_registry(path: Path | None = None) -> dict[str, ModelEntry]:
    """Read the registry, in the file's order.

    Args:
        path: another registry file; None takes ``config/models.yaml`` of this package.

    Raises:
        ModelError: the file is missing or malformed; names the row and the key at fault.
    """
    try:
        path = path if path is not None else config_path("models.yaml")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read the model registry: {error}") from error
    rows = content.get("models") if isinstance(content, dict) else None
    if not isinstance(rows, dict):
        raise ModelError(f"{path}: expected a top-level mapping 'models'")
    return {str(name): _entry(str(name), row, path) for name, row in rows.items()}


def _entry(name: str, row: object, path: Path) -> ModelEntry:
    if not isinstance(row, dict):
        raise ModelError(f"{path}: model '{name}' must be a mapping, got {type(row).__name__}")
    values: dict[str, Any] = {str(key): value for key, value in row.items()}
    known = set(ModelEntry.__dataclass_fields__) - {"name"}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ModelError(f"{path}: model '{name}' has unknown keys {unknown}; known are {sorted(known)}")
    for key in ("family", "roles", "tasks"):
        if not values.get(key):
            raise ModelError(f"{path}: model '{name}' lacks '{key}'")
    for key in ("roles", "tasks", "requires"):
        values[key] = tuple(values.get(key) or ())
    values["languages"] = tuple(values.get("languages") or ("en",))
    wrong = sorted(set(values["roles"]) - set(ROLES))
    if wrong:
        raise ModelError(f"{path}: model '{name}' has unknown roles {wrong}; known are {list(ROLES)}")
    values["defaults"] = MappingProxyType(dict(values.get("defaults") or {}))
    return ModelEntry(name=name, **values)
