"""What the demo's recording knows to be true, and how far an answer is from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vlm_perception.evaluation.dataset import DatasetFrame, Instance, RgbdRecDataset
from vlm_perception.geometry.transforms import transform_points
from vlm_perception.msg import GroundedObject, GroundingResult
from vlm_perception.types import FloatArray, VlmPerceptionError

TOLERANCE_M = 0.02


@dataclass(frozen=True, eq=False)
class Truth:
    """The thing that a sentence speaks of.

    Attributes:
        label: what a person calls it.
        surface_m: (3,) centroid of its visible surface, world frame.
        body_m: (3,) its own origin, world frame, where known.
        known: whether the recording says that the sentence means this thing; otherwise it is the thing nearest
            to the answer.
    """

    label: str
    surface_m: FloatArray
    body_m: FloatArray | None
    known: bool


@dataclass(frozen=True, eq=False)
class Verdict:
    """How an answer compares with the truth.

    Attributes:
        surface_error_m: surface centroid to the truth's; None when there is nothing to compare.
        body_error_m: centre of the oriented box to the body's own origin.
        problem: why this is no success; "" when it is one.
    """

    truth: Truth | None
    surface_error_m: float | None
    body_error_m: float | None
    problem: str


def find_truth(dataset: RgbdRecDataset, frame: DatasetFrame, sentence: str, label: str) -> Truth | None:
    """What the recording says about a sentence.

    Args:
        dataset: the recording.
        frame: the frame that is looked at.
        sentence: as spoken.
        label: of the thing that is meant, where the caller knows; "" looks the sentence up among the expressions.

    Returns:
        None when the recording does not know.

    Raises:
        VlmPerceptionError: no instance, or more than one, has ``label``.
    """
    if label:
        named = [instance for instance in frame.instances if label in instance.labels]
        if len(named) != 1:
            raise VlmPerceptionError(f"{len(named)} instances of {frame.frame_id} are called {label!r}, not one")
        return _truth(frame, named[0], known=True)
    for expression in dataset.expressions_of(frame.frame_id):
        if _plain(expression.expression) == _plain(sentence) and len(expression.targets) == 1:
            return _truth(frame, frame.instance(expression.targets[0]), known=True)
    return None


def judge(result: GroundingResult | None, frame: DatasetFrame, truth: Truth | None) -> Verdict:
    """Compare a result in the world frame with the truth, or with the nearest thing where no truth is known."""
    target = best_target(result)
    if result is None:
        return Verdict(truth, None, None, "no answer came in time")
    if result.status != GroundingResult.SUCCEEDED:
        return Verdict(truth, None, None, result.message or f"status {result.status}")
    if target is None:
        return Verdict(truth, None, None, "the answer names no target with a pose")
    surface = _array(target.surface_centroid)
    if truth is None:
        truth = _nearest(frame, surface)
    if truth is None:
        return Verdict(None, None, None, "the recording does not know where things are")
    surface_error = float(np.linalg.norm(surface - truth.surface_m))
    body_error = None
    if truth.body_m is not None:
        body_error = float(np.linalg.norm(_array(target.pose.pose.position) - truth.body_m))
    problem = ""
    if surface_error > TOLERANCE_M:
        problem = (
            f"the target is {surface_error * 100:.1f} cm from the {truth.label}, "
            f"more than {TOLERANCE_M * 100:.0f} cm: probably another thing"
        )
    return Verdict(truth, surface_error, body_error, problem)


def best_target(result: GroundingResult | None) -> GroundedObject | None:
    """The best target that has a pose."""
    for found in result.targets if result is not None else ():
        if found.role == GroundedObject.ROLE_TARGET and found.has_pose:
            return found
    return None


def _truth(frame: DatasetFrame, instance: Instance, *, known: bool) -> Truth | None:
    if instance.visible_centroid_m is None or frame.T_world_camera is None:
        return None
    body = instance.body_position_m
    return Truth(
        label=instance.labels[0] if instance.labels else instance.name,
        surface_m=transform_points(frame.T_world_camera, instance.visible_centroid_m),
        body_m=None if body is None else transform_points(frame.T_world_camera, body),
        known=known,
    )


def _nearest(frame: DatasetFrame, surface_m: FloatArray) -> Truth | None:
    labelled = [_truth(frame, instance, known=False) for instance in frame.instances if instance.labels]
    there = [truth for truth in labelled if truth is not None]
    return min(there, key=lambda truth: float(np.linalg.norm(truth.surface_m - surface_m)), default=None)


def _array(point: object) -> FloatArray:
    return np.array([point.x, point.y, point.z])  # type: ignore[attr-defined]


def _plain(sentence: str) -> str:
    return " ".join(sentence.lower().strip(" .!?").split()).removeprefix("the ")
