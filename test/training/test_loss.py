"""Pure parts of the trainer's loss."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from training.loss import (  # noqa: E402
    box_terms,
    corners,
    giou,
    match_anchors,
    pairwise_iou,
    quality_focal,
    telling_apart,
)


def test_iou_and_giou() -> None:
    a = corners(torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.2, 0.2, 0.2, 0.2]]))
    assert pairwise_iou(a, a).tolist() == [pytest.approx([1.0, 0.0]), pytest.approx([0.0, 1.0])]
    assert giou(a, a).tolist() == pytest.approx([1.0, 1.0])
    assert giou(a[:1], a[1:]).item() < 0


def test_right_boxes_cost_nothing() -> None:
    box = torch.tensor([[0.5, 0.5, 0.2, 0.3]])
    assert box_terms(box, box).item() == pytest.approx(0.0, abs=1e-5)


def test_each_thing_gets_anchors_of_its_own() -> None:
    truth = torch.tensor([[0.25, 0.25, 0.2, 0.2], [0.75, 0.75, 0.2, 0.2]])
    grid = torch.linspace(0.05, 0.95, 10)
    points = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    points = torch.cat([points, torch.full((100, 2), 0.1)], 1)
    anchors, owner, iou = match_anchors(points, points, torch.zeros(100, 2), truth)
    assert set(owner.tolist()) == {0, 1}
    assert len(set(anchors.tolist())) == len(anchors)
    near = (points[anchors, :2] - truth[owner, :2]).abs().amax(-1)
    assert (near <= 0.11).all()
    assert (iou > 0).all()


def test_ignored_phrases_do_not_count() -> None:
    logits = torch.tensor([[3.0, 3.0]])
    target = torch.zeros(1, 2)
    all_of_it = quality_focal(logits, target, torch.ones(1, 2))
    half = quality_focal(logits, target, torch.tensor([[1.0, 0.0]]))
    assert half.item() == pytest.approx(all_of_it.item() / 2)


def test_telling_apart_asks_for_the_right_name_above_the_wrong_ones() -> None:
    right = torch.tensor([[True, False, False]])
    wrong = torch.tensor([[False, True, False]])
    clear = telling_apart(torch.tensor([[4.0, -4.0, 9.0]]), right, wrong)  # the third is neither
    muddled = telling_apart(torch.tensor([[1.0, 1.0, 0.0]]), right, wrong)
    turned = telling_apart(torch.tensor([[-4.0, 4.0, 0.0]]), right, wrong)
    assert clear.item() == pytest.approx(0.0, abs=1e-3)
    assert muddled.item() == pytest.approx(math.log(2))
    assert turned.item() == pytest.approx(8.0, abs=1e-3)


def test_nothing_to_tell_apart_costs_nothing() -> None:
    none = torch.zeros(2, 3, dtype=torch.bool)
    assert telling_apart(torch.randn(2, 3), none, ~none).item() == 0.0


def test_the_network_takes_every_size_it_is_trained_at() -> None:
    from training.train import SIZES

    assert all(side % 32 == 0 for size, _ in SIZES for side in size)
    assert [until for _, until in SIZES] == sorted(until for _, until in SIZES)
    assert SIZES[-1][1] == 1.0
