"""The slot that holds the model."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")
from cube_scene import ColorModel

from vlm_perception.pipeline import Pipeline
from vlm_perception.ros.model_slot import ModelSlot


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
