"""What a user sets, held against the table of options before anything is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from vlm_perception.models.options import Options
from vlm_perception.models.options_table import GROUNDERS, OTHER_CHATS, TABLE, WEIGHTS, Option
from vlm_perception.models.registry import ModelEntry
from vlm_perception.types import ModelError


def options_of(family: str, role: str, model_type: str) -> dict[str, Option]:
    """What a model takes, by name, its family's own first.

    Args:
        family: as in the registry.
        role: "grounder" or "segmenter".
        model_type: of its ``config.json``; "" where there is none.
    """
    rows = TABLE[family] if family == "no-weights" else (*TABLE[family], *GROUNDERS, *WEIGHTS)
    kind = _kind(family, model_type)
    return {row.name: row for row in rows if row.goes_with(kind, role)}


def with_defaults(entry: ModelEntry, role: str, given: Mapping[str, object]) -> dict[str, Any]:
    """What a user gave over a registry row's defaults, less those that are no options in this role or do nothing then."""
    known = options_of(entry.family, role, entry.model_type)
    values = {**{name: value for name, value in entry.defaults.items() if name in known}, **given}
    return {name: value for name, value in values.items() if name in given or not _why_idle(known[name], values)}


def check_options(options: Options, *, family: str, role: str, model_type: str) -> None:
    """Refuse what a model does not take, and what would do nothing.

    Args:
        options: all that are set.
        family: as in the registry; the other arguments likewise as in :func:`options_of`.
        role: what the model is wanted for.
        model_type: its class.

    Raises:
        ModelError: names the option, its value, and what it takes or who takes it.
    """
    known = options_of(family, role, model_type)
    for name in options.values:
        if name not in known:
            raise ModelError(f"'{options.owner}' has no option '{name}': {_hint(name, known, role)}")
        options.check(name, known[name].takes)
    for name in options.values:
        why = _why_idle(known[name], options.values)
        if why:
            raise ModelError(f"'{options.owner}': option '{name}' {why}")


def _why_idle(option: Option, values: Mapping[str, Any]) -> str:
    """Why an option would do nothing beside others; "" when it does something."""
    if option.idle is not None:
        other, value = option.idle
        if values.get(other, option.idle_default) == value:
            return f"does nothing with {other}: {_written(value)}; leave it away, or change '{other}'"
    if option.boxes and values.get("boxes_from") == "heatmap":
        return "shapes the model's own boxes, so it does nothing with boxes_from: heatmap; leave one of them away"
    return ""


def _kind(family: str, model_type: str) -> str:
    if family != "written-coordinates":
        return model_type
    from vlm_perception.models.written_coordinates import DIALECTS

    return model_type if model_type in DIALECTS else OTHER_CHATS


def _hint(name: str, known: Mapping[str, Option], role: str) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    elsewhere = [(family, row) for family, rows in TABLE.items() for row in rows if row.name == name]
    elsewhere += [("any", row) for row in (*GROUNDERS, *WEIGHTS) if row.name == name]
    if any(row.role not in ("", role) for _, row in elsewhere):
        other = "segmenter" if role == "grounder" else "model"
        return f"it is one of a {other}'s"
    if elsewhere:
        takers = dict.fromkeys(", ".join(row.only) or f"the family {family}" for family, row in elsewhere)
        return f"it goes with {'; '.join(takers)}"
    return f"known are {', '.join(sorted(known))}" if known else "it has none"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
