"""Read timm's published throughputs and trace its models: what `timm_bench.py` learns from.

Traces are kept in a folder, one compressed JSON per model and size, so that a second run starts where the first ended.
"""

import csv
import dataclasses
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archlab.cost.rows import ConvAttrs, LayerTrace, OpRow, OpTrace, Segment
from archlab.cost.trace import fused_attention, trace_module
from archlab.errors import CostRuleError
from archlab.files import write_bytes
from archlab.latency.launches import Launches, launches
from archlab.model import timm_gate

__all__ = ["COLUMNS", "Row", "find", "read", "trace_all", "trace_at", "trace_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A published throughput, as ms of a batch, and the kernels of its model. `family` is timm's module file."""

    model: str
    side: int
    family: str
    batch: int
    ms: float
    macs: float
    params: float
    launches: Launches


COLUMNS = {
    "amp_nchw_pt240_cu124_rtx4090": "eager_amp",
    "fp32_nchw_pt240_cpu_i9_10940x_dynamo": "inductor",
}
"""Benchmark file → the runtime whose kernels it timed."""


def find(path: Path | None) -> Path:
    """The CSV: as given, or beside the folder that ARCHLAB_DATA names."""
    data = os.environ.get("ARCHLAB_DATA")
    found = path or (Path(data).parent / "reference/timm_bench.csv" if data else None)
    if found is None or not found.is_file():
        raise SystemExit(f"no timm_bench.csv at {found}: give --bench CSV, or set ARCHLAB_DATA to the folder beside it")
    return found


def trace_all(bench: Path, folder: Path) -> dict[tuple[str, int], str]:
    """Trace every model of the two columns; returns those that cannot be, with the reason."""
    failed: dict[tuple[str, int], str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {(row["model"], int(row["img_size"])) for name in COLUMNS for row in _rows(bench, name)}
    for model, side in sorted(wanted):
        try:
            trace_at(_path(folder, model, side), model, side)
        except (CostRuleError, ValueError, RuntimeError, AssertionError, TypeError) as error:
            failed[model, side] = f"{type(error).__name__}: {str(error)[:120]}"
    return failed


def trace_at(path: Path, model: str, side: int) -> None:
    """Trace a model at an input side into a file, if it is not there yet; `trace_of` takes what it holds."""
    if not path.exists():
        write_bytes(path, gzip.compress(json.dumps(_traced(model, side)).encode(), 3))


def read(bench: Path, folder: Path, column: str) -> list[Row]:
    """The rows of one column whose model was traced."""
    found = []
    for row in _rows(bench, column):
        path = _path(folder, row["model"], int(row["img_size"]))
        if not path.exists():
            continue
        kept = json.loads(gzip.decompress(path.read_bytes()))
        trace, batch = trace_of(kept), int(float(row[f"bs_{column}"]))
        found.append(
            Row(
                model=row["model"],
                side=int(row["img_size"]),
                family=kept["family"],
                batch=batch,
                ms=1000 * batch / float(row[f"ips_{column}"]),
                macs=float(sum(one.macs for one in trace.rows)),
                params=float(trace.params),
                launches=launches(trace, COLUMNS[column], images=batch),
            )
        )
    return found


def _rows(bench: Path, column: str) -> Iterator[dict[str, str]]:
    with bench.open(newline="") as file:
        yield from (row for row in csv.DictReader(file) if row[f"ips_{column}"])


def _path(folder: Path, model: str, side: int) -> Path:
    return folder / f"{model}@{side}.json.gz"


def _traced(model: str, side: int) -> dict[str, Any]:
    module = _module(model, side)
    with fused_attention():
        trace = trace_module(module, (1, 3, side, side))
    family = type(module).__module__.rpartition(".")[2]
    return {"family": family, "size": side, "params": trace.params, "rows": [_packed(row) for row in trace.rows]}


def _module(model: str, side: int) -> nn.Module:
    """Build a model at an input size; some take it as an option, some not at all."""
    module = _created(model)
    if getattr(module, "default_cfg", {}).get("input_size", (3, side, side))[-1] == side:
        return module
    options: tuple[dict[str, object], ...] = ({"img_size": side}, {"input_size": (3, side, side)})
    for option in options:
        try:
            return _created(model, **option)
        except TypeError:
            continue
    return module


def _created(model: str, **options: object) -> nn.Module:
    """On the meta device where timm's construction runs there, else with real weights."""
    try:
        with torch.device("meta"):
            return timm_gate.create(model, keeps_fused_attention=True, **options)
    except (NotImplementedError, RuntimeError):
        return timm_gate.create(model, keeps_fused_attention=True, **options)


def _packed(row: OpRow) -> list[object]:
    attrs = None if row.attrs is None else [row.attrs.kernel, row.attrs.stride, row.attrs.groups]
    shapes = [row.op, row.kind, row.module, row.inputs, row.outputs, row.sources]
    return [*shapes, row.weight_elems, row.params, row.macs, row.read_elems, row.write_elems, row.is_constant, attrs]


def trace_of(kept: dict[str, Any]) -> OpTrace:
    """The trace that a file of `trace_at` holds, unpacked from its JSON."""
    rows = tuple(_unpacked(_tuples(row)) for row in kept["rows"])
    layer = LayerTrace(rows=rows, params=kept["params"], unread=(), output=len(rows) - 1, output_shape=())
    segment = Segment(prefix="", first=0, source=-1, layer=layer)
    return OpTrace(segments=(segment,), params=kept["params"], resolution=kept["size"], batch=1)


def _unpacked(row: Any) -> OpRow:
    op, kind, module, inputs, outputs, sources, weight_elems, params, macs, read_elems, write_elems, constant, attrs = (
        row
    )
    return OpRow(
        op=op,
        kind=kind,
        module=module,
        inputs=inputs,
        outputs=outputs,
        sources=sources,
        weight_elems=weight_elems,
        params=params,
        macs=macs,
        activation_elems=0,
        read_elems=read_elems,
        write_elems=write_elems,
        is_constant=bool(constant),
        attrs=None if attrs is None else ConvAttrs(kernel=attrs[0], stride=attrs[1], groups=attrs[2]),
    )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
