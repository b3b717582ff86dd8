"""One request in, one result out, always: frames, age, TF, pipeline, message. Runs on the worker's thread.

However many cameras there are, there is one way: each has a view or a reason why not, the pipeline answers for all
views at once, and :mod:`vlm_perception.ros.choice` says whose answer it is.
"""

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
from vlm_perception.msg import GroundingResult
from vlm_perception.ros.choice import choose
from vlm_perception.ros.image_set import ImageSet
from vlm_perception.ros.looking import CannotLookError, Looking, View, require_fresh
from vlm_perception.ros.messages import failure_result, to_result
from vlm_perception.tracking import Tracker
from vlm_perception.types import Answer, CommandError, FloatArray, RgbdFrame, Status, Task

if TYPE_CHECKING:
    from rclpy.impl.rcutils_logger import RcutilsLogger

    from vlm_perception.pipeline import Pipeline
    from vlm_perception.ros.cameras import Cameras
    from vlm_perception.ros.model_slot import ModelSlot
    from vlm_perception.ros.parameters import Settings
    from vlm_perception.ros.transforms import Transforms


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked.

    Attributes:
        images: what to look at, at most one set a camera; empty: the newest of the stream.
        brought: the images came with the request, so they have no age.
        wait: whether to wait for the first images of the stream.
        canceled: asked between stages.
        describe: what is asked of the ``describe`` service; None: ``command`` says it all.
        stay_with: the camera to stay with while it does about as well as the others.
    """

    command: str
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    images: tuple[ImageSet, ...] = ()
    brought: bool = False
    wait: bool = True
    canceled: Callable[[], bool] = lambda: False
    describe: DescribeRequest | None = None
    stay_with: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """A result, and what it was made from where there was an image.

    Attributes:
        images: what was looked at.
        camera: which camera this is about; "" when the node has but one.
        object_ids: instance id in ``answer`` -> id in ``result``.
        aims: whether something to act on was asked for; the objects of a caption or a count are no such target.
    """

    result: GroundingResult
    answer: Answer | None = None
    frame: RgbdFrame | None = None
    images: ImageSet | None = None
    camera: str = ""
    camera_header: Header = field(default_factory=Header)
    T_target_camera: FloatArray = field(default_factory=lambda: np.eye(4))
    object_ids: Mapping[int, str] = field(default_factory=dict)
    aims: bool = False

    @property
    def status(self) -> Status:
        """The result's."""
        return Status(self.result.status)


class Answering:
    """Turns requests into outcomes. Never raises for what a user, camera, TF or model does."""

    def __init__(self, slot: ModelSlot, transforms: Transforms, logger: RcutilsLogger) -> None:
        self.slot = slot
        self._looking = Looking(transforms, logger)
        self._tracker = Tracker()

    @property
    def input_notes(self) -> Mapping[str, str]:
        """Camera -> what is to be said about its images that were looked at last; for the diagnostics."""
        return self._looking.notes

    def answer(self, request: Request, cameras: Cameras | None, settings: Settings) -> Outcome:
        """Answer one request."""
        if request.canceled():
            return self._failure(request, Status.CANCELED, "Canceled before there was an answer.")
        problem = self.slot.take_failure()
        pipeline = self.slot.pipeline
        if problem or pipeline is None:
            return self._failure(request, Status.MODEL_ERROR, problem)
        try:
            if request.describe is not None:
                check_request(pipeline.model, request.describe)
                _check_region(request, cameras)
            else:
                pipeline.understand(request.command)
        except CommandError as error:  # said before waiting for a camera
            return self._failure(request, Status.INVALID_COMMAND, str(error))

        if request.brought:
            outcomes, views = self._views({"": request.images[0]}, request, None, settings)
        elif cameras is not None:
            outcomes, views = self._views(_newest(request, cameras, settings), request, cameras, settings)
        else:
            return self._failure(request, Status.NO_INPUT, "No images have arrived. The node is not configured.")
        answers = _answers(pipeline, request, views)
        for (camera, view), answer in zip(views.items(), answers, strict=True):
            outcomes[camera] = self._outcome(request, view, answer)
        ordered = outcomes if request.brought else cameras.inputs
        return choose([outcomes[camera] for camera in ordered], request.stay_with)

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

    def _views(
        self,
        sets: Mapping[str, ImageSet | None],
        request: Request,
        cameras: Cameras | None,
        settings: Settings,
    ) -> tuple[dict[str, Outcome], dict[str, View]]:
        """What every camera sees, and for those that see nothing why; images without ``cameras`` have no age."""
        failures: dict[str, Outcome] = {}
        views: dict[str, View] = {}
        tf_left_s = settings.tf_timeout_s  # while one camera's transform is waited for, those of the others may come
        for camera, images in sets.items():
            started_s = time.monotonic()
            try:
                if cameras is not None:
                    require_fresh(images, cameras.inputs[camera], settings.max_input_age_s)
                views[camera] = self._looking.view(images, settings, tf_left_s, request.canceled)
            except CannotLookError as error:
                failures[camera] = self._failure(request, error.status, str(error), images, camera)
            tf_left_s = max(0.0, tf_left_s - (time.monotonic() - started_s))
        return failures, views

    def _outcome(self, request: Request, view: View, answer: Answer) -> Outcome:
        images, frame = view.images, view.look.frame
        if view.note and frame.depth_m is None and answer.status is Status.NO_DEPTH:
            answer = replace(answer, message=f"{answer.message} {view.note}")
        tracker = Tracker() if request.brought else self._tracker
        object_ids = tracker.update(
            answer.objects,
            frame.stamp_ns * 1e-9,
            view.T_target_camera,
            fixed_frame=view.frame_id,
            camera=images.camera,
        )
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
        return Outcome(
            result,
            answer,
            frame,
            images,
            images.camera,
            Header(stamp=images.stamp, frame_id=images.frame_id),
            view.T_target_camera,
            object_ids,
            _aims(request, answer),
        )

    def _failure(
        self, request: Request, status: Status, message: str, images: ImageSet | None = None, camera: str = ""
    ) -> Outcome:
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
        return Outcome(result, images=images, camera=camera)


def _newest(request: Request, cameras: Cameras, settings: Settings) -> dict[str, ImageSet | None]:
    """The set of every camera to look at, be it too old; None for a camera that has none."""
    timeout_s = settings.input_timeout_s if request.wait else 0.0
    sets = request.images or cameras.wait(timeout_s, settings.max_input_age_s, request.canceled)
    known = {images.camera: images for images in sets}
    now_s = time.monotonic()
    return {
        camera: known.get(camera) or inputs.newest(now_s, settings.max_input_age_s)
        for camera, inputs in cameras.inputs.items()
    }


def _answers(pipeline: Pipeline, request: Request, views: Mapping[str, View]) -> tuple[Answer, ...]:
    looks = [view.look for view in views.values()]
    if request.describe is not None:
        return pipeline.describe_all(looks, request.describe, canceled=request.canceled)
    return pipeline.answer_all(looks, request.command, canceled=request.canceled)


def _check_region(request: Request, cameras: Cameras | None) -> None:
    several = cameras is not None and len(cameras.inputs) > 1 and not request.brought
    if several and request.describe is not None and request.describe.about_region:
        names = ", ".join(cameras.inputs)
        raise CommandError(
            f"A region is in the pixels of one image, and this node has the cameras {names}: call with use_images and"
            " the image that is meant."
        )


def _aims(request: Request, answer: Answer) -> bool:
    if request.describe is not None:
        return request.describe.task is DescribeTask.POINT
    return answer.query is not None and answer.query.task in (Task.LOCATE, Task.POINT)
