"""Is this machine what it usually is? A small network that never changes runs beside every block and tells.

Others slow a network through the caches and the memory that all cores share, for many seconds, and nothing in the
network's own times shows it: longer windows help as little as choosing the fastest runs, which only adds a bias. The
witness feels the same: over blocks of a quarter of a second its CPU time moves about twice as far as that of networks
of 9 to 17 ms, with a correlation of 0.9 between their medians over 5 s (a sum over 16 MB has 0.8 to 0.9, a small matrix
product 0.5). So a block counts when the witness, before and after it, takes within 5 % of what it usually takes.

What it usually takes is the median over the latest measurements on the same machine with the same software and
precedence; they are kept beside the measurements (`cache`), and a first measurement has only itself. Tried on 84
recorded series of 5 s on two shared cores, half of them under load, each read until a second of blocks had counted: 82
kept thirty runs or more, and the medians of all 82 lay within 5 % of the unloaded CPU-time median, against 79 of 84
where every block counts. A wider share than 5 % let worse ones in, a narrower one left more without runs.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from archlab.device.backends.ort import OrtBackend, OrtHandle
from archlab.device.cache import MeasurementCache
from archlab.device.catalog import DEVICES, Device, RunSpec
from archlab.device.runtime import Workload
from archlab.device.stats import Bools
from archlab.families import published
from archlab.model.build import build
from archlab.model.deploy import fold
from archlab.model.export import to_onnx

__all__ = ["NEAR_SHARE", "NETWORK", "Witness", "Witnessed", "handle", "witness_of"]

NETWORK = "efficientvit_b0"
NEAR_SHARE = 0.05
"""The machine is calm where the witness takes so much more or less than usual, as a share, at most."""

_RUNS = 4
"""Runs in a reading: 15 ms beside a block of 250 ms."""


class Witness:
    """Tells beside which blocks the machine was calm.

    Args:
        read_ms: Runs the witness and says how long it took, in ms.
        history_ms: What it took in earlier measurements, in ms.
        keep: Is told what it took in this one.
    """

    def __init__(
        self,
        read_ms: Callable[[], float],
        history_ms: Sequence[float] = (),
        keep: Callable[[float], object] = lambda ms: None,
    ) -> None:
        self._read_ms, self._history_ms, self._keep = read_ms, tuple(history_ms), keep
        self._readings_ms: list[float] = []

    def read(self) -> None:
        """Take a reading: one before the first block and one after each."""
        self._readings_ms.append(self._read_ms())

    @property
    def usual_ms(self) -> float:
        """What the witness usually takes, in ms: the median of this measurement and those before."""
        return float(np.median([*self._history_ms, np.median(self._readings_ms)]))

    def calm(self) -> Bools:
        """Tell for each block whether the witness took what it usually takes, by the readings on both sides."""
        readings = np.array(self._readings_ms)
        beside = (readings[:-1] + readings[1:]) / 2
        return np.asarray(np.abs(beside / self.usual_ms - 1) <= NEAR_SHARE)

    def close(self) -> dict[str, float]:
        """Keep what the witness took for later measurements; give it and what is usual, for the record."""
        usual_ms, ms = self.usual_ms, float(np.median(self._readings_ms))
        self._keep(ms)
        return {"witness_ms": ms, "witness_usual_ms": usual_ms, "witness_history": len(self._history_ms)}


Witnessed = Callable[[Device, Mapping[str, str], str], Witness | None]
"""Finds the witness of a device, given the fingerprint and the precedence that was granted."""


def witness_of(
    device: Device, fingerprint: Mapping[str, str], granted: str, *, cache: MeasurementCache | None = None
) -> Witness | None:
    """Find the witness of a device; None for all but this machine's CPU.

    Args:
        device: The device.
        fingerprint: The machine and its software.
        granted: The precedence that was granted; without it the witness takes longer.
        cache: Where earlier readings are kept; the user's own if left out.
    """
    if device.reach != "local" or device.kind != "cpu":
        return None
    cache = MeasurementCache() if cache is None else cache
    name = hashlib.sha256(json.dumps([NETWORK, granted, dict(fingerprint)], sort_keys=True).encode()).hexdigest()
    ready = handle()
    return Witness(lambda: _read_ms(ready), cache.readings(name), lambda ms: cache.keep_reading(name, ms))


def _read_ms(ready: OrtHandle) -> float:
    cpu_ns = ready.run(_RUNS).cpu_ns
    assert cpu_ns is not None
    return float(np.median(cpu_ns)) / 1e6


@functools.cache
def handle() -> OrtHandle:
    """Make the witness's network ready to run, once per process."""
    spec = published(NETWORK).spec
    module = fold(build(spec))
    shape = (1, 3, spec.resolution, spec.resolution)
    work = Workload(module=module, onnx=to_onnx(module, shape), input_shape=shape)
    made = OrtBackend().prepare(work, DEVICES["cpu"], RunSpec())
    made.run(_RUNS)
    return made
