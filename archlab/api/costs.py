"""What a network costs, operator by operator: counted exactly, timed where a device answers, estimated elsewhere."""

import dataclasses
from typing import Any

import pandas as pd

from archlab.api.arguments import checked
from archlab.api.breakdown import Breakdown, counted, estimated, measured
from archlab.api.target import Target, resolve
from archlab.api.timing import deployed, digest_of, measure_rows
from archlab.cost.count import count
from archlab.cost.rows import OpTrace
from archlab.device.catalog import Device, RunSpec, run_for
from archlab.device.catalog import device as find_device
from archlab.device.profile import profile_ops
from archlab.errors import PlanError, four_parts
from archlab.format import interval, milliseconds, percent

__all__ = ["Profile", "profile"]

_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """The costs of one network; `ops` has one row per operator with `op kind count macs bytes ms` (None: unknown).

    `layers` has the same by entry, block and head, `kernels` what the runtime ran, one by one, and where its time was
    put down (`place`: operator, module or kind of the network); each adds up to `profiled_ms`.

    `memory_bound_share` is the share, of what `memory_bound_basis` names, that belongs to operators without
    multiply-adds (reshaping, copies, element-wise work, norms, softmax: the memory-bound operators of EfficientViT,
    arXiv 2305.07027, Fig. 2): of the time on a device, or of the traffic where no device was named. On a measured
    device `joined_share` of the time could be put down to operators or modules of the network, the rest by kind; an
    operator with 0 ms was fused into another, and one without multiply-adds or bytes is the runtime's own.
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
    layers: list[dict[str, Any]]
    kernels: list[dict[str, Any]]
    profiled_ms: float | None
    joined_share: float | None
    latency: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain document with the keys of the public contract."""
        return dataclasses.asdict(self)

    def table(self) -> pd.DataFrame:
        """One row per operator."""
        return pd.DataFrame(self.ops)

    def layer_table(self) -> pd.DataFrame:
        """One row per entry, block and head, in the order of execution."""
        return pd.DataFrame(self.layers)

    def joined_line(self) -> str | None:
        """Say what was profiled and how much of it is known by its place in the network; None without a profile."""
        if self.profiled_ms is None or self.joined_share is None:
            return None
        share = percent(self.joined_share)
        return f"profiled: {milliseconds(self.profiled_ms)} in all, {share} of it in known modules, the rest by kind"

    def latency_line(self) -> str:
        """Say the latency and how it was had, in one line."""
        assert self.latency is not None
        ends = (self.latency["ci95_ms"][0], self.latency["ci95_ms"][1])
        value = milliseconds(self.latency["median_ms"], ends)
        return f"latency: {value} (interval {interval(ends)}), {self.latency['source']}"


@checked
def profile(
    model: str,
    *,
    device: str | None = None,
    runtime: str | None = None,
    precision: str | None = None,
    resolution: int | None = None,
    batch: int = 1,
    threads: int | None = None,
) -> Profile:
    """Count a network's costs and, with a device, say where its milliseconds go.

    Args:
        model: A published name, a spec file, STUDY_DIR:DIGEST or timm:NAME.
        device: A catalog name; None counts only.
        runtime: A runtime of the device; None takes its first one.
        precision: A precision of the runtime; None takes the device's own.
        resolution: Input side in pixels; None keeps the network's own.
        batch: Images per inference.
        threads: CPU threads; None is one.

    Raises:
        CostRuleError: For a network with an operator that has no counting rule.
        PlanError: For a runtime, precision or number of threads without a device.
    """
    asked = {"runtime": runtime, "precision": precision, "threads": threads}
    place = None if device is None else find_device(device)
    if place is None:
        _check_no_run(asked)
    target = resolve(model).at(resolution)
    trace = target.trace(batch)
    run = None if place is None else run_for(place, runtime=runtime, precision=precision, batch=batch, threads=threads)
    parts = _where_it_goes(target, trace, place, run)
    options: dict[str, Any] = {**asked, "resolution": resolution, "batch": batch}
    latency = None if place is None else measure_rows([model], device=place.name, **options)[0]
    report = count(trace, _bytes(run))
    return Profile(
        model=model,
        digest=digest_of(target, batch),
        resolution=target.resolution,
        batch=batch,
        params=report.params,
        macs=report.macs,
        activation_elems=report.activation_elems,
        traffic_bytes=report.traffic_bytes,
        memory_bound_share=parts.memory_bound_share,
        memory_bound_basis=parts.basis,
        ops=parts.ops,
        layers=parts.layers,
        kernels=parts.kernels,
        profiled_ms=parts.total_ms,
        joined_share=parts.joined_share,
        latency=latency,
    )


def _where_it_goes(target: Target, trace: OpTrace, place: Device | None, run: RunSpec | None) -> Breakdown:
    if place is None or run is None:
        return counted(trace, _bytes(run))
    if place.reach is None:
        return estimated(trace, place, _bytes(run))
    side = target.resolution
    times = profile_ops(deployed(target), place, run, input_shape=(run.batch, 3, side, side))
    return measured(trace, times, _bytes(run), f"measured:{run.runtime}@{place.name}")


def _bytes(run: RunSpec | None) -> int:
    """Bytes of one element; those of FP32 where nothing runs."""
    return 4 if run is None else _BYTES[run.precision]


def _check_no_run(asked: dict[str, Any]) -> None:
    for name, value in asked.items():
        if value is not None:
            raise PlanError(
                four_parts(
                    f"{name} without a device says nothing",
                    given=f"--{name} {value}",
                    allowed=f"{name} together with a device",
                    do="name a device, e.g. cpu",
                )
            )
