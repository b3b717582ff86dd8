"""The node's cameras, one or several: the newest images of each, and which of them is silent."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from vlm_perception.ros.inputs import Inputs

if TYPE_CHECKING:
    from rclpy.lifecycle import LifecycleNode

    from vlm_perception.ros.image_set import ImageSet
    from vlm_perception.ros.parameters import Settings
    from vlm_perception.ros.qos import QosWatch

# Cameras that start together do not come in the same instant: for this long after the first images of one, a command
# that may wait waits for the others.
STARTING_S = 1.0
_POLL_S = 0.05


class Cameras:
    """One :class:`Inputs` a camera.

    Attributes:
        inputs: by name, in the order of the parameter ``cameras``; a node without names has one, called "".
    """

    def __init__(
        self, node: LifecycleNode, settings: Settings, qos_watch: QosWatch, on_new: Callable[[], None]
    ) -> None:
        """Subscribe to all of them; see :class:`Inputs` for the arguments."""
        self._arrived = threading.Event()
        self._first_s = math.inf

        def arrive() -> None:
            self._first_s = min(self._first_s, time.monotonic())
            self._arrived.set()
            on_new()

        self.inputs = {
            name: Inputs(node, settings, qos_watch, arrive, name) for name in settings.cameras or ("",)
        }

    def close(self) -> None:
        """Unsubscribe and forget the images."""
        for inputs in self.inputs.values():
            inputs.close()

    def newest(self, now_s: float, max_age_s: float) -> tuple[ImageSet, ...]:
        """The newest set of every camera that has one younger than ``max_age_s``; where none has, the old ones."""
        found = [inputs.newest(now_s, max_age_s) for inputs in self.inputs.values()]
        sets = tuple(images for images in found if images is not None)
        return tuple(images for images in sets if images.age_s(now_s) <= max_age_s) or sets

    def wait(self, timeout_s: float, max_age_s: float, gave_up: Callable[[], bool]) -> tuple[ImageSet, ...]:
        """Like :meth:`newest`, waiting for the first images; ``gave_up`` ends the wait early."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._arrived.clear()
            now_s = time.monotonic()
            images = self.newest(now_s, max_age_s)
            starting = len(images) < len(self.inputs) and now_s - self._first_s < STARTING_S
            if (images and not starting) or now_s >= deadline_s or gave_up():
                return images
            self._arrived.wait(min(_POLL_S, deadline_s - now_s))
