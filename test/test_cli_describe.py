"""``vlm-perception describe`` and ``--heatmap`` on files, with a model whose words are known."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from cube_scene import scene, write_scene
from describing_models import GREEN, Speaker, middle_m, tied

from vlm_perception import cli
from vlm_perception.attention import attention_image, phrase_of
from vlm_perception.draw import draw_heatmap
from vlm_perception.models import factory
from vlm_perception.models.base import Capabilities, GroundedText
from vlm_perception.types import CommandError


class Looker(Speaker):
    """Also shows where it looked: at the green cube, whatever the phrase."""

    def heatmap(self, image_rgb, phrase):
        x0, y0, x1, y1 = (int(v) for v in GREEN)
        heat = np.zeros(image_rgb.shape[:2], np.float32)
        heat[y0:y1, x0:x1] = 0.4
        return heat


@pytest.fixture
def model(monkeypatch):
    can = dict.fromkeys(("detects", "captions", "answers", "describes_regions", "names_regions", "heatmaps"), True)
    looker = Looker(capabilities=Capabilities(**can), said=tied("A green cube.", ("A green cube", (GREEN,))))
    monkeypatch.setattr(factory, "build_model", lambda *_, **__: looker)
    return looker


@pytest.fixture
def files(tmp_path):
    at = write_scene(tmp_path)
    color = ["--color", at["--color"], "--out", at["--out"]]
    return [*color, "--depth", at["--depth"], "--camera", at["--camera"]], color, tmp_path / "out"


def test_a_caption_from_files(model, files, capsys) -> None:
    rgbd, _, out = files
    assert cli.main(["describe", *rgbd, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((out / "result.json").read_text())
    assert (result["task"], result["status"], result["answer"]) == ("caption", "SUCCEEDED", "A green cube.")
    assert result["hyperlinks"].startswith("<phrase>A green cube</phrase><object>")
    np.testing.assert_allclose(result["groundings"][0]["pose"]["surface_centroid_m"], middle_m(1), atol=0.004)
    assert cv2.imread(str(out / "overlay.png")).shape == (240, 320, 3)
    assert not (out / "heatmap.png").exists()


def test_tasks_and_their_arguments_reach_the_model(model, files, capsys) -> None:
    _, color, _ = files
    assert cli.main(["describe", *color, "what is it?"]) == 0
    assert cli.main(["describe", *color, "--region", "140,100,180,140"]) == 0
    assert cli.main(["describe", *color, "--region", "150,110 170,130"]) == 0
    assert model.asked[0] == ("answer", "what is it?")
    assert model.asked[1:] == [("region", GREEN), ("region", GREEN)]
    model.capabilities = replace(model.capabilities, reads_text=True)
    for task in ("category", "read"):
        assert cli.main(["describe", *color, "--task", task, "--region", "140,100,180,140"]) == 0
    assert model.asked[3:] == [("name", GREEN), ("read", GREEN)]
    assert "A green cube." in capsys.readouterr().out


def test_a_question_about_a_region_is_asked(model, files, capsys) -> None:
    _, color, _ = files
    assert cli.main(["describe", *color, "is this mug chipped?", "--region", "140,100,180,140"]) == 0
    assert model.asked == [("answer", "is this mug chipped?")]
    assert "heard   is this mug chipped?" in capsys.readouterr().out
    assert cli.main(["describe", *color, "--task", "region", "the green cube"]) == 0
    assert model.asked[1:] == [("region", GREEN)]
    capsys.readouterr()
    assert cli.main(["describe", *color, "--task", "caption", "only the drinks, please"]) == 1
    assert "takes no text" in capsys.readouterr().out


def test_a_check_prints_every_claim(model, files, capsys) -> None:
    _, color, _ = files
    assert cli.main(["describe", *color, "--task", "check", "A green cube left of a purple giraffe."]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines() if "giraffe" in line and "see no" in line] == ["NO", "NO"]
    assert "yes    a green cube" in printed


def test_what_cannot_be_done_exits_with_a_reason(model, files, capsys) -> None:
    _, color, _ = files
    assert cli.main(["describe", *color, "--task", "read"]) == 1
    assert "'speaker' cannot read text; models that can" in capsys.readouterr().out
    assert cli.main(["describe", *color, "--depth", "d.png"]) == 2
    assert "--depth needs --camera" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["describe", *color, "--region", "1,2,3"])
    model.capabilities = Capabilities(detects=True)
    assert cli.main(["describe", *color, "--task", "count", "cubes", "--heatmap", "cube"]) == 2
    assert "cannot give heatmaps" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["ground", "the green cube"], ["describe"]])
def test_heatmaps_are_written(model, files, capsys, command) -> None:
    rgbd, _, out = files
    assert cli.main([*command, *rgbd, "--heatmap", "green cube"]) == 0
    assert "heatmap.png" in "".join(capsys.readouterr())
    picture = cv2.imread(str(out / "heatmap.png"))[:, :, ::-1].astype(int)
    red, blue = picture[120, 160, 0], picture[120, 160, 2]
    assert red > blue + 50, "hottest where it looked"
    assert np.ptp(picture[20, 20]) == 0, "and grey elsewhere"


def test_a_heatmap_of_nothing_is_a_grey_picture() -> None:
    color = scene().color_rgb
    drawn = draw_heatmap(color, np.zeros(color.shape[:2], np.float32), "nothing")
    assert drawn.shape == color.shape
    assert (np.ptp(drawn[:200].astype(int), axis=-1) == 0).all()


def test_attention_is_of_the_first_thing_named(model) -> None:
    from vlm_perception.pipeline import Pipeline

    pipeline = Pipeline(model, None)
    assert phrase_of(pipeline.answer(scene(), "the red cube left of the green cube")) == "red cube"
    assert phrase_of(pipeline.answer(scene(), "describe the scene")) == "A green cube"
    model.said = GroundedText("")
    assert phrase_of(pipeline.answer(scene(), "describe the scene")) == ""
    with pytest.raises(CommandError, match="models that can: tabletop"):
        attention_image(Speaker(), scene().color_rgb, "cube")
