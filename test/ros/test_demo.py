"""The whole chain between real processes: player, perception node with the shipped model, client, files, verdict."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

pytest.importorskip("rclpy")

from vlm_perception.ros.demo import CASES

pytestmark = pytest.mark.integration


def run_demo(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vlm_perception.ros.demo", "--out", str(out), *arguments]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280, check=False
    )


def children_of(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def nodes_of(process: subprocess.Popen[str], count: int) -> list[int]:
    """The node processes, once there are that many."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        nodes = list(children_of(process.pid))
        if len(nodes) == count:
            return nodes
        time.sleep(0.05)
    raise AssertionError(f"{nodes} are not {count} processes")


def ended(pid: int, timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not Path(f"/proc/{pid}").exists()


def test_every_sentence_reaches_its_target(tmp_path: Path) -> None:
    done = run_demo(tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"{len(CASES)} of {len(CASES)} targets within 2 cm of the truth" in done.stdout
    for suffix in ("", *(f"_{number}" for number in range(2, len(CASES) + 1))):
        assert cv2.imread(str(tmp_path / f"overlay{suffix}.png")).shape == (480, 640, 3)
        assert (tmp_path / f"target{suffix}.ply").read_bytes().startswith(b"ply\nformat binary_little_endian")
    for log in ("player", "perception_node"):
        assert "Traceback" not in (tmp_path / "log" / f"{log}.log").read_text()


def test_once_tells_everything_about_one(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--once")
    assert done.returncode == 0, done.stdout
    for part in (CASES[0].sentence, "m in world", "cm from the truth", "detect", "overlay.png", "target.ply"):
        assert part in done.stdout
    off = re.search(r"off\s+([\d.]+) cm", done.stdout)
    assert off is not None and float(off[1]) <= 2.0


def test_what_is_not_there_is_no_success(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--once", "--frame", "libero_90-30-00", "--command", "the wine bottle")
    assert done.returncode == 1, done.stdout
    assert "NOT_FOUND" in done.stdout
    assert 'Not reached: "the wine bottle"' in done.stdout
    assert "0 of 1 targets" in done.stdout


def test_a_model_that_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--once", "--model", "no-such-model")
    assert done.returncode == 1, done.stdout
    assert "MODEL_ERROR" in done.stdout
    assert "no-such-model" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "vlm_perception.ros.demo", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
    nodes = nodes_of(process, 2)
    process.send_signal(number)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert all(ended(pid) for pid in nodes)


def test_a_node_that_dies_is_told_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vlm_perception.ros.demo", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
    player, node = nodes_of(process, 2)
    os.kill(node, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "perception_node ended with exit code -9" in output
    assert ended(player)
