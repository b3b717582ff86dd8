"""How long everything takes: the stages that are not the model, and a model beside the plain library call.

./dev bench [--model NAME [--option NAME=VALUE ...] [--random-weights [--new-tokens N]]] [--json FILE]

With ``--random-weights`` a checkpoint of the model's real architecture is made on the spot, so that its speed can be
measured without its weights. With random weights nothing sensible is found; what is not the model is therefore
measured apart, on a frame with five objects.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.table import Table

from vlm_perception import language
from vlm_perception.cli_models import add_option
from vlm_perception.evaluation.dataset import RgbdRecDataset, write_rgbd_rec
from vlm_perception.evaluation.oracle import OracleModel
from vlm_perception.evaluation.plain import plain_call
from vlm_perception.evaluation.random_weights import RECIPES, random_checkpoint
from vlm_perception.evaluation.synthetic import TableBox, table_scene
from vlm_perception.evaluation.timing import Timing, measure_call, peak_memory_mb, reset_peak_memory, time_calls
from vlm_perception.models.base import RgbImage
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.options_check import with_defaults
from vlm_perception.models.registry import load_registry
from vlm_perception.models.runtime import free_memory
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import Answer, ModelError, RgbdFrame, VlmPerceptionError

COMMAND = "pick up the red box to the left of the blue box"
PHRASES = ("red box", "blue box", "box")
_NOT_MODEL = ("language", "geometry", "resolve")


def five_boxes(folder: Path) -> RgbdRecDataset:
    """A 640x480 frame with five boxes on a table, written to and read from ``folder``."""
    colors = {
        "red": (200, 40, 40),
        "blue": (40, 60, 200),
        "green": (40, 160, 60),
        "yellow": (220, 200, 40),
        "white": (235, 235, 235),
    }
    spots = [(0.05, 0.18), (0.0, -0.02), (-0.12, 0.1), (-0.1, -0.16), (0.16, -0.2)]
    boxes = [
        TableBox(f"{name} box", rgb, spot, (0.08, 0.06, 0.05 + 0.01 * k), yaw=0.3 * k)
        for k, ((name, rgb), spot) in enumerate(zip(colors.items(), spots, strict=True))
    ]
    return write_rgbd_rec(folder, [table_scene(boxes)], [], source="synthetic")


def bench_overhead(repeats: int, *, known_up: bool) -> dict[str, Timing]:
    """Stages around a model that costs nothing, on a frame with five objects.

    Args:
        repeats: commands asked, after three to warm up.
        known_up: whether "up" is given, as with TF, or found in the depth image.

    Returns:
        Stage to time. ``overhead`` is all of the pipeline that is not detection, with masks that the model gave.
        Where ROS is, the node's ``conversions``, ``messages``, ``viewers`` and ``drawing`` follow, and ``everything``
        is overhead, conversions and messages: what a node does that nobody watches. ``depth-grabcut`` is what five
        masks cost when the model gives none.
    """
    with tempfile.TemporaryDirectory() as folder:
        dataset = five_boxes(Path(folder))
        frame = dataset.frames[0]
        images = frame.load()
        pipeline = Pipeline(OracleModel(frame), None)
        up = frame.up_camera if known_up else None
        stages: dict[str, list[float]] = {}
        for number in range(repeats + 3):
            language.parse.cache_clear()  # a new command each time
            answer = pipeline.answer(images, COMMAND, up_camera=up)
            if len(answer.objects) != len(frame.instances):
                raise VlmPerceptionError(
                    f"the benchmark's command should meet {len(frame.instances)} objects, it met "
                    f"{len(answer.objects)}: {answer.status.name}, {answer.message}"
                )
            if number < 3:
                continue
            for stage in _NOT_MODEL:
                stages.setdefault(stage, []).append(answer.latency_ms[stage])
            overhead = answer.latency_ms["total"] - answer.latency_ms["detect"]
            stages.setdefault("overhead", []).append(overhead)
        node = {name: time_calls(call, repeats) for name, call in _node_calls(images, answer).items()}
        stages.update(node)
        if node:
            parts = (stages["overhead"], node["conversions"], node["messages"])
            stages["everything"] = [sum(values) for values in zip(*parts, strict=True)]
        segmenter = DepthGrabCut()
        boxes = [instance.box_xyxy for instance in frame.instances]
        stages["depth-grabcut"] = time_calls(
            lambda: segmenter.segment(images.color_rgb, boxes, depth_m=images.depth_m), max(3, repeats // 10)
        )
    return {stage: Timing.of(values) for stage, values in stages.items()}


def _node_calls(frame: RgbdFrame, answer: Answer) -> Mapping[str, Callable[[], object]]:
    """The node's own work; none without ROS."""
    try:
        from vlm_perception.ros.overhead import node_calls
    except ImportError:
        return {}
    return node_calls(frame, answer)


