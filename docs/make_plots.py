"""Draws docs/quantisation.png and docs/heatmap_boxes.png; needs matplotlib and the package on the path."""  # noqa: INP001

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

from vlm_perception.evaluation.heatmap_bound import SIDES, THRESHOLDS, ious_of, masks_in
from vlm_perception.models.heatmap_boxes import DEFAULT_THRESHOLD
from vlm_perception.models.quantisation import WRITINGS, edge_errors
from vlm_perception.resources import asset_path

SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080))


def quantisation() -> None:
    """Mean and largest error of a box's edge, over the width of the image."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained")
    widths = [size[0] for size in SIZES]
    # Three of them lie on one another: dashes let all be seen.
    for writing, style in zip(WRITINGS, ("-", "-", "-", (0, (6, 6)), (0, (2, 4)), "-"), strict=True):
        errors = [np.abs(edge_errors(writing, size, 2000)) for size in SIZES]
        axes[0].plot(widths, [e.mean() for e in errors], linestyle=style, marker="o", markersize=3, label=writing)
        axes[1].plot(widths, [e.max() for e in errors], linestyle=style, marker="o", markersize=3)
    for axis, title in zip(axes, ("mean", "largest"), strict=True):
        axis.set(title=f"{title} error of an edge", xlabel="image width, pixels", yscale="log", xticks=widths)
        axis.grid(which="both", alpha=0.25)
    axes[0].set_ylabel("pixels of the camera image")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(Path(__file__).with_name("quantisation.png"), dpi=110)


def heatmap_boxes() -> None:
    """IoU of boxes drawn from ideal heatmaps of the shipped recording's masks, over the threshold."""
    ious = np.mean([ious_of(mask) for mask in masks_in(asset_path("recordings") / "libero_90")], axis=0)
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for side, line, shade in zip(SIDES, ious, np.linspace(0.25, 1.0, len(SIDES)), strict=True):
        axis.plot(THRESHOLDS, line, marker="o", markersize=3, color=plt.get_cmap("Blues")(shade))
        axis.annotate(f"{side}", (THRESHOLDS[0], line[0]), (-6, 0), textcoords="offset points", ha="right", va="center")
    axis.axvline(DEFAULT_THRESHOLD, color="grey", linewidth=1, linestyle="--")
    axis.set(
        title="boxes from ideal heatmaps, by cells a side", xlabel="threshold, share of the peak",
        ylabel="mean IoU with the true box", xlim=(0.03, 0.93), ylim=(0, 1), xticks=THRESHOLDS,
    )  # fmt: skip
    axis.grid(alpha=0.25)
    figure.savefig(Path(__file__).with_name("heatmap_boxes.png"), dpi=110)


if __name__ == "__main__":
    quantisation()
    heatmap_boxes()
