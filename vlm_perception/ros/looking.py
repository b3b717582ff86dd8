"""From a camera's images to a look at them: age, conversion, TF. Runs on the worker's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vlm_perception.geometry.viewpoint import frame_viewpoint
from vlm_perception.pipeline import Look
from vlm_perception.ros.image_set import ImageSet, to_frame
from vlm_perception.ros.transforms import NoTransformError, Transforms
from vlm_perception.types import FloatArray, ImageError, RgbdFrame, Status, Viewpoint, VlmPerceptionError

if TYPE_CHECKING:
    from rclpy.impl.rcutils_logger import RcutilsLogger

    from vlm_perception.ros.inputs import Inputs
    from vlm_perception.ros.parameters import Settings

SUPPORT_PLANE = "support_plane"


class CannotLookError(VlmPerceptionError):
    """Why a camera has no part in an answer, with the status that says so."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, eq=False)
class View:
    """What one camera sees, and where that is.

    Attributes:
        note: what is to be said about the images ("" when all is well).
        frame_id: the frame that results are in.
    """

    images: ImageSet
    look: Look
    note: str
    frame_id: str
    T_target_camera: FloatArray


class Looking:
    """Makes views of images.

    Attributes:
        notes: camera -> what is to be said about its images that were looked at last; for the diagnostics.
    """

    def __init__(self, transforms: Transforms, logger: RcutilsLogger) -> None:
        self.notes: dict[str, str] = {}
        self._transforms, self._logger = transforms, logger
        self._converted: dict[str, tuple[ImageSet, bool, RgbdFrame, str]] = {}
        self._said: dict[str, str] = {}

    def view(self, images: ImageSet, settings: Settings, tf_timeout_s: float, gave_up: Callable[[], bool]) -> View:
        """Convert a set and ask TF about it.

        Args:
            images: young enough.
            settings: frames, and whether images are rectified.
            tf_timeout_s: how long to wait for a transform.
            gave_up: ends that wait early.

        Raises:
            CannotLookError: the images cannot be used, or a transform is not there.
        """
        try:
            frame, note = self._frame(images, rectified=settings.images_rectified)
        except ImageError as error:
            raise CannotLookError(Status.NO_INPUT, f"Images arrive but cannot be used. {error}") from error

        camera = images.frame_id

        def lookup(frame_id: str, source: str) -> FloatArray:
            return self._transforms.lookup(frame_id, source, images.stamp, tf_timeout_s, gave_up)

        target = settings.target_frame or camera
        T_target_camera = np.eye(4)
        up_frame = settings.up_frame or settings.target_frame
        up_camera: FloatArray | None = None
        viewpoint: Viewpoint | None = None
        try:
            if settings.target_frame:
                T_target_camera = lookup(target, camera)
            if up_frame and up_frame not in (SUPPORT_PLANE, camera):
                up_camera = np.asarray(lookup(up_frame, camera)[2, :3])  # z of up_frame, seen by the camera
            if settings.viewpoint not in ("camera", camera):
                viewpoint = frame_viewpoint(lookup(camera, settings.viewpoint), settings.viewpoint)
        except NoTransformError as error:
            raise CannotLookError(Status.NO_TRANSFORM, str(error)) from error
        return View(images, Look(frame, up_camera, viewpoint), note, target, T_target_camera)

    def _frame(self, images: ImageSet, *, rectified: bool) -> tuple[RgbdFrame, str]:
        """Convert a set, once for however many commands look at it."""
        camera = images.camera
        known = self._converted.get(camera)
        if known is not None and images.same_as(known[0]) and known[1] == rectified:
            return known[2], known[3]
        frame, note = to_frame(images, rectified=rectified)
        self._converted[camera] = (images, rectified, frame, note)
        self.notes[camera] = note
        if note and note.split(":")[0] != self._said.get(camera):  # once per kind of trouble, not once a frame
            self._said[camera] = note.split(":")[0]
            self._logger.warning(f"Camera '{camera}': {note}" if camera else note)
        return frame, note


def require_fresh(images: ImageSet | None, inputs: Inputs, max_age_s: float) -> None:
    """See that a camera's newest set is young enough.

    Raises:
        CannotLookError: there is none, or it is too old; says what the camera does.
    """
    now_s = time.monotonic()
    if images is None:
        raise CannotLookError(Status.NO_INPUT, f"No images have arrived. {inputs.missing(now_s)}")
    age_s = images.age_s(now_s)
    if age_s <= max_age_s:
        return
    if inputs.frozen_since_s is not None:
        why = "The camera sends, but always the same image (its stamp stands still)."
    else:
        why = inputs.missing(now_s, 0.9 * max_age_s)
    raise CannotLookError(
        Status.STALE_INPUT,
        f"The newest images are {age_s:.1f} s old, more than max_input_age_s = {max_age_s:g} s, so no targets are"
        f" given. {why}",
    )
