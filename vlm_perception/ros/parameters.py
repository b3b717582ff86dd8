"""The node's parameters: each declared with a description, a type and a range, and refused with the range in words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.parameter import Parameter

from vlm_perception.models.options import parse_option

if TYPE_CHECKING:
    from rclpy.node import Node


@dataclass(frozen=True)
class Settings:
    """A snapshot of the parameters, one field a parameter; units are in the names."""

    autostart: bool = True
    model: str = "tabletop"
    segmenter: str = "depth-grabcut"
    device: str = "auto"
    dtype: str = "auto"
    model_options: tuple[str, ...] = ()
    segmenter_options: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    target_frame: str = ""
    viewpoint: str = "camera"
    up_frame: str = ""
    score_threshold: float = -1.0
    max_input_age_s: float = 1.0
    input_timeout_s: float = 2.0
    sync_slop_s: float = 0.05
    sync_queue: int = 10
    image_transport: str = "raw"
    depth_transport: str = "raw"
    images_rectified: bool = False
    tf_timeout_s: float = 0.5
    command_queue: int = 100
    publish_debug_image: bool = True


@dataclass(frozen=True)
class _Spec:
    """What a parameter may be."""

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    may_be_empty: bool = True


_SPECS: dict[str, _Spec] = {
    "autostart": _Spec("Configure and activate without being asked; false: wait for a lifecycle manager."),
    "model": _Spec("Grounding model: a name of config/models.yaml, a hub id or a folder.", may_be_empty=False),
    "segmenter": _Spec(
        "Mask stage for boxes that come without a mask: a name, a hub id, a folder, or 'none'.", may_be_empty=False
    ),
    "device": _Spec("Where models run: auto, cpu, cuda, cuda:1 ...", may_be_empty=False),
    "dtype": _Spec(
        "Number format of the model's weights; auto: half precision on a GPU, float32 on a CPU.",
        choices=("auto", "float32", "float16", "bfloat16"),
    ),
    "model_options": _Spec(
        "Options of the model, each NAME=VALUE (boxes_from=heatmap, compile=true), over those of config/models.yaml."
    ),
    "segmenter_options": _Spec("Options of the segmenter, likewise (multimask=false, compile=true)."),
    "cameras": _Spec(
        "Names of the cameras to look through, each with its topics below its name (NAME/color/image_raw ...); empty:"
        " one camera, its topics without a name. Read at configure."
    ),
    "target_frame": _Spec("TF frame of every pose in the results; empty: the camera's optical frame."),
    "viewpoint": _Spec(
        "Where 'left' and 'in front of' are judged from: 'camera' or a TF frame with x forward and z up (REP 103).",
        may_be_empty=False,
    ),
    "up_frame": _Spec(
        "TF frame whose z is up; empty: target_frame if that is set, else the fitted support plane;"
        " 'support_plane': always the plane (for a target_frame that tilts, such as a gripper's)."
    ),
    "score_threshold": _Spec("Lowest detection score that counts; below 0: the model's own default.", -1.0, 1.0),
    "max_input_age_s": _Spec("Images older than this give STALE_INPUT and no targets.", 0.05, 3600.0),
    "input_timeout_s": _Spec("How long a command waits for the first images before it is NO_INPUT.", 0.0, 60.0),
    "sync_slop_s": _Spec("Stamps of color, depth and camera_info may differ by this much in one set.", 0.001, 1.0),
    "sync_queue": _Spec("Messages of each input kept while looking for its partners.", 1, 100),
    "image_transport": _Spec("Color: raw, or compressed (color/image_raw/compressed).", choices=("raw", "compressed")),
    "depth_transport": _Spec(
        "Depth: raw, compressed (png, depth/image_raw/compressed) or compressedDepth.",
        choices=("raw", "compressed", "compressedDepth"),
    ),
    "images_rectified": _Spec("The color images are rectified: use P of camera_info and no distortion."),
    "tf_timeout_s": _Spec("How long to wait for the transform at the image's stamp.", 0.0, 10.0),
    "command_queue": _Spec("Commands that may wait; one more is answered CANCELED at once.", 1, 10000),
    "publish_debug_image": _Spec("Offer debug_image; it is drawn only while someone subscribes."),
}
NAMES = tuple(_SPECS)
# What may stand before "/color/image_raw" in a topic's name.
_CAMERA_NAME = re.compile(r"/?[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*")


def declare(node: Node) -> None:
    """Declare every parameter on ``node``.

    Raises:
        rclpy.exceptions.ParameterException: an override has the wrong type or is out of range.
    """
    node.add_on_set_parameters_callback(check)
    for name, spec in _SPECS.items():
        default = getattr(Settings(), name)
        descriptor = ParameterDescriptor(name=name, description=spec.description)
        if spec.choices:
            descriptor.additional_constraints = "one of: " + ", ".join(spec.choices)
        if isinstance(default, float) and spec.low is not None and spec.high is not None:
            descriptor.floating_point_range = [FloatingPointRange(from_value=spec.low, to_value=spec.high)]
            # "1" on a command line is an integer to ROS; a number is a number, and check() is the type check.
            descriptor.dynamic_typing = True
        elif isinstance(default, int) and spec.low is not None and spec.high is not None:
            descriptor.integer_range = [IntegerRange(from_value=int(spec.low), to_value=int(spec.high))]
        if isinstance(default, tuple):
            # An empty list has no type to ROS ("[]" in a YAML file is no value at all), and check() is the type check.
            descriptor.dynamic_typing = True
            default = list(default) or [""]
        node.declare_parameter(name, default, descriptor)


def read(node: Node) -> Settings:
    """The parameters as they are now."""
    values: dict[str, Any] = {}
    for field in fields(Settings):
        value = node.get_parameter(field.name).value
        if isinstance(field.default, float):
            value = float(value)
        elif isinstance(field.default, tuple):
            value = to_names(value)
        values[field.name] = value
    for frame in ("target_frame", "up_frame", "viewpoint"):
        values[frame] = values[frame].strip().lstrip("/")  # TF frames have no slash
    return Settings(**values)


def to_names(value: Sequence[str] | None) -> tuple[str, ...]:
    """A list of names or options; ROS's ways to write an empty one ([], [""], no value) are all empty."""
    return tuple(name for name in value or () if name)


