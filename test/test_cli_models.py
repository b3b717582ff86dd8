"""The command line's models: what chooses and sets them reaches the factory, and what is wrong is said and no more."""

from __future__ import annotations

import argparse
import json

import pytest
from cube_scene import ColorModel, write_scene

from vlm_perception import cli, cli_describe
from vlm_perception.models import factory
from vlm_perception.models.base import Capabilities
from vlm_perception.models.registry import load_registry
from vlm_perception.summary import answer_table, answer_to_dict
from vlm_perception.types import Answer, Status


@pytest.fixture
def files(tmp_path):
    return [part for pair in write_scene(tmp_path).items() for part in pair]


@pytest.fixture
def asked(monkeypatch):
    """What the factory was asked for: name and arguments, of the model and of the segmenter."""
    calls = []

    def build(spec, **named):
        calls.append((spec, named))
        return ColorModel() if spec == "m" else None

    monkeypatch.setattr(factory, "build_model", build)
    monkeypatch.setattr(factory, "build_segmenter", build)
    return calls


@pytest.mark.parametrize("command", [["ground", "the green cube"], ["describe", "--task", "count", "cubes"]])
def test_what_is_chosen_reaches_model_and_segmenter(files, asked, command):
    chosen = ["--model", "m", "--segmenter", "s", "--dtype", "bfloat16", "--device", "cpu"]
    options = ["--option", "a=1", "--option", "b=[x]", "--segmenter-option", "c=false"]
    cli.main([*command, *files, *chosen, *options])
    where = {"device": "cpu", "dtype": "bfloat16"}
    assert asked == [
        ("s", {**where, "options": {"c": False}}),
        ("m", {**where, "options": {"a": 1, "b": ["x"]}}),
    ]


@pytest.mark.parametrize("value", ["2", "nan", "-1", "much"])
def test_a_threshold_out_of_range_is_refused(files, capsys, value):
    with pytest.raises(SystemExit):
        cli.main(["ground", "the mug", *files, f"--threshold={value}"])
    assert f"expected a number from 0 to 1, got '{value}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--option", "max_phrases=abc"], "'tabletop': option 'max_phrases' must be a whole number"),
        (["--option", "phrase_thresholds={frying pan: x}"], "'phrase_thresholds' must be a mapping"),
        (["--segmenter-option", "multimask=false"], "'depth-grabcut' has no option 'multimask'"),
        (["--segmenter", "none", "--segmenter-option", "multimask=false"], "'none' has no option 'multimask'"),
    ],
)
def test_wrong_options_exit_with_the_reason(files, capsys, arguments, complaint):
    assert cli.main(["ground", "the mug", *files, *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_a_heatmap_that_cannot_be_is_said_before_anything_runs(files, capsys, monkeypatch):
    class Blind(ColorModel):
        capabilities = Capabilities(detects=True)

        def detect(self, *_, **__):
            raise AssertionError("ran")

    monkeypatch.setattr(factory, "build_model", lambda *_, **__: Blind())
    assert cli.main(["ground", "the green cube", *files, "--heatmap", "cube"]) == 2
    assert "cannot give heatmaps; models that can" in capsys.readouterr().err


@pytest.mark.parametrize("region", ["-5,-5,100,100", "-5,10 20,30", "5,5,100,100"])
def test_a_region_may_begin_with_a_minus(monkeypatch, region):
    seen = []
    monkeypatch.setattr(cli_describe, "_describe", lambda options: seen.append(options.region) or 0)
    assert cli.main(["describe", "--color", "c.png", "--region", region, "--task", "region"]) == 0
    assert cli.main(["describe", "--color", "c.png", f"--region={region}", "--task", "region"]) == 0
    assert seen[0] == seen[1]
    assert isinstance(seen[0], tuple)


def test_other_arguments_are_left_alone():
    given = ["describe", "--region", "--json", "-5,-5,1,1"]
    assert cli_describe.with_region(given) == given


def test_problems_of_an_answer_are_shown():
    answer = Answer(None, "the mug", Status.NOT_FOUND, "I see no mug.", extra={"problems": ("cut off", "dropped x")})
    assert answer_to_dict(answer, "camera")["problems"] == ["cut off", "dropped x"]
    assert "problem cut off\nproblem dropped x" in answer_table(answer, "camera")
    assert "problem" not in answer_table(Answer(None, "the mug", Status.NOT_FOUND, "I see no mug."), "camera")


def test_models_lists_tasks_and_sizes(capsys):
    assert cli.main(["models", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    for name, entry in load_registry().items():
        assert (listed[name]["tasks"], listed[name]["size_mb"]) == (list(entry.tasks), entry.size_mb)
        assert listed[name]["gated"] == entry.gated
    assert {name for name, row in listed.items() if row["needs"] == ["timm"]} == {"omdet-turbo-tiny", "edgetam"}
    assert listed["internvl3-2b"]["languages"] == ["en", "zh"]
    assert all(row["needs"] in ([], ["timm"]) for row in listed.values())
    assert cli.main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "state", "MB", "family", "licence", "source", "tasks"]
    (line,) = [line for line in lines if line.startswith("clipseg-rd64 ")]
    assert " 605 " in line
    assert line.endswith("detects, masks, heatmaps")


def test_models_tells_the_options_of_one(capsys):
    assert cli.main(["models", "sam3", "--json"]) == 0
    options = json.loads(capsys.readouterr().out)["options"]
    assert options["segmenter"][0]["name"] == "multimask"
    assert {"name": "threshold", "takes": "a number in [0, 1]"}.items() <= options["grounder"][0].items()
    assert cli.main(["models", "florence-2-base"]) == 0
    printed = capsys.readouterr().out
    beams, again = (line for line in printed.splitlines() if line.startswith("num_beams"))
    assert again.split() == beams.split(), "as segmenter, too"
    assert beams.split("  ")[-1] == "beams of the search for an answer; 1 is greedy"
    assert " 3 " in beams, "the registry's default, not the family's"
    assert "coordinates" not in printed
    assert len([line for line in printed.splitlines() if line.startswith("heatmap ")]) == 1, "a segmenter has none"
    assert cli.main(["models", "depth-grabcut"]) == 0
    assert "no options as segmenter" in capsys.readouterr().out
    assert cli.main(["models", "nobody"]) == 2
    assert "no model is called 'nobody'; known are tabletop" in capsys.readouterr().err


def test_help_of_every_command_can_be_printed(capsys):
    for command in ("ground", "describe", "evaluate", "models"):
        with pytest.raises(SystemExit) as stopped:
            cli.main([command, "--help"])
        assert stopped.value.code == 0
    assert "--segmenter-option NAME=VALUE" in capsys.readouterr().out


def test_arguments_are_declared_once():
    parser = argparse.ArgumentParser()
    cli.cli_models.add_arguments(parser)
    assert parser.parse_args([]).segmenter_options == []
