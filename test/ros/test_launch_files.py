"""The launch files: which value of a parameter wins, and what the node gets."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
import launch_xml
import yaml
from perception_harness import ROOT
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import Parameter

from vlm_perception.ros import parameters

RUNNER = (sys.executable, str(ROOT / "underlay" / "tools" / "launch_xml.py"))
PERCEPTION, TWO_CAMERAS, DEMO = (
    ROOT / "launch" / f"{name}.launch.xml" for name in ("perception", "two_cameras", "demo")
)
BOTH = pytest.mark.parametrize("file", [PERCEPTION, TWO_CAMERAS], ids=lambda file: file.name)
# What is asked for on the command line, and what the node is to get.
GIVEN = {
    "model": ("owlv2-base", "owlv2-base"),
    "segmenter": ("none", "none"),
    "device": ("cuda:1", "cuda:1"),
    "dtype": ("float32", "float32"),
    "model_options": ("[compile=true, boxes_from=heatmap]", ["compile=true", "boxes_from=heatmap"]),
    "segmenter_options": ("['multimask=false']", ["multimask=false"]),
    "threshold": ("0.4", 0.4),
    "target_frame": ("odom", "odom"),
    "viewpoint": ("base_link", "base_link"),
    "use_sim_time": ("true", True),
}
TRANSPORTS = {"image_transport": ("compressed", "compressed"), "depth_transport": ("compressedDepth", "compressedDepth")}


def arguments_of(file: Path) -> dict[str, tuple]:
    return GIVEN | TRANSPORTS if file == PERCEPTION else GIVEN


def parameter(argument: str) -> str:
    return "score_threshold" if argument == "threshold" else argument


def package_file(file: Path) -> Path:
    return ROOT / "config" / file.name.replace(".launch.xml", ".yaml")


def params_file(folder: Path, **values) -> str:
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}))
    return str(file)


@pytest.fixture
def started(tmp_path):
    """The parameters that a launch file starts the perception node with; as for ROS, the last value wins."""

    def read(file: Path, **given: str) -> dict[str, object]:
        launch = launch_xml.read_launch_file(file, given, folder=tmp_path)
        (command,) = (p.command for p in launch.processes if Path(p.command[0]).name == "perception_node")
        values: dict[str, object] = {}
        for word, path in pairwise(command):
            if word == "--params-file":
                ((_, section),) = yaml.safe_load(Path(path).read_text()).items()
                values |= section["ros__parameters"]
        return {name: value for name, value in values.items() if name in (*parameters.NAMES, "use_sim_time")}

    return read


def in_file(file: Path) -> dict[str, object]:
    return yaml.safe_load(package_file(file).read_text())["/**"]["ros__parameters"]


@BOTH
def test_without_arguments_it_is_what_the_package_says(started, file):
    assert started(file) == in_file(file)


@BOTH
def test_a_params_file_wins_over_the_package(started, tmp_path, file):
    mine = {parameter(name): value for name, (_, value) in arguments_of(file).items()}
    assert started(file, params_file=params_file(tmp_path, **mine)) == in_file(file) | mine


@BOTH
def test_a_params_file_needs_to_say_only_what_is_to_differ(started, tmp_path, file):
    mine = {"model": "owlv2-base", "sync_slop_s": 0.1}
    assert started(file, params_file=params_file(tmp_path, **mine)) == in_file(file) | mine


@BOTH
def test_what_is_given_wins_over_a_params_file(started, tmp_path, file):
    """Each argument alone: it wins, and leaves all else to the file."""
    mine = {
        "model": "tabletop", "segmenter": "sam", "device": "cpu", "dtype": "bfloat16", "model_options": ["threshold=0.5"],
        "segmenter_options": ["compile=true"], "score_threshold": 0.9, "target_frame": "map", "viewpoint": "torso",
        "use_sim_time": False, "image_transport": "raw", "depth_transport": "compressed",
    }  # fmt: skip
    path = params_file(tmp_path, **mine)
    for name, (text, value) in arguments_of(file).items():
        wanted = in_file(file) | mine | {parameter(name): value}
        assert started(file, params_file=path, **{name: text}) == wanted, name


@BOTH
def test_an_empty_frame_can_be_given(started, tmp_path, file):
    """To go back to the camera's own frame, where the file names another."""
    path = params_file(tmp_path, target_frame="base_link")
    assert started(file, params_file=path, target_frame="")["target_frame"] == ""


