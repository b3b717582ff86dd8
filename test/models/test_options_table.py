"""Every option is one that a class reads, and every wrong one is refused before anything is loaded."""

import json
import shutil

import numpy as np
import pytest

from vlm_perception.models import factory
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.options import Options, parse_option
from vlm_perception.models.options_check import check_options, options_of, with_defaults
from vlm_perception.models.options_kinds import OneOrMore, Text
from vlm_perception.models.options_table import GROUNDERS, TABLE, WEIGHTS
from vlm_perception.models.registry import load_registry
from vlm_perception.types import ModelError

GROUNDER_KINDS = (
    "grounding-dino", "mm-grounding-dino", "owlvit", "owlv2", "omdet-turbo", "clipseg", "clip", "siglip", "siglip2",
    "florence2", "kosmos-2", "paligemma", "qwen2_5_vl", "qwen3_vl", "internvl", "molmo2", "llava", "sam3",
)  # fmt: skip
SEGMENTER_KINDS = ("sam", "sam_hq", "sam2", "edgetam", "sam3_tracker", "florence2")
# Of what has a default that stands for something else, or has to name a file.
GIVEN = {
    "compile": False, "load_in_8bit": False, "load_in_4bit": False, "attn_implementation": "eager",
    "missing_weights": "pooler",
    "phrase_thresholds": {"red mug": 0.4}, "threshold_file": "own.json", "templates": "a {}", "task": "Find {}.",
    "max_phrases": 3, "calibrated": True, "device_preprocessing": False, "background": ["wall", "table"],
    "boxes_from": "model", "masks": False, "coordinates": "pixels", "heatmap": "mean", "multimask": False,
    "hq_token_only": True, "max_new_tokens": 8, "num_beams": 2, "max_num_patches": 32, "max_proposals": 5,
}  # fmt: skip

def family_of(kind):
    return next(name for name, family in factory.FAMILIES.items() if kind in family.model_types) if kind != "llava" else "written-coordinates"


class Watched(dict):
    """Notes what is looked up by name."""

    def __init__(self, values, seen):
        super().__init__(values)
        self.seen = seen

    def get(self, name, default=None):
        self.seen[name] = None
        return super().get(name, default)


def read_while_building(monkeypatch, build, spec, values):
    """Options that are read once they have been checked, and as what kind (None: as they are); numbers' defaults."""
    seen, defaults = {}, {}
    check, check_options = Options.check, factory.check_options

    def noting(self, name, kind):
        if self.owner == spec:
            seen[name] = kind
        return check(self, name, kind)

    def checking(*arguments, **named):
        check_options(*arguments, **named)
        if arguments[0].owner == spec:
            seen.clear()

    def falling_back(read):
        def reading(self, name, default, **limits):
            defaults[name] = default
            return read(self, name, default, **limits)

        return reading

    with monkeypatch.context() as patch:
        patch.setattr(Options, "check", noting)
        patch.setattr(Options, "number", falling_back(Options.number))
        patch.setattr(Options, "integer", falling_back(Options.integer))
        patch.setattr(factory, "Options", lambda given, owner: Options(Watched(given, seen), owner))
        patch.setattr(factory, "check_options", checking)
        build(spec, device="cpu", options=values).close()
    return seen, defaults


def same(read, takes):
    """Whether both are of one kind; what a text is of may be put in other words."""
    if isinstance(takes, OneOrMore):
        return isinstance(read, OneOrMore) and same(read.kind, takes.kind)
    return read == takes or (isinstance(read, Text) and isinstance(takes, Text))


