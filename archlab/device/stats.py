"""From noisy samples to one number: which runs count, their median with its interval, and whether to trust it.

On a shared machine the wall time of a run that was interrupted says how busy the machine is, not how fast the network
is. So only runs without an involuntary context switch count. A run on one thread has a second clock, its CPU time:
where hardly any run stays uninterrupted, the CPU time of the least interrupted runs is taken instead (being
interrupted costs CPU time too, for refilling the caches). Others slow a network even from another core, through the
memory that all share, often for many seconds. The times themselves cannot tell; a witness can (`witness`), and where
there is one, only the runs count beside which it found the machine calm.
"""

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "STATISTICS",
    "Bools",
    "Chosen",
    "Floats",
    "Ints",
    "choose",
    "doubt",
    "drift_share",
    "is_steady",
    "judge",
    "median_interval",
    "spread_share",
    "width_share",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

STATISTICS = {
    "wall_clean": "wall time of the runs without an involuntary context switch",
    "cpu_clean": "CPU time of the least interrupted runs (one thread)",
    "wall_all": "wall time of all runs, interrupted ones among them",
    "reported": "times as the device's own tool reports them",
}
"""Name → what the latency is a statistic of. Every measurement says which was used."""

TARGET_SHARE = 0.01
"""A measurement ends when the 95 % interval of its median is narrower than this share of the median."""

MIN_CLEAN = 30
"""With fewer clean runs a median is no latency, unless the cap has no room for so many."""

_MIN_USED = 10
_MIN_CPU_SHARE = 1 / 3
"""A process that had the CPU for less of its time found its caches cold too often: its CPU time is up to 12 % high.

With 40 to 50 % of the time it is 4 to 6 % above that of runs with precedence, but nearly always the same (20 of 21
series of 6 s lay within 5 % of their median).
"""

_LEAST_INTERRUPTED_SHARE = 0.25

