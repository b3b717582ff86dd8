"""Where a detector fails on validation scenes: by size, by what hides the thing, by color, by kind; what it takes for what.

    python -m training.diagnose CHECKPOINT VAL --out DIR

Writes `DIR/diagnosis.md` and `DIR/diagnosis.png`. Every thing that a phrase names alone is asked for, and phrases that
name nothing in the frame (`training.validate.questions`); only the best box of a phrase counts. The threshold is that of
`tabletop.json` beside the checkpoint, `--threshold`, or the best on these scenes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from training import diagnose_tables as tables
from training.diagnose_tables import Asked, Rate

FEW = 5
WORST_PAIRS = 25


def ask(checkpoint: Path, val: Path, limit: int | None = None, seed: int = 0) -> Iterator[Asked]:
    """Ask a checkpoint the questions of `training.validate`, through the stock Auto classes."""
    from PIL import Image

    from training.data import read_labels
    from training.validate import Detector, questions

    detector = Detector(checkpoint)
    rng = np.random.default_rng(seed)
    rows = read_labels(val, {})
    if not rows:
        raise SystemExit(f"{val}: no finished scenes; make them with python -m training.generate")
    for row in rows[:: max(1, len(rows) // limit)][:limit] if limit else rows:
        asked = questions(row, rng)
        with Image.open(row["image"]) as image:
            got = detector.best(image.convert("RGB"), [phrase for phrase, _, _ in asked])
        for (phrase, target, kind), (score, box) in zip(asked, got, strict=True):
            yield Asked(phrase, kind, target, score, box, row["objects"], (row["width"], row["height"]))


def threshold_of(checkpoint: Path, rows: Sequence[Asked], given: float | None = None) -> tuple[float, str]:
    """The threshold and where it comes from."""
    if given is not None:
        return given, "as given"
    settings = checkpoint / "tabletop.json"
    if settings.is_file():
        return float(json.loads(settings.read_text())["score_threshold"]), "of `tabletop.json`"
    return tables.best_threshold(rows), "the best on these scenes"


def report(rows: Sequence[Asked], threshold: float, source: str, title: str) -> str:
    """The markdown page."""
    there = [row for row in rows if row.target >= 0]
    absent = np.array([row.score for row in rows if row.target < 0])
    kin = np.array([row.score for row in rows if row.kind == "absent_kin"])
    refused = ", ".join(
        f"{(scores < threshold).mean():.3f} of {len(scores)} {name}"
        for name, scores in (("absent phrases", absent), ("that share a noun with something in view", kin))
        if len(scores)
    )
    meanings = (
        "*found*: the best box has IoU >= 0.5 with the thing, whatever its score; *kept*: and its score is over the "
        "threshold. A miss is a *loose* box about the right thing, an *other* thing's box, or *nothing* in particular."
    )
    parts = [
        f"# Where {title} fails",
        f"{len(there)} phrases of things that are there, threshold {threshold:.2f} ({source}). Refused: {refused or 'none asked'}.",
        meanings,
        "![found by size and by kind](diagnosis.png)",
    ]
    edges = [tables.span(v, tables.SIZES_PX, " px") for v in (0, *tables.SIZES_PX)]
    sizes = tables.rates(rows, threshold, tables.by_size)
    parts.append("## By visible size (at 480x360)\n\n" + _rates({e: sizes[e] for e in edges if e in sizes}))
    groupings: tuple[tuple[str, Callable[[Asked], str]], ...] = (
        ("share seen", tables.by_shown),
        ("color", tables.by_color),
        ("words", tables.by_words),
        ("category", lambda row: tables.category(row.thing["key"])),
    )
    for name, group in groupings:
        parts.append(f"## By {name}\n\n{_rates(tables.rates(rows, threshold, group))}")
    kinds = {k: r for k, r in tables.rates(rows, threshold, lambda row: row.thing["key"]).items() if r.asked >= FEW}
    worst = dict(sorted(kinds.items(), key=lambda item: item[1].found / item[1].asked))
    parts.append(f"## By kind, worst first (asked {FEW} times or more)\n\n{_rates(worst)}")
    pairs = [
        f"| {phrase} | {thing} | {kind} | {count} |"
        for (phrase, thing, kind), count in tables.confusions(rows, threshold).most_common(WORST_PAIRS)
    ]
    parts.append(
        "## What was taken for what\n\n"
        "`there`: the phrase has its thing in view and got the other's box, at any score; `absent`: it has none, and the "
        "box was over the threshold.\n\n" + _lines("| phrase | box of | the phrase is | times |", pairs)
    )
    heads = " | ".join((*tables.CATEGORIES, "found", "loose", "nothing"))
    cells = tables.matrix(rows)
    body = [
        f"| {name} | " + " | ".join(str(n) if n else "" for n in line) + " |"
        for name, line in zip(tables.CATEGORIES, cells.tolist(), strict=True)
        if any(line)
    ]
    parts.append("Rows: what was asked for; columns: the other thing's box it got.\n\n" + _lines(f"| | {heads} |", body))
    overlaps = np.array([row.overlap for row in there if row.outcome == "found"])
    counts, _ = np.histogram(overlaps, tables.TIGHTNESS)
    spans = [f"{a}-{b}" for a, b in zip(tables.TIGHTNESS, tables.TIGHTNESS[1:], strict=False)]
    tight = [f"| {s} | {n} | {n / max(1, len(overlaps)):.3f} |" for s, n in zip(spans, counts.tolist(), strict=True)]
    parts.append("## Tightness of the boxes that were found\n\n" + _lines("| IoU | boxes | share |", tight))
    return "\n\n".join(parts) + "\n"


def _rates(found: dict[str, Rate]) -> str:
    body = []
    for name, rate in found.items():
        missed = " | ".join(f"{rate.outcomes[why] / rate.asked:.2f}" for why in ("loose", "other", "nothing"))
        body.append(f"| {name} | {rate.asked} | {rate.found / rate.asked:.2f} | {rate.kept / rate.asked:.2f} | {missed} |")
    return _lines("| | asked | found | kept | loose | other | nothing |", body)


def _lines(head: str, body: list[str]) -> str:
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *body])


def main() -> None:
    """Command line: write the report and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--limit", type=int, help="how many frames; default all")
    args = parser.parse_args()
    rows = list(ask(args.checkpoint, args.val, args.limit))
    threshold, source = threshold_of(args.checkpoint, rows, args.threshold)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "diagnosis.md").write_text(report(rows, threshold, source, f"`{args.checkpoint.name}`"))
    from training.diagnose_plot import draw

    draw(rows, threshold, args.out / "diagnosis.png")
    print(args.out / "diagnosis.md")


if __name__ == "__main__":
    main()
