"""Which share of a network's time is memory-bound? That of the analysis `memory_bound`, as the fields of a row."""

from typing import Any

from archlab.analysis.finding import Conditions, Subject
from archlab.analysis.memory_bound import memory_bound
from archlab.artifacts.bench import NO_DEVICE, Bench, lack_of
from archlab.errors import DeviceError, DeviceUnreachable
from archlab.model.build import build
from archlab.spec import ArchSpec

__all__ = ["memory_share"]


def memory_share(bench: Bench, name: str, spec: ArchSpec, runtime: str | None) -> dict[str, Any]:
    """Profile a network of random weights, which take as long as any; `ours` is the share in %, over five repeats.

    Args:
        bench: What there is to measure with.
        name: The network in messages.
        spec: The network.
        runtime: Whose operators; None takes the device's first runtime.

    Raises:
        DeviceUnreachable: The device answers nowhere, or is estimated only.
    """
    if bench.device is None:
        return {"lack": NO_DEVICE}
    run = bench.run_on(bench.device, runtime)
    subject = Subject(name=name, module=build(spec).eval(), resolution=spec.resolution, spec=spec)
    try:
        found = memory_bound(subject, Conditions(place=bench.device, run=run, on_progress=bench.tell))
    except DeviceUnreachable:
        raise
    except DeviceError as error:
        return {"lack": lack_of(f"the runtime {run.runtime}", error)}
    whole = found.rows.iloc[0]
    share, low, high = (100 * float(whole[name]) for name in ("memory_share", "memory_low", "memory_high"))
    return {"ours": share, "ours_ci95": (low, high), "ours_source": str(whole["source"])}
