"""Every option of every family: which models take it, what it may be, and what it does.

:mod:`vlm_perception.models.options_check` holds what a user sets against this table, docs/models.md prints it, and a test
holds it against what each class reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from vlm_perception.models.options_kinds import (
    BY_PHRASE,
    OPTIONS,
    Choice,
    Flag,
    FlagOrText,
    Kind,
    Number,
    OneOrMore,
    Template,
    Text,
    Whole,
)

# Stands for the chat models of the library that have no dialect of their own here.
OTHER_CHATS: Final = "other chat models"
_SHARE: Final = Number(0.0, 1.0)


@dataclass(frozen=True)
class Option:
    """One option of a family.

    Attributes:
        name: what a user types.
        takes: what it may be.
        default: in words.
        what: what it does, in one line.
        only: the values of ``model_type`` that take it; empty: all of the family.
        without: those that do not.
        role: "grounder" or "segmenter"; "": both.
        idle: another option and the value of it with which this one does nothing; that option's default where it is
            not given is ``idle_default``.
        boxes: whether it shapes the model's own boxes, so that it does nothing for those of a heatmap.
    """

    name: str
    takes: Kind
    default: str
    what: str
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    role: str = ""
    idle: tuple[str, object] | None = None
    idle_default: object = None
    boxes: bool = False

    def goes_with(self, model_type: str, role: str) -> bool:
        """Whether a model takes it."""
        return self.role in ("", role) and model_type not in self.without and model_type in (self.only or (model_type,))

    @property
    def models(self) -> str:
        """Who takes it, in words; "" for all."""
        parts = [", ".join(self.only)] if self.only else []
        parts += [f"not {', '.join(self.without)}"] if self.without else []
        parts += [f"as {self.role}"] if self.role else []
        return "; ".join(parts)


# Of every family with weights.
WEIGHTS: Final = (
    Option(
        "compile",
        FlagOrText("true, false or the name of a backend of torch.compile"),
        "false",
        "compile the network; the first call of each image size takes long",
    ),
    Option("load_in_8bit", Flag(), "false", "8-bit weights: CUDA, `bitsandbytes` and `accelerate`"),
    Option("load_in_4bit", Flag(), "false", "4-bit weights, likewise; not both"),
    Option(
        "attn_implementation",
        Text("the library's name of one, such as eager, sdpa or flash_attention_2"),
        "the library's choice",
        "how attention is computed",
    ),
    Option(
        "missing_weights",
        OneOrMore(Text("a part of the names of weights")),
        "none",
        "load a checkpoint that lacks these, because its network does without them; others that it lacks are an error",
    ),
)
# Of every model that finds things by phrase.
GROUNDERS: Final = (
    Option(
        "boxes_from",
        Choice(("model", "heatmap")),
        "model",
        "`heatmap`: boxes around the hot parts of the heatmap, see [Boxes from a heatmap](#boxes-from-a-heatmap)",
        role="grounder",
    ),
    Option(
        "heat_threshold",
        Number(0.01, 1.0),
        "0.5",
        "share of the map's peak from which on a pixel belongs to a thing",
        role="grounder",
        idle=("boxes_from", "model"),
        idle_default="model",
    ),
)
_THRESHOLD: Final = Option("threshold", _SHARE, "0", "lowest score of a detection", boxes=True)
_NMS_IOU: Final = Option("nms_iou", _SHARE, "0.5", "boxes of one phrase that overlap by more are one thing", boxes=True)
_TEMPLATES: Final = Option(
    "templates",
    OneOrMore(Template()),
    "the documented one",
    "prompts, `{}` being the phrase; several are an ensemble, whose embeddings are averaged",
)
_MASK_THRESHOLD: Final = Option(
    "mask_threshold", _SHARE, "0.5", "a pixel belongs to a mask from this probability on", boxes=True
)
_DEVICE_PREPROCESSING: Final = Option(
    "device_preprocessing", Flag(), "true on a GPU", "prepare images on the model's device, see [Speed](#speed)"
)
_ANSWERS: Final = replace(_THRESHOLD, what="lowest confidence of an answer whose boxes count")
_WRITING: Final = (
    Option("max_new_tokens", Whole(1, 32768), "1024", "longest answer; one that is cut off loses what it had not said"),
    Option("num_beams", Whole(1, 16), "1", "beams of the search for an answer; 1 is greedy"),
)
_HEATMAP: Final = Option(
    "heatmap",
    Choice(("relative", "mean")),
    "relative",
    "what a heatmap shows, see [Where did it look](#where-did-it-look)",
)

TABLE: Final[Mapping[str, tuple[Option, ...]]] = {
    "detection-head": (
        replace(_THRESHOLD, default="0.25 (Grounding DINO), 0.1 (OWL), 0.3 (OmDet-Turbo)"),
        Option(
            "phrase_thresholds", BY_PHRASE, "none", "lowest score of single phrases, before `threshold`", boxes=True
        ),
        Option(
            "threshold_file",
            Text("the name of a JSON file in the checkpoint's folder"),
            "none",
            "holds any of `score_threshold`, `phrase_thresholds`, `nms_containment`, `calibrated`, `task`, and "
            "`vocabulary`, all words that the model knows",
        ),
        _NMS_IOU,
        Option(
            "nms_containment",
            _SHARE,
            "1",
            "so are those of which more than this share of the smaller lies in the other; 1: never",
            boxes=True,
        ),
        replace(_TEMPLATES, default="`a photo of a {}`", only=("owlvit", "owlv2")),
        Option(
            "task",
            Template(),
            "`Detect {}.`",
            "the task sentence, `{}` being all phrases, with commas between",
            only=("omdet-turbo",),
        ),
        Option("max_phrases", Whole(1, 1000), "all", "phrases in one pass of the network", only=("omdet-turbo",)),
        Option("calibrated", Flag(), "false", "say of the scores that they are probabilities fitted on held-out data", boxes=True),
        _DEVICE_PREPROCESSING,
    ),
    "text-heatmap": (
        replace(_THRESHOLD, default="`mask_threshold`", what="lowest mean of the heatmap over a mask"),
        replace(_MASK_THRESHOLD, default="0.4"),
        Option("min_area", _SHARE, "0.0005", "smallest mask, as a share of the image", boxes=True),
        replace(_TEMPLATES, default="`a photo of a {}.`"),
    ),
    "two-stage": (
        replace(_THRESHOLD, default="0.5 (CLIP), 0.1 (SigLIP)"),
        _NMS_IOU,
        replace(_TEMPLATES, default="five of CLIP's authors; SigLIP's documented one"),
        Option(
            "background",
            OneOrMore(Text("a word or phrase")),
            "table, wall, floor ...",
            "what CLIP may find in place of the phrase",
            only=("clip",),
        ),
        Option(
            "proposer",
            Text("regions or a promptable segmenter (name, hub id, folder)"),
            "regions",
            "where the crops come from, see [Two stages](#two-stages)",
            boxes=True,
        ),
        Option(
            "proposer_options",
            OPTIONS,
            "none",
            "those of the segmenter that proposes",
            idle=("proposer", "regions"),
            idle_default="regions",
            boxes=True,
        ),
        Option(
            "points_per_side",
            Whole(1, 64),
            "16",
            "of the grid at which a segmenter is asked",
            idle=("proposer", "regions"),
            idle_default="regions",
            boxes=True,
        ),
        Option("max_proposals", Whole(1, 1000), "60", "crops scored an image", boxes=True),
        Option(
            "max_num_patches",
            Whole(16, 4096),
            "256",
            "of a crop, and of the image for a heatmap; more see finer and take longer",
            only=("siglip2",),
        ),
    ),
    "location-tokens": (
        replace(_ANSWERS, role="grounder"),
        *_WRITING,
        replace(_HEATMAP, role="grounder"),
        Option(
            "task",
            Choice(("<OPEN_VOCABULARY_DETECTION>", "<CAPTION_TO_PHRASE_GROUNDING>")),
            "`<OPEN_VOCABULARY_DETECTION>`",
            "how phrases are located",
            only=("florence2",),
            role="grounder",
            idle=("masks", True),
            idle_default=False,
        ),
        Option(
            "masks",
            Flag(),
            "false (Florence-2); true where the decoder is (PaliGemma)",
            "give masks: Florence-2 by `<REFERRING_EXPRESSION_SEGMENTATION>`, which has one region a phrase, so that "
            "it does not count then; PaliGemma by [mask tokens](#paligemmas-masks)",
            only=("florence2", "paligemma"),
            role="grounder",
            boxes=True,
        ),
        Option(
            "mask_decoder",
            Text("the path of vae-oid.npz, or of its folder"),
            "looked for",
            "see [PaliGemma's masks](#paligemmas-masks)",
            only=("paligemma",),
            role="grounder",
            idle=("masks", False),
            boxes=True,
        ),
    ),
    "written-coordinates": (
        replace(_ANSWERS, without=("molmo2",)),
        *_WRITING,
        replace(_HEATMAP, without=("qwen3_5", "qwen3_5_moe", OTHER_CHATS)),
        Option(
            "coordinates",
            Choice(("fraction", "per_cent", "per_mille", "pixels")),
            "fraction",
            "how the model is asked to write coordinates",
            only=(OTHER_CHATS,),
        ),
    ),
    "promptable-masks": (
        Option("multimask", Flag(), "true", "let the network propose several masks a prompt, or one", role="segmenter"),
        Option(
            "hq_token_only",
            Flag(),
            "false",
            "take the high-quality mask alone, not its sum with SAM's",
            only=("sam_hq",),
            role="segmenter",
        ),
        replace(_DEVICE_PREPROCESSING, only=("sam", "sam_hq"), role="segmenter"),
        replace(_THRESHOLD, default="0.3", role="grounder"),
        replace(_MASK_THRESHOLD, role="grounder"),
    ),
    "no-weights": (),
}
