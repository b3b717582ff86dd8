"""A one-slot mailbox: the newest item wins, nothing queues up behind a slow reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds the newest item and how many there were; safe between threads."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: T | None = None
        self._count = 0

    def put(self, item: T) -> None:
        """Replace what is there."""
        with self._condition:
            self._item = item
            self._count += 1
            self._condition.notify_all()

    def newest(self) -> T | None:
        """The newest item, None when there was none; it stays."""
        with self._condition:
            return self._item

    def clear(self) -> None:
        """Forget the item."""
        with self._condition:
            self._item = None

    @property
    def count(self) -> int:
        """How many items were put in so far."""
        with self._condition:
            return self._count

    def wait(self, timeout_s: float, *, until: Callable[[T], bool] = lambda _: True) -> T | None:
        """The newest item that satisfies ``until``; None when the time is up before there is one."""
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while self._item is None or not until(self._item):
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._condition.wait(left)
            return self._item
