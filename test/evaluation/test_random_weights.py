"""Every recipe makes a checkpoint that goes through the real path; the recorded architectures are the published ones."""

import numpy as np
import pytest
import yaml

from vlm_perception.evaluation import plain
from vlm_perception.evaluation.bench import bench_model, main
from vlm_perception.evaluation.random_weights import RECIPES, network_config, random_checkpoint
from vlm_perception.models import registry
from vlm_perception.models.factory import FAMILIES, build_model
from vlm_perception.models.loading import torchvision_works
from vlm_perception.models.runtime import missing_modules
from vlm_perception.types import ModelError

TOWER = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
CLIP_TEXT = {**TOWER, "vocab_size": 300, "max_position_embeddings": 40, "bos_token_id": 298, "eos_token_id": 299}
SWIN = {"model_type": "swin", "image_size": 64, "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2],
        "window_size": 4, "out_indices": [2, 3, 4]}  # fmt: skip
DINO = {
    "input_side": 64, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 9,
    "text_config": {**TOWER, "vocab_size": 2100, "max_position_embeddings": 64}, "backbone_config": SWIN,
}  # fmt: skip
PROMPTS = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
MASKS = {"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
SAM_VISION = {**TOWER, "output_channels": 16, "image_size": 64, "patch_size": 16, "window_size": 2,
              "global_attn_indexes": [1], "num_pos_feats": 8, "mlp_dim": 16}  # fmt: skip
DETR = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
FAIRSEQ = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
CHAT_TEXT = {
    "vocab_size": 340, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 8192, "eos_token_id": 302,
}  # fmt: skip
QWEN_TEXT = {**CHAT_TEXT, "head_dim": 16, "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]}}
QWEN = {"input_side": 112, "vision_start_token_id": 310, "vision_end_token_id": 311, "image_token_id": 313,
        "video_token_id": 314}  # fmt: skip
MOLMO_HEADS = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8}
SMALL = {
    "owlvit": {"input_side": 64, "projection_dim": 16, "text_config": CLIP_TEXT,
               "vision_config": {**TOWER, "image_size": 64, "patch_size": 16}},
    "owlv2": {"input_side": 64, "projection_dim": 16, "text_config": CLIP_TEXT,
              "vision_config": {**TOWER, "image_size": 64, "patch_size": 16}},
    "grounding-dino": DINO,
    "mm-grounding-dino": DINO,
    "omdet-turbo": {
        "input_side": 64, "image_size": 64, "apply_layernorm_after_vision_backbone": False, "text_config": {
            "model_type": "clip_text_model", **CLIP_TEXT, "hidden_size": 20, "projection_dim": 20,
            "max_position_embeddings": 77},
        "backbone_config": {**SWIN, "embed_dim": 8}, "text_projection_in_dim": 20, "text_projection_out_dim": 20,
        "class_embed_dim": 20, "task_encoder_hidden_dim": 16, "num_queries": 10, "encoder_hidden_dim": 16,
        "decoder_hidden_dim": 16, "vision_features_channels": [16, 16, 16], "encoder_in_channels": [16, 32, 64],
        "encoder_attention_heads": 2, "encoder_dim_feedforward": 16, "decoder_num_heads": 2, "decoder_num_layers": 1,
        "decoder_dim_feedforward": 16},
    "clipseg": {"input_side": 48, "projection_dim": 16, "text_config": CLIP_TEXT, "reduce_dim": 8,
                "extract_layers": [0, 1], "decoder_num_attention_heads": 2,
                "vision_config": {**TOWER, "image_size": 48, "patch_size": 8}},
    "clip": {"input_side": 48, "projection_dim": 16, "text_config": CLIP_TEXT,
             "vision_config": {**TOWER, "image_size": 48, "patch_size": 8}},
    "siglip": {"input_side": 48, "text_config": {**TOWER, "vocab_size": 120, "max_position_embeddings": 40},
               "vision_config": {**TOWER, "image_size": 48, "patch_size": 8}},
    "siglip2": {"input_side": 64, "text_config": {**TOWER, "vocab_size": 120, "max_position_embeddings": 40},
                "vision_config": {**TOWER, "patch_size": 8, "num_patches": 16}},
    "sam": {"input_side": 64, "prompt_encoder_config": PROMPTS, "mask_decoder_config": MASKS,
            "vision_config": SAM_VISION},
    "sam_hq": {"input_side": 64, "prompt_encoder_config": PROMPTS, "mask_decoder_config": {**MASKS, "vit_dim": 16},
               "vision_config": SAM_VISION},
    "sam2_video": {
        "input_side": 64, "prompt_encoder_config": PROMPTS, "mask_decoder_config": MASKS, "vision_config": {
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [64, 64],
                "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 2], "window_size_per_stage": [4, 4, 2, 2],
                "global_attention_blocks": [3]},
            "backbone_channel_list": [64, 32, 16, 8], "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 16}},
    "edgetam_video": {
        "input_side": 64, "prompt_encoder_config": PROMPTS, "mask_decoder_config": MASKS, "vision_config": {
            "backbone_config": {"model_type": "timm_wrapper", "architecture": "repvit_m1", "num_classes": 1000,
                                "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}},
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]], "fpn_hidden_size": 16}},
    "sam3_video": {
        "input_side": 56, "text_config": {"model_type": "clip_text_model", **CLIP_TEXT, "hidden_size": 32,
                                          "max_position_embeddings": 32, "projection_dim": 32},
        "vision_config": {
            "backbone_config": {
                "model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
                "num_attention_heads": 2, "image_size": 56, "patch_size": 14, "window_size": 2,
                "global_attn_indexes": [1], "pretrain_image_size": 28},
            "fpn_hidden_size": 32, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]},
        "geometry_encoder_config": DETR, "detr_encoder_config": DETR, "detr_decoder_config": {**DETR, "num_queries": 6},
        "mask_decoder_config": {"hidden_size": 32, "num_upsampling_stages": 3, "num_attention_heads": 2}},
    "florence2": {
        "input_side": 64, **FAIRSEQ, "image_token_id": 1100,
        "vision_config": {"depths": [1, 1, 1, 1], "embed_dim": [8, 8, 16, 16], "num_heads": [1, 1, 2, 2],
                          "num_groups": [1, 1, 2, 2], "window_size": 4, "projection_dim": 16},
        "text_config": {"model_type": "bart", "vocab_size": 1110, "d_model": 16, "encoder_layers": 1,
                        "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
                        "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 256, **FAIRSEQ,
                        "decoder_start_token_id": 2}},
    "kosmos-2": {
        "input_side": 28, "text_config": {"vocab_size": 1200, "max_position_embeddings": 512, "embed_dim": 16,
                                          "layers": 1, "ffn_dim": 16, "attention_heads": 2},
        "vision_config": {**TOWER, "image_size": 28, "patch_size": 14}},
    "paligemma": {
        "input_side": 28, "image_token_index": 1300, "projection_dim": 16, "hidden_size": 16,
        "vision_config": {"model_type": "siglip_vision_model", **TOWER, "image_size": 28, "patch_size": 14,
                          "projection_dim": 16, "vision_use_head": False},
        "text_config": {"model_type": "gemma", **TOWER, "vocab_size": 1310, "num_key_value_heads": 1, "head_dim": 8}},
    "qwen2_5_vl": {**QWEN, "text_config": QWEN_TEXT, "vision_config": {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32,
        "fullatt_block_indexes": [0], "window_size": 56}},
    "qwen3_vl": {**QWEN, "text_config": QWEN_TEXT, "vision_config": {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32,
        "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}},
    "internvl": {
        "input_side": 28, "image_token_id": 320, "image_seq_length": 4,
        "text_config": {"model_type": "qwen2", **CHAT_TEXT, "max_position_embeddings": 8192},
        "vision_config": {**TOWER, "num_hidden_layers": 1, "image_size": [28, 28], "patch_size": [7, 7]}},
    "molmo2": {
        "input_side": 70, **{name: 340 + number for name, number in (
            ("image_start_token_id", 0), ("image_end_token_id", 1), ("image_patch_id", 2),
            ("low_res_image_start_token_id", 4), ("frame_start_token_id", 7), ("frame_end_token_id", 8))},
        "adapter_config": {**MOLMO_HEADS, "intermediate_size": 16, "vision_feature_layer": [1, 0],
                           "text_hidden_size": 32},
        "vision_config": {**TOWER, **MOLMO_HEADS, "image_size": [70, 70], "patch_size": 7},
        "text_config": {**CHAT_TEXT, "additional_vocab_size": 20, "head_dim": 16,
                        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}},
}  # fmt: skip
WRITES = [kind for kind, recipe in RECIPES.items() if recipe.writes]
# The library has no detector made of CLIP or of Molmo's points; other processors hold a part that needs torchvision.
NO_CALL = ("clip", "siglip", "siglip2", "molmo2")
TORCHVISION_CALL = ("sam2_video", "edgetam_video", "sam3_video", "qwen2_5_vl", "qwen3_vl", "internvl")


def family_of(kind):
    return next(name for name, family in FAMILIES.items() if kind in family.model_types)


@pytest.fixture
def small_registry(monkeypatch, tmp_path):
    segmenters = ("sam", "sam_hq", "sam2_video", "edgetam_video")
    rows = {
        f"small-{kind}": {
            "family": family_of(kind), "model_type": kind, "hub_id": f"nobody/{kind}", "architecture": given,
            "roles": ["segmenter" if kind in segmenters else "grounder"], "tasks": ["detects"],
            "defaults": {"num_beams": 2} if kind == "florence2" else {},
        }
        for kind, given in SMALL.items()
    }  # fmt: skip
    rows["without"] = {key: value for key, value in rows["small-clip"].items() if key != "architecture"}
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"models": rows}))
    monkeypatch.setattr(registry, "config_path", lambda _: path)