def bench_model(
    name: str,
    device: str,
    repeats: int,
    *,
    dtype: str = "auto",
    options: Mapping[str, object] | None = None,
    random_weights: bool = False,
    new_tokens: int = 32,
) -> dict[str, Any]:
    """A model beside the plain ``transformers`` call on the same image, phrases or boxes.

    Of the options the plain call has the length of answers and the number of beams, so that what the others
    (``compile``, ``load_in_8bit`` ...) change is the difference.

    Args:
        name: registry name, hub id or folder; with ``random_weights`` a registry name.
        device: as in ``build_model``.
        repeats: calls of each.
        dtype: as in ``build_model``.
        options: as in ``build_model`` or ``build_segmenter``.
        random_weights: make a checkpoint of the model's architecture instead of loading its own.
        new_tokens: with ``random_weights``, how long each answer of a model that writes is: they never stop.

    Returns:
        ``ours``, of which ``network`` is spent in the networks' modules and ``around`` is not; ``plain`` (or
        ``plain_missing``, why there is none); ``parameters_m`` in millions, the peak memory, and ``new_tokens`` where
        the length of answers was fixed.

    Raises:
        ModelError: the model cannot be loaded, or has no recorded architecture.
    """
    with tempfile.TemporaryDirectory() as folder:
        frame = five_boxes(Path(folder)).frames[0]
        image = frame.load().color_rgb
        boxes = [instance.box_xyxy for instance in frame.instances]
    camera = _two_frames(image)
    with tempfile.TemporaryDirectory() as folder:
        entry, spec = load_registry().get(name), name
        segments = entry is not None and entry.roles == ("segmenter",)
        given: dict[str, Any] = dict(options or {})
        if random_weights:
            if "max_new_tokens" in given:
                raise ModelError("with random weights, --new-tokens is how long answers are, not 'max_new_tokens'")
            entry, spec = random_checkpoint(name, Path(folder), new_tokens=new_tokens), folder
            if RECIPES[entry.model_type].writes:
                given["max_new_tokens"] = new_tokens
            given = with_defaults(entry, "segmenter" if segments else "grounder", given)
            free_memory()
        reset_peak_memory()
        model: Any
        if segments:
            model = build_segmenter(spec, device=device, dtype=dtype, options=given)
            if model is None:
                raise ModelError(f"'{name}' is no model, so there is nothing to measure")
            ours: Callable[[], object] = lambda: model.segment(next(camera), boxes)  # noqa: E731
        else:
            model = build_model(spec, device=device, dtype=dtype, options=given)
            ours = lambda: model.detect([next(camera)], PHRASES)  # noqa: E731
        result: dict[str, Any] = measure_call(ours, repeats)
        result["peak_memory_mb"] = peak_memory_mb()
        if "max_new_tokens" in given and random_weights:
            result["new_tokens"] = given["max_new_tokens"]
        model.close()
        generation = {**(entry.defaults if entry is not None else {}), **given}
        try:
            call = plain_call(spec, device, image, PHRASES, boxes, dtype=dtype, generation=generation)
        except ModelError as error:
            result["plain_missing"] = str(error)
        else:
            result["plain"] = Timing.of(time_calls(call, repeats))
    return result