def check(parameters: Sequence[Parameter]) -> SetParametersResult:
    """Refuse what is not usable, with a message that names what is."""
    for parameter in parameters:
        spec = _SPECS.get(parameter.name)
        problem = _problem(parameter, spec) if spec is not None else ""
        if problem:
            return SetParametersResult(successful=False, reason=problem)
    return SetParametersResult(successful=True)


def _problem(parameter: Parameter, spec: _Spec) -> str:
    name, value = parameter.name, parameter.value
    default = getattr(Settings(), name)
    wanted: dict[type, tuple[str, Callable[[Any], bool]]] = {
        bool: ("true or false", lambda v: isinstance(v, bool)),
        str: ("a string", lambda v: isinstance(v, str)),
        int: ("an integer", lambda v: isinstance(v, int) and not isinstance(v, bool)),
        float: ("a number", lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)),
        tuple: ("a list of strings", _is_list_of_strings),
    }
    words, fits = wanted[type(default)]
    if spec.low is not None:
        words = f"{words} from {spec.low:g} to {spec.high:g}"
    if not fits(value):
        return f"{name} must be {words}, not {value!r}"
    if spec.low is not None and spec.high is not None:
        if not math.isfinite(value) or not spec.low <= value <= spec.high:
            return f"{name} must be {words}, not {value!r}"
    if spec.choices and value not in spec.choices:
        return f"{name} must be one of {', '.join(spec.choices)}; not {value!r}"
    if isinstance(default, tuple):
        return _LIST_PROBLEMS[name](name, to_names(value))
    if isinstance(value, str) and not value.strip() and not spec.may_be_empty:
        return f"{name} must not be empty. {spec.description}"
    return ""


def _is_list_of_strings(value: Any) -> bool:
    if value is None:
        return True
    return not isinstance(value, str | bytes) and isinstance(value, Sequence) and all(isinstance(v, str) for v in value)


def _options_problem(parameter: str, options: Sequence[str]) -> str:
    for option in options:
        try:
            parse_option(option)
        except ValueError as error:
            return f"{parameter}: {error}"
    return ""


def _names_problem(parameter: str, names: Sequence[str]) -> str:
    for name in names:
        if _CAMERA_NAME.fullmatch(name) is None or "__" in name:
            return (
                f"{parameter} must be names that can stand in a topic, such as front or left_wrist (letters, digits,"
                f" single underscores), not {name!r}"
            )
    if len(set(names)) < len(names):
        return f"{parameter} must name each camera once, not {', '.join(names)}"
    return ""


_LIST_PROBLEMS: dict[str, Callable[[str, Sequence[str]], str]] = {
    "cameras": _names_problem,
    "model_options": _options_problem,
    "segmenter_options": _options_problem,
}
