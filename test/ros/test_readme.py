"""The README's tables say what the running node offers."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from vlm_perception.ros.parameters import Settings
from vlm_perception.types import Status

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def rows(header: str) -> list[list[str]]:
    """Cells of the table whose first line starts with ``header``."""
    table = README[README.index(f"| {header} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def _as_written(default: object) -> str:
    if isinstance(default, tuple):
        return f"[{', '.join(default)}]"
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_parameters_and_their_defaults():
    listed = {row[0].strip("`"): row[1].strip('`"') for row in rows("parameter")}
    real = {field.name: _as_written(field.default) for field in fields(Settings)}
    assert listed == real


def test_every_status_is_explained():
    assert [row[0].strip("`") for row in rows("status")] == [status.name for status in Status]


def test_topics_services_and_actions(color_node, session_harness):
    offered = {"sub": {}, "pub": {}, "srv": {}, "action": {}}
    node = session_harness.node
    where = ("vlm_perception", "/")

    def collect() -> bool:
        if where not in node.get_node_names_and_namespaces():
            return False
        offered["sub"] = dict(node.get_subscriber_names_and_types_by_node(*where))
        offered["pub"] = dict(node.get_publisher_names_and_types_by_node(*where))
        offered["srv"] = dict(node.get_service_names_and_types_by_node(*where))
        offered["action"] = {
            name.removesuffix("/_action/feedback"): [types[0].removesuffix("_FeedbackMessage")]
            for name, types in offered["pub"].items()
            if name.endswith("/_action/feedback")
        }
        return not missing()

    def missing() -> list[str]:
        out = []
        for direction, name, said, *_ in rows("direction"):
            topic = "/" + name.strip("`").replace("~", "vlm_perception").lstrip("/")
            words = said.strip("`").split("/")
            found = [t.split("/") for t in offered[direction].get(topic, [])]
            if not any((t[0], t[-1]) == (words[0], words[-1]) for t in found):
                out.append(f"{direction} {topic} {said}: {found}")
        return out

    session_harness.wait(collect, 20.0)
    assert not missing()