def test_every_recipe_has_a_small_one_and_a_real_one():
    assert set(SMALL) == set(RECIPES)
    recorded = {row.model_type for row in registry.load_registry().values() if row.architecture is not None}
    assert recorded == set(RECIPES)


def needs_timm(kind):
    if kind == "edgetam_video" and missing_modules(("timm",)):
        pytest.skip("EdgeTAM's backbone is timm's")


@pytest.mark.parametrize("kind", SMALL)
def test_a_model_without_its_weights_beside_the_plain_call(small_registry, kind):
    needs_timm(kind)
    result = bench_model(f"small-{kind}", "cpu", 2, random_weights=True, new_tokens=5)
    assert 0 < result["network"].p50 <= result["ours"].p50
    assert result["around"].p50 == pytest.approx(result["ours"].p50 - result["network"].p50, rel=0.3, abs=2)
    assert result["parameters_m"] > 0.001
    assert result["peak_memory_mb"] > 10
    assert result.get("new_tokens") == (5 if kind in WRITES else None)
    if kind in NO_CALL:
        assert f"no call for '{kind}'" in result["plain_missing"]
    elif kind in TORCHVISION_CALL and not torchvision_works():
        assert "needs torchvision" in result["plain_missing"]
    else:
        assert result["plain"].p50 > 0, result.get("plain_missing")


