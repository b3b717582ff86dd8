"""The README's commands without ROS do what it says when they are pasted."""

import json
import re
import shlex
from pathlib import Path
from string import Template

import launch_xml
import numpy as np
import pytest

from vlm_perception import cli
from vlm_perception.describing import DescribeRequest, DescribeTask
from vlm_perception.evaluation.dataset import load_rgbd_rec
from vlm_perception.files import load_frame, parse_camera
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.pipeline import Pipeline
from vlm_perception.resources import asset_path
from vlm_perception.types import Status

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORDING = asset_path("recordings", "libero_90")


def pasted():
    """The commands of the block that names a frame, as a shell hands them over, by subcommand."""
    (block,) = re.findall(r"```bash\n(frame=.*?)```", README, re.DOTALL)
    first, *commands = block.splitlines()
    frame = first.removeprefix("frame=")
    return {words[1]: words[1:] for words in (shlex.split(Template(line).substitute(frame=frame)) for line in commands)}


@pytest.fixture
def run(monkeypatch, tmp_path):
    def of(arguments):
        monkeypatch.chdir(ROOT)
        code = cli.main([*arguments, "--out", str(tmp_path)])
        return code, json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))

    return of


def test_ground_finds_the_red_mug_where_it_is(run, capfd):
    code, result = run(pasted()["ground"])
    assert code == 0
    assert capfd.readouterr().err == ""
    (target,) = result["groundings"]
    assert (target["role"], target["phrase"]) == ("target", "red mug")
    (truth,) = (i for i in load_rgbd_rec(RECORDING).frame("libero_90-71-00").instances if "red mug" in i.labels)
    assert np.linalg.norm(np.subtract(target["pose"]["surface_centroid_m"], truth.visible_centroid_m)) < 0.01


def test_describe_verifies_what_is_so(run):
    code, result = run(pasted()["describe"])
    assert (code, result["status"], [claim["holds"] for claim in result["claims"]]) == (0, "SUCCEEDED", [True])


def test_an_invalid_command_exits_with_1_and_a_missing_file_with_2(run):
    ground = pasted()["ground"]
    assert run([*ground[:-1], "?"])[0] == 1
    describe = pasted()["describe"]
    code, result = run([word if word != "verify" else "caption" for word in describe])
    assert (code, result["status"]) == (1, "INVALID_COMMAND")
    assert cli.main([*ground[:-1], "the mug", "--color", "none.png"]) == 2


def test_the_first_three_kinds_of_words_need_no_model_that_speaks():
    """As the table says; the text of ``check`` is a caption that is given."""
    section = README[README.index("### Words about the scene") :]
    rows = [line for line in section[: section.index("## What it understands")].splitlines() if line.startswith("| `")]
    assert "first three rows need a detector only" in section
    texts = {"verify": "the red mug is left of the white mug", "check": "a red mug", "count": "mugs", "point": "the red mug"}
    tasks = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in rows]
    assert [task for row in tasks[:3] for task in row] == list(texts)
    folder = RECORDING / "frames" / "libero_90-71-00"
    frame = load_frame(folder / "color.png", folder / "depth.png", folder / "camera.json")
    pipeline = Pipeline(build_model("tabletop"), build_segmenter("depth-grabcut"))
    for task in (task for row in tasks for task in row):
        box = (10.0, 10.0, 60.0, 60.0) if task in ("region", "category") else None
        text = texts.get(task, "what is there?" if task == "ask" else "")
        answer = pipeline.describe(frame, DescribeRequest(DescribeTask(task), text, region_xyxy=box))
        assert answer.status is (Status.SUCCEEDED if task in texts else Status.INVALID_COMMAND), task
        assert task in texts or "qwen3-vl-2b" in answer.message, "names those that can"


def test_the_camera_file_shown_is_one():
    (shown,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    camera = parse_camera(json.loads(shown), 640, 480)
    folder = RECORDING / "frames" / "libero_90-71-00"
    shipped = load_frame(folder / "color.png", folder / "depth.png", folder / "camera.json")
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx(
        (shipped.camera.fx, shipped.camera.fy, shipped.camera.cx, shipped.camera.cy), abs=0.02
    )
    recorded = load_rgbd_rec(RECORDING).frame("libero_90-71-00").load()
    assert shipped.camera == recorded.camera
    np.testing.assert_array_equal(shipped.depth_m, recorded.depth_m)


def test_what_the_readme_links_to_is_there():
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        if "://" not in link:
            assert (ROOT / link).exists(), link


def test_launch_files_and_their_arguments():
    section = README[README.index("### Launch files") :]
    section = section[: section.index("\n### ", 1)]
    listed = {row[0]: row[1:] for row in (re.findall(r"`([\w.]+)`", line) for line in section.splitlines() if line.startswith("| `"))}
    files = sorted((ROOT / "launch").glob("*.launch.xml"))
    assert sorted(listed) == [file.name for file in files]
    for file in files:
        assert listed[file.name] == [argument.name for argument in launch_xml.declared_arguments(file)], file.name
