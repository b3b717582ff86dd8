"""The slot that holds the model."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")
from cube_scene import ColorModel

from vlm_perception.models.base import Capabilities
from vlm_perception.pipeline import Pipeline
from vlm_perception.ros import model_slot
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


def test_options_reach_the_segmenter():
    slot = ModelSlot()
    with pytest.raises(ModelError, match="Segmenter 'depth-grabcut' could not be loaded: .*has no option 'multimask'"):
        slot.use(Settings(segmenter_options=("multimask=false",)))
    assert slot.pipeline is None
    slot.use(Settings())
    with pytest.raises(ModelError, match="Segmenter 'depth-grabcut'"):
        slot.use(Settings(segmenter_options=("multimask=false",)))
    assert "set the parameter 'segmenter'" in slot.take_failure()
    assert not slot.take_failure(), "said once; the old one answers from the next command on"
    slot.close()


class Part:
    """A model or segmenter that counts what is done to it."""

    def __init__(self, name):
        self.name, self.closed, self.calls = name, 0, 0
        self.capabilities = Capabilities(detects=True)

    def detect(self, images_rgb, phrases, *, threshold=None):
        self.calls += 1
        return [[] for _ in images_rgb]

    def segment(self, image_rgb, boxes_xyxy, *, depth_m=None):
        self.calls += 1
        return []

    def close(self):
        self.closed += 1


@pytest.fixture
def built(monkeypatch):
    """What was built, in order; names with 'bad' cannot be."""
    parts = []

    def build(name, *, device, dtype, options):
        if "bad" in name:
            raise ModelError(f"no {name}")
        parts.append(Part(name))
        return parts[-1]

    monkeypatch.setattr(model_slot, "build_model", build)
    monkeypatch.setattr(model_slot, "build_segmenter", build)
    return parts


def test_only_what_changes_is_loaded_anew(built):
    slot = ModelSlot()
    assert slot.use(Settings(model="a", segmenter="s")) == "Model 'a' and segmenter 's'"
    masks, first = built
    assert slot.use(Settings(model="a", segmenter="s", score_threshold=0.5)) == ""
    assert slot.use(Settings(model="a", segmenter="t")) == "Segmenter 't'"
    assert [part.name for part in built] == ["s", "a", "t"]
    assert slot.pipeline.model is first
    assert (first.closed, masks.closed) == (0, 1)
    assert slot.use(Settings(model="b", segmenter="t")) == "Model 'b'"
    assert slot.pipeline.segmenter is built[2], "and the model alone"
    assert (first.closed, built[2].closed) == (1, 0)
    assert slot.use(Settings(model="b", segmenter="t", segmenter_options=("x=1",))) == "Segmenter 't'"
    assert slot.use(Settings(model="b", segmenter="t", dtype="float32")) == "Model 'b' and segmenter 't'"
    assert sum(part.closed for part in built) == len(built) - 2
    slot.close()
    assert [part.closed for part in built] == [1] * len(built)


def test_a_half_that_fails_leaves_the_other_as_it_was(built):
    slot = ModelSlot()
    slot.use(Settings(model="a", segmenter="s"))
    before = slot.pipeline
    with pytest.raises(ModelError, match="Segmenter 'bad' could not be loaded: no bad"):
        slot.use(Settings(model="a", segmenter="bad"))
    with pytest.raises(ModelError, match="Segmenter 'bad'"):
        slot.use(Settings(model="b", segmenter="bad"))
    with pytest.raises(ModelError, match="Model 'bad'"):
        slot.use(Settings(model="bad", segmenter="s"))
    with pytest.raises(ModelError, match="Model 'bad'"):
        slot.use(Settings(model="bad", segmenter="t"))
    assert slot.pipeline is before
    assert [(part.name, part.closed) for part in built] == [("s", 0), ("a", 0), ("t", 1)]
    assert slot.use(Settings(model="a", segmenter="s")) == "", "set back: nothing was lost"
    assert not slot.failure


def test_only_what_is_new_is_warmed_up(built):
    slot = ModelSlot()
    slot.use(Settings(model="a", segmenter="s"))
    slot.warm_up()
    slot.warm_up()
    assert [part.calls for part in built] == [1, 1]
    slot.use(Settings(model="a", segmenter="t"))
    slot.warm_up()
    assert [part.calls for part in built] == [1, 1, 1]
    slot.warm_up(2)
    assert [part.calls for part in built] == [1, 2, 1], "another batch is another shape of the model's"


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
