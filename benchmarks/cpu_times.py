"""What the benchmarks share: distinct random networks, CPU times in a row of a table, and where they were taken."""

import dataclasses
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from archlab.device.catalog import device
from archlab.space import SearchSpace
from archlab.spec import ArchSpec

__all__ = ["Times", "draw", "header", "line", "measured", "place", "summary"]

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Times:
    """CPU milliseconds per network."""

    mean_ms: float
    median_ms: float
    p90_ms: float
    max_ms: float
    n: int


def draw(space: SearchSpace, networks: int, seed: int) -> list[ArchSpec]:
    """Draw so many distinct networks."""
    rng = random.Random(seed)
    specs: dict[str, ArchSpec] = {}
    while len(specs) < networks:
        spec = space.decode(space.sample(rng))
        specs[spec.digest] = spec
    return list(specs.values())


def measured(call: Callable[[], Result]) -> tuple[Result, float]:
    """What a call gives, and the CPU milliseconds that this process took for it."""
    began = time.process_time()
    result = call()
    return result, (time.process_time() - began) * 1e3


def place() -> dict[str, Any]:
    """Where times are taken, for the document of a benchmark."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu": device("cpu").title,
        "load": round(os.getloadavg()[0], 1),
    }


def summary(times_ms: list[float]) -> Times:
    """Summarise the times of some networks."""
    p90 = statistics.quantiles(times_ms, n=10)[-1] if len(times_ms) > 1 else times_ms[0]
    return Times(
        mean_ms=statistics.fmean(times_ms),
        median_ms=statistics.median(times_ms),
        p90_ms=p90,
        max_ms=max(times_ms),
        n=len(times_ms),
    )


def header(title: str) -> str:
    """The head of a table of times."""
    return f"{title:24}{'mean':>9}{'median':>9}{'p90':>9}{'max':>9}{'n':>6}"


def line(name: str, row: Times) -> str:
    """One line of it."""
    return f"{name:24}{row.mean_ms:9.2f}{row.median_ms:9.2f}{row.p90_ms:9.2f}{row.max_ms:9.2f}{row.n:6}"
