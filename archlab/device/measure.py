"""The measuring protocol: warm up, run blocks until the median is known well enough, keep every sample.

1. Blocks of runs warm up until the medians of five in a row agree within 2 %, or `run.warmup_s` is over.
2. Blocks of runs follow until the 95 % interval of the median is narrower than 1 % of it, or `run.max_s` is over.
3. `stats.choose` takes the runs that count, `stats.judge` names the quality.

Latency is milliseconds per inference of a whole batch, input and output in the runtime's own memory.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import nn

from archlab.device import telemetry
from archlab.device.backends import BACKENDS
from archlab.device.cache import CacheKey, MeasurementCache
from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Measurement
from archlab.device.protocol import chosen_of, collect
from archlab.device.runtime import Backend, Handle, Workload, timed
from archlab.device.stats import STATISTICS, judge, median_interval
from archlab.errors import DeviceError, DeviceUnreachable, four_parts, unknown_name
from archlab.model.export import graph_hash, to_onnx

__all__ = ["Comparison", "backend_of", "compare", "measure"]

_SLOWED_SHARE = 0.9
_BOARD_REACHES = ("ssh:", "child:")
_BOARD: Backend | None = None
"""Serves the devices that the agent reaches, whatever the runtime's name."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How much slower `a` is than `b`: the median ratio of pairs, with its 95 % interval, and both medians in ms."""

    ratio: float
    ci95: tuple[float, float]
    a_ms: float
    b_ms: float
    pairs: int


