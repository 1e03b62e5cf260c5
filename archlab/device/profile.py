"""Where the milliseconds go: time per operator of the running graph, by the runtime's own profiler.

The rows are those of the graph as the runtime runs it: a convolution with its activation fused in is one row, a
reorder the runtime added is a row as well. Profiling costs time itself, so rows tell shares; the latency of the whole
is what `measure.measure` says.
"""

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from torch import nn

from archlab.device.backends import BACKENDS
from archlab.device.catalog import Device, RunSpec
from archlab.device.measure import backend_of
from archlab.device.precedence import precedence
from archlab.device.runtime import Backend, OpTime, Workload
from archlab.model.export import to_onnx

__all__ = ["GroupTime", "by_module", "by_op", "profile_often", "profile_ops"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GroupTime:
    """Time of all operators that share a name, in ms, and its share of the sum of all."""

    name: str
    ms: float
    calls: int
    share: float


def profile_ops(
    module: nn.Module,
    device: Device,
    run: RunSpec,
    *,
    input_shape: tuple[int, ...],
    runs: int = 30,
    backends: Mapping[str, Backend] = BACKENDS,
) -> tuple[OpTime, ...]:
    """Time each operator in ms, in the order of execution where the runtime tells it.

    Args:
        module: The network as it shall run; it stays as it is.
        device: A device that can be reached.
        run: How to run.
        input_shape: `(B, C, H, W)`.
        runs: Profiled inferences.
        backends: The runtimes that may be asked for.

    Raises:
        DeviceUnreachable, UnknownNameError, DeviceError: As `measure.backend_of`.
    """
    return profile_often(module, device, run, input_shape=input_shape, runs=runs, repeats=1, backends=backends)[0]


def profile_often(
    module: nn.Module,
    device: Device,
    run: RunSpec,
    *,
    input_shape: tuple[int, ...],
    runs: int = 10,
    repeats: int = 5,
    backends: Mapping[str, Backend] = BACKENDS,
) -> tuple[tuple[OpTime, ...], ...]:
    """Profile several times over, so that what the times say of the network can be told from what chance does to them.

    The arguments and errors are those of `profile_ops`; there is one list of times for each of the `repeats`.
    """
    backend = backend_of(device, run, backends)
    workload = Workload(module=module, onnx=to_onnx(module, input_shape), input_shape=input_shape)
    handle = backend.prepare(workload, device, run)
    try:
        with precedence() if device.reach == "local" else contextlib.nullcontext():
            return tuple(handle.profile(runs) for _ in range(repeats))
    finally:
        handle.close()


def by_op(rows: Iterable[OpTime]) -> tuple[GroupTime, ...]:
    """Sum by operator type, the slowest first."""
    return _grouped(rows, lambda row: row.op)


def by_module(rows: Iterable[OpTime], depth: int = 2) -> tuple[GroupTime, ...]:
    """Sum by the first `depth` parts of the module's path, e.g. ``stages.1``, the slowest first.

    Operators without a module, such as a runtime's reorders, are summed under the empty name.
    """
    return _grouped(rows, lambda row: ".".join(row.module.split(".")[:depth]))


def _grouped(rows: Iterable[OpTime], name_of: Callable[[OpTime], str]) -> tuple[GroupTime, ...]:
    ms: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for row in rows:
        ms[name_of(row)] += row.ms
        calls[name_of(row)] += row.calls
    total = sum(ms.values()) or 1.0
    groups = [GroupTime(name=name, ms=ms[name], calls=calls[name], share=ms[name] / total) for name in ms]
    return tuple(sorted(groups, key=lambda group: -group.ms))