@pytest.mark.parametrize("kind", WRITES)
def test_answers_of_ours_and_of_the_plain_call_have_the_length_that_was_said(small_registry, kind, monkeypatch):
    """Greedy random weights may stop at once or never: neither is a measurement."""
    from transformers import GenerationMixin

    lengths = []
    generate = GenerationMixin.generate

    def counted(self, *args, **kwargs):
        output = generate(self, *args, **kwargs)
        sequences = output if not hasattr(output, "sequences") else output.sequences
        prompt = 1 if self.config.is_encoder_decoder else kwargs["input_ids"].shape[1]
        lengths.append(sequences.shape[1] - prompt)
        return output

    monkeypatch.setattr(GenerationMixin, "generate", counted)
    for new_tokens in (3, 7):
        lengths.clear()
        result = bench_model(f"small-{kind}", "cpu", 1, random_weights=True, new_tokens=new_tokens)
        assert set(lengths) == {new_tokens}
        asks = len(lengths)
        assert asks >= 2  # the warm-up and the measured call
        if "plain" in result:
            assert asks % 4 == 0  # and as many of the plain call


def test_molmo_points_and_finds_by_its_heatmaps(small_registry, tmp_path):
    """Where the image's tokens are comes from the tokenizer's marks, so both see the whole recipe."""
    image = np.random.default_rng(0).integers(0, 255, (90, 150, 3), dtype=np.uint8)
    row = random_checkpoint("small-molmo2", tmp_path)
    assert dict(row.defaults) == {"boxes_from": "heatmap"}
    model = build_model(str(tmp_path), device="cpu", options={"max_new_tokens": 5})
    assert model.caption(image).score > 0
    assert model.point(image, "red box").score > 0
    chat = model._dialect._chat
    ids = chat(image, "red box", model.placement)["input_ids"][0].tolist()
    config = model._model.config
    assert ids[0] == config.text_config.eos_token_id  # what the processor puts first
    assert ids.count(config.image_patch_id) > 25  # one view of 5 x 5 tokens, and the crops
    assert ids.count(config.low_res_image_start_token_id) == ids.count(config.image_start_token_id) == 1
    assert ids.count(config.image_end_token_id) == 2
    finder = build_model(str(tmp_path), device="cpu", options=dict(row.defaults))
    heat = finder.heatmap(image, "red box")
    assert heat.shape == (90, 150)
    assert heat.max() > heat.min()


def test_what_cannot_be_made_is_said_with_what_can(small_registry, tmp_path, capsys):
    with pytest.raises(ModelError, match="'without' has no architecture recorded.*can be made for .*small-owlvit"):
        random_checkpoint("without", tmp_path)
    assert main(["--repeats", "1", "--model", "nobody", "--random-weights"]) == 2
    assert "'nobody' is no name of the registry" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--random-weights"])


