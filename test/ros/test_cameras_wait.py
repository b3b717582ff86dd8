"""Which images are taken when several cameras send, or are about to."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy")
from sensor_msgs.msg import CameraInfo, Image

from vlm_perception.ros import cameras as cameras_module
from vlm_perception.ros.cameras import Cameras
from vlm_perception.ros.image_set import ImageSet, anything_new
from vlm_perception.ros.parameters import Settings

MAX_AGE_S = 1.0


def never() -> bool:
    return False


class FakeInputs:
    """A camera whose images come when the test says so."""

    def __init__(self, node, settings, qos_watch, on_new, camera) -> None:
        self.camera, self._on_new, self._images = camera, on_new, None

    def newest(self, now_s, max_age_s):
        return self._images

    def send(self, age_s: float = 0.0) -> ImageSet:
        self._images = ImageSet(Image(), Image(), CameraInfo(), time.monotonic() - age_s, camera=self.camera)
        self._on_new()
        return self._images


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setattr(cameras_module, "Inputs", FakeInputs)
    return Cameras(None, Settings(cameras=("front", "wrist")), None, lambda: None)


def newest(cameras):
    return cameras.newest(time.monotonic(), MAX_AGE_S)


def test_without_names_there_is_one_camera(monkeypatch):
    monkeypatch.setattr(cameras_module, "Inputs", FakeInputs)
    assert list(Cameras(None, Settings(), None, lambda: None).inputs) == [""]


def test_old_images_have_no_part_beside_fresh_ones(two):
    assert newest(two) == ()
    old = two.inputs["front"].send(age_s=5.0)
    assert newest(two) == (old,), "that is how it is known to be stale"
    fresh = two.inputs["wrist"].send()
    assert newest(two) == (fresh,)
    again = two.inputs["front"].send()
    assert newest(two) == (again, fresh)


def test_who_may_wait_waits_for_the_first_images(two):
    assert two.wait(0.05, MAX_AGE_S, never) == ()
    threading.Timer(0.1, two.inputs["wrist"].send).start()
    started_s = time.monotonic()
    (images,) = two.wait(0.5, MAX_AGE_S, never)
    assert images.camera == "wrist"
    assert time.monotonic() - started_s >= 0.09


def test_cameras_that_start_together_are_waited_for(two):
    two.inputs["front"].send()
    threading.Timer(0.1, two.inputs["wrist"].send).start()
    assert [images.camera for images in two.wait(20.0, 30.0, never)] == ["front", "wrist"]


def test_a_camera_that_does_not_come_is_not_waited_for_any_longer(two, monkeypatch):
    monkeypatch.setattr(cameras_module, "STARTING_S", 0.1)
    two.inputs["front"].send()
    started_s = time.monotonic()
    assert len(two.wait(20.0, 30.0, never)) == 1
    assert time.monotonic() - started_s < 10.0
    assert len(two.wait(20.0, 30.0, never)) == 1


def test_who_gives_up_does_not_wait(two):
    started_s = time.monotonic()
    assert two.wait(20.0, MAX_AGE_S, lambda: True) == ()
    assert time.monotonic() - started_s < 10.0


def test_anything_new_is_about_messages_not_about_sets(two):
    front, wrist = two.inputs["front"].send(), two.inputs["wrist"].send()
    assert anything_new((front,), ())
    assert not anything_new((front, wrist), (wrist, front))
    assert not anything_new((wrist,), (front, wrist)), "a camera that fell silent is nothing new"
    assert not anything_new((ImageSet(front.color, front.depth, front.info, 0.0, note="said"),), (front,))
    assert anything_new((front, two.inputs["wrist"].send()), (front, wrist))