def _two_frames(image_rgb: RgbImage) -> Iterator[RgbImage]:
    """Two images by turns, a camera's frames never being the same: what a model remembers of the last is not measured."""
    other = image_rgb.copy()
    other[0, 0] ^= 1
    return itertools.cycle((image_rgb, other))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench", description="Latency of every stage, and of a model.")
    parser.add_argument("--model", help="registry name, hub id or folder (default: only what is not the model)")
    parser.add_argument(
        "--random-weights", action="store_true", help="measure MODEL's architecture without its weights"
    )
    parser.add_argument(
        "--new-tokens", type=int, default=32, help="tokens of each answer of a model that writes, with --random-weights"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", help="auto, float32, float16 or bfloat16")
    add_option(parser, "--option", "model_options", "an option of MODEL, e.g. compile=true or load_in_4bit=true")
    parser.add_argument("--repeats", type=int, default=100, help="of the stages; a model runs a fifth as often")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args(argv)
    if options.random_weights and not options.model:
        parser.error("--random-weights needs --model")
    if options.model_options and not options.model:
        parser.error("--option needs --model")
    if options.repeats < 1 or options.new_tokens < 1:
        parser.error("--repeats and --new-tokens must be at least 1")
    try:
        result: dict[str, Any] = {
            "frame": "640x480, 5 objects",
            "opencv_threads": cv2.getNumThreads(),
            "overhead_ms": bench_overhead(options.repeats, known_up=True),
            "overhead_without_tf_ms": bench_overhead(options.repeats, known_up=False),
        }
        if options.model:
            result["model"] = options.model
            result["random_weights"] = options.random_weights
            result["options"] = dict(options.model_options)
            result["model_ms"] = bench_model(
                options.model,
                options.device,
                max(1, options.repeats // 5),
                dtype=options.dtype,
                options=result["options"],
                random_weights=options.random_weights,
                new_tokens=options.new_tokens,
            )
    except VlmPerceptionError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    _print(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, default=asdict) + "\n", encoding="utf-8")
        print(f"wrote {options.json}")
    return 0


def _print(result: Mapping[str, Any]) -> None:
    table = Table(title=f"ms a frame ({result['frame']})", title_justify="left")
    for column in ("", "p50", "p95"):
        table.add_column(column, justify="left" if not column else "right")
    for title, key in (("up known (TF)", "overhead_ms"), ("up from depth", "overhead_without_tf_ms")):
        table.add_row(f"[b]{title}[/]", "", "")
        for stage, timing in result[key].items():
            table.add_row(f"  {stage}", f"{timing.p50:.2f}", f"{timing.p95:.2f}")
    model = result.get("model_ms", {})
    if model:
        note = ", random weights" if result["random_weights"] else ""
        note += "".join(f", {name}={value}" for name, value in result["options"].items())
        table.add_row(f"[b]{result['model']}[/] ({model['parameters_m']:.1f} M parameters{note})", "", "")
        titles = {"ours": "ours", "network": "  in the network", "around": "  around it", "plain": "plain transformers"}
        for name, title in titles.items():
            if name in model:
                table.add_row(f"  {title}", f"{model[name].p50:.1f}", f"{model[name].p95:.1f}")
        overhead = result["overhead_ms"]
        share = overhead.get("everything", overhead["overhead"]).p50 / model["ours"].p50
        table.add_row("  overhead of all that is not the model", f"{share:.1%}", "")
    console = Console()
    console.print(table)
    if "new_tokens" in model:
        console.print(f"each answer is {model['new_tokens']} tokens long")
    if "plain_missing" in model:
        console.print(f"no plain call: {model['plain_missing']}")
    if model:
        console.print(f"peak memory: {model['peak_memory_mb']:.0f} MB")


if __name__ == "__main__":
    raise SystemExit(main())
