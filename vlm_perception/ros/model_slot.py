"""The model in use: loaded and swapped by the worker, the old one kept when the new one fails."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.options import parse_option
from vlm_perception.pipeline import Pipeline, PipelineSettings
from vlm_perception.types import ModelError

if TYPE_CHECKING:
    from vlm_perception.models.base import GroundingModel, Segmenter
    from vlm_perception.ros.parameters import Settings

_WARM_UP_SIZE = (480, 640, 3)
_WARM_UP_BOX = (280.0, 200.0, 360.0, 280.0)


@dataclass(frozen=True)
class _Spec:
    """What a pipeline is built from."""

    model: str
    segmenter: str
    device: str
    dtype: str
    model_options: tuple[str, ...]


class ModelSlot:
    """At most one pipeline, what it was built from, and what went wrong. Used by the worker's thread only.

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
        self._spec: _Spec | None = None
        self._unreported = False

    @property
    def name(self) -> str:
        """The model in use; "" when there is none."""
        return self.pipeline.model.name if self.pipeline is not None else ""

    def use(self, settings: Settings) -> None:
        """Make the pipeline what the parameters say; cheap when it already is.

        Raises:
            ModelError: it cannot be loaded; what was loaded before stays in use.
        """
        spec = _Spec(
            settings.model, settings.segmenter, settings.device, settings.dtype, settings.model_options
        )
        if self.pipeline is None or spec != self._spec:
            self._load(spec)
        self.failure, self._unreported = "", False
        if self.pipeline is not None:
            threshold = settings.score_threshold if settings.score_threshold >= 0 else None
            self.pipeline.settings = PipelineSettings(score_threshold=threshold)

    def warm_up(self, images: int = 1) -> None:
        """One throw-away detection and mask, so that the first command does not pay for lazy initialisation.

        Args:
            images: how many a command will have: what a GPU prepares depends on the size of the batch.

        Raises:
            ModelError: a model fails even on a blank image.
        """
        if self.pipeline is None:
            return
        blank = np.full(_WARM_UP_SIZE, 127, np.uint8)
        if self.pipeline.model.capabilities.detects:
            self.pipeline.model.detect([blank] * images, ["box"], threshold=0.99)
        if self.pipeline.segmenter is not None:
            self.pipeline.segmenter.segment(blank, [_WARM_UP_BOX])

    def take_failure(self) -> str:
        """Why the asked-for model is not in use, once per failure while an older one can answer, always otherwise."""
        if self.pipeline is None:
            return self.failure or "No model is loaded."
        if not self._unreported:
            return ""
        self._unreported = False
        return (
            f"{self.failure} '{self.name}' is still loaded and answers from the next command on;"
            " set the parameter 'model' to what you want."
        )

    def close(self) -> None:
        """Free the memory."""
        pipeline, self.pipeline, self._spec = self.pipeline, None, None
        self.failure, self._unreported = "", False
        if pipeline is not None:
            _close(pipeline.model, pipeline.segmenter)

    def _load(self, spec: _Spec) -> None:
        started = time.monotonic()
        self.loading = spec.model
        model: GroundingModel | None = None
        try:
            model = build_model(
                spec.model, device=spec.device, dtype=spec.dtype, options=dict(map(parse_option, spec.model_options))
            )
            segmenter = build_segmenter(spec.segmenter, device=spec.device, dtype=spec.dtype)
        except Exception as error:  # noqa: BLE001 -- a model's code is not ours, and the node has to outlive it
            reason = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
            what = f"Model '{spec.model}'" if model is None else f"Segmenter '{spec.segmenter}'"
            if model is not None:
                _close(model, None)
            self.failure, self._unreported = f"{what} could not be loaded: {reason}", True
            raise ModelError(self.failure) from error
        finally:
            self.loading = ""
        old, self.pipeline, self._spec = self.pipeline, Pipeline(model, segmenter), spec
        self.load_s = time.monotonic() - started
        if old is not None:
            _close(old.model, old.segmenter)


def _close(model: GroundingModel, segmenter: Segmenter | None) -> None:
    model.close()
    close_segmenter = getattr(segmenter, "close", None)
    if close_segmenter is not None:
        close_segmenter()
