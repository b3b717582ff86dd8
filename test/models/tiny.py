"""Tiny randomly initialised checkpoints of the real classes, saved in hub layout.

They know nothing; they prove that the loading, prompting and post-processing path is the real one.
"""

from __future__ import annotations

import json
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


def sam3(folder: Path) -> Path:
    import torch
    from transformers import Sam3Config, Sam3Model

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    small = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = Sam3Config(
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
    Sam3Model(config).save_pretrained(folder)
    square_processor(folder, "Sam3ImageProcessor", 56)
    tokenizer.save_pretrained(folder)
    return folder


def sam3_tracker(folder: Path) -> Path:
    import torch
    from transformers import Sam3TrackerConfig, Sam3TrackerModel

    torch.manual_seed(0)
    config = Sam3TrackerConfig(
        vision_config={
            "backbone_config": {
                "model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
                "num_attention_heads": 2, "image_size": 56, "patch_size": 14, "window_size": 2,
                "global_attn_indexes": [1], "pretrain_image_size": 28,
            },
            "fpn_hidden_size": 32, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 56, "patch_size": 14, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 32, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    Sam3TrackerModel(config).save_pretrained(folder)
    square_processor(folder, "Sam3ImageProcessor", 56)
    return folder


BUILDERS |= {
    "sam": sam,
    "sam_hq": lambda folder: sam(folder, hq=True),
    "sam2": sam2,
    "sam2_video": lambda folder: sam2(folder, model_type="sam2_video"),
    "sam3": sam3,
    "sam3_tracker": sam3_tracker,
}
