"""How long does a network take, operator by operator? The times of operators that a profiler timed, summed.

    time of a network = a · (Σ operators seen, as they were timed + Σ unseen, interpolated) - c · operators

Seen and unseen operators: `kernel_times.py`. A profiler slows what it times, so `a` and `c`, the profiler's own cost
per operator, are fitted to the measured latencies of the profiled networks. The interval is that of networks left out.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from archlab.cost.rows import OpTrace
from archlab.device.catalog import Device, RunSpec
from archlab.errors import DeviceError, four_parts
from archlab.latency.kernel_times import KernelTimes, TimedLayer, train
from archlab.latency.operators import LayerOperators, operators
from archlab.latency.samples import Measured

__all__ = ["OperatorSum", "learn", "timed_layers"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HEAVY = frozenset(
    {"Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}
    | {"conv2d", "convolution", "linear", "matmul", "mm", "addmm", "bmm", "baddbmm"}
    | {"Convolution", "GroupConvolution", "FullyConnected"}
)
"""Names by which runtimes report operators with multiply-adds: ONNX Runtime, torch, OpenVINO."""

_OUTLIER = 0.03
"""Relative error from which a network pulls less when the sums are fitted."""
_LEAST = 0.2
"""The profiler's cost takes at most the rest of a sum away."""


class OperatorSum:
    """What `learn` gives: the ms of a trace, as the sum over its operators."""

    def __init__(self, times: KernelTimes, scale: float, each_ms: float) -> None:
        self.times, self.scale, self.each_ms = times, scale, each_ms

    def __call__(self, trace: OpTrace) -> float:
        layers = operators(trace)
        heavy = [one for layer in layers for one in layer.heavy]
        total = float(self.times.heavy_ms(heavy).sum()) + sum(self.times.light_ms(layer.light) for layer in layers)
        return float(_latency(np.array(total), np.array(_count(layers)), self.scale, self.each_ms))

    def seen_share(self, trace: OpTrace) -> float:
        """Share of the time of operators with multiply-adds that was looked up, not interpolated."""
        return self.times.seen_share([one for layer in operators(trace) for one in layer.heavy])


def learn(networks: Sequence[Measured], device: Device, run: RunSpec) -> Callable[[OpTrace], float]:
    """Learn from profiled networks; the same networks in the same order give the same times.

    Raises:
        DeviceError: Where no network's profile fits its operators.
    """
    layers = [timed_layers(one) for one in networks]
    known = [(one, found) for one, found in zip(networks, layers, strict=True) if found]
    if not known:
        raise DeviceError(
            four_parts(
                f"no profile of {device.name} fits the operators of its network",
                given=f"{len(networks)} networks",
                allowed="a runtime that reports one time for each convolution, linear layer and product",
                do="use the predictor 'fitted', which needs no times of operators",
            )
        )
    sums = np.array([sum(op[2] for op in one.ops) for one, _ in known])
    counts = np.array([_count(tuple(timed.layer for timed in found)) for _, found in known])
    scale, each_ms = _calibrated(sums, counts, np.array([one.ms for one, _ in known]))
    stray = np.array([one.ms for one, _ in known]) / _latency(sums, counts, scale, each_ms)
    timed = [_scaled(layer, by) for (_, found), by in zip(known, stray.tolist(), strict=True) for layer in found]
    return OperatorSum(train(timed), scale, each_ms)


def timed_layers(network: Measured) -> tuple[TimedLayer, ...]:
    """Join a network's counted operators with their times; empty where they do not fit.

    Operators with multiply-adds come in the same order on both sides. All others belong to the layer that their module
    path says, or to none.
    """
    layers = operators(network.trace)
    heavy = [ms for op, _, ms in network.ops if op in HEAVY]
    if not heavy or len(heavy) != sum(len(layer.heavy) for layer in layers):
        return ()
    light: dict[str, float] = collections.defaultdict(float)
    for op, module, ms in network.ops:
        if op not in HEAVY:
            light[_prefix(module, layers)] += ms
    found, at = [], 0
    for layer in layers:
        mine = tuple(heavy[at : at + len(layer.heavy)])
        found.append(TimedLayer(layer=layer, heavy_ms=mine, light_ms=light[layer.prefix]))
        at += len(mine)
    return tuple(found)


def _prefix(module: str, layers: Iterable[LayerOperators]) -> str:
    """The layer that a module path belongs to; of a network in one layer always that one."""
    inside = (one.prefix for one in layers if not one.prefix or f"{module}.".startswith(f"{one.prefix}."))
    return next(inside, "(none)")


def _scaled(timed: TimedLayer, by: float) -> TimedLayer:
    heavy_ms = tuple(ms * by for ms in timed.heavy_ms)
    return dataclasses.replace(timed, heavy_ms=heavy_ms, light_ms=timed.light_ms * by)


def _latency(sums: Floats, counts: Ints, scale: float, each_ms: float) -> Floats:
    """Latencies from sums of profiled times, without the profiler's own cost."""
    return np.maximum(scale * sums - each_ms * counts, _LEAST * scale * sums)


def _count(layers: Iterable[LayerOperators]) -> int:
    return sum(len(layer.heavy) + sum(one.count for one in layer.light.values()) for layer in layers)


def _calibrated(sums: Floats, counts: Ints, ms: Floats) -> tuple[float, float]:
    """Scale and cost per operator in ms that turn sums of profiled times into latencies, by relative error."""
    table = np.column_stack([sums, -counts / 1000]) / ms[:, None]
    bounds = ([0.3, 0.0], [3.0, 20.0])

    def off(x: Floats) -> Floats:
        return np.asarray(table @ x - 1)

    found = least_squares(off, [1.0, 1.0], loss="soft_l1", f_scale=_OUTLIER, bounds=bounds)
    return float(found.x[0]), float(found.x[1]) / 1000
