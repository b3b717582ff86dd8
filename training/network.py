"""The stock OmDet-Turbo class at a small size, and its forward pass with every anchor kept for training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers import CLIPTextConfig, OmDetTurboConfig, OmDetTurboForObjectDetection, ResNetConfig
from transformers.models.omdet_turbo.modeling_omdet_turbo import get_class_similarity

from training.tokenizer import MAX_TOKENS

WIDTHS = (32, 64, 128, 256)
DEPTHS = (1, 1, 2, 2)
HIDDEN, TEXT = 96, 64


def build_config(vocab_size: int, end_id: int, pad_id: int, size: tuple[int, int]) -> OmDetTurboConfig:
    """Configuration of the small model.

    Args:
        vocab_size: Words of the tokenizer.
        end_id: Id of the end token.
        pad_id: Id of the padding token.
        size: Input height and width, px.
    """
    backbone = ResNetConfig(
        embedding_size=WIDTHS[0],
        hidden_sizes=list(WIDTHS),
        depths=list(DEPTHS),
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    text = CLIPTextConfig(
        vocab_size=vocab_size,
        hidden_size=TEXT,
        intermediate_size=2 * TEXT,
        projection_dim=TEXT,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=2,
        eos_token_id=end_id,
        pad_token_id=pad_id,
    )
    return OmDetTurboConfig(
        backbone_config=backbone,
        text_config=text,
        apply_layernorm_after_vision_backbone=False,
        image_size=list(size),
        text_projection_in_dim=TEXT,
        text_projection_out_dim=TEXT,
        class_embed_dim=TEXT,
        task_encoder_hidden_dim=TEXT,
        num_queries=60,
        hidden_expansion=1,
        encoder_hidden_dim=HIDDEN,
        encoder_in_channels=list(WIDTHS[1:]),
        encoder_attention_heads=4,
        encoder_dim_feedforward=256,
        vision_features_channels=[HIDDEN] * 3,
        decoder_hidden_dim=HIDDEN,
        decoder_num_heads=4,
        decoder_num_layers=1,
        decoder_dim_feedforward=256,
        disable_custom_kernels=True,
    )


def build_model(config: OmDetTurboConfig) -> OmDetTurboForObjectDetection:
    """Fresh weights; nothing is thought present at first (score about 0.05 for every phrase)."""
    model = OmDetTurboForObjectDetection(config)
    decoder = model.decoder
    away = torch.randn(HIDDEN)
    away /= away.norm()
    with torch.no_grad():
        decoder.encoder_vision_features[1].bias.copy_(-3.0 * away)
        decoder.layers[-1].norm3.bias.copy_(-3.0 * away)
        for head in (decoder.encoder_class_head, decoder.decoder_class_head[-1]):
            head.bias.copy_(away)
        for module in model.vision_backbone.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


@dataclass
class Dense:
    """Everything the loss needs.

    Attributes:
        anchor_logits: (B, A, K) of every anchor and phrase.
        anchor_boxes: (B, A, 4) center x, y, width, height, shares of the picture.
        anchor_points: (A, 4) anchor centers and sizes, shares.
        valid: (A,) bool.
        query_logits: (B, Q, K).
        query_boxes: (B, Q, 4).
        reference_boxes: (B, Q, 4), what the queries started from.
    """

    anchor_logits: torch.Tensor
    anchor_boxes: torch.Tensor
    anchor_points: torch.Tensor
    valid: torch.Tensor
    query_logits: torch.Tensor
    query_boxes: torch.Tensor
    reference_boxes: torch.Tensor


def dense_forward(
    model: OmDetTurboForObjectDetection, pixels: torch.Tensor, phrase_ids: torch.Tensor, task_ids: torch.Tensor
) -> Dense:
    """The class's own modules in the class's own order, without its text cache and its gather.

    Args:
        model: The model.
        pixels: (B, 3, H, W) normalized.
        phrase_ids: (K, T) token ids, the same phrases for every picture.
        task_ids: (1, T) token ids of the task word.
    """
    batch = len(pixels)
    features = model.encoder(model.vision_backbone(pixels), return_dict=True).extracted_states
    classes = model.language_backbone(phrase_ids, encode_type="class")[:, None].expand(-1, batch, -1)
    mask = torch.ones_like(task_ids)
    task, _ = model.language_backbone(task_ids, mask=mask, encode_type="task")
    decoder = model.decoder
    memory, shapes, shape_list, starts = decoder._get_encoder_input(features)  # noqa: SLF001
    task = decoder.task_project(decoder.task_encoder(task)).expand(-1, batch, -1)
    anchors, valid = decoder.generate_anchors(tuple(shape_list), device=memory.device, dtype=torch.float32)
    encoded = decoder.encoder_vision_features(torch.where(valid, memory, 0.0))
    projected = decoder.encoder_class_head(classes).permute(1, 2, 0)
    anchor_logits = get_class_similarity("cosine", encoded, projected)
    unbounded = decoder.encoder_bbox_head(encoded) + anchors
    best = anchor_logits.detach().amax(-1)
    picked = best.topk(decoder.num_queries, dim=1).indices[..., None]
    reference = unbounded.gather(1, picked.expand(-1, -1, 4)).detach().sigmoid()
    queries = encoded.gather(1, picked.expand(-1, -1, encoded.shape[-1])).detach()
    attention = torch.zeros(1, 1, 1, 1, device=memory.device)
    states, *_ = decoder.layers[0](
        queries,
        task,
        reference,
        memory,
        shapes,
        shape_list,
        level_start_index=starts,
        attention_mask=attention,
        query_position=decoder.query_position_head(reference),
    )
    offset = decoder.decoder_bbox_head[0](states)
    inverse = torch.logit(reference, eps=1e-5)
    query_logits = get_class_similarity("cosine", states, decoder.decoder_class_head[0](classes).permute(1, 2, 0))
    return Dense(
        anchor_logits.float(),
        unbounded.float().sigmoid(),
        torch.where(valid, anchors, 0.0).sigmoid()[0],
        valid[0, :, 0],
        query_logits.float(),
        (offset.float() + inverse.float()).sigmoid(),
        reference.float(),
    )
