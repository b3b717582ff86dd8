"""One request in, one result out, always: frame, age, TF, pipeline, message. Runs on the worker's thread."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from vlm_perception.attention import attention_image, phrase_of
from vlm_perception.describing import DescribeRequest, DescribeTask, check_request
from vlm_perception.geometry.viewpoint import frame_viewpoint
from vlm_perception.msg import GroundingResult
from vlm_perception.ros.image_set import ImageSet, to_frame
from vlm_perception.ros.messages import failure_result, to_result
from vlm_perception.ros.transforms import NoTransformError, Transforms
from vlm_perception.tracking import Tracker
from vlm_perception.types import Answer, CommandError, FloatArray, ImageError, RgbdFrame, Status, Task, Viewpoint

if TYPE_CHECKING:
    from rclpy.impl.rcutils_logger import RcutilsLogger

    from vlm_perception.ros.inputs import Inputs
    from vlm_perception.ros.model_slot import ModelSlot
    from vlm_perception.ros.parameters import Settings

SUPPORT_PLANE = "support_plane"


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked.

    Attributes:
        images: the set to look at; None: the newest of the stream.
        brought: the images came with the request, so they have no age.
        wait: whether to wait for the first images of the stream.
        canceled: asked between stages.
        describe: what is asked of the ``describe`` service; None: ``command`` says it all.
    """

    command: str
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    images: ImageSet | None = None
    brought: bool = False
    wait: bool = True
    canceled: Callable[[], bool] = lambda: False
    describe: DescribeRequest | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """A result, and what it was made from where there was an image.

    Attributes:
        object_ids: instance id in ``answer`` -> id in ``result``.
        aims: whether something to act on was asked for; the objects of a caption or a count are no such target.
    """

    result: GroundingResult
    answer: Answer | None = None
    frame: RgbdFrame | None = None
    camera_header: Header = field(default_factory=Header)
    T_target_camera: FloatArray = field(default_factory=lambda: np.eye(4))
    object_ids: Mapping[int, str] = field(default_factory=dict)
    aims: bool = False

    @property
    def status(self) -> Status:
        """The result's."""
        return Status(self.result.status)


@dataclass(frozen=True, eq=False)
class _View:
    """What TF says about one image."""

    frame_id: str
    T_target_camera: FloatArray
    up_camera: FloatArray | None
    viewpoint: Viewpoint | None


