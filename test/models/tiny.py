"""Tiny randomly initialised checkpoints of the real classes, saved in hub layout.

They know nothing; they prove that the loading, prompting and post-processing path is the real one.
"""

from __future__ import annotations

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
