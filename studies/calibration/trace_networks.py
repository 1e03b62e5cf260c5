"""Trace every network that a latency was published for and write what the fit needs of it; needs timm.

    python studies/calibration/trace_networks.py

Reads `latencies.csv`, writes `networks.csv` and `groups.csv`, all beside the package's constants, so that a refit needs
no timm. Equal groups of a network are one row with their count.
"""

import csv
import io
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

import archlab.latency
from archlab.cost.rows import OpTrace
from archlab.cost.trace import trace, trace_module
from archlab.families import published
from archlab.files import write_text
from archlab.latency.features import COLUMNS, features
from archlab.latency.kernels import KINDS
from archlab.model import timm_gate

DATA = Path(archlab.latency.__file__).parent / "data"

Key = tuple[str, int, int]


def main() -> None:
    """Write the tables."""
    with (DATA / "latencies.csv").open(newline="") as file:
        keys = sorted({key_of(row) for row in csv.DictReader(file)})
    networks: list[list[object]] = []
    groups: list[list[object]] = []
    for index, key in enumerate(keys):
        family, found = trace_network(*key)
        merged = features(found).merged()
        macs = sum(row.macs for row in found.rows)
        networks.append([index, *key, family, macs, found.params])
        groups += ([index, KINDS[kind], *map(int, row)] for kind, row in zip(merged.kinds, merged.table, strict=True))
        print(f"{index + 1}/{len(keys)} {key[0]} at {key[1]}: {macs / 1e9:.3f} G multiply-adds, {len(found.rows)} rows")
    _write("networks.csv", ["id", "network", "resolution", "classes", "family", "macs", "params"], networks)
    _write("groups.csv", ["id", "kind", *COLUMNS], groups)


def key_of(row: dict[str, str]) -> Key:
    """Network, input side and classes of a row of `latencies.csv`."""
    return row["network"], int(row["resolution"]), int(row["classes"])


def trace_network(network: str, resolution: int, classes: int) -> tuple[str, OpTrace]:
    """Trace a network; its family is ours, or the module of timm that implements it."""
    if not network.startswith("timm:"):
        row = published(network)
        return row.family, trace(row.spec.replace(resolution=resolution, classes=classes))
    module = _timm_module(network.removeprefix("timm:"), resolution, classes)
    family = type(module).__module__.rpartition(".")[2]
    return family, trace_module(module, (1, 3, resolution, resolution))


def _timm_module(name: str, resolution: int, classes: int) -> nn.Module:
    """Build timm's network at an input size; some take it as an option, some not at all."""
    module = _created(name, num_classes=classes)
    native = getattr(module, "default_cfg", {}).get("input_size", (3, resolution, resolution))[-1]
    if native == resolution:
        return module
    options: tuple[dict[str, object], ...] = ({"img_size": resolution}, {"input_size": (3, resolution, resolution)})
    for option in options:
        try:
            return _created(name, num_classes=classes, **option)
        except TypeError:
            continue
    return module


def _created(name: str, **options: Any) -> nn.Module:
    """On the meta device where timm's construction runs there, else with real weights."""
    try:
        with torch.device("meta"):
            return timm_gate.create(name, **options)
    except NotImplementedError:
        return timm_gate.create(name, **options)


def _write(name: str, header: list[str], rows: list[list[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(DATA / name, text.getvalue())
    print(f"{name}: {len(rows)} rows, {math.ceil(len(text.getvalue()) / 1024)} KiB")


if __name__ == "__main__":
    main()