def test_a_network_made_by_timm_says_so_where_it_is_missing(small_registry, tmp_path, monkeypatch):
    from vlm_perception.evaluation import random_weights

    monkeypatch.setattr(random_weights, "missing_modules", list)
    with pytest.raises(ModelError, match="'small-edgetam_video' is made by timm.*pip install timm"):
        random_checkpoint("small-edgetam_video", tmp_path)


def test_a_plain_call_whose_processor_cannot_be_built_says_what_is_missing(small_registry, tmp_path, monkeypatch):
    def fails(_):
        raise ImportError("Qwen2VLVideoProcessor requires the Torchvision library but it was not found")

    random_checkpoint("small-qwen3_vl", tmp_path)
    monkeypatch.setattr(plain, "_MAKERS", {"qwen3_vl": fails})
    monkeypatch.setattr(plain, "torchvision_works", lambda: False)
    with pytest.raises(ModelError, match="needs torchvision, which does not work here: pip install torchvision"):
        plain.plain_call(str(tmp_path), "cpu", None, ["red box"])


def test_the_printed_table_tells_all(small_registry, capsys):
    arguments = ["--repeats", "3", "--random-weights", "--device", "cpu"]
    assert main([*arguments, "--model", "small-owlvit"]) == 0
    printed = capsys.readouterr().out
    for words in ("random weights", "in the network", "around it", "plain transformers", "peak memory"):
        assert words in printed
    assert "tokens long" not in printed
    assert main([*arguments, "--model", "small-kosmos-2", "--new-tokens", "4", "--dtype", "bfloat16"]) == 0
    assert "each answer is 4 tokens long" in capsys.readouterr().out


# Millions of parameters, as the models' pages and papers give them.
PUBLISHED = {
    "grounding-dino-tiny": 172, "grounding-dino-base": 233, "mm-grounding-dino-tiny": 172, "owlvit-base": 153,
    "owlv2-base": 155, "owlv2-large": 438, "omdet-turbo-tiny": 115, "clipseg-rd64": 151, "clip-base": 150,
    "siglip2-base": 375, "siglip2-base-naflex": 375, "florence-2-base": 232, "florence-2-large": 771, "kosmos-2": 1664, "paligemma-3b-mix": 2923,
    "paligemma2-3b-mix": 3033, "qwen2.5-vl-3b": 3755, "qwen2.5-vl-7b": 8292, "qwen3-vl-2b": 2128, "qwen3-vl-8b": 8767,
    "internvl3-2b": 2089, "sam-vit-base": 94, "sam-hq-vit-base": 95, "sam2.1-hiera-tiny": 38.9,
    "sam2.1-hiera-large": 224.4, "edgetam": 13.9, "sam3": 848,
    # Of the downloads' sizes, at four bytes a parameter; the papers only say 4 and 8 billion.
    "molmo2-4b": 19400 / 4, "molmo2-8b": 34900 / 4,
}  # fmt: skip
MADE_SMALLER = ("molmo2",)  # published in float32, made in bfloat16
# Published with their trackers; the parts that this package runs are counted within the whole.
WITH_TRACKER = {
    "sam2_video": ("Sam2VideoModel", "Sam2VideoConfig"), "edgetam_video": ("EdgeTamVideoModel", "EdgeTamVideoConfig"),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_recorded_architectures_are_the_published_sizes(name):
    import torch
    import transformers

    entry = registry.load_registry()[name]
    needs_timm(entry.model_type)
    config, side = network_config(entry)
    assert side > 0
    network = RECIPES[entry.model_type].network
    if entry.model_type in WITH_TRACKER:
        network, whole = WITH_TRACKER[entry.model_type]
        parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
        config = getattr(transformers, whole)(**{part: getattr(config, part).to_dict() for part in parts})
    with torch.device("meta"):
        built = getattr(transformers, network)(config)
    count = sum(parameter.numel() for parameter in built.parameters()) / 1e6
    assert count == pytest.approx(PUBLISHED[name], rel=0.03)


def test_recorded_sizes_are_those_of_the_download():
    """Two bytes a parameter where the weights are published in half precision, four where not."""
    rows = registry.load_registry()
    for name, millions in PUBLISHED.items():
        kind = rows[name].model_type
        bytes_each = 2 if RECIPES[kind].half and kind not in MADE_SMALLER else 4
        assert rows[name].size_mb == pytest.approx(millions * bytes_each, rel=0.05), name


def test_every_recorded_architecture_has_its_published_size():
    recorded = {name for name, row in registry.load_registry().items() if row.architecture is not None}
    assert recorded == set(PUBLISHED)