@pytest.mark.parametrize(
    ("role", "kind"), [("grounder", k) for k in GROUNDER_KINDS] + [("segmenter", k) for k in SEGMENTER_KINDS]
)
def test_what_a_class_takes_is_what_it_reads(tiny_checkpoints, tmp_path, monkeypatch, role, kind):
    folder = tmp_path / "model"
    shutil.copytree(tiny_checkpoints(kind), folder)
    (folder / "own.json").write_text(json.dumps({"score_threshold": 0.2}))
    (folder / "vae-oid.npz").write_bytes(b"")
    known = options_of(family_of(kind), role, kind)
    build = build_model if role == "grounder" else build_segmenter
    values = {name: GIVEN.get(name, 0.2) for name in known if name not in ("heat_threshold", "mask_decoder")}
    if kind == "florence2" and role == "grounder":
        del values["masks"]
        values["task"] = "<CAPTION_TO_PHRASE_GROUNDING>"
    if "proposer" in known:
        proposer = {"proposer": str(tiny_checkpoints("sam2")), "proposer_options": {"multimask": False}}
        values |= {**proposer, "points_per_side": 4}
    seen, defaults = read_while_building(monkeypatch, build, str(folder), values)
    unread = set(known) - set(seen) - {"heat_threshold"}
    assert unread <= ({"mask_decoder"} if kind == "paligemma" else set()), "accepted and ignored"
    everywhere = {row.name for rows in (*TABLE.values(), GROUNDERS, WEIGHTS) for row in rows}
    assert set(seen) <= everywhere, "read, and in no table"
    for name, read in seen.items():
        if read is not None and name in known:
            assert same(read, known[name].takes), name
    for name, default in defaults.items():
        if name in known and known[name].default[0].isdigit() and name != "max_num_patches":  # the checkpoint's own
            assert f"{default:g}" in known[name].default.replace(",", "").split(), name


def test_paligemma_reads_where_its_decoder_is(tiny_checkpoints, monkeypatch):
    with pytest.raises(ModelError, match="option 'mask_decoder': there is no file nowhere"):
        build_model(str(tiny_checkpoints("paligemma")), device="cpu", options={"mask_decoder": "nowhere"})


