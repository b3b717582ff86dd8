"""Starts nodes as processes of their own on a ROS domain that nobody else is on, and always ends them."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from vlm_perception.types import VlmPerceptionError

_DOMAINS = range(1, 102)  # above 101 a domain's ports fall into Linux' range of ephemeral ports
_GRACE_S = 8.0
_LOG_LINES = 25


class ProcessError(VlmPerceptionError):
    """A process ended that should run; the message has the end of its log."""


def free_domain() -> int:
    """A ROS domain id that no participant on this machine uses now."""
    candidates = list(_DOMAINS)
    random.shuffle(candidates)
    for domain in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                # The first participant of a domain listens here (DDSI-RTPS 9.6.1.1).
                probe.bind(("", 7400 + 250 * domain + 10))
            except OSError:
                continue
        return domain
    raise ProcessError(f"every ROS domain from {_DOMAINS[0]} to {_DOMAINS[-1]} is in use on this machine")


def isolate() -> int:
    """Give this process and its children a ROS domain of their own on this machine; returns its id."""
    domain = free_domain()
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return domain


class Processes:
    """Node processes with a log file each; leaving the ``with`` block ends them all."""

    def __init__(self, log_dir: Path) -> None:
        """Nothing is started yet.

        Args:
            log_dir: made if need be; holds ``<name>.log``.
        """
        self._log_dir = log_dir
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:  # noqa: PYI034 -- typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, module: str, parameters: Mapping[str, str]) -> None:
        """Run a module's ``main()`` with ROS parameters, written as on a command line (``name:=value``)."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        options = [part for key, value in parameters.items() for part in ("-p", f"{key}:={value}")]
        run = f"import sys; from {module} import main; sys.exit(main())"
        command = [sys.executable, "-c", run, "--ros-args", *options]
        with self._log(name).open("wb") as log, _uninterrupted():
            # Its own session: a Ctrl-C in the terminal is passed on by stop(), once, and in order.
            self._running[name] = subprocess.Popen(  # noqa: S603 -- our own modules
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def check(self) -> None:
        """See that all of them are alive.

        Raises:
            ProcessError: one has ended; with its exit code and the end of its log.
        """
        for name, process in self._running.items():
            code = process.poll()
            if code is not None:
                raise ProcessError(f"{name} ended with exit code {code}.\n{self.log_tail(name)}")

    def log_tail(self, name: str) -> str:
        """The last lines of a process's log, and where it is."""
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join([*(f"  | {line}" for line in lines), f"  (all of it: {self._log(name)})"])

    def stop(self) -> dict[str, int]:
        """End all, politely first; returns the exit codes."""
        codes = {}
        with _uninterrupted():
            for process in self._running.values():
                _signal(process, signal.SIGINT)
            for name, process in self._running.items():
                for harder in (signal.SIGTERM, signal.SIGKILL):
                    try:
                        process.wait(_GRACE_S)
                        break
                    except subprocess.TimeoutExpired:
                        _signal(process, harder)
                codes[name] = process.wait()
            self._running.clear()
        return codes

    def _log(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM until the end of the block: in its middle, a process would be forgotten."""
    kept: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, lambda caught, _: kept.append(caught)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if kept:
        raise KeyboardInterrupt
