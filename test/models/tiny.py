"""Tiny randomly initialised checkpoints of the real classes, saved in hub layout.

They know nothing; they prove that the loading, prompting and post-processing path is the real one.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

WORDS = (
    "a photo of the red green blue mug plate bowl book soup can left right detect what is where and "
    "with white yellow box apple on table caption image"
).split()


def bert_tokenizer():
    from transformers import BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "?", "-", *WORDS, "##s", "stap", "##ler"]
    return BertTokenizer(vocab={piece: index for index, piece in enumerate(dict.fromkeys(pieces))})


def clip_tokenizer():
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={piece: index for index, piece in enumerate(pieces)}, merges=[])


def _swin(out_indices: list[int]):
    from transformers import SwinConfig

    return SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_indices=out_indices,
    )  # fmt: skip


def grounding_dino(folder: Path, *, mm: bool = False) -> Path:
    import torch
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoProcessor,
        MMGroundingDinoConfig,
        MMGroundingDinoForObjectDetection,
    )
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
        GroundingDinoImageProcessorPil,
    )

    torch.manual_seed(0)
    tokenizer = bert_tokenizer()
    config_class = MMGroundingDinoConfig if mm else GroundingDinoConfig
    model_class = MMGroundingDinoForObjectDetection if mm else GroundingDinoForObjectDetection
    config = config_class(
        backbone_config=_swin([2, 3, 4]),
        text_config=BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=64,
        ),
        d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=12, num_feature_levels=4, max_text_len=40,
    )  # fmt: skip
    model_class(config).save_pretrained(folder)
    image_processor = GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    GroundingDinoProcessor(image_processor, tokenizer).save_pretrained(folder)
    return folder


def owl(folder: Path, *, version: int) -> Path:
    import torch
    from transformers import (
        Owlv2Config,
        Owlv2ForObjectDetection,
        Owlv2Processor,
        OwlViTConfig,
        OwlViTForObjectDetection,
        OwlViTProcessor,
    )
    from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil
    from transformers.models.owlvit.image_processing_pil_owlvit import OwlViTImageProcessorPil

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 16, "bos_token_id": len(tokenizer) - 2,
        "eos_token_id": len(tokenizer) - 1, "pad_token_id": 0,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 48, "patch_size": 16,
    }  # fmt: skip
    size = {"height": 48, "width": 48}
    if version == 1:
        config = OwlViTConfig(text_config=text, vision_config=vision, projection_dim=16)
        OwlViTForObjectDetection(config).save_pretrained(folder)
        OwlViTProcessor(OwlViTImageProcessorPil(size=size), tokenizer).save_pretrained(folder)
    else:
        config = Owlv2Config(text_config=text, vision_config=vision, projection_dim=16)
        Owlv2ForObjectDetection(config).save_pretrained(folder)
        Owlv2Processor(Owlv2ImageProcessorPil(size=size), tokenizer).save_pretrained(folder)
    return folder


def omdet(folder: Path) -> Path:
    import torch
    from transformers import CLIPTextConfig, OmDetTurboConfig, OmDetTurboForObjectDetection, ResNetConfig
    from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    config = OmDetTurboConfig(
        text_config=CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=20, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=77, projection_dim=20,
            bos_token_id=len(tokenizer) - 2, eos_token_id=len(tokenizer) - 1,
        ),
        backbone_config=ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
            out_indices=[2, 3, 4],
        ),
        apply_layernorm_after_vision_backbone=False, image_size=64, text_projection_in_dim=20,
        text_projection_out_dim=20, class_embed_dim=20, task_encoder_hidden_dim=16, num_queries=10,
        encoder_hidden_dim=16, decoder_hidden_dim=16, vision_features_channels=[16, 16, 16],
        encoder_in_channels=[8, 16, 16], encoder_attention_heads=2, encoder_dim_feedforward=16,
        decoder_num_heads=2, decoder_num_layers=1, decoder_dim_feedforward=16,
    )  # fmt: skip
    OmDetTurboForObjectDetection(config).save_pretrained(folder)
    DetrImageProcessorPil(size={"height": 64, "width": 64}, do_pad=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


BUILDERS = {
    "grounding-dino": grounding_dino,
    "mm-grounding-dino": lambda folder: grounding_dino(folder, mm=True),
    "owlvit": lambda folder: owl(folder, version=1),
    "owlv2": lambda folder: owl(folder, version=2),
    "omdet-turbo": omdet,
}


def sam(folder: Path, *, hq: bool = False) -> Path:
    import torch
    from transformers import SamConfig, SamHQConfig, SamHQModel, SamHQProcessor, SamModel, SamProcessor
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    torch.manual_seed(0)
    parts = {
        "vision_config": {
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 8,
            "mlp_dim": 16, "initializer_range": 0.02,
        },
        "prompt_encoder_config": {
            "hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4,
        },
        "mask_decoder_config": {
            "hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
            **({"vit_dim": 16} if hq else {}),
        },
    }  # fmt: skip
    (SamHQModel(SamHQConfig(**parts)) if hq else SamModel(SamConfig(**parts))).save_pretrained(folder)
    image_processor = SamImageProcessorPil(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64},
        mask_size={"longest_edge": 16}, mask_pad_size={"height": 16, "width": 16},
    )  # fmt: skip
    (SamHQProcessor if hq else SamProcessor)(image_processor).save_pretrained(folder)
    return folder


def square_processor(folder: Path, kind: str, size: int) -> None:
    """What the library's torchvision-only image processors save."""
    config = {
        "image_processor_type": kind, "size": {"height": size, "width": size}, "do_resize": True, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225], "resample": 2,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(config))


