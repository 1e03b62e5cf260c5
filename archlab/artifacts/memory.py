"""Which share of a network's time is memory-bound? The total of the analysis `memory_bound`, as the fields of a row."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from archlab.analysis.finding import Conditions, Subject
from archlab.analysis.memory_bound import memory_bound
from archlab.artifacts.bench import NO_DEVICE, Bench
from archlab.artifacts.rows import NEEDS_MEANS, Lack
from archlab.device.catalog import run_for
from archlab.errors import DeviceError, DeviceUnreachable
from archlab.model.build import build
from archlab.spec import ArchSpec

__all__ = ["memory_share", "total"]


def memory_share(bench: Bench, name: str, spec: ArchSpec, runtime: str | None) -> dict[str, Any]:
    """Profile a network of random weights, which take as long as any; `ours` is the share in %.

    Args:
        bench: What there is to measure with.
        name: The network in messages.
        spec: The network.
        runtime: Whose operators; None takes the device's first runtime.

    Raises:
        DeviceUnreachable: The device answers nowhere.
    """
    if bench.device is None:
        return {"lack": NO_DEVICE}
    asked = {**bench.options} if runtime is None else {**bench.options, "runtime": runtime}
    run = run_for(bench.device, **asked)

    def tell(line: str) -> None:
        bench.tell(line)

    subject = Subject(name=name, module=build(spec).eval(), resolution=spec.resolution, spec=spec)
    try:
        found = memory_bound(subject, Conditions(place=bench.device, run=run, on_progress=tell))
    except DeviceUnreachable:
        raise
    except DeviceError as error:
        return {"lack": Lack(verdict=NEEDS_MEANS, what=f"the runtime {run.runtime}: {str(error).partition(';')[0]}")}
    share, half = total(found.rows)
    interval = None if math.isnan(half) else (share - half, share + half)
    return {"ours": share, "ours_ci95": interval, "ours_source": str(found.rows.source.iloc[0])}


def total(rows: pd.DataFrame) -> tuple[float, float]:
    """The memory-bound share in %, and half of its interval: the sum of those of its kinds, an upper bound."""
    bound: Any = rows[rows.bound == "memory"]
    parts: list[Mapping[str, float]] = bound[["share", "share_low", "share_high"]].to_dict("records")
    half = sum((part["share_high"] - part["share_low"]) / 2 for part in parts)
    return 100 * sum(part["share"] for part in parts), 100 * half
