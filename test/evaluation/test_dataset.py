"""rgbd-rec/1 on disk: there and back, and errors that name file and line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from recordings import recordings

from vlm_perception.evaluation.dataset import DatasetError, load_rgbd_rec, write_rgbd_rec
from vlm_perception.evaluation.synthetic import table_scene
from vlm_perception.types import ImageError

from .conftest import BOXES, EXPRESSIONS


@pytest.fixture
def copy(dataset, tmp_path):
    return Path(shutil.copytree(dataset.folder, tmp_path / "copy"))


def edit_line(file, number, **changes):
    lines = file.read_text().splitlines()
    record = json.loads(lines[number - 1])
    for key, value in changes.items():
        if value is None:
            del record[key]
        else:
            record[key] = value
    lines[number - 1] = json.dumps(record)
    file.write_text("\n".join(lines) + "\n")


def test_what_is_written_is_read(dataset):
    description, images, ids = table_scene(BOXES, frame_id="a")
    assert dataset.source == "synthetic"
    assert [e.expression for e in dataset.expressions] == [text for text, _, _ in EXPRESSIONS]
    (frame,) = dataset.frames
    assert frame.camera == description.camera
    np.testing.assert_allclose(frame.T_world_camera, description.T_world_camera)
    np.testing.assert_allclose(frame.up_camera, description.T_world_camera[2, :3])
    np.testing.assert_array_equal(frame.instance_ids, ids)
    loaded = frame.load(stamp_ns=7, frame_id="optical")
    np.testing.assert_array_equal(loaded.color_rgb, images.color_rgb)
    np.testing.assert_allclose(loaded.depth_m, images.depth_m, atol=0.0006)
    assert (loaded.stamp_ns, loaded.frame_id) == (7, "optical")
    for read, written in zip(frame.instances, description.instances, strict=True):
        assert (read.id, read.labels, read.box_xyxy, read.pixels) == (
            written.id,
            written.labels,
            written.box_xyxy,
            written.pixels,
        )
        np.testing.assert_allclose(read.visible_centroid_m, written.visible_centroid_m)
        np.testing.assert_allclose(read.body_position_m, written.body_position_m)


def test_ids_cannot_be_changed_by_a_reader(dataset):
    with pytest.raises(ValueError, match="read-only"):
        dataset.frames[0].instance_ids[0, 0] = 3


def test_looking_things_up(dataset):
    frame = dataset.frame("a")
    assert frame.instance(2).labels[0] == "blue box"
    assert frame.mask(2).sum() == frame.instance(2).pixels
    assert len(dataset.expressions_of("a")) == len(EXPRESSIONS)
    assert dataset.expressions_of("b") == ()
    with pytest.raises(DatasetError, match="no frame 'b'"):
        dataset.frame("b")
    with pytest.raises(DatasetError, match=r"no instance 9; it has \[1, 2, 3\]"):
        frame.instance(9)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(DatasetError, match=r"meta\.json does not exist"):
        load_rgbd_rec(tmp_path)


@pytest.mark.parametrize(
    ("meta", "complaint"),
    [("{", "not JSON"), ('{"format": "rgbd-rec/9"}', "rgbd-rec/9"), ("[]", "format is 'list'"), ("{}", "None")],
)
def test_another_format(copy, meta, complaint):
    (copy / "meta.json").write_text(meta)
    with pytest.raises(DatasetError, match=complaint):
        load_rgbd_rec(copy)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"K": None}, "'K' is missing"),
        ({"K": [1, 2, 3]}, "K must be 4 finite numbers"),
        ({"K": [1, 2, 3, "x"]}, "could not convert"),
        ({"depth_unit_m": 0}, "depth_unit_m must be above 0"),
        ({"T_world_camera": [[1, 0], [0, 1]]}, "must be 4x4"),
        ({"frame_id": "../../etc"}, "no folder name inside"),
        ({"instances": [{"id": 0, "box": [0, 0, 1, 1]}]}, "id >= 1"),
        ({"instances": [{"id": 1, "box": [5, 5, 5, 9]}]}, "filled box"),
        ({"instances": [{"box": [0, 0, 1, 1]}]}, "'id' is missing"),
    ],
)
def test_a_wrong_frame_is_named_by_its_line(copy, changes, complaint):
    edit_line(copy / "frames.jsonl", 1, **changes)
    with pytest.raises(DatasetError, match=rf"frames\.jsonl:1: .*{complaint}"):
        load_rgbd_rec(copy)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kind": "poem"}, "kind 'poem' is none of"),
        ({"targets": [77]}, r"targets \[77\] are no instances"),
        ({"frame_id": "zzz"}, "'zzz' is not in frames"),
        ({"expression": None}, "'expression' is missing"),
    ],
)
def test_a_wrong_expression_is_named_by_its_line(copy, changes, complaint):
    edit_line(copy / "expressions.jsonl", 3, **changes)
    with pytest.raises(DatasetError, match=rf"expressions\.jsonl:3: .*{complaint}"):
        load_rgbd_rec(copy)


def test_broken_lines_and_empty_lines(copy):
    file = copy / "frames.jsonl"
    line = file.read_text()
    file.write_text("\n" + line)
    assert len(load_rgbd_rec(copy).frames) == 1
    file.write_text(line + "{oops\n")
    with pytest.raises(DatasetError, match=r"frames\.jsonl:2: not JSON"):
        load_rgbd_rec(copy)
    file.write_text(line + "[]\n")
    with pytest.raises(DatasetError, match=r"frames\.jsonl:2: a JSON object"):
        load_rgbd_rec(copy)
    file.write_text(line + line)
    with pytest.raises(DatasetError, match=r"frames\.jsonl:2: frame_id 'a' is there twice"):
        load_rgbd_rec(copy)
    file.unlink()
    with pytest.raises(DatasetError, match=r"frames\.jsonl does not exist"):
        load_rgbd_rec(copy)


def test_a_pose_may_be_null(copy):
    lines = (copy / "frames.jsonl").read_text().splitlines()
    record = json.loads(lines[0])
    record["T_world_camera"] = None
    (copy / "frames.jsonl").write_text(json.dumps(record) + "\n")
    frame = load_rgbd_rec(copy).frames[0]
    assert frame.T_world_camera is None
    assert frame.up_camera is None


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda file: file.unlink(), "does not exist"),
        (lambda file: file.write_bytes(b""), "not an image"),
        (lambda file: file.write_bytes(b"not a picture"), "not an image"),
    ],
)
@pytest.mark.parametrize("name", ["color.png", "depth.png"])
def test_a_broken_image_is_named(copy, name, damage, complaint):
    damage(copy / "frames" / "a" / name)
    frame = load_rgbd_rec(copy).frames[0]
    with pytest.raises(ImageError, match=rf"{name} .*{complaint}|{name} {complaint}"):
        frame.load()


def test_an_image_of_another_size_is_named(copy):
    edit_line(copy / "frames.jsonl", 1, width=320)
    with pytest.raises(ImageError, match="640x480 px, frames.jsonl says 320x480"):
        load_rgbd_rec(copy).frames[0].load()


def test_color_in_place_of_depth_is_refused(copy):
    shutil.copy(copy / "frames/a/color.png", copy / "frames/a/depth.png")
    with pytest.raises(ImageError, match="not a 16-bit one-channel image"):
        load_rgbd_rec(copy).frames[0].load()


def test_depth_beyond_16_bits_is_not_written(tmp_path):
    description, images, ids = table_scene(BOXES, frame_id="far")
    images.depth_m[0, 0] = 70.0
    with pytest.raises(DatasetError, match=r"70\.0 m"):
        write_rgbd_rec(tmp_path, [(description, images, ids)], [])


def test_invalid_depth_is_written_as_none(tmp_path):
    description, images, ids = table_scene(BOXES, frame_id="holes")
    images.depth_m[0, :3] = [np.nan, np.inf, -1.0]
    written = write_rgbd_rec(tmp_path, [(description, images, ids)], [])
    assert written.frames[0].load().depth_m[0, :3].tolist() == [0, 0, 0]


@recordings()
def test_recordings_are_what_they_say(folder):
    dev = load_rgbd_rec(folder)
    meta = json.loads((folder / "meta.json").read_text())
    assert (len(dev.frames), len(dev.expressions)) == (meta["frames"], meta["expressions"])
    for frame in dev.frames[:3]:
        for instance in frame.instances:
            mask = frame.mask(instance.id)
            assert mask.sum() == instance.pixels
            rows, columns = np.nonzero(mask)
            assert instance.box_xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
