"""How long a call takes, how much of it in the networks, and the most memory it held."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Milliseconds over all repeats."""

    p50: float
    p95: float

    @staticmethod
    def of(values_ms: Sequence[float]) -> Timing:
        """Percentiles of a sample."""
        return Timing(float(np.percentile(values_ms, 50)), float(np.percentile(values_ms, 95)))


def time_calls(call: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each call, after one to warm up; calls return only when the work is done."""
    call()
    values = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        values.append((time.perf_counter() - start) * 1e3)
    return values


def measure_call(call: Callable[[], object], repeats: int) -> dict[str, Any]:
    """Time a call, and how much of it is spent inside the outermost ``torch`` modules it runs.

    Returns:
        ``ours``, ``network`` and ``around``; ``parameters_m``, of the modules that ran, in millions.
    """
    import torch

    depth, since, spent = 0, 0.0, 0.0
    parameters: dict[int, int] = {}

    def now() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    def enter(module: Any, _: object) -> None:
        nonlocal depth, since
        depth += 1
        if depth == 1:
            parameters.update((id(p), p.numel()) for p in module.parameters())
            since = now()

    def leave(*_: object) -> None:
        nonlocal depth, spent
        depth -= 1
        if depth == 0:
            spent += now() - since

    call()
    whole: list[float] = []
    network: list[float] = []
    hooks = torch.nn.modules.module
    handles = [
        hooks.register_module_forward_pre_hook(enter),
        hooks.register_module_forward_hook(leave, always_call=True),
    ]
    try:
        for _ in range(repeats):
            spent, start = 0.0, time.perf_counter()
            call()
            whole.append((time.perf_counter() - start) * 1e3)
            network.append(spent * 1e3)
    finally:
        for handle in handles:
            handle.remove()
    return {
        "ours": Timing.of(whole),
        "network": Timing.of(network),
        "around": Timing.of([a - b for a, b in zip(whole, network, strict=True)]),
        "parameters_m": sum(parameters.values()) / 1e6,
    }


def reset_peak_memory() -> None:
    """Count from here."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        pass  # then the process's whole life counts


def peak_memory_mb() -> float:
    """Of the GPU where there is one, else what this process had resident."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(float(line.split()[1]) / 2**10 for line in status.splitlines() if line.startswith("VmHWM"))
