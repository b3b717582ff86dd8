"""The picture of a diagnosis; needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

from training import diagnose_tables as tables
from training.diagnose_tables import Asked

_OUTCOMES = (("found", "#4c9a5b"), ("loose", "#e2b93b"), ("other", "#c8553d"), ("nothing", "#9a9a9a"))


def draw(rows: Sequence[Asked], threshold: float, path: Path) -> None:
    """Outcomes by size and by category, what was taken for what, and how tight boxes are."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    sizes = tables.rates(rows, threshold, tables.by_size)
    edges = [tables.span(v, tables.SIZES_PX, " px") for v in (0, *tables.SIZES_PX)]
    _bars(axes[0, 0], {e: sizes[e] for e in edges if e in sizes}, "by visible size at 480x360")
    _bars(axes[0, 1], tables.rates(rows, threshold, lambda row: tables.category(row.thing["key"])), "by category")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", fontsize=8, ncols=5, frameon=False)

    cells = tables.matrix(rows)
    others = cells[:, : len(tables.CATEGORIES)] / np.maximum(cells.sum(1, keepdims=True), 1)
    image = axes[1, 0].imshow(others, cmap="Reds", vmin=0, vmax=max(0.1, float(others.max())))
    ticks = np.arange(len(tables.CATEGORIES))
    axes[1, 0].set_xticks(ticks, tables.CATEGORIES, rotation=60, ha="right", fontsize=7)
    axes[1, 0].set_yticks(ticks, tables.CATEGORIES, fontsize=7)
    axes[1, 0].set(title="share of phrases (rows) that got the box of another thing (columns)")
    axes[1, 0].title.set_fontsize(9)
    figure.colorbar(image, ax=axes[1, 0], shrink=0.8)

    overlaps = [row.overlap for row in rows if row.outcome == "found"]
    axes[1, 1].hist(overlaps, bins=np.linspace(0.5, 1, 26), color="#4c9a5b")
    axes[1, 1].set(title="IoU of the boxes found", xlabel="IoU", ylabel="boxes")
    figure.savefig(path, dpi=75)
    plt.close(figure)


def _bars(axis: plt.Axes, found: dict[str, tables.Rate], title: str) -> None:
    names = list(found)[::-1]
    left = np.zeros(len(names))
    for outcome, color in _OUTCOMES:
        shares = np.array([found[n].outcomes[outcome] / found[n].asked for n in names])
        axis.barh(names, shares, left=left, color=color, label=outcome)
        left += shares
    axis.scatter([found[n].kept / found[n].asked for n in names], names, color="black", s=12, zorder=3, label="kept")
    axis.set(title=title, xlim=(0, 1))
    axis.tick_params(labelsize=8)
