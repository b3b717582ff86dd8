"""A name, hub id or folder in, a model out. Nothing heavy is imported before a model is built."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from vlm_perception.models import heatmap_grounder
from vlm_perception.models.base import GroundingModel, Segmenter
from vlm_perception.models.hub_cache import lacking_files
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.loading_errors import CheckpointError, env_offline
from vlm_perception.models.options import Options
from vlm_perception.models.options_check import check_options, with_defaults
from vlm_perception.models.registry import ModelEntry, load_registry
from vlm_perception.models.runtime import Placement, choose_placement, missing_modules
from vlm_perception.types import ModelError, VlmPerceptionError


@dataclass(frozen=True)
class _Family:
    module: str
    model_types: tuple[str, ...]


# One file a family; `load` (phrases -> boxes) and `load_segmenter` (boxes -> masks) are its ways in.
FAMILIES: Final[Mapping[str, _Family]] = {
    "detection-head": _Family(
        "vlm_perception.models.detection_head",
        ("grounding-dino", "mm-grounding-dino", "owlvit", "owlv2", "omdet-turbo"),
    ),
    "promptable-masks": _Family(
        "vlm_perception.models.promptable_masks",
        (
            "sam",
            "sam_hq",
            "sam2",
            "sam2_video",
            "edgetam",
            "edgetam_video",
            "sam3",
            "sam3_video",
            "sam3_tracker",
            "sam3_tracker_video",
        ),
    ),
    "text-heatmap": _Family("vlm_perception.models.text_heatmaps", ("clipseg",)),
    "two-stage": _Family("vlm_perception.models.two_stage", ("clip", "siglip", "siglip2")),
    "location-tokens": _Family(
        "vlm_perception.models.location_tokens", ("florence2", "kosmos-2", "paligemma")
    ),
    "written-coordinates": _Family(
        "vlm_perception.models.written_coordinates",
        (
            "qwen2_vl",
            "qwen2_5_vl",
            "qwen3_vl",
            "qwen3_vl_moe",
            "qwen3_5",
            "qwen3_5_moe",
            "internvl",
            "molmo2",
        ),
    ),
}
_NO_WEIGHTS: Final = "no-weights"
_ENTRY_POINT: Final = {"grounder": "load", "segmenter": "load_segmenter"}


def build_model(
    spec: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool | None = None,
    options: Mapping[str, object] | None = None,
) -> GroundingModel:
    """Load what finds things by phrase.

    Args:
        spec: a name of the registry, a hub id ("IDEA-Research/grounding-dino-tiny") or a local folder in hub
            layout; the family of the latter two is inferred from ``model_type`` in their ``config.json``.
        device: "auto", "cpu", "cuda", "cuda:N".
        dtype: "auto" (half precision on a GPU), "float32", "float16", "bfloat16".
        offline: never touch the network; None: only for what the cache lacks, unless ``HF_HUB_OFFLINE`` is set.
        options: override the registry's defaults, e.g. ``{"threshold": 0.3, "compile": True}``; which there are
            says :data:`vlm_perception.models.options_table.TABLE`.

    Raises:
        ModelError: it is unknown or cannot be loaded; the message says what to do.
    """
    model: GroundingModel = _build(spec, "grounder", device, dtype, offline, options)
    return model


def build_segmenter(
    spec: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool | None = None,
    options: Mapping[str, object] | None = None,
) -> Segmenter | None:
    """Load what turns boxes into masks; arguments as :func:`build_model`.

    Returns:
        None for "none". "depth-grabcut" needs no weights.
    """
    if spec.strip() in ("none", ""):
        check_options(Options(options or {}, "none"), family=_NO_WEIGHTS, role="segmenter", model_type="")
        return None
    segmenter: Segmenter = _build(spec, "segmenter", device, dtype, offline, options)
    return segmenter


def list_models() -> list[tuple[ModelEntry, str]]:
    """Every row of the registry with its state here.

    The state is "ready", "needs download", "incomplete download" (one that broke off: the next use ends it), "missing
    PACKAGE ..." (a Python package) or "missing files" (a checkpoint that should ship with this package).
    """
    return [(entry, availability(entry)) for entry in load_registry().values()]


def availability(entry: ModelEntry) -> str:
    """See :func:`list_models`. Looks at the disk only."""
    missing = missing_modules(entry.requires)
    if missing:
        return "missing " + " ".join(missing)
    folder = entry.asset_folder
    if folder is not None:
        return "ready" if (folder / "config.json").is_file() else "missing files"
    if not entry.hub_id:
        return "ready"
    lacking = lacking_files(entry.hub_id, words="grounder" in entry.roles)
    if lacking is None:
        return "needs download"
    return "incomplete download" if lacking else "ready"


def _build(
    spec: str,
    role: str,
    device: str,
    dtype: str,
    offline: bool | None,
    options: Mapping[str, object] | None,
) -> Any:
    spec = spec.strip()
    registry = load_registry()
    entry = registry.get(spec)
    if entry is None:
        checkpoint = _checkpoint(spec, _location(spec, role, registry), offline, role)
        family, model_type = _infer_family(checkpoint)
        values: dict[str, Any] = dict(options or {})
    else:
        if role not in entry.roles:
            raise ModelError(
                f"'{spec}' is a {' and '.join(entry.roles)}, not a {role}; "
                f"{role}s are: {', '.join(_names(registry, role))}"
            )
        missing = missing_modules(entry.requires)
        if missing:
            raise ModelError(f"'{spec}' needs {', '.join(missing)}: pip install {' '.join(missing)}")
        values = with_defaults(entry, role, options or {})
        if entry.family == _NO_WEIGHTS:
            return _build_without_weights(entry, role, values)
        family, model_type = entry.family, entry.model_type
        checkpoint = _checkpoint(spec, _entry_location(entry), offline, role)
    module = importlib.import_module(FAMILIES[family].module)
    load = getattr(module, _ENTRY_POINT[role], None)
    if load is None:
        raise ModelError(
            f"'{spec}' is of the family {family}, which is no {role}; "
            f"{role}s are: {', '.join(_names(registry, role))}"
        )
    checked = Options(values, spec)
    check_options(checked, family=family, role=role, model_type=model_type)
    heat_threshold = heatmap_grounder.heat_threshold_of(checked) if role == "grounder" else None
    model = _loaded(load, checkpoint, choose_placement(device, dtype), checked)
    return model if heat_threshold is None else heatmap_grounder.from_heatmaps(model, heat_threshold)


def _checkpoint(name: str, location: str, offline: bool | None, role: str) -> Checkpoint:
    """What is whole in the cache is used without asking the hub: a robot must start without a network."""
    cached = offline
    if cached is None:
        on_hub = "/" in location and not Path(location).is_dir()
        cached = on_hub and lacking_files(location, words=role == "grounder") == ()
    return Checkpoint(name, location, offline=cached, offline_choice=offline)


def _loaded(
    load: Callable[[Checkpoint, Placement, Options], Any], checkpoint: Checkpoint, placement: Placement, options: Options
) -> Any:
    """The model; where the cache proves to lack a file, once more with the network, unless the user wants none.

    Raises:
        ModelError: it cannot be loaded; names the checkpoint also where a class of the library trips over its files.
    """
    try:
        try:
            return load(checkpoint, placement, options)
        except VlmPerceptionError:
            raise
        except Exception as error:
            raise checkpoint.failure(error) from error
    except CheckpointError:
        if not checkpoint.offline or checkpoint.offline_choice is not None or env_offline():
            raise
    return _loaded(load, replace(checkpoint, offline=False), placement, options)


def _build_without_weights(entry: ModelEntry, role: str, values: Mapping[str, Any]) -> Any:
    from vlm_perception.models.depth_grabcut import DepthGrabCut

    check_options(Options(values, entry.name), family=_NO_WEIGHTS, role=role, model_type="")
    return DepthGrabCut()


def _names(registry: Mapping[str, ModelEntry], role: str) -> list[str]:
    return [name for name, entry in registry.items() if role in entry.roles]


def _entry_location(entry: ModelEntry) -> str:
    folder = entry.asset_folder
    if folder is None:
        return entry.hub_id
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"'{entry.name}' should ship with this package, but {folder} holds no checkpoint: reinstall the "
            "package, or name another model"
        )
    return str(folder)


def _location(spec: str, role: str, registry: Mapping[str, ModelEntry]) -> str:
    """A folder or a hub id; anything else is a typing error."""
    path = Path(spec).expanduser()
    if spec and path.is_dir():
        return str(path)
    if spec.startswith((".", "/", "~")) or spec.count("/") > 1:
        raise ModelError(f"there is no model folder '{spec}' (working folder: {Path.cwd()})")
    if re.fullmatch(r"[\w.-]+/[\w.-]+", spec):
        return spec
    names = _names(registry, role)
    close = difflib.get_close_matches(spec.lower(), names, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(repr(name) for name in close)}? " if close else ""
    raise ModelError(
        f"unknown {role} '{spec}': {hint}Known are {', '.join(names)}; a hub id (owner/name) or a local "
        "folder will do as well"
    )


def _infer_family(checkpoint: Checkpoint) -> tuple[str, str]:
    """Its family and its ``model_type``."""
    model_type = str(checkpoint.config().get("model_type", ""))
    for name, family in FAMILIES.items():
        if model_type in family.model_types:
            return name, model_type
    from vlm_perception.models.written_coordinates import chats

    if chats(model_type):
        return "written-coordinates", model_type
    known = sorted(kind for family in FAMILIES.values() for kind in family.model_types)
    raise ModelError(
        f"'{checkpoint.location}' is of model_type '{model_type}', which no family here runs; "
        f"known are {', '.join(known)}, and every chat model with images of the library"
    )
