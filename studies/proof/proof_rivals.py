"""Which published networks keep a budget on this CPU, as they are or with their widths scaled up to it?

    python studies/proof/proof_rivals.py [--budgets 0.65 1.1 1.6]      # writes rivals.csv, latency.csv and specs.jsonl

Every published network of every family whose blocks the `hybrid` space uses is fitted to 32 px images with half its
stem's stride and 10 classes, as the searched ones are, and measured. A rival of a budget is one whose median keeps it,
and, for each network, the widest version of it, all widths times 0.5 to 2 in steps of a sixteenth, whose median keeps
it and fills it to nine tenths at least. Neighbours on the machine only make a network slower, one with large weights
most: each is measured twice and the fastest reading counts, that of the benchmark of hybrids included, so that no
rival is left out by them. Measured latencies are kept in `latency.csv`; the command goes on where it was.
"""

import argparse
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import proof_paths  # noqa: F401
from bench_networks import HERE as BENCH
from bench_networks import Network, line, with_widths
from bench_recipes import RECIPES
from bench_table import append, read
from latency_bench import LATENCY, timed, told

from archlab import space
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.errors import SpecError
from archlab.families import Published
from archlab.files import write_text
from archlab.spec import ArchSpec

__all__ = ["BUDGETS_MS", "HERE", "RECIPE", "RECIPE_NAME", "SPECS", "Clock", "main", "names"]

HERE = Path(__file__).parent
SPECS = "specs.jsonl"
BUDGETS_MS = (0.65, 1.1, 1.6)
RECIPE_NAME = "cifar10"
RECIPE = RECIPES[RECIPE_NAME]
RIVALS = "rivals.csv"
_COLUMNS = ("budget_ms", "name", "factor", "latency_ms", "low_ms", "high_ms", "quality", "macs", "digest")
_TIMES = ("small", "latency_ms", "low_ms", "high_ms", "quality", "macs")
_FACTORS = [i / 16 for i in range(8, 33)]
_STEPS = (8, 24)
"""Channels: the first that the heads of a network can share among them."""
_FULL = 0.9
_READINGS = 2
_HOPELESS = 4.0
"""A published network slower than this many budgets has no version within twice or half its widths."""


class Clock:
    """Measured latencies by digest, each network once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = {row["small"]: row for row in read(path)}
        self._elsewhere = {row["small"]: row for row in read(BENCH / LATENCY) if row["recipe"] == RECIPE_NAME}

    def __call__(self, small: ArchSpec) -> dict[str, str]:
        """The row of a network as it is trained, measured if nobody did."""
        if small.digest not in self._known:
            found = min((timed(small) for _ in range(_READINGS)), key=lambda reading: reading.median_ms)
            values = {"small": small.digest, **told(found), "macs": _macs(small)}
            row = {name: str(value) for name, value in values.items()}
            append(self._path, _TIMES, [row])
            self._known[small.digest] = row
        row = self._known[small.digest]
        other = self._elsewhere.get(small.digest, row)
        faster = min(row, other, key=lambda one: float(one["latency_ms"]))
        return row | {name: faster[name] for name in _TIMES if name in faster}

    def ms(self, small: ArchSpec) -> float:
        """Median in ms."""
        return float(self(small)["latency_ms"])


def _macs(small: ArchSpec) -> int:
    return count(trace(small)).macs


def _small(spec: ArchSpec) -> ArchSpec | None:
    try:
        return RECIPE.small(spec)
    except SpecError:
        return None


def _published() -> list[Published]:
    rows = [row for row in space.default("hybrid").baselines() if _small(row.spec) is not None]
    return sorted(rows, key=lambda row: _macs(RECIPE.small(row.spec)))


def _versions(row: Published) -> list[tuple[float, ArchSpec]]:
    """Distinct networks of other widths, smallest first."""
    found: dict[str, tuple[float, ArchSpec, int]] = {}
    for factor in _FACTORS:
        spec = next((spec for step in _STEPS if (spec := with_widths(row, factor, step))), None)
        small = None if spec is None else _small(spec)
        if spec is not None and small is not None and small.digest not in found:
            found[small.digest] = (factor, spec, _macs(small))
    return [(factor, spec) for factor, spec, _ in sorted(found.values(), key=lambda one: one[2])]


def _widest(row: Published, budget_ms: float, clock: Clock) -> tuple[float, ArchSpec] | None:
    """The widest version that keeps the budget, by bisection: latency grows with the widths; None if it is not full."""
    versions = _versions(row)
    low, high = 0, len(versions)
    while low < high:
        middle = (low + high) // 2
        if clock.ms(RECIPE.small(versions[middle][1])) <= budget_ms:
            low = middle + 1
        else:
            high = middle
    if low == 0 or clock.ms(RECIPE.small(versions[low - 1][1])) < _FULL * budget_ms:
        return None
    return versions[low - 1]


def rivals(budget_ms: float, clock: Clock) -> Iterator[tuple[float, Network]]:
    """Published networks that keep a budget, and scaled ones up to it; two that are one network when scaled, once."""
    slow, seen = set[str](), set[str]()
    for row in _published():
        if row.family in slow:
            continue
        ms = clock.ms(RECIPE.small(row.spec))
        if ms > _HOPELESS * budget_ms:
            slow.add(row.family)
            continue
        if ms <= budget_ms:
            seen.add(row.spec.digest)
            yield 1.0, _network(row.name, "published", row.spec)
        widest = _widest(row, budget_ms, clock)
        if widest is not None and widest[1].digest not in {*seen, row.spec.digest}:
            seen.add(widest[1].digest)
            yield widest[0], _network(f"{row.name}_x{widest[0]:g}", "scaled", widest[1])


def _network(name: str, origin: str, spec: ArchSpec) -> Network:
    return Network(name=name, origin=origin, macs=_macs(RECIPE.small(spec)), spec=spec)


def names(budget_ms: float) -> list[str]:
    """The rivals of a budget that `main` wrote."""
    return [row["name"] for row in read(HERE / RIVALS) if float(row["budget_ms"]) == budget_ms]


def main() -> None:
    """Write the rivals of all budgets."""
    parser = argparse.ArgumentParser(description="Find the published rivals of the budgets.")
    parser.add_argument("--budgets", nargs="+", type=float, default=list(BUDGETS_MS))
    asked = parser.parse_args()
    clock, networks, text = Clock(HERE / LATENCY), dict[str, Network](), io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    for budget_ms in asked.budgets:
        for factor, network in rivals(budget_ms, clock):
            small = RECIPE.small(network.spec)
            known = {name: value for name, value in clock(small).items() if name != "small"}
            table.writerow(
                {"budget_ms": budget_ms, "name": network.name, "factor": factor, "digest": small.digest, **known}
            )
            networks.setdefault(network.name, network)
    write_text(HERE / RIVALS, text.getvalue())
    write_text(HERE / SPECS, "".join(f"{line(network)}\n" for network in networks.values()))


if __name__ == "__main__":
    main()