def measure(
    module: nn.Module,
    device: Device,
    run: RunSpec,
    *,
    input_shape: tuple[int, ...],
    digest: str | None = None,
    cache: MeasurementCache | None = None,
    backends: Mapping[str, Backend] = BACKENDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Measurement:
    """Measure the latency of a network in ms.

    Args:
        module: The network as it shall run, e.g. from `deploy`; it stays as it is.
        device: A device that can be reached.
        run: How to run, and the caps in seconds.
        input_shape: `(B, C, H, W)` with B = `run.batch`.
        digest: Name of the network in the answer; None takes the hash of its graph.
        cache: Measurements known so far; only those of quality ``ok`` are used again.
        backends: The runtimes that may be asked for.
        clock: Seconds, for the caps.

    Raises:
        DeviceUnreachable: The device answers nowhere.
        DeviceError: The runtime, precision, layout, batch or number of threads is not on offer.
    """
    backend = backend_of(device, run, backends)
    _check_shape(run, input_shape)
    workload = Workload(module=module, onnx=to_onnx(module, input_shape), input_shape=input_shape)
    graph = graph_hash(workload.onnx)
    fingerprint = backend.fingerprint(device)
    key = CacheKey(graph=graph, device=device.name, fingerprint=fingerprint, run=run)
    known = cache.get(key) if cache is not None else None
    if known is not None:
        return dataclasses.replace(known, digest=digest or graph)
    began = clock()
    handle = backend.prepare(workload, device, run)
    try:
        environment = {"fingerprint": fingerprint, "graph": graph, "prepare_s": round(clock() - began, 4)}
        found = _measured(handle, device, run, digest or graph, environment, clock)
    finally:
        handle.close()
    if cache is not None:
        cache.put(key, found)
    return found


def backend_of(device: Device, run: RunSpec, backends: Mapping[str, Backend] = BACKENDS) -> Backend:
    """Find the runtime a run asks for and check that it offers what is asked.

    Raises:
        DeviceUnreachable, UnknownNameError, DeviceError: In four parts.
    """
    if device.reach is None:
        raise DeviceUnreachable(
            four_parts(
                f"device {device.name!r} cannot be measured: nothing answers for it",
                given=f"--device {device.name}",
                allowed="cpu is measured; others are estimated",
                do="take the estimate (its source begins with 'estimated:') or choose --device cpu",
            )
        )
    is_board = device.reach.startswith(_BOARD_REACHES)
    offered = [name for name in device.backends if is_board or name in backends]
    if run.runtime not in offered:
        raise unknown_name("runtime", run.runtime, offered, f"choose a runtime of {device.name}")
    backend = _BOARD if is_board and _BOARD is not None else backends[run.runtime]
    _check_offer("precision", run.precision, backend.precisions, run)
    _check_offer("layout", run.layout, backend.layouts, run)
    cores = telemetry.cpu().cores
    if device.reach == "local" and not 1 <= run.threads <= cores:
        raise DeviceError(
            four_parts(
                "threads do not fit the machine",
                given=f"--threads {run.threads}",
                allowed=f"1 to {cores}, the cores this process may use",
                do="lower --threads",
            )
        )
    return backend


def compare(a: Callable[[], object], b: Callable[[], object], *, pairs: int = 30) -> Comparison:
    """Time two calls in pairs, a b b a a b …, by CPU time: what slows the machine down slows both.

    Args:
        a: The call in the numerator.
        b: The call in the denominator.
        pairs: How often both are called; each is called once more before, to warm up.
    """
    a(), b()
    times = np.empty((pairs, 2))
    for i in range(pairs):
        for side in (0, 1) if i % 2 == 0 else (1, 0):
            cpu_ns = timed((a, b)[side], 1).cpu_ns
            assert cpu_ns is not None
            times[i, side] = cpu_ns[0] / 1e6
    ratios = times[:, 0] / times[:, 1]
    a_ms, b_ms = np.median(times, axis=0).tolist()
    ratio = float(np.median(ratios))
    return Comparison(ratio=ratio, ci95=median_interval(ratios), a_ms=a_ms, b_ms=b_ms, pairs=pairs)


def _measured(
    handle: Handle, device: Device, run: RunSpec, digest: str, environment: dict[str, Any], clock: Callable[[], float]
) -> Measurement:
    before = telemetry.state()
    collected = collect(handle.run, run, clock, is_self_warming=handle.is_self_warming)
    after = telemetry.state()
    samples = collected.samples
    chosen = chosen_of(samples, run)
    quality = judge(chosen, is_throttled=samples.is_throttled or _was_throttled(before, after))
    return Measurement(
        digest=digest,
        device=device.name,
        run=run,
        samples_ms=tuple((samples.wall_ns / 1e6).tolist()),
        cpu_ms=() if samples.cpu_ns is None else tuple((samples.cpu_ns / 1e6).tolist()),
        switches=() if samples.switches is None else tuple(samples.switches.tolist()),
        quality=quality,
        environment={
            **environment,
            "settings": handle.settings(),
            "statistic": STATISTICS[chosen.statistic],
            "clean_share": round(chosen.clean_share, 4),
            "cpu_median_ms": None if samples.cpu_ns is None else float(np.median(samples.cpu_ns)) / 1e6,
            "wall_mean_ms": float(samples.wall_ns.mean()) / 1e6,
            "runs": len(samples),
            "warmup_runs": collected.warmup_runs,
            "is_warm": collected.is_warm,
            "seconds": round(collected.seconds, 3),
            **samples.facts,
            "before": before,
            "after": after,
        },
    )


def _was_throttled(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """Thermal events during the run, or a clock that fell by a tenth; False where neither can be read."""
    is_hotter = after.get("throttle_events", 0) > before.get("throttle_events", 0)
    return is_hotter or after.get("mhz", 1) < _SLOWED_SHARE * before.get("mhz", 1)


def _check_shape(run: RunSpec, input_shape: tuple[int, ...]) -> None:
    if len(input_shape) != 4 or input_shape[0] != run.batch:
        raise DeviceError(
            four_parts(
                "the input does not fit the batch",
                given=f"input {input_shape}, batch {run.batch}",
                allowed="(batch, channels, height, width)",
                do="make the first number the batch",
            )
        )


def _check_offer(what: str, given: str, offered: tuple[str, ...], run: RunSpec) -> None:
    if given not in offered:
        raise DeviceError(
            four_parts(
                f"runtime {run.runtime!r} does not offer this {what}",
                given=f"{what} {given!r}",
                allowed=", ".join(offered),
                do=f"choose --{what} {offered[0]} or another runtime",
            )
        )
