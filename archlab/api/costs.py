"""What a network costs, operator by operator: counted exactly, timed where a device answers, estimated elsewhere."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pandas as pd

from archlab.api.target import Target, resolve
from archlab.api.timing import deployed, digest_of, measure_rows
from archlab.cost.count import count
from archlab.cost.rows import OpRow, OpTrace
from archlab.device.catalog import Device, run_for
from archlab.device.catalog import device as find_device
from archlab.device.profile import profile_ops
from archlab.device.runtime import OpTime
from archlab.format import interval, milliseconds
from archlab.latency import Roofline

__all__ = ["Profile", "joined", "profile"]

_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}
_COMPUTE = frozenset({"conv", "depthwise", "linear", "matmul"})
_MATRIX_OPS = frozenset({"Conv", "FusedConv", "ConvTranspose", "Gemm", "MatMul", "FusedMatMul", "FusedGemm"})
_KINDS = {
    "norm": {"LayerNormalization", "SkipLayerNormalization", "BatchNormalization"},
    "softmax": {"Softmax"},
    "pool": {"GlobalAveragePool", "AveragePool", "MaxPool"},
    "activation": {
        "Gelu",
        "FastGelu",
        "BiasGelu",
        "Relu",
        "HardSwish",
        "HardSigmoid",
        "Sigmoid",
        "QuickGelu",
        "Erf",
        "Tanh",
    },
    "elementwise": {"Add", "Mul", "Div", "Sub", "Sqrt", "Pow", "Clip", "Max", "Min", "Where"},
    "reduce": {"ReduceMean", "ReduceSum", "ReduceL2"},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """The costs of one network; `ops` has one row per operator with `op kind count macs bytes ms` (None: unknown).

    `memory_bound_share` is the share, of what `memory_bound_basis` names, that belongs to operators without
    multiply-adds (reshaping, copies, element-wise work, norms, softmax: the memory-bound operators of EfficientViT,
    arXiv 2305.07027, Fig. 2): of the time on a device, or of the traffic where no device was named. On a measured
    device `ops` are the runtime's own operators, summed by kind; a fused group counts for the operator that leads it.
    """

    model: str
    digest: str
    resolution: int
    batch: int
    params: int
    macs: int
    activation_elems: int
    traffic_bytes: int
    memory_bound_share: float
    memory_bound_basis: str
    ops: list[dict[str, Any]]
    latency: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain document with the keys of the public contract."""
        return dataclasses.asdict(self)

    def table(self) -> pd.DataFrame:
        """One row per operator."""
        return pd.DataFrame(self.ops)

    def latency_line(self) -> str:
        """Say the latency and how it was had, in one line."""
        assert self.latency is not None
        ends = (self.latency["ci95_ms"][0], self.latency["ci95_ms"][1])
        value = milliseconds(self.latency["median_ms"], ends)
        return f"latency: {value} (interval {interval(ends)}), {self.latency['source']}"


def profile(model: str, *, device: str | None = None, resolution: int | None = None, batch: int = 1) -> Profile:
    """Count a network's costs and, with a device, say where its milliseconds go.

    Args:
        model: A published name, a spec file, STUDY_DIR:DIGEST or timm:NAME.
        device: A catalog name; None counts only.
        resolution: Input side in pixels; None keeps the network's own.
        batch: Images per inference.

    Raises:
        CostRuleError: For a network with an operator that has no counting rule.
    """
    place = None if device is None else find_device(device)
    target = resolve(model).at(resolution)
    trace = target.trace(batch)
    precision = "fp32" if place is None else place.precision
    report = count(trace, _BYTES[precision])
    ops, share, basis = _where_it_goes(target, trace, place, batch)
    latency = None
    if place is not None:
        latency = measure_rows([model], device=place.name, resolution=resolution, batch=batch)[0]
    return Profile(
        model=model,
        digest=digest_of(target, batch),
        resolution=target.resolution,
        batch=batch,
        params=report.params,
        macs=report.macs,
        activation_elems=report.activation_elems,
        traffic_bytes=report.traffic_bytes,
        memory_bound_share=share,
        memory_bound_basis=basis,
        ops=ops,
        latency=latency,
    )


