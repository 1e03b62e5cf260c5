"""What a runtime must offer: one small interface, so that a board or a GPU is one more file under ``backends/``.

A backend is told the network, the device and the run, and gives a handle; a handle runs n times and gives n samples.
The measuring loop knows nothing else of a runtime. A backend in this process times its call with `timed`; a tool on a
board that reports its own times fills `Samples.wall_ns` and leaves the other clocks None.
"""

import dataclasses
import resource
import time
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import nn

from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Samples

__all__ = ["Backend", "Elsewhere", "Handle", "OpTime", "Workload", "timed"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """The network to run: as a module, which no backend changes, and as an ONNX file with the weights inside.

    `input_shape` is `(B, C, H, W)`.
    """

    module: nn.Module
    onnx: bytes
    input_shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OpTime:
    """Median time of one operator of the running graph, in ms, by the runtime's own profiler.

    `module` is the dotted path of the module it came from, empty where the runtime does not tell; `calls` counts its
    calls per inference.
    """

    op: str
    node: str
    module: str
    ms: float
    calls: int


class Handle(Protocol):
    """A network ready to run."""

    @property
    def is_self_warming(self) -> bool:
        """True where every block of runs warms up by itself, in a process of its own (trtexec)."""

    def run(self, runs: int) -> Samples:
        """Run `runs` times and time each."""

    def profile(self, runs: int) -> tuple[OpTime, ...]:
        """Time each operator by the runtime's own profiler, in the order of execution."""

    def settings(self) -> dict[str, str]:
        """Say what is in effect: precision, threads, optimisation and all else that moves the latency."""

    def close(self) -> None:
        """Free what the handle holds."""


@runtime_checkable
class Elsewhere(Protocol):
    """A handle to a network on another machine, which tells how that machine is."""

    def state(self) -> dict[str, Any]:
        """Tell how hot, fast and busy it is now."""


class Backend(Protocol):
    """A runtime: what it offers, what identifies it, how it makes a network ready."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions it offers."""

    @property
    def layouts(self) -> tuple[str, ...]:
        """Memory layouts it offers."""

    def fingerprint(self, device: Device) -> dict[str, str]:
        """Identify the device and the runtime's version, in words that stay the same while nothing changes."""

    def prepare(self, workload: Workload, device: Device, run: RunSpec) -> Handle:
        """Make a network ready to run."""


def timed(call: Callable[[], object], runs: int) -> Samples:
    """Run `call` and read, for each run, the wall clock, the process's CPU time and its involuntary switches."""
    wall, cpu, switches = (np.empty(runs, dtype=np.int64) for _ in range(3))
    for i in range(runs):
        switches_before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        cpu_before = time.process_time_ns()
        wall_before = time.perf_counter_ns()
        call()
        wall[i] = time.perf_counter_ns() - wall_before
        cpu[i] = time.process_time_ns() - cpu_before
        switches[i] = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches_before
    return Samples(wall_ns=wall, cpu_ns=cpu, switches=switches)
