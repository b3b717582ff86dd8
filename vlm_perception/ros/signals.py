"""How a node's process takes Ctrl-C and SIGTERM: rclpy ends the spinning, and nothing else breaks off the way out."""

from __future__ import annotations

import atexit
import signal

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


def leave_signals_to_rclpy() -> None:
    """Let SIGINT and SIGTERM end the node through rclpy only; call it before ``rclpy.init``, from the main thread.

    rclpy's handlers shut its context down, after which they are gone and the ones from before are back. Python's own
    would raise KeyboardInterrupt wherever the node happens to be while it ends, and the system's would kill it, so a
    second Ctrl-C (or what a launch system sends after the first) would make a failure out of a clean end.
    """
    for number in _NUMBERS:
        signal.signal(number, lambda *_: None)
    # Python's finalization gives handlers written in Python up for the system's, but keeps what is ignored. Not from
    # the start on: a child process would inherit it.
    atexit.register(_ignore)


def _ignore() -> None:
    for number in _NUMBERS:
        signal.signal(number, signal.SIG_IGN)
