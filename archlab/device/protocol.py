"""The measuring loop: warm up, then blocks of runs until the median is known well enough.

It knows no runtime and no clock of its own: it is told how to run a block, how to read the time and whom to ask whether
the machine is calm, so it can be tested without a device.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from archlab.device.catalog import RunSpec
from archlab.device.measurement import Samples, joined
from archlab.device.stats import MIN_CLEAN, TARGET_SHARE, Chosen, choose, is_steady, width_share
from archlab.device.witness import Witness

__all__ = ["Block", "Collected", "chosen_of", "collect", "is_known"]

Block = Callable[[int], Samples]
"""Runs a network so many times."""

_WARMUP_BLOCK_S, _BLOCK_S = 0.1, 0.25
_FEWEST_S, _FEWEST_RUNS = 1.0, 10
_LARGE_BLOCK = 200


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What the loop brought home: the samples after warm-up, and how the warm-up went."""

    samples: Samples
    is_warm: bool
    warmup_runs: int
    seconds: float


def collect(
    run_block: Block,
    run: RunSpec,
    clock: Callable[[], float],
    *,
    is_self_warming: bool = False,
    witness: Witness | None = None,
) -> Collected:
    """Run the protocol's two loops.

    Args:
        run_block: Runs n times and gives n samples.
        run: The caps and the number of threads.
        clock: Seconds.
        is_self_warming: Every block warms up by itself and costs a process: no warm-up here, few large blocks.
        witness: Is read beside every block, if there is one, and says which of them count.
    """
    began = clock()
    if is_self_warming:
        return _large_blocks(run_block, run, clock)
    run_block(1)
    first = clock()
    run_block(1)
    run_s = max(clock() - first, 1e-9)
    medians: list[float] = []
    warmup = _block_of(run_s, _WARMUP_BLOCK_S, 3, 50)
    while not is_steady(medians) and clock() - began < run.warmup_s:
        medians.append(float(np.median(_steadiest_clock(run_block(warmup), run))))
    blocks: list[Samples] = []
    measuring = clock()
    if witness is not None:
        witness.read()
    while not blocks or _goes_on(_judged(blocks, witness), run, clock() - measuring):
        blocks.append(run_block(_block_of(run_s, _BLOCK_S, 1, 200)))
        if witness is not None:
            witness.read()
    return Collected(
        samples=_judged(blocks, witness),
        is_warm=is_steady(medians),
        warmup_runs=2 + warmup * len(medians),
        seconds=clock() - began,
    )


def _large_blocks(run_block: Block, run: RunSpec, clock: Callable[[], float]) -> Collected:
    """Large blocks of runs that warm up by themselves."""
    began = clock()
    blocks = [run_block(_LARGE_BLOCK)]
    while not is_known(joined(blocks), run) and clock() - began < run.max_s:
        blocks.append(run_block(_LARGE_BLOCK))
    return Collected(samples=joined(blocks), is_warm=True, warmup_runs=0, seconds=clock() - began)


def _judged(blocks: Sequence[Samples], witness: Witness | None) -> Samples:
    """Join the blocks; each run knows whether the witness found the machine calm beside its block."""
    samples = joined(blocks)
    if witness is None:
        return samples
    return dataclasses.replace(samples, calm=np.repeat(witness.calm(), [len(block) for block in blocks]))


def chosen_of(samples: Samples, run: RunSpec) -> Chosen:
    """Choose the runs that count; see `stats.choose`."""
    cpu_ms = None if samples.cpu_ns is None else samples.cpu_ns / 1e6
    return choose(samples.wall_ns / 1e6, cpu_ms, samples.switches, run.threads, samples.calm)


def _goes_on(samples: Samples, run: RunSpec, seconds: float) -> bool:
    """Tell whether more runs are needed: ten, and a second or half the cap of calm ones, if the cap has room."""
    if len(samples) < _FEWEST_RUNS:
        return True
    calm_s = float(samples.wall_ns[slice(None) if samples.calm is None else samples.calm].sum()) / 1e9
    return seconds < run.max_s and (calm_s < min(_FEWEST_S, run.max_s / 2) or not is_known(samples, run))


def is_known(samples: Samples, run: RunSpec) -> bool:
    """Tell whether thirty runs or more count, and give their median within 1 %."""
    chosen = chosen_of(samples, run)
    if chosen.statistic == "wall_all" or chosen.calm_share == 0 or len(chosen.times_ms) < MIN_CLEAN:
        return False
    return width_share(chosen.times_ms) < TARGET_SHARE


def _steadiest_clock(samples: Samples, run: RunSpec) -> Any:
    return samples.cpu_ns if run.threads == 1 and samples.cpu_ns is not None else samples.wall_ns


def _block_of(run_s: float, block_s: float, fewest: int, most: int) -> int:
    """Runs in a block of about `block_s` seconds."""
    return int(min(max(block_s / run_s, fewest), most))
