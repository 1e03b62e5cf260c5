"""Which networks are trained? Random ones of the `hybrid` space, published ones, and published ones made narrower.

    python studies/hybrid_bench/bench_networks.py [--networks 400]      # writes specs.jsonl beside this file

Multiply-adds, as trained, lie between 8 and 56 million. Random networks are drawn so that six bins of equal ratio in
that range fill alike, one after the other: an even spread over sizes, and many pairs of about equal cost. After every
three random ones comes one published. A longer list begins with the shorter one.

A line holds name, origin (sampled, published, narrowed), half (tune or report), multiply-adds as trained, and the spec
at its own resolution and with 1000 classes.
"""

import argparse
import dataclasses
import itertools
import json
import math
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bench_recipes import RECIPES

from archlab import space
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.errors import SpecError
from archlab.families import FAMILIES, Published
from archlab.files import write_text
from archlab.spec import ArchSpec

__all__ = ["HERE", "Network", "line", "load", "main", "networks", "with_widths"]

HERE = Path(__file__).parent
_LEAST_MACS, _MOST_MACS, _BINS = 8e6, 56e6, 6
_SEED = 505
_FAMILIES = ("efficientvit_msra", "edgenext", "efficientvit_mit", "convnext")
_FACTORS = (0.75, 0.5, 0.375, 0.25)
_STEP = 8
_SAMPLED_PER_PUBLISHED = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network of the benchmark; `spec` is the full one, `macs` are those of the network as trained."""

    name: str
    origin: str
    macs: int
    spec: ArchSpec

    @property
    def half(self) -> str:
        """What is tuned is tuned on `tune`, what is reported is reported on `report`; the digest decides."""
        return ("tune", "report")[int(self.spec.digest, 16) % 2]


def networks(number: int) -> list[Network]:
    """The first networks of the benchmark."""
    known = {network.spec.digest: network for network in [*_narrowed(), *_published()]}
    ordered = sorted(known.values(), key=lambda network: network.origin != "published")
    return list(itertools.islice(_merged(_sampled(set(known)), iter(ordered)), number))


def _merged(sampled: Iterator[Network], known: Iterator[Network]) -> Iterator[Network]:
    for number, network in enumerate(sampled, start=1):
        yield network
        if number % _SAMPLED_PER_PUBLISHED == 0:
            yield from itertools.islice(known, 1)


def _sampled(seen: set[str]) -> Iterator[Network]:
    """Random networks that are not `seen`, bin after bin; one of another bin than the next waits there."""
    hybrid, rng = space.default("hybrid"), random.Random(_SEED)
    waiting: dict[int, list[Network]] = defaultdict(list)
    for number in itertools.count():
        queue = waiting[number % _BINS]
        while not queue:
            spec = hybrid.decode(hybrid.sample(rng))
            macs = _macs(spec)
            if spec.digest not in seen and macs is not None:
                seen.add(spec.digest)
                waiting[_bin(macs)].append(Network(name="", origin="sampled", macs=macs, spec=spec))
        yield dataclasses.replace(queue.pop(0), name=f"hybrid_{number:04d}")


def _bin(macs: int) -> int:
    return int(_BINS * math.log(macs / _LEAST_MACS) / math.log(_MOST_MACS / _LEAST_MACS))


def _macs(spec: ArchSpec) -> int | None:
    """Multiply-adds as trained; None out of the range, or where the network cannot be that small."""
    try:
        macs = count(trace(RECIPES["cifar10"].small(spec))).macs
    except SpecError:
        return None
    return macs if _LEAST_MACS <= macs < _MOST_MACS else None


def _rows() -> Iterator[Published]:
    """Published networks with a head, in turn from each family."""
    families = [[row for row in FAMILIES[name].published if row.spec.head is not None] for name in _FAMILIES]
    for turn in itertools.zip_longest(*families):
        yield from (row for row in turn if row is not None)


def _published() -> Iterator[Network]:
    for row in _rows():
        macs = _macs(row.spec)
        if macs is not None:
            yield Network(name=row.name, origin="published", macs=macs, spec=row.spec)


def _narrowed() -> Iterator[Network]:
    """Larger published networks with all widths scaled, in the steps of eight channels that their heads allow."""
    for row in _rows():
        if _macs(row.spec) is not None:
            continue
        for factor in _FACTORS:
            spec = with_widths(row, factor)
            macs = None if spec is None else _macs(spec)
            if spec is not None and macs is not None:
                yield Network(name=f"{row.name}_x{factor:g}", origin="narrowed", macs=macs, spec=spec)
                break


def with_widths(row: Published, factor: float, step: int = _STEP) -> ArchSpec | None:
    """A published network with all its widths scaled, in steps of so many channels; None where it cannot be."""
    axes = {**row.axes, "resolution": row.resolution}
    for name in axes:
        if name.startswith("width"):
            axes[name] = _scaled(int(axes[name]), factor, step)
    try:
        return row.make(**axes)
    except SpecError:
        return None


def _scaled(width: int, factor: float, step: int) -> int:
    step = min(step, max(1, width // 4))
    return max(step, round(width * factor / step) * step)


def line(network: Network) -> str:
    """What a network becomes in the list."""
    row = {"name": network.name, "origin": network.origin, "half": network.half, "macs": network.macs}
    return json.dumps({**row, "spec": network.spec.to_dict()}, separators=(",", ":"))


def load(path: Path) -> list[Network]:
    """Read the list that `main` wrote."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        spec = ArchSpec.from_dict(row["spec"], where=row["name"])
        found.append(Network(name=row["name"], origin=row["origin"], macs=row["macs"], spec=spec))
    return found


def main() -> None:
    """Write specs.jsonl."""
    parser = argparse.ArgumentParser(description="Draw the networks of the benchmark.")
    parser.add_argument("--networks", type=int, default=400, help="how many")
    parser.add_argument("--out", type=Path, default=HERE / "specs.jsonl")
    asked = parser.parse_args()
    write_text(asked.out, "".join(f"{line(network)}\n" for network in networks(asked.networks)))


if __name__ == "__main__":
    main()
