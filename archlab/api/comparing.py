"""Which of two networks is faster on a device? They run in turns, so that what slows the device slows both."""

from typing import Any

import pandas as pd

from archlab.api.target import Target, resolve
from archlab.api.timing import deployed
from archlab.device.catalog import RunSpec, run_for
from archlab.device.catalog import device as find_device
from archlab.device.comparison import compare as compare_workloads
from archlab.device.measure import workload
from archlab.device.runtime import Workload

__all__ = ["compare", "compare_row"]


def compare(a: str, b: str, *, device: str, **options: Any) -> pd.DataFrame:
    """Compare the latency of two networks in pairs of runs on a device that can be reached.

    Args:
        a: One MODEL, see `measure`.
        b: The other.
        device: A device that is measured.
        **options: `runtime`, `precision`, `layout`, `batch`, `resolution` (pixels) and `threads`; left out, the
            device's own.

    Returns:
        One row: `ratio` (the median over the pairs of a's time over b's), `ci95` (its interval), `verdict` (a is
        ``slower``, ``faster`` or ``level`` within the noise), `a_ms`, `b_ms` and `pairs`.

    Raises:
        DeviceUnreachable: For a device that is estimated.
    """
    return pd.DataFrame([compare_row(a, b, device=device, **options)])


def compare_row(a: str, b: str, *, device: str, resolution: int | None = None, **options: Any) -> dict[str, Any]:
    """Compare two networks; see `compare`. A plain row."""
    place = find_device(device)
    run = run_for(place, **options)
    sides = [resolve(model).at(resolution) for model in (a, b)]
    found = compare_workloads(_work(sides[0], run), _work(sides[1], run), place, run)
    return {
        "a": a,
        "b": b,
        "device": place.name,
        "runtime": run.runtime,
        "source": f"measured:{run.runtime}@{place.name}",
        "ratio": found.ratio,
        "ci95": list(found.ci95),
        "verdict": found.verdict,
        "a_ms": found.a_ms,
        "b_ms": found.b_ms,
        "pairs": found.pairs,
    }


def _work(target: Target, run: RunSpec) -> Workload:
    return workload(deployed(target), run, (run.batch, 3, target.resolution, target.resolution))