class Answering:
    """Turns requests into outcomes. Never raises for what a user, camera, TF or model does."""

    def __init__(self, slot: ModelSlot, transforms: Transforms, logger: RcutilsLogger) -> None:
        self.slot = slot
        self._transforms = transforms
        self._logger = logger
        self._tracker = Tracker()
        self._converted: tuple[ImageSet, bool, RgbdFrame, str] | None = None
        self.input_note = ""  # what is to be said about the images looked at last; for the diagnostics
        self._said = ""

    def answer(self, request: Request, inputs: Inputs | None, settings: Settings) -> Outcome:
        """Answer one request."""

        def failure(status: Status, message: str, images: ImageSet | None = None) -> Outcome:
            result = failure_result(
                status,
                message,
                command=request.command,
                request_id=request.request_id,
                stamp=images.stamp if images is not None else None,
                frame_id=images.frame_id if images is not None else "",
                model=self.slot.name,
            )
            if images is not None and not request.brought:
                result.input_age_s = images.age_s(time.monotonic())
            return Outcome(result)

        if request.canceled():
            return failure(Status.CANCELED, "Canceled before there was an answer.")
        problem = self.slot.take_failure()
        pipeline = self.slot.pipeline
        if problem or pipeline is None:
            return failure(Status.MODEL_ERROR, problem)
        try:
            if request.describe is not None:
                check_request(pipeline.model, request.describe)
            else:
                pipeline.understand(request.command)
        except CommandError as error:  # said before waiting for a camera
            return failure(Status.INVALID_COMMAND, str(error))

        images = request.images
        if images is None and inputs is not None:
            timeout_s = settings.input_timeout_s if request.wait else 0.0
            images = inputs.wait(timeout_s, settings.max_input_age_s, request.canceled)
        if images is None:
            why = inputs.missing(time.monotonic()) if inputs is not None else "The node is not configured."
            return failure(Status.NO_INPUT, f"No images have arrived. {why}")
        if not request.brought and images.age_s(time.monotonic()) > settings.max_input_age_s:
            return failure(Status.STALE_INPUT, _stale_message(images, inputs, settings), images)

        try:
            frame, note = self._frame(images, settings)
        except ImageError as error:
            return failure(Status.NO_INPUT, f"Images arrive but cannot be used. {error}", images)
        try:
            view = self._look_up(images, settings, request.canceled)
        except NoTransformError as error:
            return failure(Status.NO_TRANSFORM, str(error), images)

        told = {"up_camera": view.up_camera, "viewpoint": view.viewpoint, "canceled": request.canceled}
        if request.describe is not None:
            answer = pipeline.describe(frame, request.describe, **told)
        else:
            answer = pipeline.answer(frame, request.command, **told)
        if note and frame.depth_m is None and answer.status is Status.NO_DEPTH:
            answer = replace(answer, message=f"{answer.message} {note}")
        tracker = Tracker() if request.brought else self._tracker
        object_ids = tracker.update(answer.objects, frame.stamp_ns * 1e-9, view.T_target_camera)
        result = to_result(
            answer,
            stamp=images.stamp,
            frame_id=view.frame_id,
            T_target_camera=view.T_target_camera,
            request_id=request.request_id,
            model=self.slot.name,
            object_ids=object_ids,
            input_age_s=0.0 if request.brought else images.age_s(time.monotonic()),
            image_size=(frame.camera.width, frame.camera.height),
        )
        header = Header(stamp=images.stamp, frame_id=images.frame_id)
        return Outcome(result, answer, frame, header, view.T_target_camera, object_ids, _aims(request, answer))

    def attention(self, outcome: Outcome) -> NDArray[np.uint8] | None:
        """Where the model looked for what an outcome is about, drawn over its image; None: there is no such thing.

        Raises:
            CommandError: the model gives no heatmaps; names those that do.
            ModelError: it failed.
        """
        pipeline, answer, frame = self.slot.pipeline, outcome.answer, outcome.frame
        phrase = phrase_of(answer) if answer is not None else ""
        if pipeline is None or frame is None or not phrase or outcome.status is Status.CANCELED:
            return None
        return attention_image(pipeline.model, frame.color_rgb, phrase)

    def _frame(self, images: ImageSet, settings: Settings) -> tuple[RgbdFrame, str]:
        """Convert a set, once for however many commands look at it."""
        known = self._converted
        if known is not None and images.same_as(known[0]) and known[1] == settings.images_rectified:
            return known[2], known[3]
        frame, note = to_frame(images, rectified=settings.images_rectified)
        self._converted = (images, settings.images_rectified, frame, note)
        self.input_note = note
        if note and note.split(":")[0] != self._said:  # once per kind of trouble, not once a frame
            self._said = note.split(":")[0]
            self._logger.warning(note)
        return frame, note

    def _look_up(self, images: ImageSet, settings: Settings, gave_up: Callable[[], bool]) -> _View:
        camera = images.frame_id

        def lookup(frame: str, source: str) -> FloatArray:
            return self._transforms.lookup(frame, source, images.stamp, settings.tf_timeout_s, gave_up)

        target = settings.target_frame or camera
        T_target_camera = np.eye(4)
        if settings.target_frame:
            T_target_camera = lookup(target, camera)
        up_frame = settings.up_frame or settings.target_frame
        up_camera: FloatArray | None = None
        if up_frame and up_frame not in (SUPPORT_PLANE, camera):
            up_camera = np.asarray(lookup(up_frame, camera)[2, :3])  # z of up_frame, seen by the camera
        viewpoint: Viewpoint | None = None
        if settings.viewpoint not in ("camera", camera):
            viewpoint = frame_viewpoint(lookup(camera, settings.viewpoint), settings.viewpoint)
        return _View(target, T_target_camera, up_camera, viewpoint)


def _aims(request: Request, answer: Answer) -> bool:
    if request.describe is not None:
        return request.describe.task is DescribeTask.POINT
    return answer.query is not None and answer.query.task in (Task.LOCATE, Task.POINT)


def _stale_message(images: ImageSet, inputs: Inputs | None, settings: Settings) -> str:
    now_s = time.monotonic()
    why = ""
    if inputs is not None and inputs.frozen_since_s is not None:
        why = " The camera sends, but always the same image (its stamp stands still)."
    elif inputs is not None:
        why = f" {inputs.missing(now_s, 0.9 * settings.max_input_age_s)}"
    return (
        f"The newest images are {images.age_s(now_s):.1f} s old, more than max_input_age_s ="
        f" {settings.max_input_age_s:g} s, so no targets are given.{why}"
    )
