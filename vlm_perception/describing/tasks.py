"""Words about a frame, each tied to a thing in 3-D: caption, question, check, region, reading, pointing, counting.

What a model cannot do is refused before it runs, naming the models that can. What does not need one that speaks
(verify, check, count, point) is done by locating and resolving.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vlm_perception.describing import located, spoken
from vlm_perception.describing.requests import DescribeRequest, DescribeTask, check_request
from vlm_perception.stages import Stages
from vlm_perception.types import Answer

_DO: Final[dict[DescribeTask, Callable[[Stages, DescribeRequest], Answer]]] = {
    DescribeTask.CAPTION: spoken.caption,
    DescribeTask.ASK: spoken.ask,
    DescribeTask.VERIFY: located.verify,
    DescribeTask.CHECK: located.check_caption,
    DescribeTask.REGION: spoken.describe_region,
    DescribeTask.CATEGORY: spoken.name_region,
    DescribeTask.READ: spoken.read,
    DescribeTask.POINT: located.point,
    DescribeTask.COUNT: located.count,
}


def describe(stages: Stages, request: DescribeRequest) -> Answer:
    """Do what a request asks on one frame.

    Returns:
        In the camera's optical frame: the words in ``answer``; the things they speak of as targets, with mask, points
        and pose where there is depth. ``extra`` holds ``hyperlinks`` (the words with their boxes as Kosmos-2 writes
        them), ``claims`` (:class:`~vlm_perception.describing.checking.ClaimCheck` each, for VERIFY and CHECK) and ``problems``
        (what of the model's words was dropped or mended).

    Raises:
        CommandError: see :func:`check_request`; or the region does not lie in the image.
        ModelError: the model failed.
        ImageError: depth cannot be laid over color.
        Canceled: the answer is no longer wanted.
    """
    check_request(stages.model, request)
    return _DO[request.task](stages, request)
