"""The one thread that thinks: a bounded first-in-first-out queue of jobs, and standing work in between."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        run: does it.
        drop: called in place of ``run``, with the reason, when the job is thrown away; exactly one of them is called.
        countable: whether it takes a place in the bounded queue (commands do, model loading does not).
    """

    run: Callable[[], None]
    drop: Callable[[str], None] = lambda _reason: None
    countable: bool = True


class Worker:
    """Runs jobs in order on its own thread; between them, ``idle`` gets its turn.

    Nothing that a job raises stops the thread.
    """

    def __init__(
        self, idle: Callable[[], float | None], on_error: Callable[[str, BaseException], None], capacity: int = 100
    ) -> None:
        """Make the worker; :meth:`start` starts it.

        Args:
            idle: standing work, asked after every job and every :meth:`wake`; returns the seconds until it wants
                to be asked again without a wake, or None.
            on_error: told what was being done and the exception.
            capacity: countable jobs that may wait.
        """
        self.capacity = capacity
        self._idle = idle
        self._on_error = on_error
        self._jobs: deque[Job] = deque()
        self._condition = threading.Condition()
        self._woken = False
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="perception_worker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, job: Job) -> bool:
        """Queue a job; false when the queue is full or the worker stops (the job is then not kept)."""
        with self._condition:
            waiting = sum(queued.countable for queued in self._jobs)
            if self._stopping or (job.countable and waiting >= self.capacity):
                return False
            self._jobs.append(job)
            self._condition.notify()
            return True

    def wake(self) -> None:
        """Something has changed that standing work may want to look at."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def drop_waiting(self, reason: str) -> None:
        """Throw away the countable jobs that wait."""
        with self._condition:
            dropped = [job for job in self._jobs if job.countable]
            self._jobs = deque(job for job in self._jobs if not job.countable)
        for job in dropped:
            self._guarded("dropping a job", lambda job=job: job.drop(reason))

    @property
    def waiting(self) -> int:
        """Countable jobs in the queue."""
        with self._condition:
            return sum(job.countable for job in self._jobs)

    def stop(self, timeout_s: float) -> bool:
        """Drop what waits, let the running job finish; false when it has not within ``timeout_s``."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self.drop_waiting("the node is shutting down")
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        again_in_s: float | None = None
        while True:
            with self._condition:
                if not (self._jobs or self._woken or self._stopping):
                    self._condition.wait(again_in_s)
                if self._stopping:
                    return
                job = self._jobs.popleft() if self._jobs else None
                self._woken = False
            if job is not None:
                self._guarded("running a job", job.run)
            again_in_s = self._guarded("standing work", self._idle)

    def _guarded(self, what: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 -- a bug in one job must not end all later ones
            self._on_error(what, error)
            return None
