"""Draws docs/quantisation.png; needs matplotlib and the package on the path."""  # noqa: INP001

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

from vlm_perception.models.quantisation import WRITINGS, edge_errors

SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080))


def main() -> None:
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


if __name__ == "__main__":
    main()
