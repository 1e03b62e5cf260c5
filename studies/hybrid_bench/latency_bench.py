"""Measure every network of specs.jsonl on this CPU, as it is trained: one row of latency.csv after the other.

    python studies/hybrid_bench/latency_bench.py [--recipe cifar10] [--first 64]

One thread, batch 1, ONNX Runtime, the measuring protocol; norms are folded away as for deployment. An anchor is
measured before every twenty networks. Give the command again and it goes on where it stopped. Measure where nothing
else runs: what came out noisy says so. The rows of one recipe are of one machine; on another one they have to go first.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench_networks import HERE, Network, load
from bench_recipes import RECIPES, Recipe
from bench_table import append, read

from archlab.device import catalog
from archlab.device.measure import measure
from archlab.device.measurement import Measurement
from archlab.errors import DeviceChanged, four_parts
from archlab.families import published
from archlab.model.build import build
from archlab.model.deploy import deploy
from archlab.spec import ArchSpec

__all__ = ["COLUMNS", "LATENCY", "check_place", "main", "timed", "told"]

LATENCY = "latency.csv"
COLUMNS = ("name", "recipe", "small", "latency_ms", "low_ms", "high_ms", "n", "quality", "source", "fingerprint")
_ANCHOR, _ANCHOR_EVERY = "edgenext_xx_small_bn_hs", 20


def timed(small: ArchSpec) -> Measurement:
    """Measure a network as it is on this machine's CPU."""
    cpu = catalog.device("cpu")
    run = catalog.run_for(cpu, warmup_s=0.5, max_s=2.0)
    shape = (1, 3, small.resolution, small.resolution)
    return measure(deploy(build(small)), cpu, run, input_shape=shape, digest=small.digest)


def told(found: Measurement) -> dict[str, Any]:
    """What a row says of a measurement, in ms."""
    low, high = found.ci95_ms
    return {
        "latency_ms": round(found.median_ms, 5),
        "low_ms": round(low, 5),
        "high_ms": round(high, 5),
        "quality": found.quality,
    }


def _row(name: str, recipe_name: str, recipe: Recipe, spec: ArchSpec) -> dict[str, Any]:
    small = recipe.small(spec)
    found = timed(small)
    return {
        "name": name,
        "recipe": recipe_name,
        "small": small.digest,
        **told(found),
        "n": len(found.samples_ms),
        "source": found.source,
        "fingerprint": json.dumps(found.environment["fingerprint"], sort_keys=True),
    }


def check_place(row: dict[str, Any], known: list[dict[str, str]]) -> None:
    """Refuse to set the latencies of two machines, or of two versions of a runtime, side by side."""
    other = next((one for one in known if one["fingerprint"] != row["fingerprint"]), None)
    if other is not None:
        raise DeviceChanged(
            four_parts(
                f"the table holds latencies of recipe {row['recipe']} from another place",
                given=f"{other['name']} there: {other['fingerprint']}; {row['name']} here: {row['fingerprint']}",
                allowed="one machine and one runtime for all rows of a recipe",
                do=f"go on there, or delete these rows from {LATENCY} and measure all of them here",
            )
        )


def _todo(networks: list[Network], done: list[str]) -> list[tuple[str, ArchSpec]]:
    """What is left, with the anchor before every twenty."""
    rows = []
    for start in range(0, len(networks), _ANCHOR_EVERY):
        rows.append((f"anchor_{start // _ANCHOR_EVERY}", published(_ANCHOR).spec))
        rows += [(network.name, network.spec) for network in networks[start : start + _ANCHOR_EVERY]]
    return [(name, spec) for name, spec in rows if name not in done]


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description="Measure the networks of the benchmark on this CPU.")
    parser.add_argument("--specs", type=Path, default=HERE / "specs.jsonl")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--recipe", choices=list(RECIPES), default="cifar10", help="at whose resolution and stem")
    parser.add_argument("--first", type=int, help="only the first so many networks")
    asked = parser.parse_args()
    path = asked.out / LATENCY
    known = [row for row in read(path) if row["recipe"] == asked.recipe]
    for name, spec in _todo(load(asked.specs)[: asked.first], [row["name"] for row in known]):
        row = _row(name, asked.recipe, RECIPES[asked.recipe], spec)
        check_place(row, known)
        append(path, COLUMNS, [row])
        sys.stdout.write(f"{name}: {row['latency_ms']} ms ({row['low_ms']} to {row['high_ms']}), {row['quality']}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
