"""Run a pipeline over a dataset and score every answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vlm_perception.evaluation.dataset import KINDS, DatasetFrame, Expression, RgbdRecDataset
from vlm_perception.evaluation.metrics import (
    ACC_IOUS,
    bootstrap_intervals,
    box_iou,
    mask_iou,
    mean_scores,
    set_f1,
    would_touch,
)
from vlm_perception.evaluation.oracle import OracleModel
from vlm_perception.types import Answer, BoxXyxy, FloatArray, RgbdFrame, Status

if TYPE_CHECKING:
    from vlm_perception.pipeline import Pipeline

_ANSWERED = (Status.SUCCEEDED, Status.NO_DEPTH)


@dataclass(frozen=True)
class GivenBox:
    """One box of an answer, for reports."""

    role: str
    phrase: str
    score: float
    box_xyxy: BoxXyxy


@dataclass(frozen=True)
class Outcome:
    """One expression, its answer in short, and its scores.

    Attributes:
        given: boxes of the answer: targets first, then destinations, anchors and runner-ups.
        scores: by name; those that do not apply are absent.
    """

    expression: Expression
    status: Status
    message: str
    given: tuple[GivenBox, ...]
    scores: Mapping[str, float]
    latency_ms: Mapping[str, float]

    @property
    def badness(self) -> float:
        """0 for a perfect answer, 1 for a wrong one: how far its worst main score is from 1."""
        main = [
            self.scores[name]
            for name in ("acc@0.5", "pick_acc", "absent_acc", "plural_f1@0.5", "count_acc", "mIoU")
            if name in self.scores
        ]
        return 1.0 - min(main, default=1.0)


@dataclass(frozen=True)
class EvaluationReport:
    """Scores of one model on one dataset.

    Attributes:
        frames: how many were looked at.
        outcomes: one an expression, in the dataset's order.
    """

    dataset: str
    model: str
    frames: int
    outcomes: tuple[Outcome, ...]

    def scores(self, kind: str | None = None) -> dict[str, float]:
        """Means over one kind of expression, or over all."""
        return mean_scores(_columns(self._of(kind)))

    def intervals(self, kind: str | None = None) -> dict[str, tuple[float, float]]:
        """Their 95 % bootstrap intervals."""
        return bootstrap_intervals(_columns(self._of(kind)))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that occur, in the format's order."""
        present = {outcome.expression.kind for outcome in self.outcomes}
        return tuple(kind for kind in KINDS if kind in present)

    @property
    def latency_ms(self) -> dict[str, dict[str, float]]:
        """Median and 95th percentile of each stage."""
        stages: dict[str, list[float]] = {}
        for outcome in self.outcomes:
            for stage, value in outcome.latency_ms.items():
                stages.setdefault(stage, []).append(value)
        return {
            stage: {"p50": float(np.percentile(values, 50)), "p95": float(np.percentile(values, 95))}
            for stage, values in stages.items()
        }

    def to_json(self) -> dict[str, Any]:
        """As ``rgbd-rec/1`` defines it; ``intervals`` has the same ``overall`` and ``kinds``."""
        return {
            "dataset": self.dataset,
            "model": self.model,
            "frames": self.frames,
            "expressions": len(self.outcomes),
            "overall": self.scores(),
            "kinds": {kind: {"n": len(self._of(kind)), **self.scores(kind)} for kind in self.kinds},
            "intervals": {
                "overall": {name: list(interval) for name, interval in self.intervals().items()},
                "kinds": {
                    kind: {name: list(interval) for name, interval in self.intervals(kind).items()}
                    for kind in self.kinds
                },
            },
            "latency_ms": self.latency_ms,
        }

    def _of(self, kind: str | None) -> Sequence[Outcome]:
        return [o for o in self.outcomes if kind is None or o.expression.kind == kind]


