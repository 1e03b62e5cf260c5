"""How much of a network's time goes into moving data rather than computing? EfficientViT-MSRA, figure 2.

Two answers stand side by side, by kind of operator.

The paper's split goes by what an operator does. Compute-bound: convolutions (depthwise ones too), linear layers and
matrix products, with whatever the runtime fuses into them. Memory-bound: everything else: reshapes, transposes and
concatenations (copy), element-wise arithmetic, activations, norms, softmax, pooling, reductions. The times are the
runtime's own, put down to operators by `device.joining`. What that means by runtime:

- `torch`: one time per operator that reaches the dispatcher; nothing is fused, a view costs its call.
- `ort`: one time per node of the optimised graph; a convolution with its activation is a convolution, a reorder
  between layouts a copy.
- `openvino`: as `ort`; a subgraph of fused element-wise nodes is element-wise.
- `torch_compiled`, `cuda_compiled`: kernels of inductor; one that is named after a template of products is compute,
  what it fused around them is a copy or the first operation in its name.
- `cuda`, `cuda_graph`: one time per kernel, named after the operator that launched it.
- `trtexec`: one time per layer of the engine; what TensorRT fused is what its first named node is.
- estimated devices: the roofline's time of each fused group, put down to the operator that leads it.

The roofline's split goes by arithmetic intensity, operator by operator: below the device's balance of MACs per byte an
operator waits for memory, whatever it does. It takes no fusion into account: every operator reads and writes memory.

Source: Liu et al., EfficientViT (arXiv 2305.07027), §2.1 and fig. 2; Williams et al., Roofline, CACM 52 (4), 2009.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from archlab.analysis.finding import Conditions, Finding, Subject
from archlab.analysis.intervals import Floats, Mean, of_repeats, share_text
from archlab.cost.rows import OpRow, OpTrace
from archlab.device.catalog import Device, RunSpec
from archlab.device.ceilings import BYTES, Ceilings, ceilings
from archlab.device.joining import COMPUTE, join
from archlab.device.profile import profile_often
from archlab.errors import DeviceError
from archlab.figures import Share, draw_shares
from archlab.format import milliseconds, number, percent
from archlab.latency import Roofline

__all__ = ["memory_bound", "split"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Times:
    """Milliseconds by kind, one row per repeat, and where they are from."""

    kinds: tuple[str, ...]
    ms: Floats
    source: str

    @property
    def memory_share(self) -> Mean:
        """Share of the memory-bound kinds in the time, over the repeats."""
        chosen = [i for i, kind in enumerate(self.kinds) if kind not in COMPUTE]
        return of_repeats(self.ms[:, chosen].sum(axis=1) / self.ms.sum(axis=1))


def memory_bound(subject: Subject, conditions: Conditions) -> Finding:
    """Split a network's time into compute-bound and memory-bound kinds, measured and by the roofline.

    Returns:
        One row per kind: `bound` by the paper's split, `ms` and `share` of the time with the interval over repeats
        `share_low`, `share_high`, `roofline_ms`, `roofline_share`, and `waits_share`, the part of the roofline's
        time of that kind that waits for memory. `memory_share`, `memory_low` and `memory_high`, the same in every
        row, are the share of all memory-bound kinds together and its interval.
    """
    place, run = conditions.place, conditions.run
    assert place is not None
    module = subject.deployed()
    trace = subject.trace(module, run.batch)
    conditions.on_progress(f"{subject.name}: profiling on {place.name}" if place.reach else f"{subject.name}")
    side = subject.resolution
    if place.reach is None:
        times = _estimated(trace, place)
    else:
        times = _profiled(module, trace, place, run, (run.batch, 3, side, side))
    roof = _roof(place, run)
    rows = split(trace.rows, times.kinds, times.ms, roof, BYTES[run.precision])
    share, low, high = times.memory_share
    rows = rows.assign(
        memory_share=share,
        memory_low=low,
        memory_high=high,
        model=subject.name,
        device=place.name,
        runtime=run.runtime,
        precision=run.precision,
        batch=run.batch,
        resolution=side,
        source=times.source,
    )
    return Finding(
        name="memory_bound",
        model=subject.name,
        rows=rows,
        sentence=_sentence(subject.name, rows, times, roof),
        draw=lambda: _figure(rows),
    )


def split(
    counted: Sequence[OpRow], kinds: Sequence[str], ms: Floats, roof: Ceilings | None, bytes_per_elem: int
) -> pd.DataFrame:
    """Put times by kind beside the roofline's.

    Args:
        counted: The network's operators.
        kinds: Kinds of the times.
        ms: `(repeats, kinds)`.
        roof: The device's ceilings; None leaves the roofline's columns empty.
        bytes_per_elem: At the run's precision.
    """
    least = _least_ms(counted, roof, bytes_per_elem) if roof else {}
    total_roof = sum(all_ms for all_ms, _ in least.values())
    rows: list[dict[str, Any]] = []
    for kind in dict.fromkeys([*kinds, *least]):
        own = ms[:, list(kinds).index(kind)] if kind in kinds else np.zeros(len(ms))
        share, low, high = of_repeats(own / ms.sum(axis=1))
        roof_ms, waiting_ms = least.get(kind, (0.0, 0.0))
        rows.append(
            {
                "kind": kind,
                "bound": "compute" if kind in COMPUTE else "memory",
                "ms": float(own.mean()),
                "share": share,
                "share_low": low,
                "share_high": high,
                "roofline_ms": roof_ms if roof else math.nan,
                "roofline_share": roof_ms / total_roof if total_roof else math.nan,
                "waits_share": waiting_ms / roof_ms if roof_ms else math.nan,
            }
        )
    rows.sort(key=lambda row: (row["bound"], -row["ms"]))
    return pd.DataFrame(rows)


def _least_ms(rows: Sequence[OpRow], roof: Ceilings, bytes_per_elem: int) -> dict[str, tuple[float, float]]:
    """Kind → least time in ms, and what of it waits for memory; views and constants take none."""
    total: dict[str, float] = defaultdict(float)
    waiting: dict[str, float] = defaultdict(float)
    for row in rows:
        if row.kind == "view" or row.is_constant:
            continue
        traffic = (row.read_elems + row.write_elems) * bytes_per_elem
        ms = roof.ms(row.macs, traffic)
        total[row.kind] += ms
        waiting[row.kind] += ms * roof.is_memory_bound(row.macs, traffic)
    return {kind: (total[kind], waiting[kind]) for kind in total}


def _profiled(module: nn.Module, trace: OpTrace, place: Device, run: RunSpec, shape: tuple[int, ...]) -> _Times:
    repeats = profile_often(module, place, run, input_shape=shape)
    sums = [_by_kind((joint.kind, joint.time.ms) for joint in join(trace.rows, times)) for times in repeats]
    return _times(sums, f"measured:{run.runtime}@{place.name}")


def _estimated(trace: OpTrace, place: Device) -> _Times:
    found, group_ms = Roofline().group_ms(trace, place)
    kinds = [trace.rows[anchor].kind for anchor in found.anchors.tolist()]
    sums = _by_kind(zip(kinds, group_ms.tolist(), strict=True))
    return _times([sums], f"estimated:{Roofline.name}@{place.name}")


def _by_kind(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for kind, ms in parts:
        sums["copy" if kind == "view" else kind] += ms
    return sums


def _times(sums: Sequence[dict[str, float]], source: str) -> _Times:
    kinds = tuple(dict.fromkeys(kind for one in sums for kind in one))
    ms = np.array([[one.get(kind, 0.0) for kind in kinds] for one in sums])
    return _Times(kinds=kinds, ms=ms, source=source)


def _roof(place: Device, run: RunSpec) -> Ceilings | None:
    try:
        return ceilings(place, run)
    except DeviceError:  # the columns stay empty, and the sentence says so
        return None


def _sentence(name: str, rows: pd.DataFrame, times: _Times, roof: Ceilings | None) -> str:
    memory = rows[(rows.bound == "memory") & (rows.share > 0)].head(3)
    parts = ", ".join(f"{kind} {percent(part)}" for kind, part in zip(memory.kind, memory.share, strict=True))
    text = (
        f"{name} spends {share_text(times.memory_share)} of {milliseconds(float(times.ms.sum(axis=1).mean()))} in "
        f"memory-bound operators ({parts}), {times.source}"
    )
    if roof is None:
        return f"{text}; the device's peak or bandwidth is not known, so there is no roofline beside it."
    waits = float((rows.roofline_share.fillna(0) * rows.waits_share.fillna(0)).sum())
    compute = rows[(rows.bound == "compute") & (rows.waits_share.fillna(0) > 0)]
    also = float((compute.roofline_share * compute.waits_share).sum())
    return (
        f"{text}; by arithmetic intensity {percent(waits)} of the roofline's time waits for memory, {percent(also)} of "
        f"it in convolutions and products below the balance of {number(roof.balance)} MACs per byte."
    )


def _figure(rows: pd.DataFrame) -> Any:
    table: Any = rows.fillna(0.0).to_dict("records")
    first = rows.iloc[0]
    top = str(first.source).partition(":")[0]
    shares = [Share(bar=top, part=r["kind"], share=r["share"], is_first=r["bound"] == "compute") for r in table]
    for row in table:
        waits, whole = row["waits_share"], row["roofline_share"]
        shares.append(Share(bar="roofline", part=row["kind"], share=whole * (1 - waits), is_first=True))
        shares.append(Share(bar="roofline", part=row["kind"], share=whole * waits, is_first=False))
    shares = [share for share in shares if share.share > 0]
    title = f"{first.model} on {first.device} ({first.runtime}, {first.precision}, batch {first.batch})"
    return draw_shares(shares, title=title, groups=("compute-bound", "memory-bound"), x_title="share of the time (%)")
