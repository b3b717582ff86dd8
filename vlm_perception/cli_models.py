"""The command line's models: the arguments that choose and set them, and ``vlm-perception models``."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from vlm_perception.models.options import parse_option
from vlm_perception.types import ModelError

if TYPE_CHECKING:
    from vlm_perception.models.registry import ModelEntry
    from vlm_perception.pipeline import Pipeline

_DTYPES = ("auto", "float32", "float16", "bfloat16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what chooses model and segmenter."""
    parser.add_argument("--model", default="tabletop", help="registry name, hub id or local folder")
    parser.add_argument("--segmenter", default="depth-grabcut", help="registry name, or 'none'")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ...")
    parser.add_argument("--dtype", default="auto", choices=_DTYPES, help="auto: half precision on a GPU")
    parser.add_argument("--threshold", type=_share, default=None, help="lowest score, 0 to 1 (default: the model's)")
    add_option(parser, "--option", "model_options", "an option of the model, e.g. boxes_from=heatmap")
    add_option(parser, "--segmenter-option", "segmenter_options", "an option of the segmenter, e.g. multimask=false")


def add_option(parser: argparse.ArgumentParser, flag: str, dest: str, help_: str) -> None:
    """Declare a flag for ``NAME=VALUE``; ``vlm-perception models NAME`` lists them."""
    parser.add_argument(
        flag,
        dest=dest,
        type=_option,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"{help_}; may be repeated ('vlm-perception models NAME' lists them)",
    )


def build_pipeline(options: argparse.Namespace, *, heatmap: bool = False) -> Pipeline:
    """Model, segmenter and threshold of the arguments.

    Args:
        options: with :func:`add_arguments`'.
        heatmap: whether the model will be asked for one, which is said before anything runs.

    Raises:
        CommandError: it gives no heatmaps; names those that do.
        ModelError: one of them cannot be loaded.
    """
    from vlm_perception.models.capability import require
    from vlm_perception.models.factory import build_model, build_segmenter
    from vlm_perception.pipeline import Pipeline, PipelineSettings

    where = {"device": options.device, "dtype": options.dtype}
    # The smaller one first, so that what is wrong with it is said at once.
    segmenter = build_segmenter(options.segmenter, **where, options=dict(options.segmenter_options))
    model = build_model(options.model, **where, options=dict(options.model_options))
    if heatmap:
        require(model, "heatmaps")
    return Pipeline(model, segmenter, PipelineSettings(score_threshold=options.threshold))


def _option(text: str) -> tuple[str, object]:
    try:
        return parse_option(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got '{text}'")
    return value


# --------------------------------------------------------------------------- vlm-perception models


def add_models_parser(commands: Any) -> None:
    """Declare the subcommand ``models``."""
    models = commands.add_parser("models", help="what can be loaded here, what it can do, and what is missing")
    models.add_argument("name", nargs="?", help="only this one, with all its options")
    models.add_argument("--json", action="store_true")
    models.set_defaults(run=_models)


def _models(options: argparse.Namespace) -> int:
    from vlm_perception.models.factory import list_models
    from vlm_perception.summary import text_table

    listed = list_models()
    if options.name is not None:
        found = next((row for row in listed if row[0].name == options.name), None)
        if found is None:
            raise ModelError(f"no model is called '{options.name}'; known are {', '.join(e.name for e, _ in listed)}")
        row = {**_row(*found), "options": {role: _options(found[0], role) for role in found[0].roles}}
        sys.stdout.write((json.dumps(row, indent=2) if options.json else _card(row)) + "\n")
        return 0
    rows = [_row(entry, state) for entry, state in listed]
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    columns = ("name", "state", "size_mb", "family", "licence", "source", "tasks")
    header = ["MB" if column == "size_mb" else column for column in columns]
    sys.stdout.write(text_table(header, [[_cell(row[column]) for column in columns] for row in rows]) + "\n")
    return 0


def _row(entry: ModelEntry, state: str) -> dict[str, Any]:
    return {
        "name": entry.name,
        "family": entry.family,
        "roles": list(entry.roles),
        "tasks": list(entry.tasks),
        "languages": list(entry.languages),
        "source": entry.source,
        "licence": entry.licence,
        "gated": entry.gated,
        "needs": list(entry.packages),
        "size_mb": entry.size_mb,
        "state": state,
    }


def _options(entry: ModelEntry, role: str) -> list[dict[str, str]]:
    from vlm_perception.models.options_check import options_of, with_defaults

    defaults = with_defaults(entry, role, {})
    return [
        {
            "name": option.name,
            "takes": option.takes.words,
            "default": _plain(str(defaults.get(option.name, option.default))),
            "what": _plain(option.what),
        }
        for option in options_of(entry.family, role, entry.model_type).values()
    ]


def _card(row: dict[str, Any]) -> str:
    from vlm_perception.summary import text_table

    lines = [f"{name:9} {_cell(value)}" for name, value in row.items() if name != "options"]
    for role, options in row["options"].items():
        flag = "--option" if role == "grounder" else "--segmenter-option"
        lines += ["", f"options as {role}: {flag} NAME=VALUE" if options else f"no options as {role}"]
        if options:
            header = ["name", "takes", "default", "what"]
            lines += [text_table(header, [[option[column] for column in header] for option in options])]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _plain(markdown: str) -> str:
    """Without backticks and links."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "")
