"""The model in use: loaded, tried and swapped by the worker, the old one kept when the new one fails."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.options import parse_option
from vlm_perception.pipeline import Pipeline, PipelineSettings
from vlm_perception.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vlm_perception.models.base import GroundingModel, Segmenter, VisionLanguageModel
    from vlm_perception.ros.parameters import Settings

_Model = TypeVar("_Model")
_WARM_UP_SIZE = (480, 640, 3)
_WARM_UP_BOX = (280.0, 200.0, 360.0, 280.0)


@dataclass(frozen=True)
class _Half:
    """What one of a pipeline's two models is built from."""

    name: str
    options: tuple[str, ...]
    device: str
    dtype: str

    def build(self, build: Callable[..., _Model]) -> _Model:
        """The model, by :func:`build_model` or :func:`build_segmenter`."""
        options = dict(map(parse_option, self.options))
        return build(self.name, device=self.device, dtype=self.dtype, options=options)


class ModelSlot:
    """At most one pipeline, what it was built from, and what went wrong. Used by the worker's thread only.

    Of its two models only the one that is to change is built anew. It is warmed up before it takes the old one's place,
    which is let go only then: a model that loads and cannot run is as bad as one that cannot be loaded.

    Attributes (read by the diagnostics):
        pipeline: None until a model was loaded.
        loading: what is being loaded or warmed up, else "".
        failure: why the model that the parameters name is not in use, else "".
    """

    def __init__(self) -> None:
        self.pipeline: Pipeline | None = None
        self.loading = ""
        self.failure = ""
        self.load_s = 0.0
        self._built: tuple[_Half, _Half] | None = None
        self._unreported = False
        self._failed = "model"

    @property
    def name(self) -> str:
        """The model in use; "" when there is none."""
        return self.pipeline.model.name if self.pipeline is not None else ""

    def use(self, settings: Settings) -> str:
        """Make the pipeline what the parameters say, ready for the first command; cheap when it already is.

        Returns:
            What was loaded anew, in words; "" for nothing.

        Raises:
            ModelError: it cannot be loaded, or fails even on a blank image; what was loaded before stays in use.
        """
        where = (settings.device, settings.dtype)
        wanted = (
            _Half(settings.model, settings.model_options, *where),
            _Half(settings.segmenter, settings.segmenter_options, *where),
        )
        # A command brings one image a camera, and what a GPU prepares depends on the size of the batch. The cameras'
        # names do not change while a model is here: they are read at configure, and cleanup frees it.
        images = len(settings.cameras) or 1
        loaded = self._load(*wanted, images) if self.pipeline is None or wanted != self._built else ""
        self.failure, self._unreported = "", False
        if self.pipeline is not None:
            threshold = settings.score_threshold if settings.score_threshold >= 0 else None
            self.pipeline.settings = PipelineSettings(score_threshold=threshold)
        return loaded

    def take_failure(self) -> str:
        """Why the asked-for model is not in use, once per failure while an older one can answer, always otherwise."""
        if self.pipeline is None:
            return self.failure or "No model is loaded."
        if not self._unreported:
            return ""
        self._unreported = False
        return (
            f"{self.failure} '{self.name}' is still loaded and answers from the next command on;"
            f" set the parameter '{self._failed}' to what you want."
        )

    def close(self) -> None:
        """Free the memory."""
        pipeline, self.pipeline, self._built = self.pipeline, None, None
        self.failure, self._unreported = "", False
        if pipeline is not None:
            _close(pipeline.model)
            _close(pipeline.segmenter)

    def _load(self, model_half: _Half, segmenter_half: _Half, images: int) -> str:
        """Load and warm up what is not as it is wanted; says what that was."""
        started = time.monotonic()
        old, built = self.pipeline, self._built or (None, None)
        keep_model = old is not None and model_half == built[0]
        keep_segmenter = old is not None and segmenter_half == built[1]
        segmenter: Segmenter | None = None
        try:
            # The smaller one first, so that what is wrong with it is said at once.
            if old is not None and keep_segmenter:
                segmenter = old.segmenter
            else:
                segmenter = self._new("segmenter", segmenter_half, build_segmenter, _warm_up_segmenter)
            if old is not None and keep_model:
                model: GroundingModel = old.model
            else:
                model = self._new("model", model_half, build_model, partial(_warm_up_model, images=images))
        except ModelError as error:
            if not keep_segmenter:
                _close(segmenter)
            self.failure, self._unreported = str(error), True
            raise
        finally:
            self.loading = ""
        self.pipeline, self._built = Pipeline(model, segmenter), (model_half, segmenter_half)
        self.load_s = time.monotonic() - started
        if old is not None:
            if not keep_model:
                _close(old.model)
            if not keep_segmenter:
                _close(old.segmenter)
        anew = [] if keep_model else [f"model '{model_half.name}'"]
        anew += [] if keep_segmenter else [f"segmenter '{segmenter_half.name}'"]
        words = " and ".join(anew)
        return words[:1].upper() + words[1:]

    def _new(self, role: str, half: _Half, build: Callable[..., _Model], warm_up: Callable[[_Model], None]) -> _Model:
        """Build and warm up one of the two.

        Raises:
            ModelError: it names what failed; nothing of it is left.
        """
        self._failed, self.loading = role, half.name
        part: _Model | None = None
        problem = "could not be loaded"
        try:
            part = half.build(build)
            problem = "was loaded, but failed on the blank image that it was tried with"
            warm_up(part)
        except Exception as error:  # noqa: BLE001 -- a model's code is not ours, and the node has to outlive it
            reason = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
        else:
            return part
        # Outside of the handler, since what was raised holds the tensors of the call that failed.
        _close(part)
        raise ModelError(f"{role.capitalize()} '{half.name}' {problem}: {reason}")


def _warm_up_model(model: GroundingModel, images: int) -> None:
    """One throw-away detection, so that the first command does not pay for lazy initialisation, nor finds it broken."""
    blank = np.full(_WARM_UP_SIZE, 127, np.uint8)
    if model.capabilities.detects:
        model.detect([blank] * images, ["box"], threshold=0.99)
    elif model.capabilities.points:
        cast("VisionLanguageModel", model).point(blank, "box")


def _warm_up_segmenter(segmenter: Segmenter | None) -> None:
    """One throw-away mask."""
    if segmenter is not None:
        segmenter.segment(np.full(_WARM_UP_SIZE, 127, np.uint8), [_WARM_UP_BOX])


def _close(part: object) -> None:
    close = getattr(part, "close", None)
    if close is not None:
        close()
