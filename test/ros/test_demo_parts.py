"""The demo's judgement, files and processes, each on its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from std_msgs.msg import Header
from vlm_perception.msg import GroundedObject, GroundingResult, StageLatency

from vlm_perception.evaluation.dataset import DatasetFrame, RgbdRecDataset, load_rgbd_rec
from vlm_perception.geometry.transforms import transform_points
from vlm_perception.ros import demo
from vlm_perception.ros.conversions import rgb_to_image
from vlm_perception.ros.demo_files import write_overlay, write_ply
from vlm_perception.ros.demo_processes import ProcessError, Processes, free_domain
from vlm_perception.ros.demo_session import Reply
from vlm_perception.ros.demo_truth import find_truth, judge
from vlm_perception.ros.messages import to_points
from vlm_perception.ros.player_sources import BUNDLED_RECORDING
from vlm_perception.types import Answer, Grounding, ObjectGeometry, Role, SceneObject, Status, VlmPerceptionError


@pytest.fixture(scope="module")
def dataset() -> RgbdRecDataset:
    return load_rgbd_rec(BUNDLED_RECORDING)


@pytest.fixture
def frame(dataset: RgbdRecDataset) -> DatasetFrame:
    return dataset.frame("libero_90-71-00")


def result_at(at: np.ndarray, offset: tuple[float, float, float] = (0, 0, 0), **fields: object) -> GroundingResult:
    found = GroundedObject(id="mug_1", role="target", phrase="red mug", score=0.9, has_pose=True)
    found.surface_centroid.x, found.surface_centroid.y, found.surface_centroid.z = map(float, at + np.array(offset))
    return GroundingResult(header=Header(frame_id="world"), command="the red mug", targets=[found], **fields)


# ----------------------------------------------------------------- truth


def test_every_sentence_of_the_demo_has_a_truth(dataset: RgbdRecDataset) -> None:
    for case in demo.CASES:
        truth = find_truth(dataset, dataset.frame(case.frame_id), case.sentence, case.label)
        assert truth is not None and truth.known and truth.label == case.label
        known = {" ".join(e.expression.split()) for e in dataset.expressions_of(case.frame_id)}
        assert any(expression in case.sentence for expression in known), "the recording itself says this"


def test_truth_is_in_the_world_frame(dataset: RgbdRecDataset, frame: DatasetFrame) -> None:
    truth = find_truth(dataset, frame, "The red mug.", "")
    red_mug = next(instance for instance in frame.instances if "red mug" in instance.labels)
    assert truth is not None and truth.label == "red mug"
    assert truth.surface_m == pytest.approx(transform_points(frame.T_world_camera, red_mug.visible_centroid_m))


def test_unknown_sentences_and_labels(dataset: RgbdRecDataset, frame: DatasetFrame) -> None:
    assert find_truth(dataset, frame, "the thing I dreamt of", "") is None
    with pytest.raises(VlmPerceptionError, match="0 instances of libero_90-71-00 are called 'anvil'"):
        find_truth(dataset, frame, "the anvil", "anvil")
    with pytest.raises(VlmPerceptionError, match="2 instances .* are called 'mug'"):
        find_truth(dataset, frame, "the mug", "mug")


@pytest.mark.parametrize(("offset_m", "good"), [(0.0, True), (0.019, True), (0.021, False), (0.5, False)])
def test_two_centimetres_decide(dataset: RgbdRecDataset, frame: DatasetFrame, offset_m: float, good: bool) -> None:
    truth = find_truth(dataset, frame, "the red mug", "red mug")
    assert truth is not None
    verdict = judge(result_at(truth.surface_m, (0.0, offset_m, 0.0)), frame, truth)
    assert verdict.surface_error_m == pytest.approx(offset_m, abs=1e-9)
    assert (verdict.problem == "") is good
    if not good:
        assert f"{offset_m * 100:.1f} cm from the red mug" in verdict.problem


def test_a_sentence_without_truth_is_held_to_the_nearest_thing(frame: DatasetFrame) -> None:
    plate = next(instance for instance in frame.instances if "plate" in instance.labels)
    there = transform_points(frame.T_world_camera, plate.visible_centroid_m)
    verdict = judge(result_at(there, (0.0, 0.0, 0.01)), frame, None)
    assert verdict.truth is not None and verdict.truth.label == "plate" and not verdict.truth.known
    assert verdict.problem == ""
    assert judge(result_at(there, (0.0, 0.0, 0.8)), frame, None).problem


def test_no_answer_and_no_target_are_problems(frame: DatasetFrame) -> None:
    assert "in time" in judge(None, frame, None).problem
    failed = GroundingResult(status=GroundingResult.NOT_FOUND, message="I see no mug.")
    assert judge(failed, frame, None).problem == "I see no mug."
    assert "no target" in judge(GroundingResult(), frame, None).problem
    ambiguous = result_at(np.zeros(3), status=GroundingResult.AMBIGUOUS, message="Which one?")
    assert judge(ambiguous, frame, None).problem == "Which one?"


def test_tables_hold_what_was_heard_found_and_measured(dataset: RgbdRecDataset, frame: DatasetFrame) -> None:
    truth = find_truth(dataset, frame, "the red mug", "red mug")
    assert truth is not None
    result = result_at(truth.surface_m, (0.005, 0.0, 0.0), latency=[StageLatency(stage="detect", ms=41.0)])
    good = demo.Shown(
        demo.Case(frame.frame_id, "the red mug"), Reply(result, None, None, 55.0), judge(result, frame, truth)
    )
    none = demo.Shown(demo.Case(frame.frame_id, "the anvil"), Reply(None, None, None, 9.0), judge(None, frame, None))
    text = demo.describe(good)
    for part in ("the red mug", "SUCCEEDED", "red mug (mug_1)", "0.90", "m in world", "0.50 cm", "detect 41", "55 ms"):
        assert part in text
    table = demo.overview([good, none])
    for part in ("the red mug", "the anvil", "0.50", "41", "55"):
        assert part in table
    assert demo.describe(none)


# ----------------------------------------------------------------- files


def test_ply_holds_the_colored_points(tmp_path: Path) -> None:
    points = np.array([[0.1, 0.2, 0.3], [-0.4, 0.5, 0.6]])
    geometry = ObjectGeometry(
        points, np.array([[0, 0], [1, 0]]), points[0], np.eye(3), np.ones(3), np.eye(6), points[0], points[0], 1.0
    )
    thing = SceneObject(1, (0, 0, 2, 1), {}, "mug", geometry=geometry)
    answer = Answer(None, "the mug", Status.SUCCEEDED, "", (Grounding(thing, Role.TARGET, "mug", 0.9),), (), (thing,))
    color = np.array([[[255, 128, 0], [1, 2, 3]]], np.uint8)
    path = tmp_path / "new" / "target.ply"
    assert write_ply(path, to_points(answer, color, Header(frame_id="world"), np.eye(4))) == 2
    header, _, body = path.read_bytes().partition(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "element vertex 2" in lines
    assert [line.split()[1:] for line in lines if line.startswith("property")] == [
        ["float", "x"], ["float", "y"], ["float", "z"], ["uchar", "red"], ["uchar", "green"], ["uchar", "blue"],
    ]  # fmt: skip
    vertices = [struct.unpack("<fffBBB", body[k : k + 15]) for k in (0, 15)]
    assert [vertex[:3] for vertex in vertices] == [pytest.approx(point) for point in points]
    assert [vertex[3:] for vertex in vertices] == [(255, 128, 0), (1, 2, 3)]
    assert len(body) == 30


def test_overlay_is_an_image_of_the_same_pixels(tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    write_overlay(tmp_path / "new" / "overlay.png", rgb_to_image(rgb, Header()))
    assert np.array_equal(cv2.imread(str(tmp_path / "new" / "overlay.png"))[..., ::-1], rgb)


# ----------------------------------------------------------------- processes


def module(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> str:
    """A module whose ``main()`` is this."""
    (folder / "a_process.py").write_text(f"import signal, sys, time\ndef main():\n    {body}\n")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return "a_process"


def wait_for_log(processes: Processes, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in processes.log_tail("p") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert text in processes.log_tail("p")


def test_processes_end_with_the_block_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = module(tmp_path, monkeypatch, "print(sys.argv, flush=True); time.sleep(60)")
    with pytest.raises(RuntimeError, match="trouble"), Processes(tmp_path / "log") as processes:  # noqa: PT012
        processes.start("p", name, {"rate": "5.0"})
        wait_for_log(processes, "rate:=5.0")
        (process,) = processes._running.values()
        raise RuntimeError("trouble")
    assert process.poll() is not None


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "[signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; print('deaf', flush=True); time.sleep(60)"
    name = module(tmp_path, monkeypatch, body)
    monkeypatch.setattr("vlm_perception.ros.demo_processes._GRACE_S", 0.3)
    processes = Processes(tmp_path / "log")
    processes.start("p", name, {})
    wait_for_log(processes, "deaf")
    assert processes.stop() == {"p": -signal.SIGKILL}


def test_a_process_that_ended_is_told_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = module(tmp_path, monkeypatch, "print('out of cheese', flush=True); return 7")
    with Processes(tmp_path / "log") as processes:
        processes.start("p", name, {})
        processes._running["p"].wait(10)
        with pytest.raises(ProcessError, match=r"p ended with exit code 7(.|\n)*out of cheese(.|\n)*p\.log"):
            processes.check()


def test_a_free_domain_has_nobody_on_it() -> None:
    domain = free_domain()
    assert 1 <= domain <= 101
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 7400 + 250 * domain + 10))


def test_a_domain_in_use_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = free_domain()
    code = "import rclpy, time; rclpy.init(); n = rclpy.create_node('there'); print('up', flush=True); time.sleep(60)"
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    other = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        monkeypatch.setattr("vlm_perception.ros.demo_processes._DOMAINS", range(domain, domain + 1))
        with pytest.raises(ProcessError, match="in use"):
            free_domain()
    finally:
        other.kill()
        other.communicate()


# ----------------------------------------------------------------- what is asked


def cases(*arguments: str) -> tuple[demo.Case, ...]:
    options = demo._parser().parse_args(arguments)
    return demo._cases(options, load_rgbd_rec(options.source))


def test_which_sentences_are_said(tmp_path: Path) -> None:
    assert cases() == demo.CASES
    assert cases("--once") == demo.CASES[:1]
    assert cases("--command", "the fork", "--frame", "libero_90-30-00") == (demo.Case("libero_90-30-00", "the fork"),)
    assert {case.frame_id for case in cases("--frame", "libero_90-86-00")} == {"libero_90-86-00"}
    assert len(cases("--frame", "libero_90-86-00", "--once")) == 1
    with pytest.raises(VlmPerceptionError, match="no frame 'nope'"):
        cases("--frame", "nope")
    (tmp_path / "meta.json").write_text(json.dumps({"format": "something else"}))
    assert demo.main(["--source", str(tmp_path)]) == 2
