"""Scores for people: a table on the terminal, and an HTML page with the worst failures."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from vlm_perception.evaluation.dataset import RgbdRecDataset
from vlm_perception.evaluation.evaluate import EvaluationReport, Outcome

_COLUMNS = (
    "acc@0.5",
    "acc@0.75",
    "mIoU",
    "mask_iou",
    "pick_acc",
    "centroid_cm_median",
    "centroid_cm_p90",
    "plural_f1@0.5",
    "count_acc",
    "absent_acc",
)
_SHORT = {
    "acc@0.5": "acc.5",
    "acc@0.75": "acc.75",
    "mask_iou": "mask",
    "pick_acc": "pick",
    "centroid_cm_median": "cm50",
    "centroid_cm_p90": "cm90",
    "plural_f1@0.5": "F1.5",
    "count_acc": "count",
    "absent_acc": "absent",
}
_COLORS_RGB = {"target": (46, 204, 64), "destination": (0, 116, 217), "anchor": (255, 165, 0)}
_RUNNER_UP_RGB = (150, 150, 150)
_TRUTH_RGB = (255, 0, 200)

_STYLE = """
body { font-family: system-ui, sans-serif; margin: 2em; max-width: 1100px; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .3em .7em; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child { text-align: left }
small { color: #777 }
figure { margin: 1.5em 0; border-top: 1px solid #ddd; padding-top: 1em }
img { max-width: 100%; border-radius: 4px }
"""


def print_table(report: EvaluationReport, console: Console | None = None) -> None:
    """Print scores, a row a kind, the overall ones with their 95 % intervals."""
    columns, rows = _score_rows(report)
    title = f"{report.model} on {report.dataset}: {len(report.outcomes)} expressions, {report.frames} frames"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for column in ["n", *(_SHORT.get(column, column) for column in columns)]:
        table.add_column(column, justify="right", no_wrap=True)
    for name, count, cells in rows:
        table.add_row(name, str(count), *(value for value, _ in cells))
    table.add_row("95 %: from", "", *(interval.partition("-")[0] for _, interval in cells))
    table.add_row("to", "", *(interval.partition("-")[2] for _, interval in cells))
    out = console if console is not None else Console()
    out.print(table)
    stages = ", ".join(f"{s} {v['p50']:.1f}/{v['p95']:.1f}" for s, v in report.latency_ms.items())
    out.print(f"latency, ms p50/p95: {stages}")


def write_report(report: EvaluationReport, dataset: RgbdRecDataset, folder: str | Path, *, worst: int = 24) -> Path:
    """Write ``index.html`` with the scores and pictures of the worst failures; one file, nothing beside it.

    Args:
        report: scores.
        dataset: for the pictures.
        folder: made if need be.
        worst: how many failures are shown.

    Returns:
        The file.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    failures = sorted((o for o in report.outcomes if o.badness > 0), key=lambda o: -o.badness)
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{escape(report.model)} on {escape(report.dataset)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(report.model)} on {escape(report.dataset)}</h1>",
        f"<p>{len(report.outcomes)} expressions over {report.frames} frames; small: 95 % intervals.</p>",
        _html_scores(report),
        _html_latency(report),
        f"<h2>Worst answers: {min(worst, len(failures))} of {len(failures)} that are not perfect</h2>",
        "<p>Truth in pink; the answer's target in green, destination blue, anchors orange, runner-ups grey.</p>",
        *(_html_failure(outcome, dataset) for outcome in failures[:worst]),
        "</body></html>",
    ]
    file = target / "index.html"
    file.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return file


def _score_rows(
    report: EvaluationReport,
) -> tuple[list[str], list[tuple[str, int, list[tuple[str, str]]]]]:
    """Columns that apply, and (kind, expressions, cells of (score, interval))."""
    overall = report.scores()
    columns = [column for column in _COLUMNS if column in overall]
    rows = []
    for kind in (*report.kinds, None):
        scores, intervals = report.scores(kind), report.intervals(kind)
        cells = []
        for column in columns:
            digits = 2 if column.startswith("centroid") else 3
            if column in scores:
                low, high = intervals[column]
                cells.append((f"{scores[column]:.{digits}f}", f"{low:.{digits}f}-{high:.{digits}f}"))
            else:
                cells.append(("", ""))
        count = sum(kind is None or o.expression.kind == kind for o in report.outcomes)
        rows.append((kind or "overall", count, cells))
    return columns, rows


def _html_scores(report: EvaluationReport) -> str:
    columns, rows = _score_rows(report)
    head = "".join(f"<th>{escape(column)}</th>" for column in ["", "n", *columns])
    body = "".join(
        f"<tr><td>{escape(name)}</td><td>{count}</td>"
        + "".join(f"<td>{value}<br><small>{interval}</small></td>" for value, interval in cells)
        + "</tr>"
        for name, count, cells in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _html_latency(report: EvaluationReport) -> str:
    rows = "".join(
        f"<tr><td>{escape(stage)}</td><td>{value['p50']:.1f}</td><td>{value['p95']:.1f}</td></tr>"
        for stage, value in report.latency_ms.items()
    )
    return f"<h2>Latency</h2><table><tr><th>stage</th><th>p50 ms</th><th>p95 ms</th></tr>{rows}</table>"


def _html_failure(outcome: Outcome, dataset: RgbdRecDataset) -> str:
    expression = outcome.expression
    scores = ", ".join(f"{name} {value:.2f}" for name, value in outcome.scores.items())
    picture = base64.b64encode(_picture(outcome, dataset)).decode("ascii")
    return (
        f"<figure><figcaption><b>{escape(expression.expression)}</b> "
        f"({escape(expression.kind)}, {escape(expression.frame_id)})<br>"
        f"{escape(outcome.status.name)}: {escape(outcome.message)}<br><small>{escape(scores)}</small>"
        f"</figcaption><img alt='' src='data:image/jpeg;base64,{picture}'></figure>"
    )


def _picture(outcome: Outcome, dataset: RgbdRecDataset) -> bytes:
    frame = dataset.frame(outcome.expression.frame_id)
    image = frame.load().color_rgb.copy()
    for given in reversed(outcome.given):
        color = _COLORS_RGB.get(given.role, _RUNNER_UP_RGB)
        _draw_box(image, given.box_xyxy, color, f"{given.phrase} {given.score:.2f}")
    for target in outcome.expression.targets:
        _draw_box(image, frame.instance(target).box_xyxy, _TRUTH_RGB, "")
    return bytes(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())


def _draw_box(image: NDArray[np.uint8], box_xyxy: tuple[float, ...], color: tuple[int, int, int], text: str) -> None:
    x0, y0, x1, y1 = (round(value) for value in box_xyxy)
    cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), color, 2)
    cv2.putText(image, text, (x0 + 2, max(y0 - 4, 12)), cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, 1, cv2.LINE_AA)
