"""Which networks tell most about a device? A few that are far apart in what decides a latency.

Candidates are random points of a space and the published networks of its size. Each is described by its multiply-adds,
its operators, the elements that light operators move, and the shares of its multiply-adds by kind; the next network is
always the one farthest from all that were taken (Gonzalez 1985, the k-centre rule), so few of them cover the extremes.
"""

import math
import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from archlab.cost.rows import OpTrace
from archlab.cost.trace import trace
from archlab.errors import PlanError, four_parts
from archlab.families import FAMILIES
from archlab.latency.operators import operators
from archlab.space import SearchSpace
from archlab.spec import ArchSpec

__all__ = ["FEWEST", "MOST", "candidates", "described", "spread"]

FEWEST, MOST = 10, 20
"""How many networks a calibration measures."""

_RANDOM = 300
_KINDS = ("conv", "depthwise", "grouped", "pointwise", "linear", "product")

Floats = npt.NDArray[np.float64]


def candidates(space: SearchSpace, *, seed: int = 0, count: int = _RANDOM) -> list[tuple[str, ArchSpec]]:
    """Random networks of a space, then the published ones that are no larger than the largest of those.

    Returns:
        Names (a digest for a random network) and specs, no network twice.
    """
    rng = random.Random(seed)
    found = {spec.digest: (spec.digest, spec) for spec in (space.decode(space.sample(rng)) for _ in range(count))}
    most = max(_macs(spec) for _, spec in found.values())
    for family in FAMILIES.values():
        for row in family.published:
            if row.macs <= most:
                found.setdefault(row.spec.digest, (row.name, row.spec))
    return list(found.values())


def spread(specs: Sequence[ArchSpec], count: int) -> list[int]:
    """Choose networks that are far apart; the first is the most ordinary one.

    Returns:
        Their indices, in the order of choice.

    Raises:
        PlanError: For a count outside 10 to 20, or more than there are.
    """
    if not FEWEST <= count <= min(MOST, len(specs)):
        raise PlanError(
            four_parts(
                "a calibration cannot measure that many networks",
                given=count,
                allowed=f"{FEWEST} to {min(MOST, len(specs))}",
                do="leave the number out for the default",
            )
        )
    table = np.array([described(trace(spec)) for spec in specs])
    table = (table - table.mean(axis=0)) / np.maximum(table.std(axis=0), 1e-9)
    taken = [int(np.argmin(np.square(table).sum(axis=1)))]
    far = np.square(table - table[taken[0]]).sum(axis=1)
    while len(taken) < count:
        taken.append(int(np.argmax(far)))
        far = np.minimum(far, np.square(table - table[taken[-1]]).sum(axis=1))
    return taken


def described(trace_: OpTrace) -> Floats:
    """What decides a network's latency, in numbers: logarithms of its sizes, and shares of its multiply-adds."""
    layers = operators(trace_)
    heavy = [one for layer in layers for one in layer.heavy]
    light = [one for layer in layers for one in layer.light.values()]
    macs = sum(one.macs for one in heavy)
    sizes = [macs, len(heavy), 1 + sum(one.count for one in light), 1 + sum(one.elems for one in light)]
    shares = [sum(one.macs for one in heavy if one.kind == kind) / macs for kind in _KINDS]
    return np.array([*map(math.log, sizes), *shares])


def _macs(spec: ArchSpec) -> int:
    return sum(one.macs for layer in operators(trace(spec)) for one in layer.heavy)
