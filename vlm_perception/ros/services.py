"""The ``ground`` and ``describe`` services: requests in, results out, without ever blocking the executor."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from vlm_perception import language
from vlm_perception.models.registry import load_registry
from vlm_perception.msg import GroundingResult
from vlm_perception.ros.answering import Request
from vlm_perception.ros.image_set import ImageSet
from vlm_perception.srv import Describe, Ground
from vlm_perception.types import CommandError, Task

if TYPE_CHECKING:
    from rclpy.callback_groups import CallbackGroup
    from rclpy.lifecycle import LifecycleNode

# The default depth of 10 loses calls, silently, when many come at once.
_QOS = QoSProfile(depth=200, reliability=QoSReliabilityPolicy.RELIABLE)

Ask = Callable[[Request], Awaitable[GroundingResult]]

# Task of the service -> what a model must be able to do for it, in the words of the registry.
_NEEDS = {
    Describe.Request.TASK_CAPTION: "captions",
    Describe.Request.TASK_ASK: "answers",
    Describe.Request.TASK_REGION: "describes_regions",
    Describe.Request.TASK_READ: "reads_text",
}
# Task of the service -> what the text must parse to, and the words that make it so.
_PHRASED = {
    Describe.Request.TASK_VERIFY: (Task.VERIFY, "is it true that {}"),
    Describe.Request.TASK_COUNT: (Task.COUNT, "how many {} are there"),
    Describe.Request.TASK_POINT: (Task.POINT, "point at {}"),
}


class Services:
    """Serves ``ground`` and ``describe``."""

    def __init__(
        self,
        node: LifecycleNode,
        group: CallbackGroup,
        ask: Ask,
        refuse: Callable[[str, str], GroundingResult],
    ) -> None:
        """Offer the services.

        Args:
            node: owns them.
            group: re-entrant, since a call waits for its answer.
            ask: the answer to a request, to be awaited on the executor's thread.
            refuse: an INVALID_COMMAND result for (command, reason).
        """
        self._ask, self._refuse = ask, refuse
        for kind, name, callback in ((Ground, "~/ground", self._ground), (Describe, "~/describe", self._describe)):
            node.create_service(kind, name, callback, qos_profile=_QOS, callback_group=group)

    async def _ground(self, request: Ground.Request, response: Ground.Response) -> Ground.Response:
        response.result = await self._ask(_request(request.command, request))
        return response

    async def _describe(self, request: Describe.Request, response: Describe.Response) -> Describe.Response:
        try:
            command = describe_command(request.task, request.text)
        except CommandError as error:
            response.result = self._refuse(request.text, str(error))
        else:
            response.result = await self._ask(_request(command, request))
        return response


def describe_command(task: str, text: str) -> str:
    """The sentence that asks the pipeline for a task of the ``describe`` service.

    Raises:
        CommandError: no such task, or one that the pipeline's models cannot do; names those that can.
    """
    needed = _NEEDS.get(task)
    if needed is not None:
        able = [entry.name for entry in load_registry().values() if needed in entry.tasks]
        models = f"models that can: {', '.join(able)}" if able else "no model of config/models.yaml does it yet"
        raise CommandError(
            f"Task '{task}' needs a model that {needed.replace('_', ' ')}, and the pipeline only locates, verifies,"
            f" counts and points; {models}."
        )
    if task not in _PHRASED:
        raise CommandError(
            f"'{task[:40]}' is no task of this service; known are {', '.join([*_PHRASED, *_NEEDS])}."
        )
    wanted, words = _PHRASED[task]
    try:
        if language.parse(text).task is wanted:
            return text
    except CommandError:
        return text  # the answer will say what is wrong with it, in the user's own words
    return words.format(text.strip().rstrip(".?!"))


def _request(command: str, message: Any) -> Request:
    if not message.use_images:
        return Request(command)
    depth = message.depth if message.depth.width and message.depth.height else None
    images = ImageSet(message.color, depth, message.camera_info, time.monotonic())
    return Request(command, images=images, brought=True)
