"""Every option of every family: which models take it, what it may be, and what it does.

Names and values are checked against this table before anything is loaded, docs/models.md prints it, and a test holds it
against what each class reads.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vlm_perception.models.options import Options
from vlm_perception.models.options_kinds import (
    ByPhrase,
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
from vlm_perception.models.registry import ModelEntry
from vlm_perception.types import ModelError

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
            "phrase_thresholds", ByPhrase(_SHARE), "none", "lowest score of single phrases, before `threshold`", boxes=True
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
            "give masks: Florence-2 by `<REFERRING_EXPRESSION_SEGMENTATION>`, PaliGemma by "
            "[mask tokens](#paligemmas-masks)",
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


def options_of(family: str, role: str, model_type: str) -> dict[str, Option]:
    """What a model takes, by name, its family's own first.

    Args:
        family: as in the registry.
        role: "grounder" or "segmenter".
        model_type: of its ``config.json``; "" where there is none.
    """
    rows = TABLE[family] if family == "no-weights" else (*TABLE[family], *GROUNDERS, *WEIGHTS)
    kind = _kind(family, model_type)
    return {row.name: row for row in rows if row.goes_with(kind, role)}


def with_defaults(entry: ModelEntry, role: str, given: Mapping[str, object]) -> dict[str, Any]:
    """What a user gave over a registry row's defaults, less those that are no options in this role or do nothing then."""
    known = options_of(entry.family, role, entry.model_type)
    values = {**{name: value for name, value in entry.defaults.items() if name in known}, **given}
    return {name: value for name, value in values.items() if name in given or not _why_idle(known[name], values)}


def check_options(
    options: Options, *, family: str, role: str, model_type: str
) -> None:
    """Refuse what a model does not take, and what would do nothing.

    Args:
        options: all that are set.
        family: as in the registry; the other arguments likewise as in :func:`options_of`.
        role: what the model is wanted for.
        model_type: its class.

    Raises:
        ModelError: names the option, its value, and what it takes or who takes it.
    """
    known = options_of(family, role, model_type)
    for name in options.values:
        if name not in known:
            raise ModelError(f"'{options.owner}' has no option '{name}': {_hint(name, known, role)}")
        options.check(name, known[name].takes)
    for name in options.values:
        why = _why_idle(known[name], options.values)
        if why:
            raise ModelError(f"'{options.owner}': option '{name}' {why}")


def _why_idle(option: Option, values: Mapping[str, Any]) -> str:
    """Why an option would do nothing beside others; "" when it does something."""
    if option.idle is not None:
        other, value = option.idle
        if values.get(other, option.idle_default) == value:
            return f"does nothing with {other}: {_written(value)}; leave it away, or change '{other}'"
    if option.boxes and values.get("boxes_from") == "heatmap":
        return "shapes the model's own boxes, so it does nothing with boxes_from: heatmap; leave one of them away"
    return ""


def _kind(family: str, model_type: str) -> str:
    if family != "written-coordinates":
        return model_type
    from vlm_perception.models.written_coordinates import DIALECTS

    return model_type if model_type in DIALECTS else OTHER_CHATS


def _hint(name: str, known: Mapping[str, Option], role: str) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    elsewhere = [(family, row) for family, rows in TABLE.items() for row in rows if row.name == name]
    elsewhere += [("any", row) for row in (*GROUNDERS, *WEIGHTS) if row.name == name]
    if any(row.role not in ("", role) for _, row in elsewhere):
        other = "segmenter" if role == "grounder" else "model"
        return f"it is one of a {other}'s"
    if elsewhere:
        takers = dict.fromkeys(", ".join(row.only) or f"the family {family}" for family, row in elsewhere)
        return f"it goes with {'; '.join(takers)}"
    return f"known are {', '.join(sorted(known))}" if known else "it has none"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
