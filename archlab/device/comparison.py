"""Which of two networks is faster, and by how much? Both run in turns, so that what slows the machine slows both.

Each pair gives one ratio; the median of the ratios and its interval are the answer. Differences far below the drift
of two separate measurements can be told apart so.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from archlab.device.backends import BACKENDS
from archlab.device.catalog import Device, RunSpec
from archlab.device.measure import backend_of, prepared
from archlab.device.measurement import Samples
from archlab.device.protocol import Block
from archlab.device.runtime import Backend, Workload
from archlab.device.stats import TARGET_SHARE, Floats, median_interval, width_share

__all__ = ["Comparison", "compare", "paired"]

_WARM_RUNS = 5
_FEWEST_PAIRS = 30


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How much slower `a` is than `b`: the median ratio of pairs, with its 95 % interval, and both medians in ms."""

    ratio: float
    ci95: tuple[float, float]
    a_ms: float
    b_ms: float
    pairs: int

    @property
    def verdict(self) -> str:
        """``slower``, ``faster`` or ``level``: what `a` is beside `b`, where the interval lets one say so."""
        low, high = self.ci95
        return "slower" if low > 1 else "faster" if high < 1 else "level"


def compare(
    a: Workload,
    b: Workload,
    device: Device,
    run: RunSpec,
    *,
    backends: Mapping[str, Backend] = BACKENDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Run two networks in turns on a device.

    Args:
        a: The network in the numerator.
        b: The network in the denominator.
        device: A device that can be reached.
        run: How to run; `max_s` caps the pairs.
        backends: The runtimes that may be asked for.
        clock: Seconds, for the cap.

    Raises:
        DeviceUnreachable, DeviceError: As `measure` does.
    """
    backend = backend_of(device, run, backends)
    with prepared((a, b), device, run, backend) as (handles, _):
        return paired(handles[0].run, handles[1].run, run, clock=clock)


def paired(a: Block, b: Block, run: RunSpec, *, clock: Callable[[], float] = time.perf_counter) -> Comparison:
    """Time two blocks in pairs, a b b a a b …, until the ratio is known within 1 % or the cap ends.

    A run on one thread counts by its CPU time, where that is known.

    Args:
        a: Runs the network in the numerator n times.
        b: Runs the network in the denominator n times.
        run: The number of threads, and the cap `max_s` in seconds.
        clock: Seconds.
    """
    blocks = (a, b)
    for block in blocks:
        block(_WARM_RUNS)
    began = clock()
    times: list[list[float]] = []
    while len(times) < _FEWEST_PAIRS or (not _is_known(times) and clock() - began < run.max_s):
        pair = [0.0, 0.0]
        for side in (0, 1) if len(times) % 2 == 0 else (1, 0):
            pair[side] = _ms(blocks[side](1), run)
        times.append(pair)
    ratios = _ratios(times)
    a_ms, b_ms = np.median(np.array(times), axis=0).tolist()
    ratio = float(np.median(ratios))
    return Comparison(ratio=ratio, ci95=median_interval(ratios), a_ms=a_ms, b_ms=b_ms, pairs=len(times))


def _is_known(times: Sequence[Sequence[float]]) -> bool:
    return width_share(_ratios(times)) < TARGET_SHARE


def _ratios(times: Sequence[Sequence[float]]) -> Floats:
    table: Any = np.array(times)
    return np.asarray(table[:, 0] / table[:, 1])


def _ms(samples: Samples, run: RunSpec) -> float:
    is_cpu = run.threads == 1 and samples.cpu_ns is not None
    times = samples.cpu_ns if is_cpu else samples.wall_ns
    assert times is not None
    return float(np.median(times)) / 1e6
