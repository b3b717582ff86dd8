"""docs/models.md says what config/models.yaml and the code say."""

import ast
import itertools
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from vlm_perception.evaluation.heatmap_bound import SIDES, ious_of, masks_in
from vlm_perception.models import factory
from vlm_perception.models.heatmap_boxes import DEFAULT_THRESHOLD
from vlm_perception.models.options import Options, parse_option
from vlm_perception.models.options_check import check_options, with_defaults
from vlm_perception.models.options_table import GROUNDERS, TABLE, WEIGHTS
from vlm_perception.models.quantisation import WRITINGS, edge_errors
from vlm_perception.models.registry import load_registry
from vlm_perception.resources import asset_path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "models.md"
HALVED = ("kosmos-2", "molmo2-4b", "molmo2-8b")  # published in float32, kept in half precision


def table(first_column, page=PAGE):
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_every_model_is_in_the_table_as_it_is_registered():
    rows = {row[0].strip("`"): row[1:] for row in table("model")}
    registry = load_registry()
    assert list(rows) == list(registry)
    timed = {row[0].split("`")[1] for row in table("random weights")}
    for name, (family, tasks, licence, download, weights, source, needs, measured) in rows.items():
        entry = registry[name]
        assert family == entry.family, name
        assert tasks == ", ".join(entry.tasks), name
        assert licence == entry.licence, name
        assert download == (f"{entry.size_mb:.0f}" if entry.size_mb else "none"), name
        assert ("accept its licence" in source) == entry.gated, name
        assert (f"`{entry.hub_id}`" in source) if entry.hub_id else ("ships" in source), name
        # Sizes are those of the recorded architectures, in test_random_weights.py.
        assert measured.startswith("size") == (entry.architecture is not None), name
        assert ("speed" in measured and "peak memory" in measured) == (name in timed) or not entry.architecture, name
        assert measured, name
        assert needs == ", ".join(f"`{package}`" for package in entry.packages), name
        if entry.size_mb:
            assert int(weights) == round(entry.size_mb / (2 if name in HALVED else 1)), name


def test_the_readmes_table_is_the_registry_in_short():
    registry, details = load_registry(), {row[0].strip("`"): row for row in table("model")}
    timed = {row[0].split("`")[1] for row in table("random weights")}
    listed = []
    for models, family, tasks, licence, weights, source, measured, not_measured in table("models", ROOT / "README.md"):
        names = re.findall(r"`([^`]+)`", models)
        entries = [registry[name] for name in names]
        assert {entry.family for entry in entries} == {family}, names
        assert set(tasks.split(", ")) == set().union(*(entry.tasks for entry in entries)), names
        assert len({entry.tasks for entry in entries}) == 1, f"{names} differ, so they need rows of their own"
        assert licence == ", ".join(dict.fromkeys(entry.licence for entry in entries)), names
        if entries[0].size_mb:
            assert weights.replace(",", "").split(" / ") == [details[name][5] for name in names], names
            assert re.findall(r"`(.+?/.+?)`", source) == [entry.hub_id for entry in entries], names
            assert measured.startswith("size")
            assert "accuracy" in not_measured
        assert ("licence" in source) == any(entry.gated for entry in entries), names
        packages = {package for entry in entries for package in entry.packages}
        assert set(re.findall(r"pip install ([\w -]+)", source)) == packages, names
        if entries[0].architecture is not None:
            assert ("speed" in measured) == bool(timed & set(names)), names
            assert ("speed" in not_measured) == bool(set(names) - timed), names
        listed += names
    assert listed == list(registry)


def test_languages_are_those_of_the_registry():
    listed = {row[1]: re.findall(r"`(\w\w)`", row[0]) for row in table("languages beside English")}
    assert list(listed) == ["Qwen2.5-VL, Qwen3-VL", "InternVL3"]
    for entry in load_registry().values():
        row = next((row for row in listed if any(entry.name.startswith(m.lower()) for m in row.split(", "))), "")
        assert entry.languages == ("en", *listed.get(row, ())), entry.name


