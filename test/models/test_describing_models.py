"""Real classes behind the describe tasks: tiny checkpoints whose ``generate`` gives the ids of a known text."""

from __future__ import annotations

import numpy as np
import pytest
from cube_scene import CUBES, ColorModel, scene
from describing_models import middle_m
from test_generative import answer_with

from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.models import codecs
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import Status

WH = (320, 240)


def box_of(cube: int) -> tuple[float, float, float, float]:
    _, _, (x0, x1), (y0, y1), _ = CUBES[cube]
    return x0, y0, x1, y1


@pytest.fixture
def run(tiny_checkpoints, monkeypatch):
    def describe(kind: str, words: str, task: str, text: str = "", **region):
        model = build_model(str(tiny_checkpoints(kind)), device="cpu", options={"max_new_tokens": 4})
        answer_with(monkeypatch, model, words)
        request = DescribeRequest(DescribeTask(task), text, **region)
        return Pipeline(model, DepthGrabCut()).describe(scene(), request)

    return describe


def hyperlink(words: str, cube: int) -> str:
    first, last = codecs.pixels_to_kosmos(box_of(cube), WH)
    return f"<phrase> {words}</phrase><object><patch_index_{first:04d}><patch_index_{last:04d}></object>"


def test_kosmos_caption_in_3d_and_as_hyperlinks(run) -> None:
    said = f"{hyperlink('a green cube', 1)} beside{hyperlink('a red cube', 0)}."
    answer = run("kosmos-2", said, "caption")
    assert answer.status is Status.SUCCEEDED, answer.message
    assert answer.answer == "An image of a green cube beside a red cube."
    found = [target.object.geometry.surface_centroid_m for target in answer.targets]
    np.testing.assert_allclose(found, [middle_m(1), middle_m(0)], atol=0.006)
    # Pixels and back to cells: the model's own line again, but for the blank before each phrase.
    assert answer.extra["hyperlinks"].replace(" <phrase>", "<phrase> ") == f"An image of{said}"


def test_florence_reads_and_describes_a_region(run) -> None:
    x0, y0, x1, y1 = box_of(1)
    corners = [v * 1000 // WH[k % 2] for k, v in enumerate((x0, y0, x1, y0, x1, y1, x0, y1))]
    read = run("florence2", "MILK" + "".join(f"<loc_{k}>" for k in corners), "read")
    assert (read.status, read.answer) == (Status.SUCCEEDED, "MILK")
    np.testing.assert_allclose(read.targets[0].object.geometry.surface_centroid_m, middle_m(1), atol=0.004)
    region = run("florence2", "a green cube", "region", points_uv=((160.0, 120.0),))
    assert (region.status, region.answer) == (Status.SUCCEEDED, "a green cube")
    np.testing.assert_allclose(region.targets[0].object.geometry.surface_centroid_m, middle_m(1), atol=0.004)
    for task, words in (("category", "cube"), ("read", "MILK")):
        there = run("florence2", words, task, region_xyxy=box_of(1))
        assert (there.status, there.answer) == (Status.SUCCEEDED, words)
        np.testing.assert_allclose(there.targets[0].object.geometry.surface_centroid_m, middle_m(1), atol=0.004)
    refused = run("florence2", "", "ask", "what is it?")
    assert refused.status is Status.INVALID_COMMAND
    assert "kosmos-2" in refused.message


def test_florence_outlines_what_another_model_boxed(tiny_checkpoints, monkeypatch) -> None:
    segmenter = build_segmenter(str(tiny_checkpoints("florence2")), device="cpu", options={"max_new_tokens": 4})
    x0, y0, x1, y1 = box_of(1)
    corners = [v * 1000 // WH[k % 2] for k, v in enumerate((x0, y0, x1, y0, x1, y1, x0, y1))]
    answer_with(monkeypatch, segmenter._model, "".join(f"<loc_{k}>" for k in corners))
    answer = Pipeline(ColorModel(), segmenter).answer(scene(), "the green cube")
    assert answer.status is Status.SUCCEEDED, answer.message
    np.testing.assert_allclose(answer.targets[0].object.geometry.surface_centroid_m, middle_m(1), atol=0.004)
    answer_with(monkeypatch, segmenter._model, "sorry")
    lost = Pipeline(ColorModel(), segmenter).answer(scene(), "the green cube")
    assert lost.status is Status.NO_DEPTH


def test_qwen_points_become_things(run) -> None:
    answer = run("qwen3_vl", '[{"point_2d": [500, 500], "label": "cube"}]', "point", "the green cube")
    assert answer.status is Status.SUCCEEDED, answer.message
    np.testing.assert_allclose(answer.targets[0].object.geometry.surface_centroid_m, middle_m(1), atol=0.004)
    spoken = run("qwen3_vl", "It is made of wood.", "ask", "what is it made of?")
    assert spoken.answer == "It is made of wood."


def test_the_registrys_languages_are_the_models(writer_of) -> None:
    from test_generative import KINDS

    from vlm_perception.models.registry import load_registry

    rows = [entry for entry in load_registry().values() if entry.model_type in KINDS]
    assert {entry.model_type for entry in rows if len(entry.languages) > 1} == {"qwen2_5_vl", "qwen3_vl", "internvl"}
    for entry in rows:
        assert entry.languages == writer_of(entry.model_type).capabilities.languages, entry.name
