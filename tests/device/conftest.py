"""A device with a clock of its own: what the tests of the protocol and of `measure` run on."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Samples
from archlab.device.runtime import OpTime, Workload

Script = Callable[[int], tuple[float, float, int]]


class FakeDevice:
    """Runs take what `script` says of the run's number: (wall ms, CPU ms, switches). The clock moves by wall time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.runs = 0
        self.now_s = 0.0
        self.blocks: list[int] = []

    def clock(self) -> float:
        return self.now_s

    def run(self, runs: int) -> Samples:
        rows = [self.script(self.runs + i) for i in range(runs)]
        self.runs += runs
        self.blocks.append(runs)
        self.now_s += sum(wall for wall, _, _ in rows) / 1e3
        wall, cpu, switches = zip(*rows, strict=True)
        return Samples(wall_ns=nanoseconds(wall), cpu_ns=nanoseconds(cpu), switches=np.array(switches))


def nanoseconds(times_ms: Sequence[float]) -> np.ndarray:
    return np.rint(np.array(times_ms) * 1e6).astype(np.int64)


class FakeHandle:
    is_self_warming = False

    def __init__(self, device: FakeDevice) -> None:
        self.device = device
        self.is_closed = False

    def run(self, runs: int) -> Samples:
        return self.device.run(runs)

    def profile(self, runs: int) -> tuple[OpTime, ...]:
        return (OpTime(op="Conv", node="/stem/Conv", module="stem", ms=2.0, calls=1),)

    def settings(self) -> dict[str, str]:
        return {"precision": "fp32"}

    def close(self) -> None:
        self.is_closed = True


class FakeBackend:
    precisions = ("fp32",)
    layouts = ("nchw",)

    def __init__(self, script: Script) -> None:
        self.device = FakeDevice(script)
        self.handles: list[FakeHandle] = []

    def fingerprint(self, device: Device) -> dict[str, str]:
        return {"chip": "fake", "runtime": "fake 1.0"}

    def prepare(self, workload: Workload, device: Device, run: RunSpec) -> FakeHandle:
        self.handles.append(FakeHandle(self.device))
        return self.handles[-1]


@pytest.fixture
def make_device() -> type[FakeDevice]:
    """A maker of devices: give it a script."""
    return FakeDevice


@pytest.fixture
def make_backend() -> type[FakeBackend]:
    """A maker of backends whose networks run on a fake device: give it a script."""
    return FakeBackend
