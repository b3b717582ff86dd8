"""Who counts: a prompt that refers to one region an expression cannot tell how many there are."""

import numpy as np
import pytest
from cube_scene import scene

from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.models.capability import who_can
from vlm_perception.models.factory import build_model
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import Status


@pytest.fixture(scope="module")
def florence_with_masks(tiny_checkpoints):
    return build_model(str(tiny_checkpoints("florence2")), device="cpu", options={"max_new_tokens": 4, "masks": True})


def test_the_default_of_florence_counts_and_its_referring_task_does_not(writer_of, florence_with_masks):
    assert writer_of("florence2").capabilities.counts
    assert not florence_with_masks.capabilities.counts
    assert florence_with_masks.capabilities.masks
    assert {"florence-2-base", "qwen3-vl-2b", "paligemma2-3b-mix"} <= set(who_can("counts"))
    assert "internvl3-2b" not in who_can("counts")


@pytest.mark.parametrize("command", ["how many cubes are there?", "are there three cubes?"])
def test_one_region_an_expression_is_no_count(writer_of, florence_with_masks, command):
    for model in (writer_of("internvl"), florence_with_masks):
        answer = Pipeline(model, None).answer(scene(), command)
        assert answer.status is Status.INVALID_COMMAND
        assert "cannot count" in answer.message
        assert "models that can: tabletop" in answer.message
        assert answer.count is None
    assert Pipeline(writer_of("florence2"), None).answer(scene(), command).status is not Status.INVALID_COMMAND


def test_nor_is_it_for_the_describe_task(writer_of):
    answer = Pipeline(writer_of("internvl"), None).describe(scene(), DescribeRequest(DescribeTask.COUNT, "cubes"))
    assert answer.status is Status.INVALID_COMMAND
    assert "cannot count" in answer.message


def test_such_models_still_find(writer_of, florence_with_masks):
    for model in (writer_of("internvl"), florence_with_masks):
        assert isinstance(model.detect([np.zeros((96, 160, 3), np.uint8)], ["red cube"])[0], list)
        assert Pipeline(model, None).answer(scene(), "the red cube").status is not Status.INVALID_COMMAND
