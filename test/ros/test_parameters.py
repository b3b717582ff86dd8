"""The parameters file, the declared parameters and the settings name the same things."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
import yaml
from rclpy.parameter import Parameter

from vlm_perception.ros import parameters

CONFIG = Path(__file__).resolve().parents[2] / "config" / "perception.yaml"


def test_the_file_holds_every_default():
    in_file = yaml.safe_load(CONFIG.read_text())["/**"]["ros__parameters"]
    for name in ("cameras", "model_options", "segmenter_options"):
        in_file[name] = parameters.to_names(in_file[name])
    assert in_file == asdict(parameters.Settings())


def test_every_setting_is_declared():
    assert set(parameters.NAMES) == {field.name for field in fields(parameters.Settings)}


@pytest.mark.parametrize("name", parameters.NAMES)
def test_defaults_are_allowed(name):
    assert parameters.check([Parameter(name, value=getattr(parameters.Settings(), name))]).successful


@pytest.mark.parametrize("name", parameters.NAMES)
def test_every_other_type_is_refused(name):
    default = getattr(parameters.Settings(), name)
    for value in (True, 1, 1.0, "x", [1.0], [b"\0"]):
        allowed = type(value) is type(default) or (isinstance(default, float) and type(value) is int)
        if not allowed:
            result = parameters.check([Parameter(name, value=value)])
            assert not result.successful, (name, value)
            assert name in result.reason


def test_unknown_names_are_others_business():
    assert parameters.check([Parameter("use_sim_time", value=True)]).successful


@pytest.mark.parametrize("empty", [[], [""], (), None])
def test_every_way_to_write_an_empty_list_is_empty(empty):
    assert parameters.check([Parameter("cameras", value=empty)]).successful
    assert parameters.to_names(empty) == ()


@pytest.mark.parametrize("parameter", ["model_options", "segmenter_options"])
def test_options_are_names_and_values(parameter):
    assert parameters.check([Parameter(parameter, value=["compile=true", "boxes_from=heatmap"])]).successful
    for wrong in ("compile", "=true", "a=[1"):
        result = parameters.check([Parameter(parameter, value=["compile=true", wrong])])
        assert not result.successful
        assert wrong in result.reason


@pytest.mark.parametrize("names", [["front"], ["front", "wrist"], ["/robot/front", "arm_2/wrist"]])
def test_camera_names_that_can_stand_in_a_topic(names):
    assert parameters.check([Parameter("cameras", value=names)]).successful


@pytest.mark.parametrize("name", ["the wrist", "2nd", "front/", "a__b", "~", "front-left", "{node}", "/"])
def test_other_camera_names_are_refused(name):
    result = parameters.check([Parameter("cameras", value=["front", name])])
    assert not result.successful
    assert repr(name) in result.reason


def test_a_camera_is_named_once():
    result = parameters.check([Parameter("cameras", value=["front", "front"])])
    assert not result.successful
    assert "front, front" in result.reason
