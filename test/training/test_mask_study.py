"""The study of masks: groups of hand-drawn things, and the command on a scene made here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from training import mask_study
from training.mask_groups import groups_of, lose_depth
from training.mask_sheets import CELL_PX, PAGE_SCALE
from vlm_perception.evaluation.synthetic import TableBox, table_scene
from vlm_perception.types import CameraIntrinsics

GRAY = 120.0


def drawn(*shapes: np.ndarray, brightness: tuple[float, ...] = ()) -> tuple[list[dict], np.ndarray, np.ndarray]:
    """Things of given masks, later ones in front, on gray; each `brightness` in [0, 255], default 180."""
    ids = np.zeros((120, 160), np.uint8)
    lab = np.full((120, 160, 3), (GRAY, 128, 128), np.float32)
    for number, shape in enumerate(shapes, start=1):
        ids[shape] = number
        lab[shape, 0] = brightness[number - 1] if brightness else 180.0
    things = []
    for number in range(1, len(shapes) + 1):
        rows, columns = np.nonzero(ids == number)
        box = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
        things.append({"number": number, "key": "cube", "box": box, "pixels": len(rows), "shown": 1.0})
    return things, ids, lab


def block(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    out = np.zeros((120, 160), bool)
    out[y0:y1, x0:x1] = True
    return out


def groups(k: int, things: list[dict], ids: np.ndarray, lab: np.ndarray, **changed: object) -> tuple[str, ...]:
    return groups_of({**things[k], **changed}, things, ids, lab)


def test_a_plain_block_is_easy() -> None:
    assert groups(0, *drawn(block(40, 40, 80, 80))) == ("easy",)


def test_a_pen_is_thin_whichever_way_it_lies() -> None:
    diagonal = np.zeros((120, 160), np.uint8)
    cv2.line(diagonal, (20, 20), (100, 80), 1, 6)
    for shape in (block(20, 40, 100, 46), diagonal > 0):
        assert "thin" in groups(0, *drawn(shape))


def test_a_frame_is_a_lattice() -> None:
    assert "lattice" in groups(0, *drawn(block(20, 20, 100, 100) & ~block(28, 28, 92, 92)))


@pytest.mark.parametrize(("luma", "name"), [(20, "dark"), (240, "bright"), (GRAY + 4, "colored like what is around")])
def test_brightness(luma: float, name: str) -> None:
    assert groups(0, *drawn(block(40, 40, 80, 80), brightness=(luma,))) == (name,)


def test_records_tell_the_rest() -> None:
    scene = drawn(block(40, 40, 80, 80))
    assert groups(0, *scene, key="plate") == ("flat",)
    assert groups(0, *scene, key="moka_pot") == ("shiny",)
    assert groups(0, *scene, shown=0.4) == ("partly hidden",)
    assert groups(0, *drawn(block(40, 40, 55, 55))) == ("small",)


def test_neighbours_touch_and_those_apart_do_not() -> None:
    touching = drawn(block(20, 40, 60, 80), block(60, 40, 100, 80))
    apart = drawn(block(20, 40, 60, 80), block(70, 40, 110, 80))
    assert groups(0, *touching) == groups(1, *touching) == ("touching",)
    assert groups(0, *apart) == groups(1, *apart) == ("easy",)


def test_one_in_another() -> None:
    scene = drawn(block(20, 20, 110, 100), block(50, 40, 80, 70))
    assert "holding another" in groups(0, *scene)
    assert "on or in another" in groups(1, *scene)
    assert "holding another" not in groups(1, *scene)


def test_depth_is_lost_where_it_is_said_to_be() -> None:
    depth_m = np.ones((120, 160), np.float32)
    dark, plain = block(20, 20, 60, 60), block(80, 20, 120, 60)
    lost = lose_depth(depth_m, [(dark, ("dark",)), (plain, ("touching",))], np.random.default_rng(0)) == 0
    assert 0.55 < lost[dark].mean() < 0.65
    assert not lost[~dark].any()
    assert depth_m.all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A chunk as `training.generate --masks --depth --exact-depth` writes it."""
    camera = CameraIntrinsics(480, 360, 415.5, 415.5, 239.5, 179.5)
    boxes = [
        TableBox("red", (200, 40, 40), (0.0, 0.15), (0.12, 0.08, 0.10), 0.4),
        TableBox("black", (8, 8, 8), (0.0, -0.15), (0.1, 0.1, 0.08), 0.2),
    ]
    description, images, ids = table_scene(boxes, camera=camera)
    chunk = tmp_path / "00000"
    chunk.mkdir()
    things = [
        {"number": i.id, "key": "plain_box", "color": i.name, "box": [int(v) for v in i.box_xyxy], "pixels": i.pixels, "shown": 1.0}
        for i in description.instances
    ]
    row = {"image": "000.jpg", "width": 480, "height": 360, "objects": things, "focal_px": 415.5}
    row |= {"depth_unit_m": 0.001, "exact_depth_unit_m": 0.0001}
    cv2.imwrite(str(chunk / "000.jpg"), images.color_rgb[..., ::-1])
    cv2.imwrite(str(chunk / "000.png"), ids.astype(np.uint8))
    cv2.imwrite(str(chunk / "000.depth.png"), (images.depth_m * 1e3).astype(np.uint16))
    cv2.imwrite(str(chunk / "000.exact.png"), (images.depth_m * 1e4).astype(np.uint16))
    (chunk / "labels.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path


def test_the_command_prints_the_table_and_writes_sheets(
    folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["mask_study", str(folder), "--sheets", str(folder / "sheets")])
    mask_study.main()
    lines = capsys.readouterr().out.splitlines()
    (told,) = (line for line in lines if line.startswith("| all |"))
    cells = [cell.strip() for cell in told.strip("|").split("|")]
    assert cells[1] == "2"
    assert all(float(cell.split("/")[0]) > 0.85 for cell in cells[2:])
    median_cm, most_cm = cells[2].split("/")[2].split()
    assert float(median_cm) <= float(most_cm) < 0.5
    assert any(line.startswith("| dark | 1 |") for line in lines)
    assert cv2.imread(str(folder / "sheets" / "holes.jpg")).shape[1] == 8 * CELL_PX * PAGE_SCALE
    sheet = cv2.imread(str(folder / "sheets" / "holes-dark.png"))
    assert sheet is not None
    assert (sheet == (20, 20, 240)).all(-1).any()  # BGR of the outline of what was cut


def test_scenes_without_depth_are_refused_with_the_way_out(folder: Path) -> None:
    labels = folder / "00000" / "labels.jsonl"
    row = json.loads(labels.read_text())
    del row["exact_depth_unit_m"]
    labels.write_text(json.dumps(row) + "\n")
    with pytest.raises(SystemExit, match="--exact-depth"):
        next(mask_study.scenes(folder))
    with pytest.raises(SystemExit, match="no scenes"):
        next(mask_study.scenes(folder / "00000"))


def test_it_reads_what_the_generator_writes(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    from training.generate import CHUNK, Extras, make_chunk

    camera = CameraIntrinsics(160, 120, 138.5, 138.5, 79.5, 59.5)
    description, images, ids = table_scene([TableBox("red", (200, 40, 40), (0.0, 0.0), (0.12, 0.08, 0.10))], camera=camera)
    (box,) = description.instances
    thing = {"number": 1, "key": "cube", "color": "red", "box": [int(v) for v in box.box_xyxy], "pixels": box.pixels, "shown": 1.0}
    frame = SimpleNamespace(
        color=images.color_rgb, instances=ids.astype(np.uint8), objects=[thing], depth_m=images.depth_m, focal_px=138.5
    )
    world = SimpleNamespace(width=160, height=120, randomize=lambda _: [])
    shooting = SimpleNamespace(shoot=lambda _placed, _rng, with_depth: frame if with_depth else None)
    make_chunk(tmp_path, 1, 0, world, shooting, Extras(masks=True, depth=True, exact_depth=True))

    read = list(mask_study.scenes(tmp_path, limit=3))
    assert [scene.name for scene in read] == ["00000/000", f"00000/{CHUNK // 3:03d}", f"00000/{2 * (CHUNK // 3):03d}"]
    (only,) = mask_study.scenes(tmp_path, only=frozenset({"00000/007"}))
    assert only.name == "00000/007"
    for scene in (*read, only):
        np.testing.assert_array_equal(scene.ids, ids)
        np.testing.assert_allclose(scene.depth_m["exact"], images.depth_m, atol=6e-5)
        seen = scene.depth_m["sensor"] > 0
        assert 0.8 < seen.mean() < 1
        assert np.median(np.abs(scene.depth_m["sensor"] - images.depth_m)[seen]) < 0.005
        assert scene.camera.fx == 138.5


def test_no_pose_counts_as_worse_than_any_pose() -> None:
    def case(off_m: float) -> mask_study.Case:
        return mask_study.Case("a", {}, ("easy",), 0.9, off_m, np.zeros((1, 1), bool))

    told = mask_study.table({"sensor": [case(0.01), case(0.02), case(np.inf)], "none": [case(np.nan)] * 3})
    assert "| easy | 3 | 0.900 / 0.0% / 2.0 inf | 0.900 / 0.0% |" in told
