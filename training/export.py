"""Write a trained state in the hub's folder layout, so that the stock Auto classes load it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from transformers import OmDetTurboConfig, OmDetTurboForObjectDetection, PreTrainedTokenizerFast

QUERIES = 120


def export(
    state: dict[str, torch.Tensor],
    config: OmDetTurboConfig,
    tokenizer: PreTrainedTokenizerFast,
    size: tuple[int, int],
    out: Path,
) -> None:
    """Save model, processor and tokenizer.

    Args:
        state: Weights and buffers.
        config: The model's configuration.
        tokenizer: The word-level tokenizer.
        size: Input height and width, px: any picture is resized to it, and boxes come back as shares.
        out: Folder to write, replaced as a whole.
    """
    # Training needs few; in use, a crowd of anchors on one thing must not crowd out the others.
    config = type(config).from_dict({**config.to_dict(), "num_queries": QUERIES})
    model = OmDetTurboForObjectDetection(config)
    model.load_state_dict(state)
    # Written by hand: the processor classes cannot be built where torchvision is missing.
    pictures = {
        "image_processor_type": "DetrImageProcessor",
        "do_resize": True,
        "size": {"height": size[0], "width": size[1]},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "do_pad": False,
        "do_convert_annotations": True,
        "format": "coco_detection",
    }
    processor = {"processor_class": "OmDetTurboProcessor"}
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.eval().save_pretrained(part)
    tokenizer.save_pretrained(part)
    (part / "preprocessor_config.json").write_text(json.dumps({**pictures, **processor}, indent=2) + "\n")
    (part / "processor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
