"""Networks measured for a calibration: each by the protocol, its operators by the runtime's profiler."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from archlab.device.backends import BACKENDS
from archlab.device.catalog import Device, RunSpec
from archlab.device.measure import measure as measure_module
from archlab.device.profile import profile_ops
from archlab.device.runtime import Backend, OpTime
from archlab.errors import ArchlabError, DeviceChanged, DeviceError, DeviceUnreachable
from archlab.latency.samples import Measured
from archlab.model.build import build
from archlab.model.deploy import fold
from archlab.spec import ArchSpec

__all__ = ["Measure", "Tell", "fastest", "measure_all", "measured_on"]

_PROFILES, _PROFILED_RUNS = 3, 8

Measure = Callable[[str, ArchSpec], Measured]
"""Measures a spec, under a name."""
Tell = Callable[[int, int, str], None]


def measured_on(device: Device, run: RunSpec, *, backends: Mapping[str, Backend] = BACKENDS) -> Measure:
    """Measure by the protocol, and each operator by the runtime's profiler where it has one."""

    def measure(name: str, spec: ArchSpec) -> Measured:
        module = fold(build(spec))
        shape = (run.batch, 3, spec.resolution, spec.resolution)
        found = measure_module(module, device, run, input_shape=shape, digest=spec.digest, backends=backends)
        try:
            passes = [
                profile_ops(module, device, run, input_shape=shape, runs=_PROFILED_RUNS, backends=backends)
                for _ in range(_PROFILES)
            ]
        except (DeviceUnreachable, DeviceChanged):
            raise
        except (DeviceError, NotImplementedError):
            passes = [()]
        ops = fastest(passes)
        return Measured(model=name, spec=spec, ms=found.median_ms, quality=found.quality, ops=ops, batch=run.batch)

    return measure


def fastest(profiles: Iterable[Sequence[OpTime]]) -> tuple[tuple[str, str, float], ...]:
    """The least time of each operator over some profiles of a network: what interrupts one profile is not its own.

    Profiles that do not list the same operators are left out.
    """
    first, *others = profiles
    same = [one for one in others if [op.op for op in one] == [op.op for op in first]]
    return tuple(
        (ops[0].op, ops[0].module, round(min(op.ms for op in ops), 5)) for ops in zip(first, *same, strict=True)
    )


def measure_all(
    chosen: Sequence[tuple[str, ArchSpec]], measure: Measure, tell: Tell | None
) -> tuple[list[Measured], list[tuple[str, str]]]:
    """Measure one network after the other; returns what was found, and names and reasons of those without a latency.

    Args:
        chosen: Names and specs.
        measure: Gives a network's measurement.
        tell: Called after each network with how many are done, how many there are, and a line.

    Raises:
        DeviceUnreachable, DeviceChanged: What is no fault of a network.
    """
    found: list[Measured] = []
    refused: list[tuple[str, str]] = []
    for done, (name, spec) in enumerate(chosen, 1):
        try:
            one = measure(name, spec)
        except (DeviceUnreachable, DeviceChanged):
            raise
        except ArchlabError as error:
            refused.append((name, str(error)))
            line = f"{name}: {error}"
        else:
            is_usable = one.quality != "failed" and math.isfinite(one.ms)
            (found.append(one) if is_usable else refused.append((name, f"quality {one.quality}")))
            line = f"{name}: {one.ms:.3g} ms, {one.quality}"
        if tell is not None:
            tell(done, len(chosen), line)
    return found, refused
