"""A small dataset on disk whose every number is known."""

import pytest

from vlm_perception.evaluation.dataset import Expression, write_rgbd_rec
from vlm_perception.evaluation.synthetic import TableBox, table_scene

BOXES = (
    TableBox("red box", (200, 40, 40), (0.0, 0.15), (0.08, 0.06, 0.05)),
    TableBox("blue box", (40, 60, 200), (0.0, -0.1), (0.08, 0.06, 0.08)),
    TableBox("green book", (40, 160, 60), (0.15, 0.0), (0.12, 0.1, 0.03)),
)
EXPRESSIONS = (
    ("the red box", "category", (1,)),
    ("the green book", "category", (3,)),
    ("the box right of the red box", "relation", (2,)),
    ("all boxes", "plural", (1, 2)),
    ("how many boxes are there", "count", (1, 2)),
    ("the banana", "absent", ()),
)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rgbd_rec") / "three_boxes"
    return write_rgbd_rec(
        folder,
        [table_scene(BOXES, frame_id="a")],
        [Expression("a", *expression) for expression in EXPRESSIONS],
        source="synthetic",
    )
