"""Standing work of the ``track`` topic: answer for every new frame, and say once when there are no new frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from vlm_perception.ros.answering import Outcome, Request
from vlm_perception.ros.image_set import ImageSet
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
        self._last_images: ImageSet | None = None
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
        self._last_images, self._last_status, self._retry_s = None, None, 0.0
        self._request = None
        if text.strip():
            request = Request(text, wait=False, canceled=lambda: self._request is not request)
            self._request = request

    def step(self, images: ImageSet | None, settings: Settings) -> float | None:
        """Answer for ``images`` if they are new, or say that none come.

        Returns:
            Seconds until this wants to be asked again even if no new images come; None when nothing is tracked.
        """
        request = self._request
        if request is None:
            return None
        now_s = time.monotonic()
        if images is None:
            due_s = self._since_s + settings.input_timeout_s
        else:
            due_s = now_s + settings.max_input_age_s - images.age_s(now_s)
        if images is not None and now_s < due_s:
            new = not images.same_as(self._last_images)
            if new and (self._last_status not in _NOT_THE_FRAME or now_s >= self._retry_s):
                self._last_images = images
                self._say(request, images)
        elif now_s >= due_s:
            gone = Status.NO_INPUT if images is None else Status.STALE_INPUT
            if self._last_status is not gone:
                self._say(request, images)
            return _RETRY_S
        return max(0.01, due_s - time.monotonic() + 0.005)

    def _say(self, request: Request, images: ImageSet | None) -> None:
        outcome = self._answer(Request(request.command, images=images, wait=False, canceled=request.canceled))
        if self._request is not request:
            return  # replaced meanwhile
        repeated = outcome.status is self._last_status and outcome.status in _NOT_THE_FRAME
        self._last_status, self._retry_s = outcome.status, time.monotonic() + _RETRY_S
        if not repeated:
            self._publish(outcome)
        if outcome.status is Status.INVALID_COMMAND:
            self._request = None  # another frame will not make it valid
