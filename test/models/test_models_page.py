"""docs/models.md says what config/models.yaml and the code say."""

import re
from pathlib import Path

import numpy as np
import pytest

from vlm_perception.evaluation.heatmap_bound import SIDES, ious_of, masks_in
from vlm_perception.models import factory
from vlm_perception.models.heatmap_boxes import DEFAULT_THRESHOLD
from vlm_perception.models.quantisation import WRITINGS, edge_errors
from vlm_perception.models.registry import load_registry
from vlm_perception.resources import asset_path

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
HALVED = ("kosmos-2", "molmo2-4b", "molmo2-8b")  # published in float32, kept in half precision


def table(first_column):
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_every_model_is_in_the_table_as_it_is_registered():
    rows = {row[0].strip("`"): row[1:] for row in table("model")}
    registry = load_registry()
    assert list(rows) == list(registry)
    for name, (family, tasks, licence, download, weights, source) in rows.items():
        entry = registry[name]
        assert family == entry.family, name
        assert tasks == ", ".join(entry.tasks), name
        assert licence == entry.licence, name
        assert download == (f"{entry.size_mb:.0f}" if entry.size_mb else "none"), name
        assert ("accept its licence" in source) == entry.gated, name
        assert (f"`{entry.hub_id}`" in source) if entry.hub_id else ("ships" in source), name
        if entry.size_mb:
            assert int(weights) == round(entry.size_mb / (2 if name in HALVED else 1)), name


def test_every_family_is_spoken_of():
    assert sorted(row[0] for row in table("family")) == sorted([*factory.FAMILIES, "no-weights"])


def test_quantisation_errors_are_the_measured_ones():
    rows = {name: (float(mean), float(largest)) for name, mean, largest in table("written as")}
    assert list(rows) == list(WRITINGS)
    for writing, (mean, largest) in rows.items():
        errors = np.abs(edge_errors(writing, (640, 480), 2000))
        assert errors.mean() == pytest.approx(mean, abs=0.006), writing
        assert errors.max() == pytest.approx(largest, abs=0.006), writing


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1280, 720)])
def test_quantisation_errors_stay_within_the_grid(size):
    """Half a step where values are rounded or read at the middle, a whole one where they are not."""
    steps = {"Kosmos": 1 / 32, "PaliGemma": 1 / 1024, "Florence": 0.5 / 1000, "Qwen3": 0.5 / 1000, "Shikra": 0.5 / 1000}
    for writing in WRITINGS:
        errors = np.abs(edge_errors(writing, size, 300, seed=1)).reshape(-1, 2)
        limits = [next((step * side for name, step in steps.items() if writing.startswith(name)), 0.51) for side in size]
        assert (errors <= np.array(limits) * 1.04 + 1e-9).all(), writing
    bias = edge_errors("PaliGemma, 1024 bins", size, 300).reshape(-1, 2).mean(axis=0)
    assert bias == pytest.approx([-0.5 * side / 1024 for side in size], rel=0.15)


def test_bounds_of_boxes_from_heatmaps_are_the_measured_ones():
    rows = {row[0]: [float(value) for value in row[1:]] for row in table("cells")}
    assert list(rows) == [f"{side} x {side}" for side in SIDES]
    masks = masks_in(asset_path("recordings") / "libero_90")
    measured = np.mean([ious_of(mask, sides=(16,)) for mask in masks], axis=0)[0]
    np.testing.assert_allclose(rows["16 x 16"], measured, atol=0.006)
    assert f"`heat_threshold` ({DEFAULT_THRESHOLD:g})" in PAGE.read_text(encoding="utf-8")


def test_what_the_page_names_exists():
    text = PAGE.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if "tabletop/README" not in link:  # comes with the checkpoint
            assert (PAGE.parent / link).exists(), link
    assert (PAGE.parent / "make_plots.py").exists()
