"""Which of several networks is faster? They run block by block in turns, so that what slows the machine slows all.

The protocol is that of `measure`: warm up, blocks until the median is known well enough, a witness beside every block
on this machine's CPU, `stats.choose` takes the runs that count. Only the order of the blocks differs: one of each
network, then again, with the order turned round, so that a drift of the machine falls on every network alike and their
order can be trusted.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from archlab.device.backends import BACKENDS
from archlab.device.catalog import Device, RunSpec
from archlab.device.measure import backend_of, prepared
from archlab.device.measurement import Samples, joined
from archlab.device.protocol import Block, chosen_of, is_known
from archlab.device.runtime import Backend, Workload
from archlab.device.stats import judge, median_interval
from archlab.device.witness import Witness, Witnessed, witness_of

__all__ = ["Turn", "in_turns", "turns"]

_BLOCK_S, _WARM_S = 0.1, 0.3
_FEWEST_ROUNDS = 5


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
    witnessed: Witnessed = witness_of,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Turn, ...]:
    """Measure networks in turns on a device.

    Args:
        works: The networks, in the order of the answer.
        device: A device that can be reached.
        run: How to run; `max_s` caps the seconds of each network.
        backends: The runtimes that may be asked for.
        witnessed: Finds the witness of the device.
        clock: Seconds, for the cap.

    Raises:
        DeviceUnreachable, DeviceError: As `measure` does.
    """
    backend = backend_of(device, run, backends)
    with prepared(works, device, run, backend) as (handles, granted):
        witness = witnessed(device, backend.fingerprint(device), granted)
        found = turns([handle.run for handle in handles], run, witness=witness, clock=clock)
        if witness is not None:
            witness.close()
        return found


def turns(
    blocks: Sequence[Block],
    run: RunSpec,
    *,
    witness: Witness | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Turn, ...]:
    """Run blocks in turns until every median is known within 1 %, five rounds at least, or the cap ends.

    Args:
        blocks: Each runs one network n times.
        run: The number of threads, and the cap `max_s` in seconds for each network.
        witness: Is read beside every block, if there is one, and says which of them count.
        clock: Seconds.
    """
    sizes = [_warm(block, clock) for block in blocks]
    done: list[tuple[int, Samples]] = []
    wanted = set(range(len(blocks)))
    began, rounds = clock(), 0
    if witness is not None:
        witness.read()
    while wanted and (rounds < _FEWEST_ROUNDS or clock() - began < run.max_s * len(blocks)):
        for i in sorted(wanted, reverse=rounds % 2 == 1):
            done.append((i, blocks[i](sizes[i])))
            if witness is not None:
                witness.read()
        rounds += 1
        if rounds >= _FEWEST_ROUNDS:
            wanted = {i for i in wanted if not is_known(_judged(i, done, witness), run)}
    return tuple(_turn(_judged(i, done, witness), run) for i in range(len(blocks)))


def _judged(i: int, done: Sequence[tuple[int, Samples]], witness: Witness | None) -> Samples:
    """The runs of network `i`; each knows whether the witness found the machine calm beside its block."""
    mine = [samples for which, samples in done if which == i]
    if witness is None:
        return joined(mine)
    calm = [is_calm for is_calm, (which, _) in zip(witness.calm(), done, strict=True) if which == i]
    return dataclasses.replace(joined(mine), calm=np.repeat(calm, [len(samples) for samples in mine]))


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


def _turn(samples: Samples, run: RunSpec) -> Turn:
    chosen = chosen_of(samples, run)
    return Turn(
        median_ms=float(np.median(chosen.times_ms)),
        ci95_ms=median_interval(chosen.times_ms),
        n=len(chosen.times_ms),
        quality=judge(chosen, is_throttled=samples.is_throttled, room_s=run.max_s),
    )
