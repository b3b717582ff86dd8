"""The most that boxes of heatmaps can be: ideal maps of true masks."""

import json

import cv2
import numpy as np
import pytest

from vlm_perception.evaluation.dataset import DatasetError
from vlm_perception.evaluation.heatmap_bound import (
    SIDES,
    THRESHOLDS,
    ideal_heatmap,
    ious_of,
    main,
    masks_in,
    table_of,
    tight_box,
)
from vlm_perception.models.heatmap_boxes import DEFAULT_THRESHOLD
from vlm_perception.resources import asset_path

RECORDING = asset_path("recordings") / "libero_90"


def disc(center_uv, radius, size=(120, 160)):
    v, u = np.mgrid[: size[0], : size[1]]
    return np.hypot(u - center_uv[0], v - center_uv[1]) <= radius


def test_an_ideal_map_holds_the_shares_of_the_cells():
    mask = np.zeros((40, 80), bool)
    mask[:10, :30] = True  # of cells 20 wide and 10 high: one whole, and half of the next
    heat = ideal_heatmap(mask, 4)
    assert heat.shape == (40, 80)
    centres = heat.reshape(4, 10, 4, 20)[:, 4:6, :, 9:11].mean((1, 3))
    np.testing.assert_allclose(centres[0], [1, 0.5, 0, 0], atol=0.04)
    assert centres[1:].max() < 0.06
    assert tight_box(mask) == (0, 0, 30, 10)


def test_finer_grids_recover_more_and_the_default_threshold_is_among_the_good_ones():
    masks = [disc((40 + 3 * k, 50 + 2 * k), 12 + k) for k in range(6)]
    ious = np.array([ious_of(mask) for mask in masks])
    assert ious.shape == (6, len(SIDES), len(THRESHOLDS))
    assert ious.min() >= 0
    assert ious.max() <= 1
    best = ious.mean(axis=0).max(axis=1)
    assert best[SIDES.index(64)] > 0.9
    assert best[SIDES.index(64)] > best[SIDES.index(16)] > best[SIDES.index(7)]
    by_threshold = ious.mean(axis=(0, 1))
    at_default = by_threshold[THRESHOLDS.index(DEFAULT_THRESHOLD)]
    assert at_default > by_threshold.max() - 0.1
    assert at_default > max(by_threshold[THRESHOLDS.index(0.2)], by_threshold[THRESHOLDS.index(0.8)])
    text = table_of(ious)
    assert text.splitlines()[0].split()[:2] == ["grid", "at"]
    assert [line.split(" x")[0] for line in text.splitlines()[2:-1]] == [str(side) for side in SIDES]
    assert all(line.count("*") == 1 for line in text.splitlines()[2:])


def test_masks_of_a_recording_and_of_generated_scenes(tmp_path):
    masks = list(masks_in(RECORDING))
    assert len(masks) == 26
    assert all(mask.shape == (480, 640) and mask.sum() >= 100 for mask in masks)
    chunk = tmp_path / "00000"
    chunk.mkdir()
    ids = np.zeros((60, 80), np.uint8)
    ids[10:30, 20:40], ids[50:53, 50:53] = 3, 4
    cv2.imwrite(str(chunk / "000.png"), ids)
    row = {"image": "000.jpg", "objects": [{"number": 3}, {"number": 4}, {"number": 5}]}
    (chunk / "labels.jsonl").write_text(json.dumps(row) + "\n")
    (only,) = masks_in(tmp_path)  # number 4 is too small, 5 is not seen
    assert tight_box(only) == (20, 10, 40, 30)
    (chunk / "000.png").unlink()
    with pytest.raises(DatasetError, match=r"000\.png is missing: make the scenes with training\.generate --masks"):
        list(masks_in(tmp_path))


def test_the_command(capsys, tmp_path):
    assert main([str(RECORDING), "--limit", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{RECORDING}: 1 things, mean IoU")
    assert "64 x 64" in printed
    assert main([str(tmp_path)]) == 2
    assert "holds neither meta.json" in capsys.readouterr().err
