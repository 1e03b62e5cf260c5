"""How long does it take to count a network from its spec? Ours beside fvcore, on the same networks in one run.

Both start from the spec and build the network. Ours lays it out on the meta device, and its memo of layers is empty at
the start; fvcore traces a module that holds data, because its tracer cannot do without. Times are CPU times of this
process with one thread; importing is not counted, whatever else a first call costs is. Run it as

    python benchmarks/count_speed.py [--networks N] [--space NAME]
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from typing import TypeVar

import torch
from cpu_times import draw, header, line, measured, place, summary

from archlab.cost.count import count
from archlab.cost.crosscheck import run_fvcore
from archlab.cost.trace import Memo, trace
from archlab.model.build import build
from archlab.space import load
from archlab.spec import ArchSpec

__all__ = ["main"]

Result = TypeVar("Result")


def main() -> int:
    """Print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=200, help="distinct random points (default: 200)")
    parser.add_argument("--space", default="edgenext", help="a search space by name, or its file (default: edgenext)")
    parser.add_argument("--seed", type=int, default=0, help="of the random points (default: 0)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    specs = draw(load(options.space), options.networks, options.seed)
    memo = Memo()
    ours, ours_ms = _timed(lambda spec: count(trace(spec, memo=memo)).macs, specs)
    theirs, theirs_ms = _timed(_fvcore, specs)
    _, build_ms = _timed(lambda spec: build(spec).eval(), specs)
    if ours != theirs:
        print("the two counts differ", file=sys.stderr)
        return 1
    rows = {"archlab": summary(ours_ms), "fvcore": summary(theirs_ms), "fvcore's share: build": summary(build_ms)}
    print(header("CPU ms per network"))
    for name, row in rows.items():
        print(line(name, row))
    ratio = rows["fvcore"].mean_ms / rows["archlab"].mean_ms
    print(f"fvcore / archlab: {ratio:.1f}; layers walked: {len(memo)}; MACs of convolutions and products: all equal")
    document = {
        "space": options.space,
        "seed": options.seed,
        "archlab": dataclasses.asdict(rows["archlab"]),
        "fvcore": dataclasses.asdict(rows["fvcore"]),
        "build": dataclasses.asdict(rows["fvcore's share: build"]),
        "ratio": ratio,
        "layers_walked": len(memo),
        **place(),
    }
    print(json.dumps(document))
    return 0


def _fvcore(spec: ArchSpec) -> int:
    module = build(spec).eval()
    macs = run_fvcore(module, torch.zeros(1, 3, spec.resolution, spec.resolution))
    return macs["convolution"] + macs["product"]


def _timed(function: Callable[[ArchSpec], Result], specs: list[ArchSpec]) -> tuple[list[Result], list[float]]:
    results, times_ms = [], []
    for spec in specs:
        result, time_ms = measured(lambda spec=spec: function(spec))  # type: ignore[misc]
        results.append(result)
        times_ms.append(time_ms)
    return results, times_ms


if __name__ == "__main__":
    raise SystemExit(main())
