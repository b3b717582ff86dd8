"""The slot that holds the model."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")
from cube_scene import ColorModel

from vlm_perception.pipeline import Pipeline
from vlm_perception.ros.model_slot import ModelSlot
from vlm_perception.ros.parameters import Settings
from vlm_perception.types import ModelError


def test_options_reach_the_model():
    slot = ModelSlot()
    slot.use(Settings(segmenter="none", model_options=("threshold=0.25",)))
    assert slot.pipeline.model.default_threshold == 0.25
    with pytest.raises(ModelError, match="did you mean 'threshold'"):
        slot.use(Settings(segmenter="none", model_options=("treshold=0.25",)))
    assert slot.pipeline.model.default_threshold == 0.25, "the old one stays"
    slot.close()


@pytest.mark.parametrize("images", [1, 3])
def test_warm_up_runs_the_batch_that_commands_will_have(images):
    calls = []

    class Counting(ColorModel):
        def detect(self, images_rgb, phrases, *, threshold=None):
            calls.append([image.shape for image in images_rgb])
            return super().detect(images_rgb, phrases, threshold=threshold)

    slot = ModelSlot()
    slot.warm_up(images)
    assert not calls, "there is no model yet"
    slot.pipeline = Pipeline(Counting(), None)
    slot.warm_up(images)
    assert calls == [[(480, 640, 3)] * images]
