"""Frame + command -> answer: the one place where the stages meet.

Nothing here knows ROS. Faults of the command, the model or the depth come back as a status with a reason;
only a programming error raises.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vlm_perception import language, spatial
from vlm_perception.geometry.depth import match_depth_to_color
from vlm_perception.geometry.support import fit_support_plane
from vlm_perception.geometry.viewpoint import camera_viewpoint
from vlm_perception.models.base import GroundingModel, Segmenter
from vlm_perception.scene import MergedDetection, build_object, merge_detections
from vlm_perception.types import (
    Answer,
    BoolMask,
    CommandError,
    FloatArray,
    ImageError,
    ModelError,
    Query,
    Resolution,
    RgbdFrame,
    SceneObject,
    Status,
    Task,
    Viewpoint,
)


@dataclass(frozen=True)
class PipelineSettings:
    """What the stages are given.

    Attributes:
        score_threshold: lowest detection score; None takes the model's own default.
        merge_iou: overlap from which boxes of different phrases are one object.
        max_objects: objects kept a frame, best first.
        resolver: margins of the resolver.
    """

    score_threshold: float | None = None
    merge_iou: float = 0.6
    max_objects: int = 50
    resolver: spatial.ResolverSettings = field(default_factory=spatial.ResolverSettings)


class _Canceled(Exception):
    """The caller no longer wants the answer."""


class _Stages:
    """Times each stage and asks between stages whether to go on."""

    def __init__(self, canceled: Callable[[], bool] | None) -> None:
        self._canceled = canceled
        self._start = time.perf_counter()
        self.latency_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        if self._canceled is not None and self._canceled():
            raise _Canceled
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed_ms = (time.perf_counter() - start) * 1e3
            self.latency_ms[name] = self.latency_ms.get(name, 0.0) + elapsed_ms
            self.latency_ms["total"] = (time.perf_counter() - self._start) * 1e3


class Pipeline:
    """One model, one segmenter, and the stages around them. Not thread-safe: one worker uses it."""

    def __init__(
        self,
        model: GroundingModel,
        segmenter: Segmenter | None,
        settings: PipelineSettings | None = None,
    ) -> None:
        """Put the stages together.

        Args:
            model: gives boxes (and perhaps masks) for phrases.
            segmenter: gives masks for boxes that came without one; None: such objects stay boxes without depth.
            settings: thresholds.
        """
        self.model = model
        self.segmenter = segmenter
        self.settings = settings if settings is not None else PipelineSettings()

    def answer(
        self,
        frame: RgbdFrame,
        command: str,
        *,
        up_camera: FloatArray | None = None,
        viewpoint: Viewpoint | None = None,
        canceled: Callable[[], bool] | None = None,
    ) -> Answer:
        """Resolve one command on one frame.

        Args:
            frame: color, depth and intrinsics of one instant.
            command: free language.
            up_camera: (3,) gravity-up in the optical frame, from TF; None: from the support plane, if one is seen.
            viewpoint: from where "left" is judged; None: the camera
                (see :mod:`vlm_perception.geometry.viewpoint`).
            canceled: asked between stages; when it says true the answer is ``CANCELED``.

        Returns:
            An answer in the camera's optical frame; its status tells every fault of command, model and depth.
        """
        stages = _Stages(canceled)
        query: Query | None = None
        try:
            with stages.stage("language"):
                query = language.parse(command)
            return self._ground(frame, query, command, up_camera, viewpoint, stages)
        except _Canceled:
            status, message = Status.CANCELED, "Canceled before there was an answer."
        except CommandError as error:
            status, message = Status.INVALID_COMMAND, str(error)
        except ModelError as error:
            status, message = Status.MODEL_ERROR, str(error)
        except ImageError as error:
            status, message = Status.NO_DEPTH, str(error)
        return Answer(
            query=query, command=command, status=status, message=message, latency_ms=stages.latency_ms
        )

    def _ground(
        self,
        frame: RgbdFrame,
        query: Query,
        command: str,
        up_camera: FloatArray | None,
        viewpoint: Viewpoint | None,
        stages: _Stages,
    ) -> Answer:
        if query.task in (Task.ASK, Task.DESCRIBE) or not self.model.capabilities.detects:
            raise CommandError(
                f"'{self.model.name}' locates, counts and verifies; it cannot answer "
                f"'{query.text[:80]}'. Name the thing to look for, e.g. 'the red mug'."
            )
        height, width = frame.color_rgb.shape[:2]
        depth_m = None
        if frame.depth_m is not None:
            depth_m = match_depth_to_color(frame.depth_m, (height, width))

        with stages.stage("detect"):
            merged = self._detect(frame.color_rgb, query)
        with stages.stage("segment"):
            masks = self._segment(frame.color_rgb, depth_m, merged)
        with stages.stage("geometry"):
            if up_camera is None and depth_m is not None and merged:
                plane = fit_support_plane(depth_m, frame.camera)
                up_camera = plane.normal if plane is not None else None
            objects = tuple(
                build_object(
                    found,
                    mask,
                    instance_id=number,
                    color_rgb=frame.color_rgb,
                    depth_m=depth_m,
                    camera=frame.camera,
                    up_camera=up_camera,
                )
                for number, (found, mask) in enumerate(zip(merged, masks, strict=True), start=1)
            )
        with stages.stage("resolve"):
            view = viewpoint if viewpoint is not None else camera_viewpoint(up_camera)
            resolution = spatial.resolve(
                query,
                objects,
                view,
                image_size=(width, height),
                settings=self.settings.resolver,
                vocabulary=self.model.capabilities.vocabulary,
            )
            resolution = _demand_depth(resolution, query, depth_given=depth_m is not None)
        return Answer(
            query=query,
            command=command,
            status=resolution.status,
            message=resolution.message,
            groundings=resolution.groundings,
            runner_ups=resolution.runner_ups,
            objects=objects,
            count=resolution.count,
            answer=resolution.answer,
            verdict=resolution.verdict,
            viewpoint=view,
            latency_ms=stages.latency_ms,
        )

    def _detect(self, color_rgb: NDArray[np.uint8], query: Query) -> list[MergedDetection]:
        if not query.phrases:
            raise CommandError(
                f"'{query.text[:80]}' names no thing to look for. Say what it is, e.g. 'the red mug'."
            )
        try:
            (detections,) = self.model.detect(
                [color_rgb], query.phrases, threshold=self.settings.score_threshold
            )
        except ModelError:
            raise
        except Exception as error:
            # A model is third-party code: whatever it raises is its failure, and must not take the node down.
            raise ModelError(
                f"'{self.model.name}' failed on this frame: {type(error).__name__}: {error}"
            ) from error
        return merge_detections(
            detections, iou_threshold=self.settings.merge_iou, max_objects=self.settings.max_objects
        )

    def _segment(
        self,
        color_rgb: NDArray[np.uint8],
        depth_m: NDArray[np.float32] | None,
        merged: list[MergedDetection],
    ) -> list[BoolMask | None]:
        masks: list[BoolMask | None] = [found.best.mask for found in merged]
        missing = [index for index, mask in enumerate(masks) if mask is None]
        if self.segmenter is None or not missing:
            return masks
        boxes = [merged[index].best.box_xyxy for index in missing]
        try:
            proposals = self.segmenter.segment(color_rgb, boxes, depth_m=depth_m)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                f"segmenter '{self.segmenter.name}' failed on this frame: {type(error).__name__}: {error}"
            ) from error
        for index, proposal in zip(missing, proposals, strict=True):
            masks[index] = proposal.mask
        return masks


def _needs_pose(query: Query) -> bool:
    return query.task in (Task.LOCATE, Task.POINT)


def _demand_depth(resolution: Resolution, query: Query, *, depth_given: bool) -> Resolution:
    """A target without a pose is no success for a command that wants one."""
    targets = [g for g in resolution.groundings if g.role.value == "target"]
    if resolution.status is not Status.SUCCEEDED or not targets or not _needs_pose(query):
        return resolution
    without = [g.object for g in targets if g.object.geometry is None]
    if not without or len(without) < len(targets):
        return resolution
    return replace(
        resolution, status=Status.NO_DEPTH, message=_no_depth_message(without[0], depth_given=depth_given)
    )


def _no_depth_message(scene_object: SceneObject, *, depth_given: bool) -> str:
    where = ", ".join(f"{value:.0f}" for value in scene_object.box_xyxy)
    if not depth_given:
        reason = "no depth image came with the color image; check the depth topic"
    else:
        share = scene_object.valid_depth_fraction
        reason = (
            f"only {share:.0%} of its pixels have usable depth; move the camera to 0.3-3 m from it, "
            "or check the depth image for holes on dark and shiny surfaces"
        )
    return f"Found '{scene_object.label}' at pixels [{where}], but without a pose: {reason}."
