"""One thread, in order, every job run or dropped, and nothing stops it."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy")
from vlm_perception.ros.worker import Job, Worker


@pytest.fixture
def errors():
    return []


@pytest.fixture
def make(errors):
    workers = []

    def build(idle=lambda: None, capacity=100):
        worker = Worker(idle, lambda what, error: errors.append((what, error)), capacity)
        workers.append(worker)
        worker.start()
        return worker

    yield build
    for worker in workers:
        worker.stop(1.0)


def test_in_order_on_one_thread(make):
    done, threads = [], set()
    worker = make()
    for number in range(50):
        assert worker.submit(Job(lambda n=number: (done.append(n), threads.add(threading.get_ident()))))
    deadline = time.monotonic() + 5
    while len(done) < 50 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done == list(range(50))
    assert threads and threads != {threading.get_ident()}


def test_an_error_does_not_stop_it(make, errors):
    worker, done = make(), threading.Event()
    worker.submit(Job(lambda: 1 / 0))
    worker.submit(Job(done.set))
    assert done.wait(5)
    assert isinstance(errors[0][1], ZeroDivisionError)


def test_full_queue_and_dropping(make):
    gate, started, dropped, ran = threading.Event(), threading.Event(), [], []
    worker = make(capacity=2)
    worker.submit(Job(lambda: (started.set(), gate.wait(5))))
    started.wait(5)
    jobs = [Job(lambda n=n: ran.append(n), lambda reason, n=n: dropped.append((n, reason))) for n in range(3)]
    assert [worker.submit(job) for job in jobs] == [True, True, False]
    assert worker.submit(Job(lambda: ran.append("model"), countable=False))
    assert worker.waiting == 2
    worker.drop_waiting("because")
    assert dropped == [(0, "because"), (1, "because")]
    gate.set()
    deadline = time.monotonic() + 5
    while not ran and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ran == ["model"]


def test_standing_work_gets_its_turn_between_jobs(make):
    log = []
    gate, started = threading.Event(), threading.Event()
    worker = make(idle=lambda: log.append("idle"))
    worker.submit(Job(lambda: (started.set(), gate.wait(5))))
    started.wait(5)
    log.clear()
    for number in range(3):
        worker.submit(Job(lambda n=number: log.append(n)))
    gate.set()
    deadline = time.monotonic() + 5
    while 2 not in log and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log[:6] == ["idle", 0, "idle", 1, "idle", 2]


def test_standing_work_is_asked_again_when_it_wants(make):
    calls = []
    worker = make(idle=lambda: calls.append(time.monotonic()) or 0.02)
    worker.wake()
    time.sleep(0.3)
    assert len(calls) >= 5


def test_stop_does_not_wait_for_ever(make):
    gate, started, dropped = threading.Event(), threading.Event(), []
    worker = make()
    worker.submit(Job(lambda: (started.set(), gate.wait(5))))
    started.wait(5)
    worker.submit(Job(lambda: None, dropped.append))
    before = time.monotonic()
    assert not worker.stop(0.1)
    assert time.monotonic() - before < 1
    assert dropped
    assert not worker.submit(Job(lambda: None))
    gate.set()
    assert worker.stop(2.0)