def sam2(folder: Path, *, model_type: str = "sam2") -> Path:
    import torch
    from transformers import Sam2Config, Sam2Model

    torch.manual_seed(0)
    config = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [64, 64],
                "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 2], "window_size_per_stage": [4, 4, 2, 2],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [64, 32, 16, 8], "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 16,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    Sam2Model(config).save_pretrained(folder)
    square_processor(folder, "Sam2ImageProcessor", 64)
    if model_type != "sam2":
        saved = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**saved, "model_type": model_type}))
    return folder


def _sam3_config(tokenizer):
    from transformers import Sam3Config

    small = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return Sam3Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
                "num_attention_heads": 2, "image_size": 56, "patch_size": 14, "window_size": 2,
                "global_attn_indexes": [1], "pretrain_image_size": 28,
            },
            "fpn_hidden_size": 32, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 32, "projection_dim": 32,
            "bos_token_id": len(tokenizer) - 2, "eos_token_id": len(tokenizer) - 1,
        },
        geometry_encoder_config=small, detr_encoder_config=small,
        detr_decoder_config={**small, "num_queries": 6},
        mask_decoder_config={"hidden_size": 32, "num_upsampling_stages": 3, "num_attention_heads": 2},
    )  # fmt: skip


def sam3(folder: Path) -> Path:
    """The detector alone."""
    import torch
    from transformers import Sam3Model

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    Sam3Model(_sam3_config(tokenizer)).save_pretrained(folder)
    square_processor(folder, "Sam3ImageProcessor", 56)
    tokenizer.save_pretrained(folder)
    return folder


