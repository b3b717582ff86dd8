"""The ``ground`` and ``describe`` services: requests in, results out, without ever blocking the executor."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.msg import Claim, GroundingResult
from vlm_perception.ros.answering import Outcome, Request
from vlm_perception.ros.image_set import ImageSet
from vlm_perception.srv import Describe, Ground

if TYPE_CHECKING:
    from rclpy.callback_groups import CallbackGroup
    from rclpy.lifecycle import LifecycleNode

# The default depth of 10 loses calls, silently, when many come at once.
_QOS = QoSProfile(depth=200, reliability=QoSReliabilityPolicy.RELIABLE)

Ask = Callable[[Request], Awaitable[Outcome]]

_VERDICTS = {True: Claim.HOLDS, False: Claim.FAILS, None: Claim.UNKNOWN}


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
            ask: the outcome of a request, to be awaited on the executor's thread.
            refuse: an INVALID_COMMAND result for (command, reason).
        """
        self._ask, self._refuse = ask, refuse
        for kind, name, callback in ((Ground, "~/ground", self._ground), (Describe, "~/describe", self._describe)):
            node.create_service(kind, name, callback, qos_profile=_QOS, callback_group=group)

    async def _ground(self, request: Ground.Request, response: Ground.Response) -> Ground.Response:
        response.result = (await self._ask(_request(request.command, request))).result
        return response

    async def _describe(self, request: Describe.Request, response: Describe.Response) -> Describe.Response:
        known = [task.value for task in DescribeTask]
        if request.task not in known:
            reason = f"'{request.task[:40]}' is no task of this service; known are {', '.join(known)}."
            response.result = self._refuse(request.text or request.task, reason)
            return response
        wanted = to_describe_request(request)
        outcome = await self._ask(_request(wanted.heard, request, describe=wanted))
        response.result = outcome.result
        if outcome.answer is not None:
            response.hyperlinks = outcome.answer.extra.get("hyperlinks", "")
            response.claims = [
                Claim(
                    text=claim.text,
                    verdict=_VERDICTS[claim.holds],
                    reason=claim.reason,
                    object_ids=[outcome.object_ids.get(number, str(number)) for number in claim.instance_ids],
                )
                for claim in outcome.answer.extra.get("claims", ())
            ]
        return response


def to_describe_request(message: Describe.Request) -> DescribeRequest:
    """What a message asks; a region without an area is none.

    Raises:
        ValueError: its task is unknown.
    """
    region, box = message.region, None
    if region.width and region.height:
        x, y = float(region.x_offset), float(region.y_offset)
        box = (x, y, x + region.width, y + region.height)
    points = tuple((float(point.x), float(point.y)) for point in message.points)
    return DescribeRequest(DescribeTask(message.task), message.text, region_xyxy=box, points_uv=points)


def _request(command: str, message: Any, describe: DescribeRequest | None = None) -> Request:
    if not message.use_images:
        return Request(command, describe=describe)
    depth = message.depth if message.depth.width and message.depth.height else None
    images = ImageSet(message.color, depth, message.camera_info, time.monotonic())
    return Request(command, images=(images,), brought=True, describe=describe)