@pytest.mark.parametrize(
    ("kind", "option", "message"),
    [
        ("omdet-turbo", "max_phrases=abc", r"'max_phrases' must be a whole number in \[1, 1000\], got 'abc'"),
        ("omdet-turbo", "max_phrases=0", r"a whole number in \[1, 1000\], got 0"),
        ("omdet-turbo", "task=Detect", r"'task' must be a text with one \{\}, got 'Detect'"),
        ("omdet-turbo", "task='{} {'", r"'task' must be a text with one \{\}"),
        ("omdet-turbo", "templates=['x {}']", "has no option 'templates': it goes with owlvit, owlv2"),
        ("owlvit", "templates=a", r"'templates' must be a text with one \{\}, or a list of such, got 'a'"),
        ("owlvit", "templates=[a, b]", r"'templates' must be .*got \['a', 'b'\]"),
        ("owlvit", "templates=[]", r"'templates' must be .*got \[\]"),
        ("owlvit", "task='x {}'", "has no option 'task': it goes with omdet-turbo; florence2"),
        ("owlvit", "max_phrases=3", "it goes with omdet-turbo"),
        ("owlvit", "phrase_thresholds={frying pan: x}", r"a mapping from phrases to a number in \[0, 1\].*got \{'frying pan': 'x'\}"),
        ("owlvit", "phrase_thresholds={frying pan: 5}", "got {'frying pan': 5}"),
        ("owlvit", "threshold_file=nothere.json", "'threshold_file': there is no file nothere.json in"),
        ("owlvit", "device_preprocessing=maybe", "'device_preprocessing' must be true or false, got 'maybe'"),
        ("owlvit", "load_in_8bit=maybe", "'load_in_8bit' must be true or false, got 'maybe'"),
        ("owlvit", "compile=3", "'compile' must be true, false or the name of a backend"),
        ("owlvit", "attn_implementation=true", "'attn_implementation' must be the library's name of one"),
        ("owlvit", "threshold=", r"'threshold' must be a number in \[0, 1\], got nothing"),
        ("owlvit", "threshold=.nan", r"a number in \[0, 1\], got nan"),
        ("owlvit", "threshold=true", "got True"),
        ("owlvit", "multimask=false", "has no option 'multimask': it is one of a segmenter's"),
        ("grounding-dino", "templates=['x {}']", "it goes with owlvit, owlv2"),
        ("clip", "background=[1, 2]", r"'background' must be a word or phrase, or a list of such, got \[1, 2\]"),
        ("clip", "proposer_options={multimask: no}", "'proposer_options' does nothing with proposer: regions"),
        ("clip", "proposer_options=[multimask]", "'proposer_options' must be a mapping from options to their values"),
        ("clip", "points_per_side=4", "'points_per_side' does nothing with proposer: regions; leave it away, or change 'proposer'"),
        ("clip", "proposer=3", "'proposer' must be regions or a promptable segmenter"),
        ("siglip", "background=[wall]", "has no option 'background': it goes with clip"),
        ("clip", "max_num_patches=64", "it goes with siglip2"),
        ("kosmos-2", "task=<OD>", "has no option 'task'"),
        ("kosmos-2", "masks=true", "has no option 'masks': it goes with florence2, paligemma"),
        ("paligemma", "task=<OD>", "has no option 'task'"),
        ("florence2", "task=<OD>", "'task' must be one of <OPEN_VOCABULARY_DETECTION>, <CAPTION_TO_PHRASE_GROUNDING>, got '<OD>'"),
        ("qwen3_vl", "coordinates=pixels", "has no option 'coordinates': it goes with other chat models"),
        ("qwen3_vl", "masks=true", "it goes with florence2, paligemma"),
        ("qwen3_vl", "max_new_tokens=0", r"a whole number in \[1, 32768\], got 0"),
        ("qwen3_vl", "max_new_tokens=1.5", "got 1.5"),
        ("qwen3_vl", "thresold=1", "did you mean 'threshold'"),
        ("molmo2", "threshold=0.3", "has no option 'threshold'"),
        ("llava", "heatmap=mean", "has no option 'heatmap'"),
        ("llava", "coordinates=foo", "'coordinates' must be one of fraction, per_cent, per_mille, pixels, got 'foo'"),
        ("sam3", "multimask=false", "it is one of a segmenter's"),
    ],
)  # fmt: skip
def test_wrong_options_of_a_model_are_refused_before_it_is_loaded(tiny_checkpoints, monkeypatch, kind, option, message):
    def loads(*_, **__):
        raise AssertionError("loaded something")

    monkeypatch.setattr(Checkpoint, "load", loads)
    with pytest.raises(ModelError, match=message):
        build_model(str(tiny_checkpoints(kind)), device="cpu", options=dict([parse_option(option)]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["masks=true", "task=<OPEN_VOCABULARY_DETECTION>"], "'task' does nothing with masks: true"),
        (["boxes_from=heatmap", "threshold=0.3"], "'threshold' shapes the model's own boxes, so it does nothing with boxes_from: heatmap"),
    ],
)  # fmt: skip
def test_options_that_undo_one_another_are_refused(tiny_checkpoints, options, message):
    with pytest.raises(ModelError, match=message):
        build_model(str(tiny_checkpoints("florence2")), device="cpu", options=dict(map(parse_option, options)))


@pytest.mark.parametrize(
    ("name", "role"), [(name, role) for name, entry in load_registry().items() for role in entry.roles]
)
def test_a_row_goes_by_its_defaults_in_each_role(name, role):
    """`sam3` finds phrases above a threshold, and takes no threshold for boxes."""
    entry = load_registry()[name]
    defaults = Options(with_defaults(entry, role, {}), name)
    check_options(defaults, family=entry.family, role=role, model_type=entry.model_type)
    other = {n for r in entry.roles for n in with_defaults(entry, r, {})}
    assert other == set(entry.defaults), "every default is an option in one of its roles"


