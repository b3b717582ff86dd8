"""The benchmark measures what it says, on a frame that is what it says."""

import json
import time

import numpy as np
import pytest
import yaml

from vlm_perception.evaluation.bench import Timing, bench_model, bench_overhead, five_boxes, main, measure_call
from vlm_perception.evaluation.random_weights import random_checkpoint
from vlm_perception.models import registry
from vlm_perception.types import ModelError


def test_the_frame_has_five_objects_in_full_view(tmp_path):
    frame = five_boxes(tmp_path).frames[0]
    assert len(frame.instances) == 5
    assert (frame.camera.width, frame.camera.height) == (640, 480)
    for instance in frame.instances:
        x0, y0, x1, y1 = instance.box_xyxy
        assert x0 > 0
        assert y0 > 0
        assert x1 < 640
        assert y1 < 480
        assert instance.pixels > 1000


def test_percentiles():
    assert Timing.of(list(np.arange(101.0))) == Timing(50.0, 95.0)


def test_every_stage_is_measured():
    stages = bench_overhead(5, known_up=False)
    assert set(stages) == {"language", "geometry", "resolve", "overhead", "depth-grabcut"}
    parts = sum(stages[name].p50 for name in ("language", "geometry", "resolve"))
    assert stages["overhead"].p95 >= parts * 0.5


def test_json(tmp_path, capsys):
    assert main(["--repeats", "3", "--json", str(tmp_path / "bench.json")]) == 0
    data = json.loads((tmp_path / "bench.json").read_text())
    assert data["overhead_ms"]["geometry"]["p50"] > 0
    assert "geometry" in capsys.readouterr().out


def test_an_unknown_model_is_explained(capsys):
    assert main(["--repeats", "3", "--model", "no-such-model"]) == 2
    assert "no-such-model" in capsys.readouterr().err


# --------------------------------------------------------------------------- models, without their weights

_TOWER = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_CLIP_TEXT = {**_TOWER, "vocab_size": 300, "max_position_embeddings": 40, "bos_token_id": 298, "eos_token_id": 299}
_SAM = {
    "prompt_encoder_config": {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
    "mask_decoder_config": {"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
}
SMALL = {
    "small-owlvit": ("owlvit", {"input_side": 64, "projection_dim": 16, "text_config": _CLIP_TEXT,
                                "vision_config": {**_TOWER, "image_size": 64, "patch_size": 16}}),
    "small-dino": ("grounding-dino", {
        "input_side": 64, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 9,
        "text_config": {**_TOWER, "vocab_size": 2100, "max_position_embeddings": 64},
        "backbone_config": {"model_type": "swin", "image_size": 64, "embed_dim": 8, "depths": [1, 1, 1, 1],
                            "num_heads": [1, 1, 2, 2], "window_size": 4, "out_indices": [2, 3, 4]}}),
    "small-clipseg": ("clipseg", {"input_side": 48, "projection_dim": 16, "text_config": _CLIP_TEXT, "reduce_dim": 8,
                                  "extract_layers": [0, 1], "decoder_num_attention_heads": 2,
                                  "vision_config": {**_TOWER, "image_size": 48, "patch_size": 8}}),
    "small-clip": ("clip", {"input_side": 48, "projection_dim": 16, "text_config": _CLIP_TEXT,
                            "vision_config": {**_TOWER, "image_size": 48, "patch_size": 8}}),
    "small-sam": ("sam", {"input_side": 64, **_SAM, "vision_config": {
        **_TOWER, "output_channels": 16, "image_size": 64, "patch_size": 16, "window_size": 2,
        "global_attn_indexes": [1], "num_pos_feats": 8, "mlp_dim": 16}}),
}  # fmt: skip
FAMILIES = {"owlvit": "detection-head", "grounding-dino": "detection-head", "clipseg": "text-heatmap",
            "clip": "two-stage", "sam": "promptable-masks"}  # fmt: skip


@pytest.fixture
def small_registry(monkeypatch, tmp_path):
    rows = {
        name: {"family": FAMILIES[kind], "model_type": kind, "roles": ["segmenter" if kind == "sam" else "grounder"],
               "tasks": ["masks" if kind == "sam" else "detects"], "hub_id": f"nobody/{name}", "architecture": given}
        for name, (kind, given) in SMALL.items()
    }  # fmt: skip
    rows["without"] = {**rows["small-clip"]}
    del rows["without"]["architecture"]
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"models": rows}))
    monkeypatch.setattr(registry, "config_path", lambda _: path)


@pytest.mark.parametrize("name", SMALL)
def test_a_model_without_its_weights_beside_the_plain_call(small_registry, name):
    result = bench_model(name, "cpu", 2, random_weights=True)
    assert 0 < result["network"].p50 <= result["ours"].p50
    assert result["around"].p50 == pytest.approx(result["ours"].p50 - result["network"].p50, rel=0.2, abs=1)
    assert result["parameters_m"] > 0.001
    assert result["peak_memory_mb"] > 10
    if name == "small-clip":
        assert "do not load" in result["plain_missing"]  # the library has no detector made of CLIP
    else:
        assert result["plain"].p50 > 0, result.get("plain_missing")


def test_what_cannot_be_made_is_said_with_what_can(small_registry, tmp_path, capsys):
    with pytest.raises(ModelError, match="'without' has no architecture recorded.*can be made for .*small-owlvit"):
        random_checkpoint("without", tmp_path)
    assert main(["--repeats", "1", "--model", "nobody", "--random-weights"]) == 2
    assert "'nobody' is no name of the registry" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--random-weights"])


def test_the_printed_table_tells_all(small_registry, capsys):
    assert main(["--repeats", "3", "--model", "small-owlvit", "--random-weights", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    for words in ("random weights", "in the network", "around it", "plain transformers", "peak memory"):
        assert words in printed


def test_time_in_modules_is_told_from_time_around_them():
    import torch

    class Slow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(10, 10)

        def forward(self, x):
            time.sleep(0.03)
            return self.inner(x)

    module = Slow()

    def call():
        module(torch.zeros(1, 10))
        time.sleep(0.02)
        module(torch.zeros(1, 10))

    result = measure_call(call, 3)
    assert result["network"].p50 >= 60
    assert result["around"].p50 >= 20
    assert result["parameters_m"] == pytest.approx(110e-6)


def test_recorded_architectures_are_the_published_sizes():
    """Parameter counts in millions, as the models' own pages and papers give them."""
    import torch
    import transformers

    from vlm_perception.evaluation.random_weights import _RECIPES

    published = {"grounding-dino-tiny": 172, "grounding-dino-base": 233, "owlvit-base": 153, "owlv2-base": 155,
                 "clipseg-rd64": 151, "clip-base": 150, "sam-vit-base": 94, "mm-grounding-dino-tiny": 172}  # fmt: skip
    rows = registry.load_registry()
    for name, millions in published.items():
        given = dict(rows[name].architecture)
        assert given.pop("input_side") > 0
        recipe = _RECIPES[rows[name].model_type]
        with torch.device("meta"):
            network = getattr(transformers, recipe.model)(getattr(transformers, recipe.config)(**given))
        count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        assert count == pytest.approx(millions, rel=0.02), name