def test_what_models_need_is_an_extra():
    (extras,) = [
        ast.literal_eval(word.value.values[[key.value for key in word.value.keys].index("models")])
        for call in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for word in call.keywords
        if word.arg == "extras_require"
    ]
    needed = {package for entry in load_registry().values() for package in entry.packages}
    assert needed
    assert needed <= set(extras)
    assert needed <= {row[0].strip("`") for row in table("packages")}


def test_every_family_is_spoken_of():
    assert sorted(row[0] for row in table("family")) == sorted([*factory.FAMILIES, "no-weights"])


@pytest.mark.parametrize(
    ("of", "options"),
    [*((f"of {family}", rows) for family, rows in TABLE.items() if rows), ("of a model", GROUNDERS), ("with weights", WEIGHTS)],
)
def test_every_option_is_in_its_familys_table(of, options):
    def cells(option):
        takes = re.sub(r"(<\w+>)", r"`\1`", option.takes.words)
        return [f"`{option.name}`", takes, option.default, option.models or "all", option.what]

    assert table(f"option {of}") == [cells(option) for option in options]


def test_options_of_the_pages_commands_are_options():
    """As a shell hands them over, so that what needs quotes in YAML has them."""
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    commands = [line for line in text.splitlines() if line.startswith("    vlm-perception ")]
    checked = 0
    for command in commands:
        words = shlex.split(command)
        named = dict(itertools.pairwise(words))
        for flag, model, role in (("--option", "--model", "grounder"), ("--segmenter-option", "--segmenter", "segmenter")):
            given = dict(parse_option(value) for name, value in itertools.pairwise(words) if name == flag)
            if given:
                entry = load_registry()[named[model]]
                options = Options(with_defaults(entry, role, given), entry.name)
                check_options(options, family=entry.family, role=role, model_type=entry.model_type)
                checked += len(given)
    assert checked >= 4


def test_links_within_the_page_lead_somewhere():
    text = PAGE.read_text(encoding="utf-8")
    titles = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_quantisation_errors_are_the_measured_ones():
    rows = {name: (float(mean), float(largest)) for name, mean, largest in table("written as")}
    assert list(rows) == list(WRITINGS)
    for writing, (mean, largest) in rows.items():
        errors = np.abs(edge_errors(writing, (640, 480), 2000))
        assert errors.mean() == pytest.approx(mean, abs=0.006), writing
        assert errors.max() == pytest.approx(largest, abs=0.006), writing


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1280, 720)])
def test_quantisation_errors_stay_within_the_grid(size):
    """Half a step where values are rounded or read at the middle, a whole one where they are not."""
    steps = {"Kosmos": 1 / 32, "PaliGemma": 1 / 1024, "Florence": 0.5 / 1000, "Qwen3": 0.5 / 1000, "Shikra": 0.5 / 1000}
    for writing in WRITINGS:
        errors = np.abs(edge_errors(writing, size, 300, seed=1)).reshape(-1, 2)
        limits = [next((step * side for name, step in steps.items() if writing.startswith(name)), 0.51) for side in size]
        assert (errors <= np.array(limits) * 1.04 + 1e-9).all(), writing
    bias = edge_errors("PaliGemma, 1024 bins", size, 300).reshape(-1, 2).mean(axis=0)
    assert bias == pytest.approx([-0.5 * side / 1024 for side in size], rel=0.15)


def test_bounds_of_boxes_from_heatmaps_are_the_measured_ones():
    rows = {row[0]: [float(value) for value in row[1:]] for row in table("cells")}
    assert list(rows) == [f"{side} x {side}" for side in SIDES]
    masks = masks_in(asset_path("recordings") / "libero_90")
    measured = np.mean([ious_of(mask, sides=(16,)) for mask in masks], axis=0)[0]
    np.testing.assert_allclose(rows["16 x 16"], measured, atol=0.006)
    assert f"`heat_threshold` ({DEFAULT_THRESHOLD:g})" in PAGE.read_text(encoding="utf-8")


def test_what_the_page_names_exists():
    text = PAGE.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if "tabletop/README" not in link:  # comes with the checkpoint
            assert (PAGE.parent / link).exists(), link
    assert (PAGE.parent / "make_plots.py").exists()
