"""What a space holds before it is searched: smallest, median and largest costs, and whether a budget can be met.

The smallest network is looked for from the space's own extreme point and published networks, then axis by axis from
the best point found; a sample cannot prove that nothing smaller exists, so the answer is "smallest found".
"""

import dataclasses
import random
import statistics
from collections.abc import Callable, Iterator

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.device.catalog import Device, run_for
from archlab.latency import PREDICTORS, predictor_for
from archlab.space import Point, SearchSpace
from archlab.spec import ArchSpec
from archlab.study.objective import Reading

__all__ = ["Probe", "probe", "smallest_upper_ms"]

_SWEEPS = 2
_MEASURED = 3
_SAMPLE = 100

Range = dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """Costs over the networks looked at, each as ``{min, median, max}``.

    The latency is None without a device. On an estimated device it is that of all networks, on a measured one that of
    the networks with the fewest, the median and the most multiply-adds. `smallest_upper_ms` is the smallest upper end
    of an interval.
    """

    networks: int
    params: Range
    macs: Range
    latency_ms: Range | None
    latency_source: str | None
    smallest_upper_ms: float | None


def probe(
    space: SearchSpace,
    device: Device | None,
    *,
    samples: int = 200,
    seed: int = 0,
    measured: Callable[[ArchSpec], Reading] | None = None,
) -> Probe:
    """Look at random, extreme and published networks of a space.

    Args:
        space: The space.
        device: Where to say the latency; None leaves it out.
        samples: Number of random networks.
        seed: Seed of the sample.
        measured: Measures a network, for a device that can be reached; three networks are measured.
    """
    run = None if device is None else run_for(device)
    params, macs, readings = [], [], []
    looked_at = list(_candidates(space, samples, seed))
    for spec in looked_at:
        found = trace(spec)
        params.append(float(found.params))
        macs.append(float(count(found).macs))
        if device is not None and device.calibration is not None:
            guess = PREDICTORS[predictor_for(device)].predict(found, device, run)
            readings.append(Reading(value=guess.ms, source=guess.source, interval=(guess.lo_ms, guess.hi_ms)))
    if measured is not None:
        order = sorted(range(len(looked_at)), key=macs.__getitem__)
        readings = [measured(looked_at[i]) for i in (order[0], order[len(order) // 2], order[-1])]
    return Probe(
        networks=len(params),
        params=_range(params),
        macs=_range(macs),
        latency_ms=_range([reading.value for reading in readings]) if readings else None,
        latency_source=readings[0].source if readings else None,
        smallest_upper_ms=min((_upper(reading) for reading in readings), default=None),
    )


def smallest_upper_ms(
    space: SearchSpace,
    budget_ms: float,
    *,
    latency: Callable[[ArchSpec], Reading],
    macs: Callable[[ArchSpec], int],
    is_measured: bool,
    seed: int = 0,
) -> tuple[float, str]:
    """Find a small latency in the space, at the upper end of its interval, with its source.

    Stops at the first network within the budget. Estimates are cheap: the sample, then a descent axis by axis. Where
    every latency is a measurement, the descent follows the multiply-adds and only the last few networks are measured.

    Args:
        space: The space.
        budget_ms: The budget.
        latency: Measures or estimates a network.
        macs: Counts its multiply-adds.
        is_measured: Whether `latency` takes seconds instead of milliseconds.
        seed: Seed of the sample.
    """
    readings: list[Reading] = []

    def upper(spec: ArchSpec) -> float:
        readings.append(latency(spec))
        return _upper(readings[-1])

    if is_measured:
        ordered = sorted({s.digest: s for s in _descent(space, lambda s: float(macs(s)), seed)}.values(), key=macs)
        for spec in ordered[:_MEASURED]:
            if upper(spec) <= budget_ms:
                break
    else:
        for _ in _descent(space, upper, seed):
            if _upper(readings[-1]) <= budget_ms:
                break
    smallest = min(readings, key=_upper)
    return _upper(smallest), smallest.source


def _descent(space: SearchSpace, cost: Callable[[ArchSpec], float], seed: int) -> Iterator[ArchSpec]:
    """Yield networks, cheaper and cheaper: a sample, then the best point changed axis by axis."""
    best_point, best_cost = None, float("inf")
    rng = random.Random(seed)
    points = [*space.extremes(), *(space.sample(rng) for _ in range(_SAMPLE))]
    for point in points:
        spec = space.decode(point)
        here = cost(spec)
        if here < best_cost:
            best_point, best_cost = point, here
        yield spec
    for _ in range(_SWEEPS):
        before = best_cost
        for axis in space.axes:
            assert best_point is not None
            for point in _changed(space, best_point, axis.name):
                spec = space.decode(point)
                here = cost(spec)
                if here < best_cost:
                    best_point, best_cost = point, here
                yield spec
        if best_cost >= before:
            return


def _changed(space: SearchSpace, point: Point, name: str) -> Iterator[Point]:
    """The point with every other choice of one axis; axes that become active take their first choice."""
    if name not in point:
        return
    axis = next(axis for axis in space.axes if axis.name == name)
    for choice in axis.choices:
        changed = {**point, name: choice}
        if choice != point[name]:
            yield space.walk(lambda other, values=changed: values.get(other.name, other.choices[0]))  # type: ignore[misc]


def _candidates(space: SearchSpace, samples: int, seed: int) -> Iterator[ArchSpec]:
    rng = random.Random(seed)
    seen = set()
    points = [*space.extremes(), *(space.encode(row.spec) for row in space.published())]
    for point in [*points, *(space.sample(rng) for _ in range(samples))]:
        spec = space.decode(point)
        if spec.digest not in seen:
            seen.add(spec.digest)
            yield spec


def _range(values: list[float]) -> Range:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def _upper(reading: Reading) -> float:
    return reading.value if reading.interval is None else reading.interval[1]
