"""Which of several networks is faster? They run block by block in turns, so that what slows the machine slows all.

The protocol is that of `measure`: warm up, blocks until the median is known well enough, `stats.choose` takes the runs
that count. Only the order of the blocks differs: one of each network, then again, with the order turned round, so that
a drift of the machine falls on every network alike and their order can be trusted.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

from archlab.device.backends import BACKENDS
from archlab.device.catalog import Device, RunSpec
from archlab.device.measure import backend_of
from archlab.device.measurement import Samples, joined
from archlab.device.precedence import precedence
from archlab.device.protocol import chosen_of
from archlab.device.runtime import Backend, Workload
from archlab.device.stats import MIN_CLEAN, TARGET_SHARE, judge, median_interval, width_share

__all__ = ["Turn", "in_turns", "turns"]

_BLOCK_S, _WARM_S = 0.1, 0.3
_FEWEST_ROUNDS = 5

Block = Callable[[int], Samples]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """The latency of one of the networks: median in ms, its 95 % interval, runs that count, quality."""

    median_ms: float
    ci95_ms: tuple[float, float]
    n: int
    quality: str


def in_turns(
    works: Sequence[Workload],
    device: Device,
    run: RunSpec,
    *,
    backends: Mapping[str, Backend] = BACKENDS,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Turn, ...]:
    """Measure networks in turns on a device.

    Args:
        works: The networks, in the order of the answer.
        device: A device that can be reached.
        run: How to run; `max_s` caps the seconds of each network.
        backends: The runtimes that may be asked for.
        clock: Seconds, for the cap.

    Raises:
        DeviceUnreachable, DeviceError: As `measure` does.
    """
    backend = backend_of(device, run, backends)
    with contextlib.ExitStack() as stack:
        stack.enter_context(precedence() if device.reach == "local" else contextlib.nullcontext())
        handles = [backend.prepare(work, device, run) for work in works]
        for handle in handles:
            stack.callback(handle.close)
        return turns([handle.run for handle in handles], run, clock=clock)


def turns(blocks: Sequence[Block], run: RunSpec, *, clock: Callable[[], float] = time.perf_counter) -> tuple[Turn, ...]:
    """Run blocks in turns until every median is known within 1 %, five rounds at least, or the cap ends.

    Args:
        blocks: Each runs one network n times.
        run: The number of threads, and the cap `max_s` in seconds for each network.
        clock: Seconds.
    """
    sizes = [_warm(block, clock) for block in blocks]
    found: list[list[Samples]] = [[] for _ in blocks]
    open_ = set(range(len(blocks)))
    began, rounds = clock(), 0
    while open_ and (rounds < _FEWEST_ROUNDS or clock() - began < run.max_s * len(blocks)):
        order = sorted(open_, reverse=rounds % 2 == 1)
        for i in order:
            found[i].append(blocks[i](sizes[i]))
        rounds += 1
        if rounds >= _FEWEST_ROUNDS:
            open_ = {i for i in open_ if not _is_known(joined(found[i]), run)}
    return tuple(_turn(joined(samples), run) for samples in found)


def _warm(block: Block, clock: Callable[[], float]) -> int:
    """Warm a network up; gives the runs of a block of about 0.1 s."""
    block(1)
    began = clock()
    runs = 0
    while runs < 2 or clock() - began < _WARM_S:
        block(1)
        runs += 1
    run_s = max((clock() - began) / runs, 1e-9)
    return int(min(max(_BLOCK_S / run_s, 2), 200))


def _is_known(samples: Samples, run: RunSpec) -> bool:
    chosen = chosen_of(samples, run)
    if chosen.statistic == "wall_all" or len(chosen.times_ms) < MIN_CLEAN:
        return False
    return width_share(chosen.times_ms) < TARGET_SHARE


def _turn(samples: Samples, run: RunSpec) -> Turn:
    chosen = chosen_of(samples, run)
    ordered = sorted(chosen.times_ms.tolist())
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Turn(
        median_ms=median,
        ci95_ms=median_interval(chosen.times_ms),
        n=len(ordered),
        quality=judge(chosen, is_throttled=samples.is_throttled, room_s=run.max_s),
    )
