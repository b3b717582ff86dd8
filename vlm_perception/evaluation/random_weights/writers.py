"""Recipes for models that write: Florence-2, Kosmos-2, PaliGemma, Qwen-VL, InternVL, Molmo 2.

Where special ids stand is read off the configuration; what stands around them is as in the public tokenizers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vlm_perception.evaluation.random_weights.recipe import CLIP, HALVES, IMAGENET, Recipe, image_processor
from vlm_perception.evaluation.random_weights.tokenizers import words

_FAIRSEQ: Final = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
_FAIRSEQ_NAMES: Final = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
_CHAT: Final = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _florence_words(config: Any) -> Any:
    """BART's, then 1000 places, the marks of outlines, and the image."""
    image = int(config.image_token_id)
    marks = {**_FAIRSEQ, **{f"<loc_{k}>": image - 1020 + k for k in range(1000)}}
    marks |= {"<sep>": image - 8, "<poly>": image - 4, "</poly>": image - 3, "<image>": image}
    text = config.text_config
    special = {**_FAIRSEQ_NAMES, "image_token": "<image>"}
    return words(text.vocab_size, marks, special=special, max_length=int(text.max_position_embeddings))


def _florence_images(_: Any, side: int) -> Mapping[str, Any]:
    # A cell every 32 pixels, and their mean.
    tokens = (side // 32) ** 2 + 1
    size = {"height": side, "width": side}
    return image_processor(
        "CLIPImageProcessor", IMAGENET, size=size, crop_size=size, do_center_crop=False, resample=3,
        image_seq_length=tokens,
    )  # fmt: skip


def _kosmos_words(config: Any) -> Any:
    """XLM-R's in English, then what its processor adds: marks, and 32 x 32 cells."""
    text = config.text_config
    added = ["</doc>", "<image>", "</image>", "</chunk>", "</line>", "<phrase>", "</phrase>", "<object>", "</object>",
             "</delimiter_of_multi_objects/>", "<grounding>"]  # fmt: skip
    added += [f"<patch_index_{k:04d}>" for k in range(1024)]
    marks = {**_FAIRSEQ, **{token: text.vocab_size - len(added) + k for k, token in enumerate(added)}}
    return words(
        text.vocab_size, marks, special=_FAIRSEQ_NAMES, plain=added, max_length=int(text.max_position_embeddings)
    )


def _kosmos_images(_: Any, side: int) -> Mapping[str, Any]:
    size = {"height": side, "width": side}
    return image_processor("CLIPImageProcessor", CLIP, size=size, crop_size=size, do_center_crop=True, resample=3)


def _gemma_words(config: Any) -> Any:
    """Gemma's; 1024 places and 128 mask codes lie below the image."""
    image = int(config.image_token_id)
    marks = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<image>": image}
    marks |= {f"<loc{k:04d}>": image - 1152 + k for k in range(1024)}
    marks |= {f"<seg{k:03d}>": image - 128 + k for k in range(128)}
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    plain = [token for token in marks if token.startswith(("<loc", "<seg"))]
    return words(config.text_config.vocab_size, marks, special={**special, "image_token": "<image>"}, plain=plain)


def _gemma_images(config: Any, side: int) -> Mapping[str, Any]:
    tokens = (side // int(config.vision_config.patch_size)) ** 2
    return image_processor(
        "SiglipImageProcessor", HALVES, size={"height": side, "width": side}, resample=3, image_seq_length=tokens
    )


def _qwen_words(config: Any) -> Any:
    """Qwen's: marks of turns and of images at the end."""
    end = int(config.text_config.eos_token_id)
    marks = {
        "<|endoftext|>": end - 2, "<|im_start|>": end - 1, "<|im_end|>": end,
        "<|vision_start|>": config.vision_start_token_id, "<|vision_end|>": config.vision_end_token_id,
        "<|image_pad|>": config.image_token_id, "<|video_pad|>": config.video_token_id,
    }  # fmt: skip
    special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    tokenizer = words(config.text_config.vocab_size, marks, special=special)
    tokenizer.chat_template = _CHAT.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    return tokenizer


def _qwen_images(config: Any, side: int) -> Mapping[str, Any]:
    """``side``: of the largest square; the camera's image keeps its shape and, below that, its size."""
    patch = int(config.vision_config.patch_size)
    statistics = CLIP if config.model_type == "qwen2_5_vl" else HALVES
    limits = {"shortest_edge": (4 * patch) ** 2, "longest_edge": side**2}
    return image_processor(
        "Qwen2VLImageProcessor", statistics, size=limits, patch_size=patch, merge_size=2, temporal_patch_size=2
    )


def _internvl_words(config: Any) -> Any:
    """Qwen 2.5's, and InternVL's marks behind them."""
    end, image = int(config.text_config.eos_token_id), int(config.image_token_id)
    marks = {
        "<|endoftext|>": end - 2, "<|im_start|>": end - 1, "<|im_end|>": end, "<img>": image - 2, "</img>": image - 1,
        "<IMG_CONTEXT>": image, "<video>": image + 1, "<ref>": image + 2, "</ref>": image + 3, "<box>": image + 4,
        "</box>": image + 5,
    }  # fmt: skip
    special = {
        "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "start_image_token": "<img>",
        "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>",
    }  # fmt: skip
    plain = ("<ref>", "</ref>", "<box>", "</box>")
    tokenizer = words(config.text_config.vocab_size, marks, special=special, plain=plain)
    tokenizer.chat_template = _CHAT.replace("IMAGE", "<IMG_CONTEXT>\n")
    return tokenizer


def _internvl_images(_: Any, side: int) -> Mapping[str, Any]:
    return image_processor(
        "GotOcr2ImageProcessor", IMAGENET, size={"height": side, "width": side}, resample=3, crop_to_patches=True,
        min_patches=1, max_patches=12,
    )  # fmt: skip


def _molmo_words(config: Any) -> Any:
    """Qwen 3's, and Molmo's marks in a table of their own behind them."""
    text = config.text_config
    end, first = int(text.eos_token_id), int(config.image_start_token_id)
    marks = {
        "<|endoftext|>": end - 2, "<|im_start|>": end - 1, "<|im_end|>": end, "<im_start>": first,
        "<im_end>": config.image_end_token_id, "<im_patch>": config.image_patch_id, "<im_col>": first + 3,
        "<low_res_im_start>": config.low_res_image_start_token_id, "<|image|>": first + 5, "<im_low>": first + 6,
        "<frame_start>": config.frame_start_token_id, "<frame_end>": config.frame_end_token_id,
        "<|video|>": first + 9,
    }  # fmt: skip
    special = {
        "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "image_token": "<|image|>", "video_token": "<|video|>"
    }  # fmt: skip
    tokenizer = words(text.vocab_size + text.additional_vocab_size, marks, special=special)
    tokenizer.chat_template = _CHAT.replace("IMAGE", "<|image|>")
    return tokenizer


def _molmo_images(config: Any, side: int) -> Mapping[str, Any]:
    """``side``: of a crop; up to eight overlap by four patches on either side, and one shows the whole image."""
    patch = int(config.vision_config.patch_size)
    return image_processor(
        "Molmo2ImageProcessor", HALVES, size={"height": side, "width": side}, resample=2, patch_size=patch,
        max_crops=8, overlap_margins=[4, 4], pooling_size=[2, 2],
    )  # fmt: skip


WRITERS: Final[Mapping[str, Recipe]] = {
    "florence2": Recipe(
        "Florence2ForConditionalGeneration", "Florence2Config", _florence_images, "Florence2Processor",
        _florence_words, half=True, writes=True,
        settings=lambda _: {"post_processor_config": {name: {} for name in (
            "pure_text", "ocr", "phrase_grounding", "description_with_bboxes", "polygons", "bboxes",
            "description_with_bboxes_or_polygons")}},
    ),
    "kosmos-2": Recipe(
        "Kosmos2ForConditionalGeneration", "Kosmos2Config", _kosmos_images, "Kosmos2Processor", _kosmos_words,
        writes=True,
    ),
    "paligemma": Recipe(
        "PaliGemmaForConditionalGeneration", "PaliGemmaConfig", _gemma_images, "PaliGemmaProcessor", _gemma_words,
        half=True, writes=True,
    ),
    "qwen2_5_vl": Recipe(
        "Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLConfig", _qwen_images, "Qwen2_5_VLProcessor", _qwen_words,
        half=True, writes=True,
    ),
    "qwen3_vl": Recipe(
        "Qwen3VLForConditionalGeneration", "Qwen3VLConfig", _qwen_images, "Qwen3VLProcessor", _qwen_words,
        half=True, writes=True,
    ),
    "internvl": Recipe(
        "InternVLForConditionalGeneration", "InternVLConfig", _internvl_images, "InternVLProcessor", _internvl_words,
        settings=lambda config: {"image_seq_length": int(config.image_seq_length)}, half=True, writes=True,
    ),
    # It writes points, which are no boxes: it finds things by its heatmaps.
    "molmo2": Recipe(
        "Molmo2ForConditionalGeneration", "Molmo2Config", _molmo_images, "Molmo2Processor", _molmo_words, half=True,
        settings=lambda _: {"image_use_col_tokens": True, "use_single_crop_col_tokens": False,
                            "use_single_crop_start_token": True, "video_use_col_tokens": False,
                            "use_frame_special_tokens": False},
        needs={"boxes_from": "heatmap"},
    ),
}  # fmt: skip
