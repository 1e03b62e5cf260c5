"""What can be searched, described before it is searched."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from archlab import space as space_room
from archlab.api.arguments import checked
from archlab.device.cache import MeasurementCache
from archlab.device.catalog import Device, run_for
from archlab.device.catalog import device as find_device
from archlab.device.measure import measure
from archlab.model.build import build
from archlab.model.deploy import fold
from archlab.spec import ArchSpec
from archlab.study.objective import Reading
from archlab.study.reach import probe

__all__ = ["describe_space", "show_space", "space_rows", "spaces"]

_MEASURE_S = 2.0


def _axes(space: space_room.SearchSpace) -> list[dict[str, Any]]:
    return [
        {
            "name": a.name,
            "knob": a.knob,
            "choices": list(a.choices),
            "when": dict(a.when) if a.when else None,
            "help": a.help,
        }
        for a in space.axes
    ]


def space_rows() -> list[dict[str, Any]]:
    """List the shipped spaces as plain rows: space, family, axes, size."""
    loaded = [space_room.load(name) for name in space_room.names()]
    return [{"space": s.name, "family": s.family, "axes": _axes(s), "size": s.size} for s in loaded]


def spaces() -> pd.DataFrame:
    """List the shipped spaces with their number of networks."""
    return pd.DataFrame(space_rows())


@checked
def show_space(
    name: str,
    *,
    device: str | None = None,
    budget_ms: float | None = None,
    samples: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """Describe a space: axes, exact size, and min, median, max of params, MACs and latency over a sample.

    Args:
        name: A shipped space or a YAML file.
        device: A catalog name; None leaves the latency out.
        budget_ms: A latency budget; `reachable` then says whether any network looked at meets it.
        samples: Random networks to look at, beside the space's extremes and published variants.
        seed: Seed of the sample.
    """
    space = space_room.load(name)
    place = None if device is None else find_device(device)
    found = probe(space, place, samples=samples, seed=seed, measured=None if place is None else _measured_on(place))
    smallest_ms = found.smallest_upper_ms
    return {
        "space": space.name,
        "axes": _axes(space),
        "size": space.size,
        "params": found.params,
        "macs": found.macs,
        "latency_ms": found.latency_ms,
        "latency_source": found.latency_source,
        "reachable": None if budget_ms is None or smallest_ms is None else smallest_ms <= budget_ms,
    }


def _measured_on(place: Device) -> Callable[[ArchSpec], Reading] | None:
    if place.reach is None:
        return None
    run, cache = run_for(place, max_s=_MEASURE_S), MeasurementCache()

    def measured(spec: ArchSpec) -> Reading:
        shape = (run.batch, 3, spec.resolution, spec.resolution)
        module = fold(build(spec))
        found = measure(module, place, run, input_shape=shape, digest=spec.digest, cache=cache)
        return Reading(value=found.median_ms, source=found.source, interval=found.ci95_ms, quality=found.quality)

    return measured


@checked
def describe_space(name: str, **options: Any) -> pd.DataFrame:
    """One row per axis of a space; `show_space` of the same arguments gives its size and range of costs."""
    return pd.DataFrame(show_space(name, **options)["axes"])
