"""Heatmap -> boxes, and models that locate by their heatmaps."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception import cli
from vlm_perception.models.base import GroundingModel, HeatmapModel, VisionLanguageModel
from vlm_perception.models.capability import require
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.heatmap_boxes import boxes_from_heatmap
from vlm_perception.models.heatmap_grounder import HeatmapGrounder
from vlm_perception.models.runtime import Placement
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import CommandError, ModelError


def blob(size, *boxes):
    """A map with flat boxes (x1, y1, x2, y2, value)."""
    heat = np.zeros(size, np.float32)
    for x1, y1, x2, y2, value in boxes:
        heat[y1:y2, x1:x2] = value
    return heat


def test_parts_and_their_scores():
    heat = blob((40, 60), (10, 5, 20, 15, 1.0), (30, 20, 40, 30, 0.8), (50, 0, 55, 5, 0.3))
    first, second = boxes_from_heatmap(heat, threshold=0.5)
    assert first.box_xyxy == (10, 5, 20, 15)
    assert second.box_xyxy == (30, 20, 40, 30)
    total = 100 + 80 + 7.5
    assert first.score == pytest.approx(100 / total)
    assert second.score == pytest.approx(0.8 * 80 / total)
    assert [b.box_xyxy for b in boxes_from_heatmap(heat, threshold=0.2)][-1] == (50, 0, 55, 5)
    assert len(boxes_from_heatmap(heat, threshold=0.2, max_boxes=2)) == 2
    assert len(boxes_from_heatmap(heat, threshold=1.0)) == 1


def test_a_spread_map_scores_low():
    sharp = boxes_from_heatmap(blob((40, 60), (10, 5, 20, 15, 1.0)))[0].score
    spread = boxes_from_heatmap(np.clip(blob((40, 60), (10, 5, 20, 15, 1.0)), 0.4, None))[0].score
    assert sharp == pytest.approx(1.0)
    assert spread < 0.15


def test_nothing_hot_and_wrong_arguments():
    assert boxes_from_heatmap(np.zeros((4, 4), np.float32)) == []
    assert boxes_from_heatmap(np.full((4, 4), np.nan, np.float32)) == []
    assert boxes_from_heatmap(np.zeros((0, 4), np.float32)) == []
    broken = blob((8, 8), (1, 1, 3, 3, 0.5))
    broken[7, 7], broken[0, 7] = np.nan, np.inf
    assert [b.box_xyxy for b in boxes_from_heatmap(broken)] == [(1, 1, 3, 3)]
    for threshold in (0.0, 1.1):
        with pytest.raises(ValueError, match="threshold must lie in"):
            boxes_from_heatmap(np.ones((4, 4), np.float32), threshold=threshold)
    with pytest.raises(ValueError, match=r"is \(H, W\), got shape"):
        boxes_from_heatmap(np.ones((4, 4, 3), np.float32))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.floats(0.05, 1.0), st.floats(1e-6, 1.0))
def test_boxes_hold_every_hot_pixel_and_scale_does_not_matter(seed, threshold, scale):
    heat = cv2.resize(np.random.default_rng(seed).random((4, 5), dtype=np.float32), (50, 40))
    found = boxes_from_heatmap(heat, threshold=threshold, max_boxes=1000)
    covered = np.zeros(heat.shape, bool)
    for part in found:
        x1, y1, x2, y2 = (int(v) for v in part.box_xyxy)
        assert 0 <= x1 < x2 <= 50
        assert 0 <= y1 < y2 <= 40
        assert 0 < part.score <= 1
        covered[y1:y2, x1:x2] = True
    assert covered[heat >= threshold * heat.max() * (1 + 1e-5)].all()
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    scaled = boxes_from_heatmap(heat * np.float32(scale), threshold=min(threshold * (1 + 1e-4), 1.0), max_boxes=1000)
    assert len(scaled) == len(boxes_from_heatmap(heat, threshold=min(threshold * (1 + 1e-4), 1.0), max_boxes=1000))


class Looker:
    """Looks at whatever is named by a color word; its maps peak at 1."""

    name = "looker"

    def __init__(self, heatmaps=True):
        from vlm_perception.models.base import Capabilities

        self.capabilities = Capabilities(captions=True, heatmaps=heatmaps, counts=True)
        self.closed = False

    def heatmap(self, image_rgb, phrase):
        channel = {"red": 0, "green": 1, "blue": 2}[phrase.split()[0]]
        rest = image_rgb.sum(axis=2, dtype=np.int64) - image_rgb[..., channel]
        return ((image_rgb[..., channel] > 200) & (rest < 100)).astype(np.float32)

    def caption(self, image_rgb):
        from vlm_perception.models.base import GroundedText

        return GroundedText(f"an image of {image_rgb.shape[1]} columns")

    def close(self):
        self.closed = True


def test_a_model_that_only_looks_locates():
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:30, 20:40, 0] = 255
    image[40:50, 50:70, 1] = 255
    looker = Looker()
    model = HeatmapGrounder(looker)
    assert isinstance(model, GroundingModel)
    assert isinstance(model, HeatmapModel)
    assert isinstance(model, VisionLanguageModel)
    require(model, "detects")
    assert not model.capabilities.counts
    (found, nothing) = model.detect([image, np.zeros_like(image)], ["red cube", "green cube", " ", "red cube"])
    assert [(d.phrase, d.box_xyxy) for d in found] == [
        ("red cube", (20, 10, 40, 30)), ("green cube", (50, 40, 70, 50)),
    ]  # fmt: skip
    assert not any(d.calibrated for d in found)
    assert nothing == []
    image[:, 75:, 0] = 255
    assert [d.box_xyxy for d in model.detect([image], ["red"], threshold=0.5)[0]] == [(20, 10, 40, 30)]
    assert model.caption(image).text == "an image of 80 columns"
    with pytest.raises(CommandError, match="'looker' cannot answer questions; models that can"):
        model.answer(image, "what?")
    model.close()
    assert looker.closed


@pytest.mark.parametrize("kind", ["florence2", "molmo2", "owlvit", "clipseg"])
def test_boxes_from_heatmaps_is_an_option_of_every_family_that_has_them(tiny_checkpoints, kind):
    folder = str(tiny_checkpoints(kind))
    options = {"boxes_from": "heatmap", "heat_threshold": 0.9}
    model = build_model(folder, device="cpu", options=options)
    image = np.random.default_rng(0).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    require(model, "detects")
    (found,) = model.detect([image], ["red mug"])
    heat = build_model(folder, device="cpu").heatmap(image, "red mug")
    expected = boxes_from_heatmap(heat, threshold=0.9)
    assert [d.box_xyxy for d in found] == [part.box_xyxy for part in expected]
    assert [d.score for d in found] == pytest.approx([part.score for part in expected], abs=1e-4)


@pytest.mark.parametrize("boxes_from", ["model", "heatmap"])
def test_where_the_model_runs_is_known_whatever_its_boxes_are_of(tiny_checkpoints, caplog, boxes_from):
    folder = str(tiny_checkpoints("molmo2"))
    model = build_model(folder, device="cpu", options={"boxes_from": boxes_from})
    assert model.placement == Placement("cpu", "float32")
    Pipeline(model, None)
    assert f"'{folder}' is made for a GPU and runs on the CPU" in caplog.text
    assert HeatmapGrounder(Looker()).placement is None


def test_wrong_options_are_refused(tiny_checkpoints):
    with pytest.raises(ModelError, match="gives no heatmaps that boxes_from: heatmap could use; models that do: tabletop"):
        build_model(str(tiny_checkpoints("llava")), device="cpu", options={"boxes_from": "heatmap"})
    folder = str(tiny_checkpoints("owlvit"))
    with pytest.raises(ModelError, match="'boxes_from' must be one of model, heatmap, got 'heat'"):
        build_model(folder, device="cpu", options={"boxes_from": "heat"})
    with pytest.raises(ModelError, match="'heat_threshold' must be a number in"):
        build_model(folder, device="cpu", options={"boxes_from": "heatmap", "heat_threshold": 0})
    with pytest.raises(ModelError, match="'heat_threshold' does nothing with boxes_from: model"):
        build_model(folder, device="cpu", options={"heat_threshold": 0.4})
    with pytest.raises(ModelError, match="has no option 'boxes_from'"):
        build_segmenter(str(tiny_checkpoints("sam")), device="cpu", options={"boxes_from": "heatmap"})


def test_a_captioner_without_boxes_answers_ground_on_the_command_line(tiny_checkpoints, tmp_path, capsys):
    """Molmo 2 writes points only; with its heatmaps, `ground` has a target."""
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "color.png"), rng.integers(0, 255, (96, 160, 3), dtype=np.uint8))
    cv2.imwrite(str(tmp_path / "depth.png"), np.full((96, 160), 800, np.uint16))
    camera = {"K": [150, 0, 80, 0, 150, 48, 0, 0, 1], "width": 160, "height": 96, "depth_unit_m": 0.001}
    (tmp_path / "camera.json").write_text(json.dumps(camera))
    command = [
        "ground", "the red mug", "--color", str(tmp_path / "color.png"), "--depth", str(tmp_path / "depth.png"),
        "--camera", str(tmp_path / "camera.json"), "--out", str(tmp_path), "--model", str(tiny_checkpoints("molmo2")),
        "--segmenter", "none", "--device", "cpu", "--json",
    ]  # fmt: skip
    assert cli.main(command) == 1
    assert not json.loads(capsys.readouterr().out)["groundings"]
    # At the very peak there is one part only, so that the answer is not ambiguous.
    code = cli.main([*command, "--option", "boxes_from=heatmap", "--option", "heat_threshold=1.0"])
    result = json.loads(capsys.readouterr().out)
    assert (code, result["status"]) in ((0, "SUCCEEDED"), (1, "NO_DEPTH")), result["message"]
    target = result["groundings"][0]
    assert (target["role"], target["phrase"], target["score_calibrated"]) == ("target", "red mug", False)
    with pytest.raises(SystemExit):
        cli.main([*command, "--option", "boxes_from"])
    assert "expected NAME=VALUE, e.g. boxes_from=heatmap, got 'boxes_from'" in capsys.readouterr().err
    assert cli.main([*command, "--option", "boxes=heatmap"]) == 2
    assert "has no option 'boxes'" in capsys.readouterr().err