def _where_it_goes(
    target: Target, trace: OpTrace, place: Device | None, batch: int
) -> tuple[list[dict[str, Any]], float, str]:
    """Rows per operator, the memory-bound share, and what it is a share of."""
    if place is None:
        rows = _counted(trace, 4)
        bound = sum(row["bytes"] for row in rows if row["kind"] not in _COMPUTE)
        return rows, bound / max(sum(row["bytes"] for row in rows), 1), "traffic"
    run = run_for(place, batch=batch)
    if place.reach is None:
        rows = _estimated(trace, place)
        bound = sum(row["ms"] for row in rows if row["kind"] not in _COMPUTE)
        return rows, bound / max(sum(row["ms"] for row in rows), 1e-9), f"time, estimated:{Roofline.name}@{place.name}"
    side = target.resolution
    times = profile_ops(deployed(target), place, run, input_shape=(batch, 3, side, side))
    rows = joined(trace.rows, times, _BYTES[run.precision])
    bound = sum(row["ms"] for row in rows if row["kind"] not in _COMPUTE)
    return rows, bound / max(sum(row["ms"] for row in rows), 1e-9), f"time, measured:{run.runtime}@{place.name}"


def _counted(trace: OpTrace, bytes_per_elem: int) -> list[dict[str, Any]]:
    lines = count(trace, bytes_per_elem).by_op()
    return [
        {"op": x.name, "kind": x.kind, "count": x.calls, "macs": x.macs, "bytes": x.traffic_bytes, "ms": None}
        for x in lines
        if x.calls
    ]


def _estimated(trace: OpTrace, place: Device) -> list[dict[str, Any]]:
    """The counted rows, with the time of each fused group under the operator that leads it."""
    rows = _counted(trace, _BYTES[place.precision])
    found, group_ms = Roofline().group_ms(trace, place)
    ms: dict[tuple[str, str], float] = {}
    for anchor, value in zip(found.anchors.tolist(), group_ms.tolist(), strict=True):
        lead = trace.rows[anchor]
        ms[lead.op, lead.kind] = ms.get((lead.op, lead.kind), 0.0) + value
    return sorted(({**row, "ms": ms.get((row["op"], row["kind"]), 0.0)} for row in rows), key=lambda row: -row["ms"])


def joined(rows: Sequence[OpRow], times: Sequence[OpTime], bytes_per_elem: int) -> list[dict[str, Any]]:
    """Join a runtime's operator times with the counted rows, one row per kind, the slowest first.

    Matrix operators of the runtime and rows with multiply-adds come in the same order, so they are joined one to one
    where their numbers agree; otherwise, and for all other kinds, time and counts are summed by kind.

    Args:
        rows: The network's operators, counted.
        times: The same network's operators as the runtime ran them.
        bytes_per_elem: Of one element at the run's precision.
    """
    counted = [row for row in rows if row.macs]
    timed = [time for time in times if time.op in _MATRIX_OPS]
    kinds = (
        {id(time): row.kind for time, row in zip(timed, counted, strict=False)} if len(timed) == len(counted) else {}
    )
    sums: dict[str, dict[str, Any]] = {}
    for time in times:
        kind = kinds.get(id(time)) or _kind_of(time.op)
        line = sums.setdefault(kind, {"ops": {}, "count": 0, "ms": 0.0})
        line["ops"][time.op] = line["ops"].get(time.op, 0.0) + time.ms
        line["count"] += time.calls
        line["ms"] += time.ms
    found = [
        {
            "op": ", ".join(sorted(line["ops"], key=lambda op: -line["ops"][op])[:4]),
            "kind": kind,
            "count": line["count"],
            "macs": sum(row.macs for row in rows if row.kind == kind),
            "bytes": sum(row.read_elems + row.write_elems for row in rows if row.kind == kind) * bytes_per_elem,
            "ms": line["ms"],
        }
        for kind, line in sums.items()
    ]
    return sorted(found, key=lambda row: -row["ms"])


def _kind_of(op: str) -> str:
    if op in _MATRIX_OPS:
        return "conv" if "Conv" in op else "linear" if "Gemm" in op else "matmul"
    return next((kind for kind, ops in _KINDS.items() if op in ops), "copy")