def test_a_row_of_both_roles_is_built_as_either():
    for build in (build_model, build_segmenter):
        with pytest.raises(ModelError, match="offline mode is on"):
            build("sam3", offline=True)
        with pytest.raises(ModelError, match="offline mode is on"):
            build("florence-2-base", offline=True)


def test_a_registrys_default_is_no_users_option(monkeypatch):
    """Its threshold is of its own boxes, and does not keep anyone from asking for those of a heatmap."""
    assert load_registry()["grounding-dino-tiny"].defaults["threshold"] == 0.25
    with pytest.raises(ModelError, match="offline mode is on"):
        build_model("grounding-dino-tiny", offline=True, options={"boxes_from": "heatmap"})
    with pytest.raises(ModelError, match="'threshold' shapes"):
        build_model("grounding-dino-tiny", offline=True, options={"boxes_from": "heatmap", "threshold": 0.2})
    entry = load_registry()["clip-base"]
    assert with_defaults(entry, "grounder", {"nms_iou": 0.2}) == {**entry.defaults, "nms_iou": 0.2}
    assert with_defaults(entry, "grounder", {"boxes_from": "heatmap"}) == {"boxes_from": "heatmap"}


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("sam", {"threshold": 0.3}, "it is one of a model's"),
        ("sam", {"mask_threshold": 0.3}, "it is one of a model's"),
        ("sam", {"hq_token_only": True}, "has no option 'hq_token_only': it goes with sam_hq"),
        ("sam2", {"device_preprocessing": False}, "has no option 'device_preprocessing': it goes with"),
        ("sam", {"multimask": "no"}, "'multimask' must be true or false, got 'no'"),
        ("depth-grabcut", {"compile": True}, "'depth-grabcut' has no option 'compile'"),
        ("none", {"multimask": True}, "'none' has no option 'multimask'"),
    ],
)
def test_wrong_options_of_a_segmenter_are_refused(tiny_checkpoints, spec, options, message):
    folder = str(tiny_checkpoints(spec)) if spec.startswith("sam") else spec
    with pytest.raises(ModelError, match=message):
        build_segmenter(folder, device="cpu", options=options)


def test_one_text_needs_no_list(tiny_checkpoints):
    """`templates=a {}` is one prompt, `background=table` is one background, not five letters."""
    model = build_model(str(tiny_checkpoints("owlvit")), device="cpu", options={"templates": "a {}"})
    assert model._head._templates == ("a {}",)
    model = build_model(str(tiny_checkpoints("clip")), device="cpu", options={"background": "table", "templates": "a {}"})
    assert model._towers._background == ("table",)
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    assert model.heatmap(image, "red mug").shape == (48, 64)


def test_a_threshold_file_is_checked(tiny_checkpoints, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_checkpoints("owlvit"), folder)
    options = {"threshold_file": "own.json"}
    for content, message in (
        ({"score_threshold": 7}, r"own\.json': option 'threshold' must be a number in \[0, 1\], got 7"),
        ({"phrase_thresholds": {"mug": "x"}}, "own.json': option 'phrase_thresholds' must be a mapping"),
        ({"task": "Find {}."}, "own.json' has no option 'task'"),
    ):
        (folder / "own.json").write_text(json.dumps(content))
        with pytest.raises(ModelError, match=message):
            build_model(str(folder), device="cpu", options=options)
    (folder / "own.json").write_text(json.dumps({"score_threshold": 0.3, "phrase_thresholds": {"mug": 0.5}, "notes": "n"}))
    model = build_model(str(folder), device="cpu", options=options)
    assert (model.default_threshold, model._phrase_thresholds) == (0.3, {"mug": 0.5})


def test_every_model_type_is_of_one_family():
    """What a row is limited to is what the factory knows."""
    for family, rows in TABLE.items():
        kinds = set(factory.FAMILIES[family].model_types) if family in factory.FAMILIES else set()
        for row in rows:
            assert set(row.only) | set(row.without) <= kinds | {"other chat models"}, row.name
    assert set(TABLE) == {*factory.FAMILIES, "no-weights"}
