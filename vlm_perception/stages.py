"""The stages between a frame and its answer: detect, segment, geometry, resolve; timed, and left when canceled.

Frames of several cameras at one instant share a :class:`~vlm_perception.detecting.BatchDetector`, so that the model runs
once for all of them. Nothing here knows ROS, nor where a query came from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vlm_perception import spatial
from vlm_perception.detecting import BatchDetector, guarded
from vlm_perception.geometry.depth import match_depth_to_color
from vlm_perception.geometry.support import fit_support_plane
from vlm_perception.geometry.viewpoint import camera_viewpoint
from vlm_perception.models.base import GroundedText, GroundingModel, Segmenter, Unread
from vlm_perception.point_detections import detections_of
from vlm_perception.reservations import admit_unread, asks_number, demand_depth
from vlm_perception.scene import MergedDetection, build_objects, merge_detections
from vlm_perception.things_under_points import PointUv, things_at
from vlm_perception.types import (
    Answer,
    BoolMask,
    BoxXyxy,
    CommandError,
    Detection,
    FloatArray,
    Query,
    Resolution,
    RgbdFrame,
    SceneObject,
    Viewpoint,
)

_T = TypeVar("_T")


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


class Canceled(Exception):
    """The caller no longer wants the answer."""


class Stages:
    """One pass over one frame."""

    def __init__(
        self,
        frame: RgbdFrame,
        model: GroundingModel,
        segmenter: Segmenter | None,
        settings: PipelineSettings,
        *,
        up_camera: FloatArray | None = None,
        viewpoint: Viewpoint | None = None,
        canceled: Callable[[], bool] | None = None,
        batch: tuple[BatchDetector, int] | None = None,
    ) -> None:
        """Get ready; see :meth:`vlm_perception.pipeline.Pipeline.answer_all` for the arguments.

        ``batch`` is the detector that is shared with other frames, and this frame's place in it; None: no other frames.
        """
        self.frame, self.model, self.segmenter, self.settings = frame, model, segmenter, settings
        self.query: Query | None = None  # as understood, once it is
        self.latency_ms: dict[str, float] = {}
        self.unread: list[Unread] = []  # of what the model said so far about where things are
        self._up_camera, self._viewpoint, self._canceled = up_camera, viewpoint, canceled
        self._batch = batch if batch is not None else self._alone()
        self._start = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage.

        Raises:
            Canceled: instead of beginning it, when the answer is no longer wanted.
        """
        if self._canceled is not None and self._canceled():
            raise Canceled
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed_ms = (time.perf_counter() - start) * 1e3
            self.latency_ms[name] = self.latency_ms.get(name, 0.0) + elapsed_ms
            self.note_total()

    def note_total(self) -> None:
        """Take the time since the beginning, other frames of the batch included, as the total."""
        self.latency_ms["total"] = (time.perf_counter() - self._start) * 1e3

    def leave_batch(self) -> None:
        """Detect in this frame alone from now on: what is looked for is no longer the same for all of the batch."""
        self._batch = self._alone()

    @property
    def image_wh(self) -> tuple[int, int]:
        """Width and height of the color image, px."""
        height, width = self.frame.color_rgb.shape[:2]
        return width, height

    @cached_property
    def depth_m(self) -> NDArray[np.float32] | None:
        """(H, W) depth at the color image's size.

        Raises:
            ImageError: it is not the color image's shape.
        """
        width, height = self.image_wh
        return None if self.frame.depth_m is None else match_depth_to_color(self.frame.depth_m, (height, width))

    @property
    def view(self) -> Viewpoint:
        """From where "left" is judged."""
        return self._viewpoint if self._viewpoint is not None else camera_viewpoint(self._up_camera)

    def ask(self, stage: str, work: Callable[[], _T]) -> _T:
        """Let the model do something, as a stage of that name.

        Raises:
            ModelError: it failed, in whatever way.
        """
        with self.stage(stage):
            return guarded(self.model.name, work)

    def find(self, phrases: Sequence[str], *, counting: bool = False) -> list[Detection]:
        """What the model finds for phrases: its boxes; its points, where it has no boxes, or none that can be counted.

        Raises:
            ModelError: the model failed.
        """
        can = self.model.capabilities
        if can.points and not (can.detects and (can.counts or not counting)):
            return self._pointed(phrases)
        return self.detect(phrases)

    def detect(self, phrases: Sequence[str]) -> list[Detection]:
        """The model's boxes for phrases; its time is the whole batch's, whoever of it asked first.

        Raises:
            ModelError: the model failed.
        """
        detector, index = self._batch
        try:
            with self.stage("detect"):
                found = detector.detect(index, phrases)
        finally:
            if detector.elapsed_ms:
                self.latency_ms["detect"] = detector.elapsed_ms
        self.unread += found.unread
        return found.detections

    def _pointed(self, phrases: Sequence[str]) -> list[Detection]:
        model: Any = self.model  # capabilities were checked: it points
        lowest = self.settings.score_threshold or 0.0
        said: list[tuple[str, GroundedText]] = []
        for phrase in phrases:
            words: GroundedText = self.ask("detect", partial(model.point, self.frame.color_rgb, phrase))
            if words.lost:
                self.unread.append(Unread((phrase,), "; ".join(words.lost), partly=bool(words.mentions)))
            if words.score >= lowest:
                said.append((phrase, words))
        return self.detections_of(said)

    def detections_of(self, said: Sequence[tuple[str, GroundedText]]) -> list[Detection]:
        """The places of what the model said of phrases; see :func:`vlm_perception.point_detections.detections_of`.

        Raises:
            ModelError: the segmenter failed.
        """
        return detections_of(said, self.image_wh, lambda points: self.under([[point] for point in points]))

    def under(self, groups_uv: Sequence[Sequence[PointUv]]) -> list[tuple[BoolMask, BoxXyxy]]:
        """The things that points lie on, one a group, as masks and boxes.

        Raises:
            CommandError: a point lies outside the image.
            ModelError: the segmenter failed.
        """
        frame, depth_m, segmenter = self.frame, self.depth_m, self.segmenter
        with self.stage("region"):
            return guarded(
                f"segmenter {segmenter.name if segmenter is not None else 'none'}",
                lambda: things_at(groups_uv, frame.color_rgb, depth_m, frame.camera, segmenter),
            )

    def build(self, detections: Sequence[Detection]) -> tuple[SceneObject, ...]:
        """Merge what overlaps; give masks, points and poses. Ids count from 1, so this is for all at once."""
        merged = merge_detections(
            detections, iou_threshold=self.settings.merge_iou, max_objects=self.settings.max_objects
        )
        depth_m = self.depth_m
        with self.stage("segment"):
            masks = self._segment(merged)
        with self.stage("geometry"):
            if self._up_camera is None and depth_m is not None and merged:
                plane = fit_support_plane(depth_m, self.frame.camera)
                self._up_camera = plane.normal if plane is not None else None
            return build_objects(
                merged,
                masks,
                color_rgb=self.frame.color_rgb,
                depth_m=depth_m,
                camera=self.frame.camera,
                up_camera=self._up_camera,
            )

    def resolve(self, query: Query, objects: Sequence[SceneObject]) -> Resolution:
        """Pick what a query speaks of among a frame's objects."""
        with self.stage("resolve"):
            return spatial.resolve(
                query,
                objects,
                self.view,
                image_size=self.image_wh,
                settings=self.settings.resolver,
                vocabulary=self.model.capabilities.vocabulary,
            )

    def ground(self, query: Query, command: str, *, needs_pose: bool) -> Answer:
        """All stages for one query.

        Args:
            query: with phrases to look for.
            command: as heard.
            needs_pose: a target without a pose is then NO_DEPTH.

        Raises:
            CommandError: the query names nothing to look for.
            ModelError: model or segmenter failed.
            ImageError: depth cannot be laid over color.
        """
        if not query.phrases:
            raise CommandError(f"'{query.text[:80]}' names no thing to look for. Say what it is, e.g. 'the red mug'.")
        depth_given = self.depth_m is not None
        objects = self.build(self.find(query.phrases, counting=asks_number(query)))
        resolution = self.resolve(query, objects)
        if needs_pose:
            resolution = demand_depth(resolution, depth_given=depth_given, segmenter=self.segmenter)
        resolution = admit_unread(resolution, query, self.unread, self.model.name)
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
            viewpoint=self.view,
            latency_ms=self.latency_ms,
            extra={"problems": self.problems} if self.unread else {},
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What of the model's words about places could not be read."""
        return tuple(dict.fromkeys(lost.why for lost in self.unread))

    def _alone(self) -> tuple[BatchDetector, int]:
        return BatchDetector(self.model, [self.frame.color_rgb], self.settings.score_threshold), 0

    def _segment(self, merged: Sequence[MergedDetection]) -> list[BoolMask | None]:
        masks: list[BoolMask | None] = [found.best.mask for found in merged]
        missing = [index for index, mask in enumerate(masks) if mask is None]
        segmenter = self.segmenter
        if segmenter is None or not missing:
            return masks
        boxes = [merged[index].best.box_xyxy for index in missing]
        proposals = guarded(
            f"segmenter {segmenter.name}",
            lambda: segmenter.segment(self.frame.color_rgb, boxes, depth_m=self.depth_m),
        )
        for index, proposal in zip(missing, proposals, strict=True):
            masks[index] = proposal.mask
        return masks
