"""The benchmark measures what it says, on a frame that is what it says."""

import itertools
import json
import sys
import time

import numpy as np
import pytest

from vlm_perception.evaluation import bench
from vlm_perception.evaluation.bench import bench_overhead, five_boxes, main
from vlm_perception.evaluation.timing import Timing, measure_call, peak_memory_mb, reset_peak_memory

NODE = {"conversions", "messages", "viewers", "drawing", "everything"}


def test_the_frame_has_five_objects_in_full_view(tmp_path):
    frame = five_boxes(tmp_path).frames[0]
    assert len(frame.instances) == 5
    assert (frame.camera.width, frame.camera.height) == (640, 480)
    for instance in frame.instances:
        x0, y0, x1, y1 = instance.box_xyxy
        assert x0 > 0
        assert y0 > 0
        assert x1 < 640
        assert y1 < 480
        assert instance.pixels > 1000


def test_percentiles():
    assert Timing.of(list(np.arange(101.0))) == Timing(50.0, 95.0)


def test_every_stage_is_measured():
    stages = bench_overhead(5, known_up=False)
    assert set(stages) - NODE == {"language", "geometry", "resolve", "overhead", "depth-grabcut"}
    parts = sum(stages[name].p50 for name in ("language", "geometry", "resolve"))
    assert stages["overhead"].p95 >= parts * 0.5


def test_the_nodes_work_is_measured_where_there_is_ros():
    pytest.importorskip("rclpy")
    stages = bench_overhead(5, known_up=True)
    assert set(stages) > NODE
    for stage in ("conversions", "messages", "viewers", "drawing"):
        assert stages[stage].p50 > 0
    assert stages["everything"].p95 >= stages["overhead"].p50 + stages["messages"].p50 * 0.5


def test_without_ros_the_pipeline_is_measured_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "vlm_perception.ros.overhead", None)
    assert not set(bench_overhead(1, known_up=True)) & NODE


def test_json(tmp_path, capsys):
    assert main(["--repeats", "3", "--json", str(tmp_path / "bench.json")]) == 0
    data = json.loads((tmp_path / "bench.json").read_text())
    assert data["overhead_ms"]["geometry"]["p50"] > 0
    assert "geometry" in capsys.readouterr().out


def test_options_reach_the_model_and_the_result(tmp_path, monkeypatch, capsys):
    asked = []
    real = bench.build_model

    def build(spec, **named):
        asked.append((spec, named["options"]))
        return real(spec, **named)

    monkeypatch.setattr(bench, "build_model", build)
    arguments = ["--repeats", "3", "--model", "tabletop", "--option", "nms_iou=0.3", "--option", "threshold=0.9"]
    assert main([*arguments, "--json", str(tmp_path / "bench.json")]) == 0
    assert asked == [("tabletop", {"nms_iou": 0.3, "threshold": 0.9})]
    assert json.loads((tmp_path / "bench.json").read_text())["options"] == {"nms_iou": 0.3, "threshold": 0.9}
    assert "nms_iou=0.3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model", "tabletop", "--option", "compile=3"], "'compile' must be true, false or the name"),
        (["--model", "depth-grabcut", "--option", "multimask=false"], "'depth-grabcut' has no option 'multimask'"),
        (
            ["--model", "kosmos-2", "--random-weights", "--option", "max_new_tokens=3"],
            "--new-tokens is how long answers are",
        ),
    ],
)
def test_wrong_options_are_explained(capsys, arguments, complaint):
    assert main(["--repeats", "1", *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_options_are_of_a_model(capsys):
    with pytest.raises(SystemExit):
        main(["--option", "compile=true"])
    assert "--option needs --model" in capsys.readouterr().err


def test_an_unknown_model_is_explained(capsys):
    assert main(["--repeats", "3", "--model", "no-such-model"]) == 2
    assert "no-such-model" in capsys.readouterr().err


def test_time_in_modules_is_told_from_time_around_them():
    import torch

    class Slow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(10, 10)

        def forward(self, x):
            time.sleep(0.03)
            return self.inner(x)

    module = Slow()

    def call():
        module(torch.zeros(1, 10))
        time.sleep(0.02)
        module(torch.zeros(1, 10))

    result = measure_call(call, 3)
    assert result["network"].p50 >= 60
    assert result["around"].p50 >= 20
    assert result["parameters_m"] == pytest.approx(110e-6)


def test_the_peak_counts_from_where_it_is_reset():
    reset_peak_memory()
    before = peak_memory_mb()
    block = np.ones(200 * 2**20 // 8)
    assert peak_memory_mb() > before + 150
    del block
    reset_peak_memory()
    assert peak_memory_mb() < before + 100


@pytest.mark.parametrize("arguments", [["--repeats", "0"], ["--model", "x", "--random-weights", "--new-tokens", "0"]])
def test_numbers_below_one_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "at least 1" in capsys.readouterr().err


def test_no_frame_is_the_one_before_it():
    """A model that remembers its last image would else be measured without the work on it."""
    image = np.zeros((4, 6, 3), np.uint8)
    frames = [next(camera).copy() for camera in [bench._two_frames(image)] for _ in range(4)]
    for first, second in itertools.pairwise(frames):
        assert not np.array_equal(first, second)
        assert np.abs(first.astype(int) - second).max() == 1
    assert not image.any()
