"""The node with a real network in it (a tiny one that knows nothing): loading, answering, and Ctrl-C in the middle."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("transformers")
from perception_harness import REAL_NODE, status

from vlm_perception.types import Status


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
    import tiny

    return tiny.BUILDERS["grounding-dino"](tmp_path_factory.mktemp("tiny") / "grounding-dino")


def test_a_model_folder(start_node, session_harness, folder):
    node = start_node(REAL_NODE, f"model:={folder}", "score_threshold:=0.0")
    session_harness.camera.running = True
    result = session_harness.say("the red mug", 60.0)
    assert status(result) not in (Status.MODEL_ERROR, Status.NO_INPUT, Status.STALE_INPUT), result.message
    assert result.model == str(folder)
    assert {"detect", "total"} <= {stage.stage for stage in result.latency}
    session_harness.track("the red mug")
    session_harness.wait(lambda: len(session_harness.received["result"]) > 5, 30.0)
    started = time.monotonic()
    assert node.interrupt() == 0, node.output
    assert time.monotonic() - started < 2.0
    assert "Traceback" not in node.output


@pytest.mark.parametrize("wait_s", [0.0, 0.7, 2.0])
def test_ctrl_c_while_torch_is_imported(start_node, folder, wait_s):
    """By the worker, which cannot be interrupted: ending the process in the middle of that must not crash it."""
    node = start_node(REAL_NODE, f"model:={folder}")
    time.sleep(wait_s)
    started = time.monotonic()
    assert node.interrupt() == 0, node.output
    assert time.monotonic() - started < 2.5
    assert "Traceback" not in node.output
    assert "terminate called" not in node.output
