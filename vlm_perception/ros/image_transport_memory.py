"""Shared memory that images fit into, for processes that send them."""

from __future__ import annotations

import os

from vlm_perception.resources import config_path

# Fast DDS 2 (Humble to Jazzy) and 3 (Kilted on) read different names.
_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def make_room_for_images() -> None:
    """Have Fast DDS take ``config/fastdds.xml``; to be called before ``rclpy.init()``.

    Fast DDS's default segment is smaller than one 640x480 color image. Profiles that the user has chosen stay, and
    other middlewares do not look at this.
    """
    if not any(os.environ.get(variable) for variable in _VARIABLES):
        for variable in _VARIABLES:
            os.environ[variable] = str(config_path("fastdds.xml"))
