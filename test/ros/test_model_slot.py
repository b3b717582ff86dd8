"""The slot that holds the model."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")
import numpy as np

from vlm_perception.models.base import Capabilities, GroundedText
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
    """A model or segmenter that counts what is done to it; in use, one with "raises" in its name fails."""

    def __init__(self, name):
        self.name, self.closed, self.calls = name, 0, []
        self.capabilities = Capabilities(points=True) if "points" in name else Capabilities(detects=True)

    def detect(self, images_rgb, phrases, *, threshold=None):
        return self._work("detect", *images_rgb) or [[] for _ in images_rgb]

    def segment(self, image_rgb, boxes_xyxy, *, depth_m=None):
        return self._work("segment", image_rgb) or []

    def point(self, image_rgb, phrase):
        return self._work("point", image_rgb) or GroundedText("")

    def _work(self, what, *images_rgb):
        assert not self.closed
        assert all(image.shape == (480, 640, 3) and image.dtype == np.uint8 for image in images_rgb)
        self.calls.append((what, len(images_rgb)))
        if "raises" in self.name:
            raise ModelError("NaN scores in float16") if "model-error" in self.name else RuntimeError("caught fire")

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
    assert [part.calls for part in built] == [[("segment", 1)], [("detect", 1)]]
    slot.use(Settings(model="a", segmenter="s", score_threshold=0.5))
    slot.use(Settings(model="a", segmenter="t"))
    slot.use(Settings(model="b", segmenter="t"))
    assert [part.name for part in built] == ["s", "a", "t", "b"]
    assert all(len(part.calls) == 1 for part in built)


def test_warm_up_runs_the_batch_that_commands_will_have(built):
    ModelSlot().use(Settings(model="a", segmenter="s", cameras=("front", "wrist", "top")))
    assert [part.calls for part in built] == [[("segment", 1)], [("detect", 3)]]


def test_a_model_that_only_points_is_warmed_up_too(built):
    slot = ModelSlot()
    slot.use(Settings(model="points", segmenter="none"))
    assert built[-1].calls == [("point", 1)]
    with pytest.raises(ModelError, match="Model 'points-raises' was loaded, but failed .*RuntimeError: caught fire"):
        slot.use(Settings(model="points-raises", segmenter="none"))
    assert slot.name == "points"


@pytest.mark.parametrize(
    ("wanted", "role", "reason"),
    [
        ({"model": "raises"}, "Model", "RuntimeError: caught fire"),
        ({"model": "model-error-raises"}, "Model", "NaN scores in float16"),
        ({"segmenter": "raises"}, "Segmenter", "RuntimeError: caught fire"),
        ({"model": "raises", "segmenter": "t"}, "Model", "RuntimeError: caught fire"),
        ({"model": "b", "segmenter": "raises"}, "Segmenter", "RuntimeError: caught fire"),
    ],
)
def test_what_fails_in_use_does_not_take_the_place_of_what_works(built, wanted, role, reason):
    """As out of memory in the first forward pass, or half precision that overflows: loading says nothing of it."""
    slot = ModelSlot()
    slot.use(Settings(model="a", segmenter="s"))
    before = slot.pipeline
    with pytest.raises(ModelError) as raised:
        slot.use(Settings(**{"model": "a", "segmenter": "s"} | wanted))
    name = wanted[role.lower()]
    assert str(raised.value) == (
        f"{role} '{name}' was loaded, but failed on the blank image that it was tried with: {reason}"
    )
    assert raised.value.__cause__ is None and raised.value.__context__ is None, "it would hold the call's tensors"
    assert slot.pipeline is before
    assert [part.closed for part in built] == [0, 0] + [1] * (len(built) - 2)
    assert (slot.failure, slot.loading, slot.name) == (str(raised.value), "", "a")
    said = slot.take_failure()
    assert reason in said and f"set the parameter '{role.lower()}'" in said and "'a' is still loaded" in said
    assert not slot.take_failure(), "said once"
    assert slot.use(Settings(model="a", segmenter="s")) == "", "set back: nothing was lost"
    assert not slot.failure


@pytest.mark.parametrize(
    ("wrong", "right"),
    [({"model": "raises"}, {"model": "a"}), ({"segmenter": "raises"}, {"segmenter": "s"})],
)
def test_the_first_model_fails_in_use(built, wrong, right):
    """No other can answer, so every command is told why, until the parameter is set right."""
    slot = ModelSlot()
    rest = {"model": "a", "segmenter": "s"}
    with pytest.raises(ModelError, match="was loaded, but failed on the blank image"):
        slot.use(Settings(**rest | wrong))
    assert slot.pipeline is None
    assert all(part.closed == 1 for part in built)
    for _ in range(3):
        assert "caught fire" in slot.take_failure()
    slot.use(Settings(**rest | right))
    assert slot.name == "a" and not slot.take_failure()
