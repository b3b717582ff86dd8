"""Dense loss: every thing teaches several anchors and queries, each as well as its box fits."""

from __future__ import annotations

import torch
from torch.nn import functional

from training.network import Dense

TOP_ANCHORS = 8


def corners(boxes: torch.Tensor) -> torch.Tensor:
    """Center x, y, width, height to corners, (..., 4)."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def pairwise_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """IoU of corner boxes (N, 4) and (M, 4): (N, M)."""
    overlap = (torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])).clamp(min=0)
    inter = overlap.prod(-1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(-1), (b[:, 2:] - b[:, :2]).prod(-1)
    return inter / (area_a[:, None] + area_b[None] - inter).clamp(min=1e-9)


def giou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Generalized IoU of corner boxes, row by row: (N,)."""
    inter = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    union = (a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1) - inter
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(-1).clamp(min=1e-9)
    return inter / union.clamp(min=1e-9) - (hull - union) / hull


def quality_focal(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """IoU-weighted (varifocal) loss, summed: positives weigh by their quality, negatives by their score."""
    score = logits.detach().sigmoid()
    scale = torch.where(target > 0, target, 0.75 * score.square()) * weight
    return (functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * scale).sum()


def box_terms(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Size-normalized L1 plus GIoU of matched center boxes, summed."""
    scale = target[:, 2:].repeat(1, 2).clamp(min=0.02)
    distance = ((predicted - target).abs() / scale).clamp(max=4).mean(-1)
    return (distance + 2.0 * (1 - giou(corners(predicted), corners(target)))).sum()


def telling_apart(logits: torch.Tensor, right: torch.Tensor, wrong: torch.Tensor) -> torch.Tensor:
    """Contrastive loss of every right pair against all wrong ones of its row, mean over the right pairs.

    The focal loss alone learns slowly which of the things found is meant: most of its pairs are background.

    Args:
        logits: (N, M) scores of things and phrases, either way around.
        right: (N, M) bool, the pair belongs together.
        wrong: (N, M) bool, it does not; pairs that are neither are left out.
    """
    rivals = torch.where(wrong, logits, torch.full_like(logits, -1e4)).logsumexp(1, keepdim=True)
    lost = functional.softplus(rivals - logits)
    return (lost * right).sum() / right.sum().clamp(min=1)


@torch.no_grad()
def match_anchors(
    boxes: torch.Tensor, points: torch.Tensor, scores: torch.Tensor, truth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Give each thing its best few anchors.

    Args:
        boxes: (A, 4) predicted center boxes.
        points: (A, 4) anchor centers and sizes.
        scores: (A, O) score of each thing's own phrases at each anchor.
        truth: (O, 4) center boxes.

    Returns:
        Anchor numbers, thing numbers and IoU of the matches, (M,) each.
    """
    iou = pairwise_iou(corners(boxes), corners(truth))
    reach = torch.maximum(truth[None, :, 2:] / 2, points[:, None, 2:] * 0.1)
    near = ((points[:, None, :2] - truth[None, :, :2]).abs() <= reach).all(-1)
    fit = (iou.clamp(min=1e-4) ** 2) * (0.2 + scores) * near
    top = fit.topk(min(TOP_ANCHORS, len(fit)), dim=0)
    chosen = torch.zeros_like(fit).scatter_(0, top.indices, top.values)
    value, owner = chosen.max(1)
    anchors = (value > 0).nonzero()[:, 0]
    return anchors, owner[anchors], iou[anchors, owner[anchors]]


def detection_loss(
    out: Dense,
    truth: list[torch.Tensor],
    names: list[torch.Tensor],
    unclear: list[torch.Tensor],
    ignored: list[torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Loss of a batch.

    Args:
        out: What the network said about K phrases.
        truth: Per picture (O, 4) center boxes.
        names: Per picture (O, K) bool, the phrase is right.
        unclear: Per picture (O, K) bool, neither right nor wrong.
        ignored: Per picture (O,) bool, too little seen: neither found nor missed.
    """
    anchor_target, query_target = torch.zeros_like(out.anchor_logits), torch.zeros_like(out.query_logits)
    anchor_weight = out.valid[None, :, None].float().expand_as(out.anchor_logits).clone()
    query_weight = torch.ones_like(out.query_logits)
    zero = out.anchor_logits.sum() * 0
    boxes_anchor, boxes_query = zero, zero
    said: dict[str, list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = {"anchor": [], "query": []}
    mass_anchor = mass_query = count_anchor = count_query = 0.0
    for k, gt in enumerate(truth):
        if not len(gt):
            continue
        ok = ~ignored[k]
        own = names[k].float()
        score = out.anchor_logits[k].detach().sigmoid() @ own.T / own.sum(1).clamp(min=1)
        inside = ((out.anchor_points[:, None, :2] - gt[None, :, :2]).abs() <= gt[None, :, 2:] / 2).all(-1)
        doubtful = unclear[k].clone()
        doubtful[~ok] |= names[k][~ok]
        anchor_weight[k][(inside.float() @ doubtful.float()) > 0] = 0
        overlap = pairwise_iou(corners(out.query_boxes[k].detach()), corners(gt))
        contained = overlap > 0.3
        query_weight[k][(contained.float() @ doubtful.float()) > 0] = 0
        keep = ok.nonzero()[:, 0]
        if not len(keep):
            continue
        anchors, things, iou = match_anchors(
            out.anchor_boxes[k].detach()[out.valid],
            out.anchor_points[out.valid],
            score[out.valid][:, keep],
            gt[keep],
        )
        anchors, things = out.valid.nonzero()[anchors, 0], keep[things]
        target = names[k][things].float() * iou.clamp(min=0.1)[:, None]
        said["anchor"].append((out.anchor_logits[k][anchors], names[k][things], unclear[k][things]))
        anchor_target[k][anchors] = target
        anchor_weight[k][anchors] = torch.where(target > 0, torch.ones_like(target), anchor_weight[k][anchors])
        boxes_anchor = boxes_anchor + box_terms(out.anchor_boxes[k][anchors], gt[things])
        count_anchor += len(anchors)
        mass_anchor += float(iou.sum())

        start = pairwise_iou(corners(out.reference_boxes[k]), corners(gt[keep]))
        value, owner = torch.maximum(start, overlap[:, keep]).max(1)
        good = value > 0.45
        best_value, best = start.max(0)
        good[best[best_value > 0.1]] = True
        owner[best[best_value > 0.1]] = (best_value > 0.1).nonzero()[:, 0]
        queries = good.nonzero()[:, 0]
        if len(queries):
            things = keep[owner[queries]]
            iou = overlap[queries, things].clamp(min=0.02)
            target = names[k][things].float() * iou[:, None]
            said["query"].append((out.query_logits[k][queries], names[k][things], unclear[k][things]))
            query_target[k][queries] = target
            query_weight[k][queries] = torch.where(target > 0, torch.ones_like(target), query_weight[k][queries])
            boxes_query = boxes_query + box_terms(out.query_boxes[k][queries], gt[things])
            count_query += len(queries)
            mass_query += float(iou.sum())
    apart = {}
    for stage, rows in said.items():
        if not rows:
            apart[f"{stage}_apart"] = zero
            continue
        logits, right, doubt = (torch.cat([row[k] for row in rows]) for k in range(3))
        wrong = ~right & ~doubt
        # By thing: what is it called? By phrase: which of all the things in the batch is it?
        apart[f"{stage}_apart"] = telling_apart(logits, right, wrong) + telling_apart(logits.T, right.T, wrong.T)
    return apart | {
        "anchor_class": quality_focal(out.anchor_logits, anchor_target, anchor_weight) / max(mass_anchor, 1.0),
        "anchor_box": boxes_anchor / max(count_anchor, 1.0),
        "query_class": quality_focal(out.query_logits, query_target, query_weight) / max(mass_query, 1.0),
        "query_box": boxes_query / max(count_query, 1.0),
    }
