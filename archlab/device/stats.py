"""From noisy samples to one number: which runs count, their median with its interval, and whether to trust it.

On a shared machine the wall time of a run that was interrupted says how busy the machine is, not how fast the network
is. So only runs without an involuntary context switch count. A run on one thread has a second clock, its CPU time:
where hardly any run stays uninterrupted, the CPU time of the least interrupted runs is taken instead (being
interrupted costs CPU time too, for refilling the caches). Others slow a network even from another core, through the
memory that all share, for parts of a second: of a long series, only the parts that were disturbed least count.
"""

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "STATISTICS",
    "Chosen",
    "Floats",
    "Ints",
    "choose",
    "drift_share",
    "is_steady",
    "judge",
    "median_interval",
    "spread_share",
    "width_share",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

STATISTICS = {
    "wall_clean": "wall time of the runs without an involuntary context switch",
    "wall_calm": "wall time of the runs without an involuntary context switch, in the calm parts",
    "cpu_calm": "CPU time of the least interrupted runs (one thread)",
    "wall_all": "wall time of all runs, interrupted ones among them",
    "reported": "times as the device's own tool reports them",
}
"""Name → what the latency is a statistic of. Every measurement says which was used."""

TARGET_SHARE = 0.01
"""A measurement ends when the 95 % interval of its median is narrower than this share of the median."""

MIN_CLEAN = 30
"""With fewer clean runs a median is no latency, unless the cap has no room for so many."""

_MIN_USED = 10
_MIN_CPU_SHARE = 0.6
"""A process that had the CPU for less of its time found its caches cold too often: its CPU time is 5 to 20 % high."""

_CALM_SHARE = 0.25
_PART, _FEWEST_PARTS = 15, 8
_DISTURBED_SHARE = 0.02
"""A part of 15 runs is disturbed when its median lies so far above that of the calmest quarter of the parts."""

_WIDE_SHARE = 0.03
_SPREAD_SHARE = 0.06
_DRIFT_SHARE = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The runs that count: their times in ms, the statistic's name, the share of uninterrupted runs.

    `cpu_share` is the share of all runs' wall time in which the process had the CPU, 1 where it is not known.
    """

    times_ms: Floats
    statistic: str
    clean_share: float
    cpu_share: float = 1.0


def choose(wall_ms: Floats, cpu_ms: Floats | None, switches: Ints | None, threads: int) -> Chosen:
    """Choose the clock and the runs that the latency is taken from.

    Args:
        wall_ms: Wall time of each run.
        cpu_ms: CPU time of each run; None where it is not known (a board's own tool).
        switches: Involuntary context switches in each run; None where not known.
        threads: Threads the network ran on; CPU time is a latency for one thread only.
    """
    if cpu_ms is None or switches is None:
        return Chosen(times_ms=wall_ms, statistic="reported", clean_share=1.0)
    clean = switches == 0
    share = float(clean.mean()) if len(clean) else 0.0
    had = float(cpu_ms.sum() / wall_ms.sum()) if wall_ms.sum() > 0 else 1.0
    if clean.sum() >= MIN_CLEAN or (clean.sum() >= _MIN_USED and share >= 0.5):
        calm = _calm_parts(wall_ms[clean])
        name = "wall_calm" if len(calm) < clean.sum() else "wall_clean"
        return Chosen(times_ms=calm, statistic=name, clean_share=share, cpu_share=had)
    if threads == 1:
        return Chosen(times_ms=cpu_ms[_calm(switches)], statistic="cpu_calm", clean_share=share, cpu_share=had)
    return Chosen(times_ms=wall_ms, statistic="wall_all", clean_share=share, cpu_share=had)


def _calm_parts(times_ms: Floats) -> Floats:
    """Leave out the parts of a series that others disturbed; a short series stays whole."""
    count = len(times_ms) // _PART
    if count < _FEWEST_PARTS:
        return times_ms
    parts = np.array_split(times_ms, count)
    medians = np.array([np.median(part) for part in parts])
    limit = (1 + _DISTURBED_SHARE) * np.percentile(medians, 25, method="lower")
    return np.concatenate([part for part, median in zip(parts, medians, strict=True) if median <= limit])


def _calm(switches: Ints) -> npt.NDArray[np.bool_]:
    """Mark the least interrupted quarter of the runs, ties included, or MIN_CLEAN runs if that is more."""
    wanted = max(MIN_CLEAN, int(np.ceil(_CALM_SHARE * len(switches))))
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
    """Name the quality of a measurement: failed, throttled, noisy or ok.

    ``ok`` needs a statistic free of interruptions, at least thirty runs in it (ten where no more fit into the cap), an
    interval of the median narrower than 3 % of it, quartiles within 6 %, and halves that agree within 5 %. The
    quartiles tell what the interval cannot: that others fill the caches and the memory bus, and the whole window is
    slow. CPU time counts only of a process that had the CPU for most of the time.

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
    is_calm = spread_share(times_ms) <= _SPREAD_SHARE and drift_share(times_ms) <= _DRIFT_SHARE
    fitting = int(1000 * room_s / float(np.median(times_ms)))
    is_known = len(times_ms) >= min(max(fitting, _MIN_USED), MIN_CLEAN) and width_share(times_ms) <= _WIDE_SHARE
    is_free = chosen.statistic != "wall_all" and not (
        chosen.statistic == "cpu_calm" and chosen.cpu_share < _MIN_CPU_SHARE
    )
    return "ok" if is_calm and is_known and is_free else "noisy"
