"""One slot: the newest wins."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy")
from vlm_perception.ros.mailbox import Mailbox


def test_newest_wins_and_stays():
    box: Mailbox[int] = Mailbox()
    assert box.newest() is None
    for number in range(5):
        box.put(number)
    assert (box.newest(), box.newest(), box.count) == (4, 4, 5)
    box.clear()
    assert (box.newest(), box.count) == (None, 5)


def test_wait_gives_up():
    started = time.monotonic()
    assert Mailbox().wait(0.05) is None
    assert 0.04 < time.monotonic() - started < 0.5


def test_wait_for_what_is_wanted():
    box: Mailbox[int] = Mailbox()
    threading.Thread(target=lambda: [(time.sleep(0.01), box.put(number)) for number in range(10)]).start()
    assert box.wait(2.0, until=lambda number: number >= 3) >= 3
