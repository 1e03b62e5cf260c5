"""The measuring protocol: warm up, run blocks until the median is known well enough, keep every sample.

1. On this machine the measuring thread asks for precedence over other processes (`precedence`).
2. Blocks of runs warm up until the medians of five in a row agree within 2 %, or `run.warmup_s` is over.
3. Blocks of runs follow until the 95 % interval of the median is narrower than 1 % of it, or `run.max_s` is over.
   On this machine's CPU a `witness` says beside which of them the machine was calm.
4. `stats.choose` takes the runs that count, `stats.judge` names the quality.

Latency is milliseconds per inference of a whole batch, input and output in the runtime's own memory.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from archlab.device import telemetry
from archlab.device.backends import BACKENDS
from archlab.device.board.backend import BoardBackend
from archlab.device.cache import CacheKey, MeasurementCache
from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Measurement
from archlab.device.precedence import precedence
from archlab.device.protocol import Collected, chosen_of, collect
from archlab.device.runtime import Backend, Elsewhere, Handle, Workload
from archlab.device.stats import STATISTICS, Chosen, doubt, judge
from archlab.device.witness import Witness, Witnessed, witness_of
from archlab.errors import DeviceError, DeviceUnreachable, four_parts, unknown_name
from archlab.model.export import graph_hash, to_onnx

__all__ = ["backend_of", "measure", "prepared", "workload"]

_SLOWED_SHARE = 0.9
_BOARD_REACHES = ("ssh:", "child:")
_BOARD = BoardBackend()
"""Serves the devices that the agent reaches, whatever the runtime's name."""


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
    witnessed: Witnessed = witness_of,
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
        witnessed: Finds the witness of the device.

    Raises:
        DeviceUnreachable: The device answers nowhere.
        DeviceError: The runtime, precision, layout, batch or number of threads is not on offer.
    """
    backend = backend_of(device, run, backends)
    work = workload(module, run, input_shape)
    graph = graph_hash(work.onnx)
    fingerprint = backend.fingerprint(device)
    key = CacheKey(graph=graph, device=device.name, fingerprint=fingerprint, run=run)
    known = cache.get(key) if cache is not None else None
    if known is not None:
        return dataclasses.replace(known, digest=digest or graph)
    began = clock()
    with prepared([work], device, run, backend) as ((handle,), granted):
        ready = {"fingerprint": fingerprint, "graph": graph, "prepare_s": round(clock() - began, 4)}
        witness = witnessed(device, fingerprint, granted)
        found = _measured(handle, device, run, digest=digest or graph, clock=clock, witness=witness)
    found = dataclasses.replace(found, environment={**ready, "precedence": granted, **found.environment})
    if cache is not None:
        cache.put(key, found)
    return found


@contextlib.contextmanager
def prepared(
    works: Sequence[Workload], device: Device, run: RunSpec, backend: Backend
) -> Iterator[tuple[list[Handle], str]]:
    """Make networks ready to run, this machine's with precedence; gives them and the precedence that was granted."""
    with contextlib.ExitStack() as stack:
        granted = stack.enter_context(precedence()) if device.reach == "local" else "not asked for"
        handles = []
        for work in works:
            handles.append(backend.prepare(work, device, run))
            stack.callback(handles[-1].close)
        yield handles, granted


def workload(module: nn.Module, run: RunSpec, input_shape: tuple[int, ...]) -> Workload:
    """Write a network down for the runtimes.

    Raises:
        DeviceError: The input does not fit the batch.
    """
    _check_shape(run, input_shape)
    return Workload(module=module, onnx=to_onnx(module, input_shape), input_shape=input_shape)


def backend_of(device: Device, run: RunSpec, backends: Mapping[str, Backend] = BACKENDS) -> Backend:
    """Find the runtime a run asks for and check that it offers what is asked.

    Raises:
        DeviceUnreachable, UnknownNameError, DeviceError: In four parts.
    """
    if device.reach is None:
        raise DeviceUnreachable(
            four_parts(
                f"device {device.name!r} cannot be measured: nothing answers for it",
                given=f"device {device.name}",
                allowed="devices of this machine and boards that were added",
                do="take the estimate (its source begins with 'estimated:') or choose device cpu",
            )
        )
    is_board = device.reach.startswith(_BOARD_REACHES)
    offered = [name for name in device.backends if is_board or name in backends]
    if run.runtime not in offered:
        raise unknown_name("runtime", run.runtime, offered, f"choose a runtime of {device.name}")
    backend = _BOARD if is_board else backends[run.runtime]
    _check_offer("precision", run.precision, backend.precisions, run)
    _check_offer("layout", run.layout, backend.layouts, run)
    cores = telemetry.cpu().cores
    if device.reach == "local" and not 1 <= run.threads <= cores:
        raise DeviceError(
            four_parts(
                "threads do not fit the machine",
                given=f"threads {run.threads}",
                allowed=f"1 to {cores}, the cores this process may use",
                do="lower threads",
            )
        )
    return backend


def _measured(
    handle: Handle,
    device: Device,
    run: RunSpec,
    *,
    digest: str,
    clock: Callable[[], float],
    witness: Witness | None,
) -> Measurement:
    state = handle.state if isinstance(handle, Elsewhere) else telemetry.state
    before = state()
    collected = collect(handle.run, run, clock, is_self_warming=handle.is_self_warming, witness=witness)
    after = state()
    samples = collected.samples
    chosen = chosen_of(samples, run)
    is_slowed = samples.is_throttled or (device.kind == "cpu" and _was_throttled(before, after))
    quality = judge(chosen, is_throttled=is_slowed, room_s=run.max_s)
    return Measurement(
        digest=digest,
        device=device.name,
        run=run,
        samples_ms=tuple((samples.wall_ns / 1e6).tolist()),
        cpu_ms=() if samples.cpu_ns is None else tuple((samples.cpu_ns / 1e6).tolist()),
        switches=() if samples.switches is None else tuple(samples.switches.tolist()),
        calm=() if samples.calm is None else tuple(samples.calm.tolist()),
        quality=quality,
        environment={
            "settings": handle.settings(),
            **_told(collected, chosen),
            "doubt": doubt(chosen, room_s=run.max_s) if quality == "noisy" else None,
            **samples.facts,
            **({} if witness is None else witness.close()),
            "before": before,
            "after": after,
        },
    )


def _told(collected: Collected, chosen: Chosen) -> dict[str, Any]:
    """What the record says of the runs."""
    samples = collected.samples
    return {
        "statistic": STATISTICS[chosen.statistic],
        "clean_share": round(chosen.clean_share, 4),
        "cpu_share": round(chosen.cpu_share, 4),
        "calm_share": round(chosen.calm_share, 4),
        "cpu_median_ms": None if samples.cpu_ns is None else float(np.median(samples.cpu_ns)) / 1e6,
        "wall_mean_ms": float(samples.wall_ns.mean()) / 1e6,
        "runs": len(samples),
        "warmup_runs": collected.warmup_runs,
        "is_warm": collected.is_warm,
        "seconds": round(collected.seconds, 3),
    }


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
                do=f"choose {what} {offered[0]} or another runtime",
            )
        )