_WIDE_SHARE = 0.03
_SPREAD_SHARE = 0.06
_DRIFT_SHARE = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The runs that count: their times in ms, the statistic's name, the share of uninterrupted runs.

    `cpu_share` is the share of all runs' wall time in which the process had the CPU, 1 where it is not known;
    `calm_share` is the share of the runs beside which the witness found the machine calm, 1 where there is no witness.
    """

    times_ms: Floats
    statistic: str
    clean_share: float
    cpu_share: float = 1.0
    calm_share: float = 1.0


def choose(
    wall_ms: Floats, cpu_ms: Floats | None, switches: Ints | None, threads: int, calm: Bools | None = None
) -> Chosen:
    """Choose the clock and the runs that the latency is taken from.

    Args:
        wall_ms: Wall time of each run.
        cpu_ms: CPU time of each run; None where it is not known (a board's own tool).
        switches: Involuntary context switches in each run; None where not known.
        threads: Threads the network ran on; CPU time is a latency for one thread only.
        calm: Whether the witness found the machine calm beside each run; None without a witness. Where it never was,
            all runs are taken, and `calm_share` is 0.
    """
    if cpu_ms is None or switches is None:
        return Chosen(times_ms=wall_ms, statistic="reported", clean_share=1.0)
    had = float(cpu_ms.sum() / wall_ms.sum()) if wall_ms.sum() > 0 else 1.0
    calm_share = 1.0 if calm is None or not len(calm) else float(calm.mean())
    if calm is not None and calm.any():
        wall_ms, cpu_ms, switches = wall_ms[calm], cpu_ms[calm], switches[calm]
    clean = switches == 0
    share = float(clean.mean()) if len(clean) else 0.0
    if clean.sum() >= MIN_CLEAN or (clean.sum() >= _MIN_USED and share >= 0.5):
        times_ms, name = wall_ms[clean], "wall_clean"
    elif threads == 1:
        times_ms, name = cpu_ms[_least_interrupted(switches)], "cpu_clean"
    else:
        times_ms, name = wall_ms, "wall_all"
    return Chosen(times_ms=times_ms, statistic=name, clean_share=share, cpu_share=had, calm_share=calm_share)


def _least_interrupted(switches: Ints) -> Bools:
    """Mark the least interrupted quarter of the runs, ties included, or MIN_CLEAN runs if that is more."""
    wanted = max(MIN_CLEAN, int(np.ceil(_LEAST_INTERRUPTED_SHARE * len(switches))))
    limit = np.sort(switches)[min(wanted, len(switches)) - 1] if len(switches) else 0
    return np.asarray(switches <= limit)


def median_interval(times_ms: Floats, level: float = 0.95) -> tuple[float, float]:
    """Bound the median: the percentile bootstrap's interval, computed exactly instead of by resampling.

    The bootstrap distribution of an order statistic is known: with n runs, the resampled (lower) median is at most the
    k-th smallest run with the probability that a Binomial(n, k/n) reaches ceil(n/2); the upper end follows by symmetry.
    So there is no random seed and no cost. Runs are taken as independent; where they are not, the drift check speaks.

    Source: B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans, SIAM 1982, section 10.3.
    """
    ordered = np.sort(times_ms)
    n = len(ordered)
    assert n > 0
    middle = (n + 1) // 2
    share = np.arange(1, n + 1) / n
    at_most = special.betainc(middle, n - middle + 1, share)
    low = int(np.searchsorted(at_most, (1 - level) / 2))
    return float(ordered[low]), float(ordered[n - 1 - low])


def width_share(times_ms: Floats) -> float:
    """Width of the median's 95 % interval as a share of the median."""
    low, high = median_interval(times_ms)
    return (high - low) / float(np.median(times_ms))


def spread_share(times_ms: Floats) -> float:
    """Distance of the quartiles as a share of the median."""
    low, middle, high = np.percentile(times_ms, [25, 50, 75])
    return float((high - low) / middle)


def drift_share(times_ms: Floats) -> float:
    """How far the second half's median lies from the first half's, as a share; 0 for fewer than twenty runs."""
    if len(times_ms) < 20:
        return 0.0
    half = len(times_ms) // 2
    return abs(float(np.median(times_ms[half:]) / np.median(times_ms[:half])) - 1)


def is_steady(medians_ms: Sequence[float], *, blocks: int = 5, share: float = 0.02) -> bool:
    """Tell whether the last `blocks` block medians agree within `share`."""
    last = medians_ms[-blocks:]
    return len(last) == blocks and max(last) <= (1 + share) * min(last)


def judge(chosen: Chosen, *, is_throttled: bool, room_s: float = 0.0) -> str:
    """Name the quality of a measurement: failed, throttled, noisy (there is a `doubt`) or ok.

    Args:
        chosen: The runs that count.
        is_throttled: Whether the device slowed itself down.
        room_s: The cap of the measurement, in seconds.
    """
    times_ms = chosen.times_ms
    if len(times_ms) == 0 or not np.isfinite(times_ms).all() or times_ms.min() <= 0:
        return "failed"
    if is_throttled:
        return "throttled"
    return "ok" if doubt(chosen, room_s=room_s) is None else "noisy"


def doubt(chosen: Chosen, *, room_s: float = 0.0) -> str | None:
    """Say what keeps the median from being a latency; None where nothing does.

    It needs a statistic free of interruptions, a machine that was calm beside the runs, at least thirty of them (ten
    where no more fit into the cap), an interval of the median narrower than 3 % of it, quartiles within 6 %, and halves
    that agree within 5 %. CPU time counts only of a process that had the CPU for most of the time.

    Args:
        chosen: The runs that count; at least one.
        room_s: The cap of the measurement, in seconds.
    """
    times_ms = chosen.times_ms
    fitting = int(1000 * room_s / float(np.median(times_ms)))
    doubts = {
        "the machine was not what it usually is": chosen.calm_share == 0,
        "others interrupted nearly every run": chosen.statistic == "wall_all",
        "others had the CPU for much of the time": chosen.statistic == "cpu_clean"
        and chosen.cpu_share < _MIN_CPU_SHARE,
        "too few runs count": len(times_ms) < min(max(fitting, _MIN_USED), MIN_CLEAN),
        "the median's interval is wide": width_share(times_ms) > _WIDE_SHARE,
        "the runs differ much among themselves": spread_share(times_ms) > _SPREAD_SHARE,
        "the runs grew slower or faster": drift_share(times_ms) > _DRIFT_SHARE,
    }
    return next((why for why, holds in doubts.items() if holds), None)
