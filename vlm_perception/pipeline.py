"""Frame + command -> answer: the one place where the stages meet.

Nothing here knows ROS. Faults of the command, the model or the depth come back as a status with a reason;
only a programming error raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vlm_perception import describing, language
from vlm_perception.describing import DescribeRequest
from vlm_perception.models.base import GroundingModel, Segmenter
from vlm_perception.models.capability import require
from vlm_perception.stages import Canceled, PipelineSettings, Stages
from vlm_perception.types import (
    Answer,
    CommandError,
    Entity,
    FloatArray,
    ImageError,
    ModelError,
    Query,
    RgbdFrame,
    Role,
    RoleEntity,
    Status,
    Task,
    Viewpoint,
)

__all__ = ["Pipeline", "PipelineSettings"]


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
        """Resolve one command on one frame.

        Args:
            frame: color, depth and intrinsics of one instant.
            command: free language.
            up_camera: (3,) gravity-up in the optical frame, from TF; None: from the support plane, if one is seen.
            viewpoint: from where "left" is judged; None: the camera
                (see :mod:`vlm_perception.geometry.viewpoint`).
            canceled: asked between stages; when it says true the answer is ``CANCELED``.

        Returns:
            An answer in the camera's optical frame; its status tells every fault of command, model and depth.
        """
        stages = self._stages(frame, up_camera, viewpoint, canceled)

        def work() -> Answer:
            with stages.stage("language"):
                stages.query, request = self.understand(command)
            if request is not None:
                return replace(describing.describe(stages, request), command=command)
            needs_pose = stages.query.task in (Task.LOCATE, Task.POINT)
            return stages.ground(stages.query, command, needs_pose=needs_pose)

        return _told(stages, command, work)

    def understand(self, command: str) -> tuple[Query, DescribeRequest | None]:
        """A command's meaning, and what it asks of a model that speaks (None: it is located and resolved).

        Raises:
            CommandError: it means nothing, or is not for this model; names the models that can.
        """
        try:
            query = language.parse(command)
        except language.ForeignLanguageError:
            if len(self.model.capabilities.languages) < 2:
                raise
            query = _unparsed(command)
        request = describing.request_of(query, self.model)
        if request is None:
            require(self.model, "detects")
            return query, None
        try:
            describing.check_request(self.model, request)
        except CommandError as error:
            raise CommandError(f"{error}. Or name the thing to look for, e.g. 'the red mug'.") from error
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
        stages = self._stages(frame, up_camera, viewpoint, canceled)
        return _told(stages, request.heard, lambda: describing.describe(stages, request))

    def _stages(
        self,
        frame: RgbdFrame,
        up_camera: FloatArray | None,
        viewpoint: Viewpoint | None,
        canceled: Callable[[], bool] | None,
    ) -> Stages:
        return Stages(
            frame,
            self.model,
            self.segmenter,
            self.settings,
            up_camera=up_camera,
            viewpoint=viewpoint,
            canceled=canceled,
        )


def _unparsed(command: str) -> Query:
    """A command in a language that only the model speaks: a question, or the whole of it names the thing."""
    text = " ".join(command.split())
    if text.endswith(("?", "？", "؟")):  # noqa: RUF001 -- Chinese and Arabic question marks
        return Query(text, Task.ASK)
    return Query(text, items=(RoleEntity(Role.TARGET, Entity(text, text, text=text)),))


def _told(stages: Stages, command: str, work: Callable[[], Answer]) -> Answer:
    """The answer, or the fault as one."""
    try:
        return work()
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