@BOTH
def test_all_that_can_be_given_is_accepted_by_the_node(started, file):
    values = started(file, **{name: text for name, (text, _) in arguments_of(file).items()})
    assert {name: values[parameter(name)] for name in GIVEN} == {name: value for name, (_, value) in GIVEN.items()}
    for name, value in values.items():
        result = parameters.check([Parameter(name, value=value)])
        assert result.successful, result.reason


@pytest.mark.parametrize("text", ["compile=true", "[1, 2]", "1"])
def test_options_that_are_no_list_of_strings_are_refused_by_the_node(started, text):
    value = started(PERCEPTION, model_options=text)["model_options"]
    result = parameters.check([Parameter("model_options", value=value)])
    assert not result.successful
    assert "model_options must be a list of strings" in result.reason


def test_options_that_are_a_mapping_are_refused_by_launch(started):
    with pytest.raises(launch_xml.LaunchError, match=r"'model_options' is '\{compile: true\}'"):
        started(PERCEPTION, model_options="{compile: true}")


def test_the_demo_passes_on_what_the_node_takes(started):
    assert started(DEMO) == in_file(PERCEPTION) | {"target_frame": "world"}
    values = started(DEMO, **{name: text for name, (text, _) in GIVEN.items()})
    assert {name: values[parameter(name)] for name in GIVEN} == {name: value for name, (_, value) in GIVEN.items()}


def test_rviz_has_the_clock_of_the_node(tmp_path, monkeypatch):
    """And a clock of its own only where one is given."""
    monkeypatch.setattr(launch_xml, "get_package_prefix", lambda _: str(tmp_path))
    for package, name in (("rviz2", "rviz2"), ("vlm_perception", "perception_node")):
        program = tmp_path / "lib" / package / name
        program.parent.mkdir(parents=True)
        program.touch(0o755)
    for given, clock in (({}, {}), ({"use_sim_time": "true"}, {"use_sim_time": True})):
        launch = launch_xml.read_launch_file(PERCEPTION, {"rviz": "true"} | given, folder=tmp_path)
        rviz = launch.processes[1].command
        values = yaml.safe_load(Path(rviz[rviz.index("--params-file") + 1]).read_text())["/**"]["ros__parameters"]
        assert {name: value for name, value in values.items() if name != "not_given"} == clock


def test_a_node_that_was_launched_has_them(start_node, session_harness, tmp_path):
    """The real node, without its images and its model: a file of one's own, an argument, and the package's rest."""
    path = params_file(tmp_path, autostart=False, model="in-the-file", segmenter="none", score_threshold=1, tf_timeout_s=2.0)
    start_node(
        (*RUNNER, str(TWO_CAMERAS), f"params_file:={path}", "model:=given", "model_options:=[a=1, b=x]", "viewpoint:=1")
    )
    wanted = {
        "model": "given", "segmenter": "none", "score_threshold": 1, "tf_timeout_s": 2.0, "viewpoint": "1",
        "model_options": ["a=1", "b=x"], "cameras": ["front", "wrist"], "target_frame": "base_link", "device": "auto",
    }  # fmt: skip
    client = session_harness.node.create_client(GetParameters, "/vlm_perception/get_parameters")
    asked = [client.call_async(GetParameters.Request(names=names)) for names in (list(wanted), ["not_given"])]
    session_harness.wait(lambda: all(future.done() for future in asked))
    session_harness.node.destroy_client(client)
    values, not_given = (future.result().values for future in asked)
    assert {name: _python(value) for name, value in zip(wanted, values, strict=True)} == wanted
    assert not not_given, "no such parameter"


def _python(value) -> object:
    return {
        ParameterType.PARAMETER_STRING: value.string_value,
        ParameterType.PARAMETER_DOUBLE: value.double_value,
        ParameterType.PARAMETER_INTEGER: value.integer_value,
        ParameterType.PARAMETER_STRING_ARRAY: list(value.string_array_value),
    }[value.type]
