"""Words about a frame, each tied to a thing in 3-D: captions, questions, claims, regions, writing, pointing, counts."""

from vlm_perception.describing.commands import request_of
from vlm_perception.describing.requests import DescribeRequest, DescribeTask, check_request
from vlm_perception.describing.tasks import describe

__all__ = ["DescribeRequest", "DescribeTask", "check_request", "describe", "request_of"]