def _sam3_tracker_parts() -> dict:
    return {
        "vision_config": {
            "backbone_config": {
                "model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
                "num_attention_heads": 2, "image_size": 56, "patch_size": 14, "window_size": 2,
                "global_attn_indexes": [1], "pretrain_image_size": 28,
            },
            "fpn_hidden_size": 32, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        "prompt_encoder_config": {"hidden_size": 32, "image_size": 56, "patch_size": 14, "mask_input_channels": 4},
        "mask_decoder_config": {
            "hidden_size": 32, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    }  # fmt: skip


def sam3_tracker(folder: Path) -> Path:
    import torch
    from transformers import Sam3TrackerConfig, Sam3TrackerModel

    torch.manual_seed(0)
    Sam3TrackerModel(Sam3TrackerConfig(**_sam3_tracker_parts())).save_pretrained(folder)
    square_processor(folder, "Sam3ImageProcessor", 56)
    return folder


def sam3_video(folder: Path) -> Path:
    """Detector and tracker in one, as the hub publishes SAM 3; saved under the network's own names, as there."""
    import torch
    from safetensors.torch import save_file
    from transformers import Sam3VideoConfig, Sam3VideoModel

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    memory = {
        "memory_attention_hidden_size": 32, "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 32, "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 16, "mask_downsampler_embed_dim": 32, "memory_fuser_num_layers": 1,
        "memory_fuser_embed_dim": 32, "memory_fuser_intermediate_dim": 32, "image_size": 56,
    }  # fmt: skip
    config = Sam3VideoConfig(
        detector_config=_sam3_config(tokenizer).to_dict(), tracker_config={**_sam3_tracker_parts(), **memory}
    )
    network = Sam3VideoModel(config)
    config.save_pretrained(folder)
    weights = {name: value.clone().contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    square_processor(folder, "Sam3ImageProcessor", 56)
    tokenizer.save_pretrained(folder)
    return folder


BUILDERS |= {
    "sam": sam,
    "sam_hq": lambda folder: sam(folder, hq=True),
    "sam2": sam2,
    "sam2_video": lambda folder: sam2(folder, model_type="sam2_video"),
    "sam3": sam3,
    "sam3_tracker": sam3_tracker,
    "sam3_video": sam3_video,
}


def char_tokenizer(*, specials: list[str] = (), plain: list[str] = (), image_token: str | None = None, marks=None):
    """One token a character, plus the family's own tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    base = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = [chr(code) for code in range(32, 127)] + ["\n"]
    backend = Tokenizer(models.WordLevel({t: i for i, t in enumerate([*base, *letters])}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.decoder = decoders.Fuse()
    extra = marks or ({"image_token": image_token} if image_token else {})
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        extra_special_tokens=extra,
    )  # fmt: skip
    tokenizer.add_tokens(list(specials), special_tokens=True)
    tokenizer.add_tokens(list(plain))
    return tokenizer


def florence2(folder: Path) -> Path:
    import torch
    from transformers import Florence2Config, Florence2ForConditionalGeneration, Florence2Processor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    locations = [f"<loc_{k}>" for k in range(1000)]
    tokenizer = char_tokenizer(specials=[*locations, "<poly>", "</poly>", "<sep>"], image_token="<image>")
    image_processor = CLIPImageProcessorPil(
        size={"height": 64, "width": 64}, crop_size={"height": 64, "width": 64}, do_center_crop=False,
    )  # fmt: skip
    image_processor.image_seq_length = 5
    config = Florence2Config(
        vision_config={
            "depths": [1, 1, 1, 1], "embed_dim": [8, 8, 16, 16], "num_heads": [1, 1, 2, 2], "num_groups": [1, 1, 2, 2],
            "window_size": 4, "projection_dim": 16, "max_position_embeddings": 50,
        },
        text_config={
            "model_type": "bart", "vocab_size": len(tokenizer), "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
            "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16,
            "max_position_embeddings": 256, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
            "decoder_start_token_id": 2,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), bos_token_id=0, pad_token_id=1, eos_token_id=2,
    )  # fmt: skip
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    rules = {name: {} for name in ("pure_text", "ocr", "phrase_grounding", "description_with_bboxes", "polygons",
                                   "bboxes", "description_with_bboxes_or_polygons")}  # fmt: skip
    rules["phrase_grounding"] = {"banned_grounding_tokens": ["it", "the image"]}
    Florence2Processor(image_processor, tokenizer, post_processor_config=rules).save_pretrained(folder)
    return folder


def kosmos2(folder: Path) -> Path:
    import torch
    from transformers import Kosmos2Config, Kosmos2ForConditionalGeneration, Kosmos2Processor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    tokenizer = char_tokenizer()
    processor = Kosmos2Processor(
        CLIPImageProcessorPil(size={"height": 28, "width": 28}, crop_size={"height": 28, "width": 28},
                              do_center_crop=False), tokenizer,
    )  # fmt: skip
    config = Kosmos2Config(
        text_config={
            "vocab_size": len(tokenizer), "max_position_embeddings": 512, "embed_dim": 16, "layers": 1, "ffn_dim": 16,
            "attention_heads": 2, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
        },
        vision_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 28, "patch_size": 14,
        },
        latent_query_num=64,
    )  # fmt: skip
    Kosmos2ForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def paligemma(folder: Path) -> Path:
    import torch
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration, PaliGemmaProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    torch.manual_seed(0)
    tokenizer = char_tokenizer(image_token="<image>")
    image_processor = SiglipImageProcessorPil(size={"height": 28, "width": 28})
    image_processor.image_seq_length = 4
    processor = PaliGemmaProcessor(image_processor, tokenizer)
    config = PaliGemmaConfig(
        vision_config={
            "model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 28, "patch_size": 14, "projection_dim": 16,
        },
        text_config={
            "model_type": "gemma", "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
            "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), projection_dim=16, hidden_size=16,
    )  # fmt: skip
    PaliGemmaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


BUILDERS |= {"florence2": florence2, "kosmos-2": kosmos2, "paligemma": paligemma}

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def qwen(folder: Path, *, kind: str) -> Path:
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    torch.manual_seed(0)
    marks = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    old = kind in ("qwen2_vl", "qwen2_5_vl")
    boxes = ["<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>"]
    tokenizer = char_tokenizer(specials=marks + boxes if kind == "qwen2_vl" else marks, plain=["<think>", "</think>"])
    tokenizer.chat_template = CHAT.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    if kind == "qwen3_5":  # as its own: what is not to be thought is an empty thought
        tokenizer.chat_template += (
            "{% if add_generation_prompt %}<think>\n{% if enable_thinking is defined and enable_thinking is false %}"
            "\n</think>\n\n{% endif %}{% endif %}"
        )
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{mark}|>") for name, mark in (
        ("vision_start_token_id", "vision_start"), ("vision_end_token_id", "vision_end"),
        ("image_token_id", "image_pad"), ("video_token_id", "video_pad"))}  # fmt: skip
    patch = 14 if old else 16
    image_processor = Qwen2VLImageProcessorPil(
        patch_size=patch, size={"shortest_edge": (2 * patch) ** 2, "longest_edge": (8 * patch) ** 2}
    )
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 2048,
        "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    text["rope_parameters"] = {"rope_type": "default", "mrope_section": [2, 3, 3]}
    vision = {"depth": 1, "num_heads": 2, "patch_size": patch}
    if kind == "qwen2_vl":
        vision |= {"embed_dim": 16, "hidden_size": 32, "mlp_ratio": 1}
    else:
        vision |= {"hidden_size": 16, "intermediate_size": 16, "out_hidden_size": 32}
    if kind == "qwen2_5_vl":
        vision |= {"fullatt_block_indexes": [0], "window_size": 56}
    elif not old:
        vision |= {"num_position_embeddings": 16}
    if kind in ("qwen3_vl", "qwen3_vl_moe"):
        vision |= {"deepstack_visual_indexes": [0]}
    if kind == "qwen3_vl_moe":
        text |= {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    if kind == "qwen3_5":
        text["rope_parameters"] |= {"partial_rotary_factor": 1.0}
        text |= {"num_hidden_layers": 2, "layer_types": ["linear_attention", "full_attention"],
                 "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2,
                 "linear_num_value_heads": 2}  # fmt: skip
    config = AutoConfig.for_model(kind, text_config=text, vision_config=vision, **ids)
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    image_processor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def internvl(folder: Path) -> Path:
    import torch
    from transformers import InternVLConfig, InternVLForConditionalGeneration
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    torch.manual_seed(0)
    tokenizer = char_tokenizer(
        specials=["<|im_start|>", "<|im_end|>"], plain=["<ref>", "</ref>", "<box>", "</box>"],
        marks={"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
               "video_token": "<video>"},
    )  # fmt: skip
    tokenizer.chat_template = CHAT.replace("IMAGE", "<IMG_CONTEXT>\n")
    config = InternVLConfig(
        vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                       "image_size": [28, 28], "patch_size": [7, 7]},
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 32,
                     "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
                     "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), image_seq_length=4, downsample_ratio=0.5,
    )  # fmt: skip
    InternVLForConditionalGeneration(config).save_pretrained(folder)
    GotOcr2ImageProcessorPil(
        size={"height": 28, "width": 28}, crop_to_patches=True, min_patches=1, max_patches=4
    ).save_pretrained(folder)
    marks = {"processor_class": "InternVLProcessor", "image_seq_length": config.image_seq_length}
    (folder / "processor_config.json").write_text(json.dumps(marks))
    tokenizer.save_pretrained(folder)
    return folder


BUILDERS |= {
    **{kind: partial(qwen, kind=kind) for kind in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5")},
    "internvl": internvl,
}


def register_small_stages() -> None:
    """A backbone of strided convolutions for EdgeTAM: its public checkpoints take theirs from timm."""
    import torch
    from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.utils import ModelOutput

    if "small_stages" in CONFIG_MAPPING:
        return

    class SmallStagesConfig(PreTrainedConfig):
        model_type = "small_stages"

    class SmallStages(PreTrainedModel):
        config_class = SmallStagesConfig
        main_input_name = "pixel_values"

        def __init__(self, config):
            super().__init__(config)
            widths = (3, 8, 8, 16, 16)
            self.stages = torch.nn.ModuleList(
                torch.nn.Conv2d(widths[i], widths[i + 1], 4 if i == 0 else 2, stride=4 if i == 0 else 2)
                for i in range(4)
            )
            self.post_init()

        def forward(self, pixel_values, **_):
            features = []
            for stage in self.stages:
                pixel_values = torch.relu(stage(pixel_values))
                features.append(pixel_values)
            return ModelOutput(last_hidden_state=features, hidden_states=None)

    AutoConfig.register("small_stages", SmallStagesConfig)
    AutoModel.register(SmallStagesConfig, SmallStages)


def edgetam(folder: Path, *, model_type: str = "edgetam") -> Path:
    import torch
    from transformers import EdgeTamConfig, EdgeTamModel

    register_small_stages()
    torch.manual_seed(0)
    config = EdgeTamConfig(
        vision_config={
            "backbone_config": {"model_type": "small_stages"}, "backbone_channel_list": [16, 16, 8, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]], "fpn_hidden_size": 16,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    EdgeTamModel(config).save_pretrained(folder)
    square_processor(folder, "Sam2ImageProcessor", 64)
    if model_type != "edgetam":
        saved = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**saved, "model_type": model_type}))
    return folder


BUILDERS |= {"edgetam": edgetam, "edgetam_video": lambda folder: edgetam(folder, model_type="edgetam_video")}


def _clip_parts(size: int = 48):
    tokenizer = clip_tokenizer()
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 40, "bos_token_id": len(tokenizer) - 2,
        "eos_token_id": len(tokenizer) - 1, "pad_token_id": 0,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": size, "patch_size": 8,
    }  # fmt: skip
    return tokenizer, text, vision


def clipseg(folder: Path) -> Path:
    import torch
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    tokenizer, text, vision = _clip_parts()
    config = CLIPSegConfig(
        text_config=text, vision_config=vision, projection_dim=16, extract_layers=[0, 1], reduce_dim=8,
        decoder_num_attention_heads=2, decoder_intermediate_size=16,
    )  # fmt: skip
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    image_processor = ViTImageProcessorPil(size={"height": 48, "width": 48}, image_mean=[0.4] * 3, image_std=[0.2] * 3)
    CLIPSegProcessor(image_processor, tokenizer).save_pretrained(folder)
    return folder


def clip(folder: Path) -> Path:
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    tokenizer, text, vision = _clip_parts()
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    image_processor = CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    CLIPProcessor(image_processor, tokenizer).save_pretrained(folder)
    return folder


def siglip(folder: Path) -> Path:
    import torch
    from transformers import SiglipConfig, SiglipModel
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    torch.manual_seed(0)
    tokenizer = char_tokenizer()
    _, text, vision = _clip_parts()
    text = {**text, "vocab_size": len(tokenizer), "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 48, "width": 48}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def siglip2(folder: Path) -> Path:
    """Of variable resolution; its whole processor asks for patches of 16 pixels whatever the checkpoint says."""
    import torch
    from transformers import Siglip2Config, Siglip2Model, Siglip2Processor, Siglip2Tokenizer
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

    torch.manual_seed(0)
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581", *(chr(code) for code in range(33, 127))]
    tokenizer = Siglip2Tokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    _, text, vision = _clip_parts()
    vision = {name: value for name, value in vision.items() if name != "image_size"}
    text = {**text, "vocab_size": len(pieces), "max_position_embeddings": 64, "bos_token_id": 2, "eos_token_id": 1}
    config = Siglip2Config(text_config=text, vision_config={**vision, "patch_size": 16, "num_patches": 16})
    Siglip2Model(config).save_pretrained(folder)
    Siglip2Processor(Siglip2ImageProcessorPil(), tokenizer).save_pretrained(folder)
    return folder


BUILDERS |= {"clipseg": clipseg, "clip": clip, "siglip": siglip, "siglip2": siglip2}


def molmo2(folder: Path) -> Path:
    import torch
    from transformers import Molmo2Config, Molmo2ForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = char_tokenizer(
        specials=["<|im_start|>", "<|im_end|>", "<im_patch>", "<im_col>", "<im_start>", "<low_res_im_start>",
                  "<im_end>", "<im_low>", "<frame_start>", "<frame_end>"],
        marks={"image_token": "<|image|>", "video_token": "<|video|>"},
    )  # fmt: skip
    tokenizer.chat_template = CHAT.replace("IMAGE", "<|image|>")
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in (
        ("image_start_token_id", "<im_start>"), ("low_res_image_start_token_id", "<low_res_im_start>"),
        ("image_end_token_id", "<im_end>"), ("image_patch_id", "<im_patch>"),
        ("frame_start_token_id", "<frame_start>"), ("frame_end_token_id", "<frame_end>"))}  # fmt: skip
    config = Molmo2Config(
        vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
                       "num_key_value_heads": 2, "head_dim": 8, "image_size": [56, 56], "patch_size": 7},
        adapter_config={"vision_feature_layer": [1, 0], "hidden_size": 16, "num_attention_heads": 2,
                        "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 16, "text_hidden_size": 32},
        text_config={"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
                     "vocab_size": len(tokenizer), "additional_vocab_size": 0, "num_hidden_layers": 1,
                     "intermediate_size": 32, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
                     "max_position_embeddings": 2048,
                     "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        **ids,
    )  # fmt: skip
    Molmo2ForConditionalGeneration(config).save_pretrained(folder)
    saved = {
        "image_processor_type": "Molmo2ImageProcessor", "size": {"height": 56, "width": 56}, "patch_size": 7,
        "max_crops": 4, "overlap_margins": [1, 1], "pooling_size": [2, 2], "do_resize": True, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        "resample": 2,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(saved))
    marks = {"processor_class": "Molmo2Processor", "use_single_crop_col_tokens": False}
    (folder / "processor_config.json").write_text(json.dumps(marks))
    tokenizer.save_pretrained(folder)
    return folder


def llava(folder: Path) -> Path:
    """A chat model that no dialect is written for."""
    import torch
    from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    tokenizer = char_tokenizer(specials=["<|im_start|>", "<|im_end|>"], image_token="<image>")
    config = LlavaConfig(
        vision_config={"model_type": "clip_vision_model", "hidden_size": 16, "intermediate_size": 16, "image_size": 28,
                       "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14, "projection_dim": 16},
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 32,
                     "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
                     "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), vision_feature_layer=-1,
    )  # fmt: skip
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}), tokenizer,
        patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=CHAT.replace("IMAGE", "<image>"),
    ).save_pretrained(folder)  # fmt: skip
    return folder


BUILDERS |= {"molmo2": molmo2, "llava": llava}
