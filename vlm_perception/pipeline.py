"""Frames + command -> answers: the one place where the stages meet.

Frames of several cameras go in together and each gets its answer; the model runs once for all of them. One camera is a
batch of one.

Nothing here knows ROS. Faults of the command, the model or the depth come back as a status with a reason;
only a programming error raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vlm_perception import describing
from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.detecting import BatchDetector
from vlm_perception.foreign import understood
from vlm_perception.mask_source import warn_if_unused
from vlm_perception.models.base import GroundingModel, Segmenter
from vlm_perception.models.capability import require_places, warn_if_slow
from vlm_perception.reservations import asks_number
from vlm_perception.stages import Canceled, PipelineSettings, Stages
from vlm_perception.types import (
    Answer,
    CommandError,
    FloatArray,
    ImageError,
    ModelError,
    Query,
    RgbdFrame,
    Status,
    Task,
    Viewpoint,
)

__all__ = ["Look", "Pipeline", "PipelineSettings"]

# What to look for is then known from the words alone, so it is the same for every frame.
_SAME_FOR_ALL = (DescribeTask.VERIFY, DescribeTask.CHECK, DescribeTask.COUNT, DescribeTask.POINT)


@dataclass(frozen=True, eq=False)
class Look:
    """One camera's part of a batch.

    Attributes:
        frame: color, depth and intrinsics of one instant.
        up_camera: (3,) gravity-up in the optical frame, from TF; None: from the support plane, if one is seen.
        viewpoint: from where "left" is judged; None: the camera (see :mod:`vlm_perception.geometry.viewpoint`).
    """

    frame: RgbdFrame
    up_camera: FloatArray | None = None
    viewpoint: Viewpoint | None = None


class Pipeline:
    """One model, one segmenter, and the stages around them. Not thread-safe: one worker uses it."""

    def __init__(
        self,
        model: GroundingModel,
        segmenter: Segmenter | None,
        settings: PipelineSettings | None = None,
    ) -> None:
        """Put the stages together.

        Args:
            model: gives boxes (and perhaps masks) for phrases.
            segmenter: gives masks for boxes that came without one; None: such objects stay boxes without depth.
            settings: thresholds.
        """
        warn_if_slow(model)
        warn_if_unused(model, segmenter)
        self.model = model
        self.segmenter = segmenter
        self.settings = settings if settings is not None else PipelineSettings()

    def answer(
        self,
        frame: RgbdFrame,
        command: str,
        *,
        up_camera: FloatArray | None = None,
        viewpoint: Viewpoint | None = None,
        canceled: Callable[[], bool] | None = None,
    ) -> Answer:
        """Resolve one command on one frame: :meth:`answer_all` with a batch of one; see :class:`Look`."""
        (answer,) = self.answer_all([Look(frame, up_camera, viewpoint)], command, canceled=canceled)
        return answer

    def answer_all(
        self, looks: Sequence[Look], command: str, *, canceled: Callable[[], bool] | None = None
    ) -> tuple[Answer, ...]:
        """Resolve one command on the frames of several cameras, each by itself; the model is called once for all.

        Args:
            looks: what each camera sees.
            command: free language.
            canceled: asked between stages; when it says true the answers still to come are ``CANCELED``.

        Returns:
            An answer a frame, in its camera's optical frame; its status tells every fault of command, model and depth.
            Of the latencies, ``detect`` and ``total`` are the whole batch's.
        """

        def work(stages: Stages) -> Answer:
            with stages.stage("language"):
                stages.query, request = self.understand(command)
            if request is not None:
                return replace(_described(stages, request), command=command)
            needs_pose = stages.query.task in (Task.LOCATE, Task.POINT)
            return stages.ground(stages.query, command, needs_pose=needs_pose)

        return self._each(looks, command, work, canceled)

    def understand(self, command: str) -> tuple[Query, DescribeRequest | None]:
        """A command's meaning, and what it asks of a model that speaks (None: it is located and resolved).

        Raises:
            CommandError: it means nothing, or is not for this model, its language included; names the models that can.
        """
        query = understood(command, self.model)
        request = describing.request_of(query, self.model)
        if request is None:
            require_places(self.model, counting=asks_number(query))
            return query, None
        try:
            describing.check_request(self.model, request)
        except CommandError as error:
            raise CommandError(f"{str(error).rstrip('.')}. Or name the thing to look for, e.g. 'the red mug'.") from error
        return query, request

    def describe(
        self,
        frame: RgbdFrame,
        request: DescribeRequest,
        *,
        up_camera: FloatArray | None = None,
        viewpoint: Viewpoint | None = None,
        canceled: Callable[[], bool] | None = None,
    ) -> Answer:
        """Caption, answer, check, read, point or count: see :func:`vlm_perception.describing.describe`.

        The other arguments and faults are those of :meth:`answer`.
        """
        (answer,) = self.describe_all([Look(frame, up_camera, viewpoint)], request, canceled=canceled)
        return answer

    def describe_all(
        self, looks: Sequence[Look], request: DescribeRequest, *, canceled: Callable[[], bool] | None = None
    ) -> tuple[Answer, ...]:
        """:meth:`describe` for the frames of several cameras, each by itself, like :meth:`answer_all`.

        What is only located (verify, check, count, point) takes one call of the model; a model that speaks does so
        about each frame.
        """
        return self._each(looks, request.heard, lambda stages: _described(stages, request), canceled)

    def _each(
        self,
        looks: Sequence[Look],
        command: str,
        work: Callable[[Stages], Answer],
        canceled: Callable[[], bool] | None,
    ) -> tuple[Answer, ...]:
        images_rgb = [look.frame.color_rgb for look in looks]
        detector = BatchDetector(self.model, images_rgb, self.settings.score_threshold)
        passes = [
            Stages(
                look.frame,
                self.model,
                self.segmenter,
                self.settings,
                up_camera=look.up_camera,
                viewpoint=look.viewpoint,
                canceled=canceled,
                batch=(detector, index),
            )
            for index, look in enumerate(looks)
        ]
        answers = tuple(_told(stages, command, work) for stages in passes)
        if len(passes) > 1:
            for stages in passes:  # an answer has waited for those after it
                stages.note_total()
        return answers


def _described(stages: Stages, request: DescribeRequest) -> Answer:
    if request.task not in _SAME_FOR_ALL or not request.text.strip():
        stages.leave_batch()
    return describing.describe(stages, request)


def _told(stages: Stages, command: str, work: Callable[[Stages], Answer]) -> Answer:
    """The answer, or the fault as one."""
    try:
        return work(stages)
    except Canceled:
        status, message = Status.CANCELED, "Canceled before there was an answer."
    except CommandError as error:
        status, message = Status.INVALID_COMMAND, str(error)
    except ModelError as error:
        status, message = Status.MODEL_ERROR, str(error)
    except ImageError as error:
        status, message = Status.NO_DEPTH, str(error)
    return Answer(
        query=stages.query, command=command, status=status, message=message, latency_ms=stages.latency_ms
    )
