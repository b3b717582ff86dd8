"""Standing work of the ``track`` topic: answer for every new frame, and say once when there are no new frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vlm_perception.ros.answering import Outcome, Request
from vlm_perception.ros.image_set import ImageSet, anything_new
from vlm_perception.types import Status

if TYPE_CHECKING:
    from vlm_perception.ros.parameters import Settings

# What is wrong with the node and not with the frame is said once, and tried again this often.
_RETRY_S = 1.0
_NOT_THE_FRAME = {Status.MODEL_ERROR, Status.NO_TRANSFORM, Status.NO_INPUT, Status.STALE_INPUT}


class Track:
    """The phrase that is kept up to date; :meth:`set` by the executor, :meth:`step` by the worker."""

    def __init__(self, answer: Callable[[Request], Outcome], publish: Callable[[Outcome], None]) -> None:
        self._answer, self._publish = answer, publish
        self._request: Request | None = None
        self._since_s = 0.0
        self._last_images: tuple[ImageSet, ...] = ()
        self._last_told: ImageSet | None = None
        self._last_status: Status | None = None
        self._retry_s = 0.0

    @property
    def text(self) -> str:
        """What is tracked; "" for nothing."""
        request = self._request
        return request.command if request is not None else ""

    def set(self, text: str) -> None:
        """Track something else, or with an empty text nothing."""
        self._since_s = time.monotonic()
        self._last_images, self._last_told, self._last_status, self._retry_s = (), None, None, 0.0
        self._request = None
        if text.strip():
            request = Request(text, wait=False, canceled=lambda: self._request is not request)
            self._request = request

    def step(self, images: tuple[ImageSet, ...], settings: Settings) -> float | None:
        """Answer for ``images``, at most one set a camera, if there are new ones among them, or say that none come.

        Returns:
            Seconds until this wants to be asked again even if no new images come; None when nothing is tracked.
        """
        request = self._request
        if request is None:
            return None
        now_s = time.monotonic()
        if not images:
            due_s = self._since_s + settings.input_timeout_s
        else:
            due_s = now_s + settings.max_input_age_s - _age_s(images, now_s)
        if images and now_s < due_s:
            new = anything_new(images, self._last_images)
            if new and (self._last_status not in _NOT_THE_FRAME or now_s >= self._retry_s):
                self._last_images = images
                self._say(request, images)
        elif now_s >= due_s:
            gone = Status.STALE_INPUT if images else Status.NO_INPUT
            if self._last_status is not gone:
                self._say(request, images)
            return _RETRY_S
        return max(0.01, due_s - time.monotonic() + 0.005)

    def _say(self, request: Request, images: tuple[ImageSet, ...]) -> None:
        stay_with = self._last_told.camera if self._last_told is not None else ""
        outcome = self._answer(
            Request(request.command, images=images, wait=False, canceled=request.canceled, stay_with=stay_with)
        )
        if self._request is not request:
            return  # replaced meanwhile
        repeated = outcome.status is self._last_status and (
            outcome.status in _NOT_THE_FRAME
            # What is new may be another camera's, and this one's images the same as before: nothing new is known.
            or (outcome.images is not None and outcome.images.same_as(self._last_told))
        )
        self._last_status, self._retry_s = outcome.status, time.monotonic() + _RETRY_S
        self._last_told = outcome.images
        if not repeated:
            self._publish(outcome)
        if outcome.status is Status.INVALID_COMMAND:
            self._request = None  # another frame will not make it valid


def _age_s(images: Sequence[ImageSet], now_s: float) -> float:
    """Age of the youngest."""
    return min(one.age_s(now_s) for one in images)
