"""Where a network's milliseconds go: the counted operators with the times of a runtime or of an estimate beside them.

The same numbers three times: by operator (`ops`), by layer (`layers`: an entry, a block, the head) and as the runtime
told them (`kernels`). Each of the three adds up to `total_ms`.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any

from archlab.cost.count import count
from archlab.cost.rows import OpTrace
from archlab.device.catalog import Device
from archlab.device.joining import COMPUTE, Joint, join
from archlab.device.runtime import OpTime
from archlab.latency import Roofline

__all__ = ["Breakdown", "counted", "estimated", "layer_of", "measured"]

_LAYER = re.compile(r"^[^.]+(\.\d+(\.[^.\d][^.]*(\.\d+)?)?)?")

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Breakdown:
    """Costs and times in parts.

    `ops` have `op kind count macs bytes ms`, `layers` `layer macs bytes ms share`, `kernels` `op node module ms place`
    (`device.joining`). `memory_bound_share` is the share, of what `basis` names, of operators without multiply-adds.
    `joined_share` is the share of the time that found an operator or a module of the network. None: no times.
    """

    ops: list[Row]
    layers: list[Row]
    kernels: list[Row]
    memory_bound_share: float
    basis: str
    total_ms: float | None = None
    joined_share: float | None = None


def counted(trace: OpTrace, bytes_per_elem: int) -> Breakdown:
    """Break the counts down, without times; the share is one of the traffic."""
    ops = [{**row, "ms": None} for row in _op_rows(trace, bytes_per_elem)]
    layers = [{**row, "ms": None, "share": None} for row in _layer_rows(trace, bytes_per_elem)]
    bound = sum(row["bytes"] for row in ops if row["kind"] not in COMPUTE)
    total = max(sum(row["bytes"] for row in ops), 1)
    return Breakdown(ops=ops, layers=layers, kernels=[], memory_bound_share=bound / total, basis="traffic")


def estimated(trace: OpTrace, place: Device, bytes_per_elem: int) -> Breakdown:
    """Break the roofline's estimate down: each fused group's time under the operator that leads it."""
    found, group_ms = Roofline().group_ms(trace, place)
    leads = [trace.rows[anchor] for anchor in found.anchors.tolist()]
    parts = [((lead.op, lead.kind), lead.module, ms) for lead, ms in zip(leads, group_ms.tolist(), strict=True)]
    return _timed(trace, bytes_per_elem, parts, [], f"time, estimated:{Roofline.name}@{place.name}")


def measured(trace: OpTrace, times: Sequence[OpTime], bytes_per_elem: int, source: str) -> Breakdown:
    """Break a runtime's own times down.

    Args:
        trace: The network's operators, counted at the run's batch.
        times: The same network's operators as the runtime ran them, in the order of execution.
        bytes_per_elem: Of one element at the run's precision.
        source: ``measured:<runtime>@<device>``.
    """
    joints = join(trace.rows, times)
    parts = [(_line_of(joint, trace), joint.module, joint.time.ms) for joint in joints]
    return _timed(trace, bytes_per_elem, parts, joints, f"time, {source}")


def layer_of(path: str) -> str:
    """Cut a module's path to its layer: ``stages.1.entry``, ``stages.1.blocks.3``, ``head``."""
    found = _LAYER.match(path)
    return found.group() if found else ""


def _timed(
    trace: OpTrace,
    bytes_per_elem: int,
    parts: Iterable[tuple[tuple[str, str], str, float]],
    joints: Sequence[Joint],
    basis: str,
) -> Breakdown:
    """Put times, given as (operator and kind, module, ms), beside the counts."""
    parts = list(parts)
    total = sum(ms for _, _, ms in parts)
    ops = {(row["op"], row["kind"]): {**row, "ms": 0.0} for row in _op_rows(trace, bytes_per_elem)}
    layers = {row["layer"]: {**row, "ms": 0.0} for row in _layer_rows(trace, bytes_per_elem)}
    for line, module, ms in parts:
        if line not in ops:
            calls = sum(other == line for other, _, _ in parts)
            ops[line] = {"op": line[0], "kind": line[1], "count": calls, "macs": 0, "bytes": 0, "ms": 0.0}
        ops[line]["ms"] += ms
        layer = layers.setdefault(layer_of(module), {"layer": layer_of(module), "macs": 0, "bytes": 0, "ms": 0.0})
        layer["ms"] += ms
    bound = sum(row["ms"] for row in ops.values() if row["kind"] not in COMPUTE)
    sure = sum(joint.time.ms for joint in joints if joint.place != "kind")
    return Breakdown(
        ops=sorted(ops.values(), key=lambda row: -row["ms"]),
        layers=[{**row, "share": _share(row["ms"], total)} for row in layers.values()],
        kernels=[_kernel(joint) for joint in joints],
        memory_bound_share=_share(bound, total),
        basis=basis,
        total_ms=total,
        joined_share=_share(sure, total) if joints else None,
    )


def _line_of(joint: Joint, trace: OpTrace) -> tuple[str, str]:
    """Operator and kind under which a time is listed; a view that takes time is a copy."""
    op = joint.time.op if joint.row is None else trace.rows[joint.row].op
    return op, "copy" if joint.kind == "view" else joint.kind


def _kernel(joint: Joint) -> Row:
    time = joint.time
    return {"op": time.op, "node": time.node, "module": joint.module, "ms": time.ms, "place": joint.place}


def _op_rows(trace: OpTrace, bytes_per_elem: int) -> list[Row]:
    return [
        {"op": x.name, "kind": x.kind, "count": x.calls, "macs": x.macs, "bytes": x.traffic_bytes}
        for x in count(trace, bytes_per_elem).by_op()
        if x.calls
    ]


def _layer_rows(trace: OpTrace, bytes_per_elem: int) -> list[Row]:
    """Costs of each layer, in the order of execution."""
    rows: dict[str, Row] = {}
    for row in trace.rows:
        layer = rows.setdefault(layer_of(row.module), {"layer": layer_of(row.module), "macs": 0, "bytes": 0})
        layer["macs"] += row.macs
        layer["bytes"] += (row.read_elems + row.write_elems) * bytes_per_elem
    return list(rows.values())


def _share(part: float, total: float) -> float:
    return part / total if total else 0.0
