"""The model in use: loaded and swapped by the worker, the old one kept when the new one fails."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.options import parse_option
from vlm_perception.pipeline import Pipeline, PipelineSettings
from vlm_perception.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vlm_perception.models.base import GroundingModel, Segmenter
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

    Of its two models only the one that is to change is built anew; the old one is let go when the new one is there.

    Attributes (read by the diagnostics):
        pipeline: None until a model was loaded.
        loading: what is being loaded, else "".
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
        self._warm: tuple[object, object, int] | None = None

    @property
    def name(self) -> str:
        """The model in use; "" when there is none."""
        return self.pipeline.model.name if self.pipeline is not None else ""

    def use(self, settings: Settings) -> str:
        """Make the pipeline what the parameters say; cheap when it already is.

        Returns:
            What was loaded anew, in words; "" for nothing.

        Raises:
            ModelError: it cannot be loaded; what was loaded before stays in use.
        """
        where = (settings.device, settings.dtype)
        wanted = (
            _Half(settings.model, settings.model_options, *where),
            _Half(settings.segmenter, settings.segmenter_options, *where),
        )
        loaded = self._load(*wanted) if self.pipeline is None or wanted != self._built else ""
        self.failure, self._unreported = "", False
        if self.pipeline is not None:
            threshold = settings.score_threshold if settings.score_threshold >= 0 else None
            self.pipeline.settings = PipelineSettings(score_threshold=threshold)
        return loaded

    def warm_up(self, images: int = 1) -> None:
        """One throw-away detection and mask, so that the first command does not pay for lazy initialisation.

        Nothing is done twice: after a swap only what is new is warmed up.

        Args:
            images: how many a command will have: what a GPU prepares depends on the size of the batch.

        Raises:
            ModelError: a model fails even on a blank image.
        """
        if self.pipeline is None:
            return
        model, segmenter = self.pipeline.model, self.pipeline.segmenter
        warm_model, warm_segmenter, warm_images = self._warm or (None, None, 0)
        blank = np.full(_WARM_UP_SIZE, 127, np.uint8)
        if model.capabilities.detects and (model is not warm_model or images != warm_images):
            model.detect([blank] * images, ["box"], threshold=0.99)
        if segmenter is not None and segmenter is not warm_segmenter:
            segmenter.segment(blank, [_WARM_UP_BOX])
        self._warm = (model, segmenter, images)

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
        pipeline, self.pipeline, self._built, self._warm = self.pipeline, None, None, None
        self.failure, self._unreported = "", False
        if pipeline is not None:
            _close(pipeline.model)
            _close(pipeline.segmenter)

    def _load(self, model_half: _Half, segmenter_half: _Half) -> str:
        """Load what is not as it is wanted; says what that was."""
        started = time.monotonic()
        old, built = self.pipeline, self._built or (None, None)
        keep_model = old is not None and model_half == built[0]
        keep_segmenter = old is not None and segmenter_half == built[1]
        segmenter: Segmenter | None = None
        try:
            # The smaller one first, so that what is wrong with it is said at once.
            self._failed, self.loading = "segmenter", segmenter_half.name
            segmenter = old.segmenter if old is not None and keep_segmenter else segmenter_half.build(build_segmenter)
            self._failed, self.loading = "model", model_half.name
            model: GroundingModel = old.model if old is not None and keep_model else model_half.build(build_model)
        except Exception as error:  # noqa: BLE001 -- a model's code is not ours, and the node has to outlive it
            reason = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
            if not keep_segmenter:
                _close(segmenter)
            what = f"{self._failed.capitalize()} '{self.loading}'"
            self.failure, self._unreported = f"{what} could not be loaded: {reason}", True
            raise ModelError(self.failure) from error
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


def _close(part: GroundingModel | Segmenter | None) -> None:
    close = getattr(part, "close", None)
    if close is not None:
        close()
