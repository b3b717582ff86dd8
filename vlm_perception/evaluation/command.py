"""What ``vlm-perception evaluate`` does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vlm_perception.evaluation.dataset import load_rgbd_rec
from vlm_perception.evaluation.evaluate import evaluate
from vlm_perception.evaluation.oracle import OracleModel
from vlm_perception.evaluation.refcoco import evaluate_refcoco, load_refcoco
from vlm_perception.evaluation.report import print_table, write_report
from vlm_perception.models.base import GroundingModel, Segmenter
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.pipeline import Pipeline, PipelineSettings
from vlm_perception.types import CommandError


@dataclass(frozen=True)
class EvaluateOptions:
    """The command line of ``evaluate``.

    Attributes:
        folder: an rgbd-rec/1 folder, or a RefCOCO-style JSON file.
        limit: only the first so many expressions.
    """

    folder: Path
    model: str = "tabletop"
    segmenter: str = "depth-grabcut"
    device: str = "auto"
    threshold: float | None = None
    dtype: str = "auto"
    model_options: Mapping[str, object] = field(default_factory=dict)
    segmenter_options: Mapping[str, object] = field(default_factory=dict)
    oracle_detections: bool = False
    json_file: Path | None = None
    report_dir: Path | None = None
    limit: int | None = None


def run_evaluate(options: EvaluateOptions) -> int:
    """Score, print a table, write what was asked for.

    Returns:
        0.

    Raises:
        VlmPerceptionError: the data or the model cannot be loaded.
    """
    result = _run_refcoco(options) if options.folder.is_file() else _run_rgbd_rec(options)
    if options.json_file is not None:
        options.json_file.parent.mkdir(parents=True, exist_ok=True)
        options.json_file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {options.json_file}")
    return 0


def _run_rgbd_rec(options: EvaluateOptions) -> dict[str, Any]:
    dataset = load_rgbd_rec(options.folder)
    model: GroundingModel
    segmenter: Segmenter | None
    if options.oracle_detections:
        if options.model_options or options.segmenter_options:
            raise CommandError("--oracle-detections takes the place of model and segmenter, so it has no options")
        model = segmenter = OracleModel()
    else:
        model = build_model(options.model, device=options.device, dtype=options.dtype, options=options.model_options)
        segmenter = build_segmenter(
            options.segmenter, device=options.device, dtype=options.dtype, options=options.segmenter_options
        )
    pipeline = Pipeline(model, segmenter, PipelineSettings(score_threshold=options.threshold))
    with _progress() as on_progress:
        report = evaluate(dataset, pipeline, limit=options.limit, on_progress=on_progress)
    print_table(report)
    if options.report_dir is not None:
        print(f"wrote {write_report(report, dataset, options.report_dir)}")
    return report.to_json()


def _run_refcoco(options: EvaluateOptions) -> dict[str, Any]:
    if options.oracle_detections:
        raise CommandError(f"--oracle-detections needs an rgbd-rec/1 folder; {options.folder} is a RefCOCO file")
    if options.report_dir is not None:
        raise CommandError(f"--report needs an rgbd-rec/1 folder; {options.folder} is a RefCOCO file")
    if options.segmenter_options:
        raise CommandError(f"--segmenter-option needs an rgbd-rec/1 folder; {options.folder} is a RefCOCO file")
    expressions = load_refcoco(options.folder)[: options.limit]
    model = build_model(options.model, device=options.device, dtype=options.dtype, options=options.model_options)
    with _progress() as on_progress:
        result = evaluate_refcoco(
            expressions, model, dataset=options.folder.stem, threshold=options.threshold, on_progress=on_progress
        )
    for name, value in result["overall"].items():
        low, high = result["intervals"]["overall"][name]
        print(f"{name:10} {value:.3f}  [{low:.3f}, {high:.3f}]")
    return result


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal; nothing where the output is a file."""
    columns = (TextColumn("evaluate"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("evaluate", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