def evaluate(
    dataset: RgbdRecDataset,
    pipeline: Pipeline,
    *,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationReport:
    """Ask a pipeline every expression of a dataset.

    Gravity's "up" comes from the frame's camera pose, as TF would give it on a robot; a frame without a pose
    leaves it to the support plane.

    Args:
        dataset: frames and expressions.
        pipeline: what is scored. With an :class:`OracleModel` in it, that is told each frame.
        limit: only the first so many expressions.
        on_progress: called with (done, all) after each expression.

    Raises:
        ImageError: a frame's files cannot be read.
    """
    expressions = dataset.expressions[:limit]
    outcomes: list[Outcome] = []
    frame: DatasetFrame | None = None
    images: RgbdFrame | None = None
    for number, expression in enumerate(expressions, start=1):
        if frame is None or images is None or frame.frame_id != expression.frame_id:
            frame = dataset.frame(expression.frame_id)
            images = frame.load()
            for part in (pipeline.model, pipeline.segmenter):
                if isinstance(part, OracleModel):
                    part.set_frame(frame)
        answer = pipeline.answer(images, expression.expression, up_camera=frame.up_camera)
        outcomes.append(
            Outcome(
                expression=expression,
                status=answer.status,
                message=answer.message,
                given=_given(answer),
                scores=score_answer(answer, expression, frame, images),
                latency_ms=dict(answer.latency_ms),
            )
        )
        if on_progress is not None:
            on_progress(number, len(expressions))
    return EvaluationReport(
        dataset=dataset.folder.name,
        model=pipeline.model.name,
        frames=len({expression.frame_id for expression in expressions}),
        outcomes=tuple(outcomes),
    )


def score_answer(answer: Answer, expression: Expression, frame: DatasetFrame, images: RgbdFrame) -> dict[str, float]:
    """Every score that applies to one expression.

    Args:
        answer: what was said.
        expression: what was asked, and its truth.
        frame: the truth of the frame.
        images: its images.
    """
    given = answer.targets if answer.status in _ANSWERED else ()
    if expression.kind == "absent" or not expression.targets:
        return {"absent_acc": float(answer.status is Status.NOT_FOUND)}
    if expression.kind == "count":
        count = answer.count if answer.count is not None else len(given)
        return {"count_acc": float(count == len(expression.targets))}
    if expression.kind == "plural" or len(expression.targets) > 1:
        truth = [frame.instance(target).box_xyxy for target in expression.targets]
        return {"plural_f1@0.5": set_f1([g.object.box_xyxy for g in given], truth)}

    target = frame.instance(expression.targets[0])
    target_mask = frame.mask(target.id)
    top = given[0].object if given else None
    iou = box_iou(top.box_xyxy, target.box_xyxy) if top is not None else 0.0
    scores = {f"acc@{threshold:g}": float(iou >= threshold) for threshold in ACC_IOUS}
    scores["mIoU"] = iou
    scores["mask_iou"] = mask_iou(top.mask, target_mask) if top is not None and top.mask is not None else 0.0
    geometry = top.geometry if top is not None else None
    if images.depth_m is not None:
        scores["pick_acc"] = float(
            geometry is not None and would_touch(geometry.surface_point_m, target_mask, images.depth_m, images.camera)
        )
    if geometry is not None and target.visible_centroid_m is not None and iou >= ACC_IOUS[0]:
        distance_m = np.linalg.norm(geometry.surface_centroid_m - target.visible_centroid_m)
        scores["centroid_cm"] = 100.0 * float(distance_m)
    return scores


def _given(answer: Answer) -> tuple[GivenBox, ...]:
    groundings = [(g.role.value, g) for g in answer.groundings]
    groundings += [("runner-up", g) for g in answer.runner_ups]
    return tuple(GivenBox(role, g.phrase, g.score, g.object.box_xyxy) for role, g in groundings)


def _columns(outcomes: Sequence[Outcome]) -> dict[str, FloatArray]:
    """Score name to one value an expression, NaN where it does not apply."""
    names: dict[str, None] = {}
    for outcome in outcomes:
        for name in outcome.scores:
            names.setdefault(name)
    return {name: np.array([o.scores.get(name, np.nan) for o in outcomes], dtype=np.float64) for name in names}
