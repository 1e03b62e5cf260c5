"""What a space holds, and whether a budget can be met at all."""

import itertools
from typing import Any

import pytest

from archlab import space
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.device.catalog import device
from archlab.space import SearchSpace
from archlab.spec import ArchSpec
from archlab.study.objective import Reading
from archlab.study.reach import probe, smallest_upper_ms


@pytest.fixture
def small(space_file: str) -> SearchSpace:
    return space.load(space_file)


def all_specs(small: SearchSpace) -> list[ArchSpec]:
    names = [axis.name for axis in small.axes]
    return [
        small.decode(dict(zip(names, values, strict=True)))
        for values in itertools.product(*(axis.choices for axis in small.axes))
    ]


def macs(spec: ArchSpec) -> int:
    return count(trace(spec)).macs


def test_costs_over_a_sample(small: SearchSpace) -> None:
    """500 draws see all 48 networks, so the range is that of the whole space."""
    found = probe(small, device("orin"), samples=500)
    everything = sorted(macs(spec) for spec in all_specs(small))
    assert found.networks == len(everything) == 48
    assert (found.macs["min"], found.macs["max"]) == (everything[0], everything[-1])
    assert found.macs["median"] == (everything[23] + everything[24]) / 2
    assert found.latency_source == "estimated:roofline@orin"
    assert found.latency_ms is not None
    assert found.smallest_upper_ms is not None
    assert found.smallest_upper_ms > found.latency_ms["min"]


def test_no_device_no_latency(small: SearchSpace) -> None:
    found = probe(small, None, samples=5)
    assert (found.latency_ms, found.latency_source, found.smallest_upper_ms) == (None, None, None)
    measured = probe(small, device("cpu"), samples=5)
    assert measured.latency_ms is None


def test_a_device_that_is_reached_is_measured_at_both_ends_and_between(small: SearchSpace) -> None:
    asked = []

    def measured(spec: ArchSpec) -> Reading:
        asked.append(macs(spec))
        return Reading(value=float(len(asked)), source="measured:x@cpu", interval=(len(asked) - 0.5, len(asked) + 0.5))

    found = probe(small, device("cpu"), samples=500, measured=measured)
    assert asked == [found.macs["min"], sorted(macs(spec) for spec in all_specs(small))[24], found.macs["max"]]
    assert found.latency_ms == {"min": 1.0, "median": 2.0, "max": 3.0}
    assert (found.latency_source, found.smallest_upper_ms) == ("measured:x@cpu", 1.5)


def reading(spec: ArchSpec) -> Reading:
    """Slow where it is wide, slowest with kernel 3: the fastest network is at no extreme point."""
    kernel = spec.stages[0].blocks[0].kernels
    assert kernel is not None
    value = spec.widths[0] / 8 + (5 if kernel[0] == 3 else 0) + spec.resolution / 64
    return Reading(value=value, source="estimated:x@orin", interval=(value - 0.5, value + 0.5))


@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_is_found_by_descent(small: SearchSpace, seed: int) -> None:
    smallest = min(reading(spec).value for spec in all_specs(small)) + 0.5
    options: dict[str, Any] = {"latency": reading, "macs": macs, "is_measured": False, "seed": seed}
    assert smallest_upper_ms(small, 0.1, **options) == (pytest.approx(smallest), "estimated:x@orin")


def test_it_stops_at_the_first_within_the_budget(small: SearchSpace) -> None:
    asked: list[str] = []

    def latency(spec: ArchSpec) -> Reading:
        asked.append(spec.digest)
        return reading(spec)

    upper, _ = smallest_upper_ms(small, 50.0, latency=latency, macs=macs, is_measured=False)
    assert upper <= 50.0
    assert len(asked) == 1


def test_measurements_are_few_and_of_the_smallest(small: SearchSpace) -> None:
    asked: list[int] = []

    def latency(spec: ArchSpec) -> Reading:
        asked.append(macs(spec))
        return Reading(value=9.0, source="measured:ort@cpu", interval=(8.0, 10.0))

    assert smallest_upper_ms(small, 1.0, latency=latency, macs=macs, is_measured=True) == (10.0, "measured:ort@cpu")
    assert asked == sorted(macs(spec) for spec in all_specs(small))[:3]
    asked.clear()
    assert smallest_upper_ms(small, 20.0, latency=latency, macs=macs, is_measured=True)[0] == 10.0
    assert len(asked) == 1
