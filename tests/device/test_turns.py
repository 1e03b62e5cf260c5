"""Networks in turns: a drift of the machine falls on all of them alike."""

from typing import Any

import numpy as np
import pytest

from archlab.device.catalog import DEVICES, RunSpec
from archlab.device.measurement import Samples
from archlab.device.runtime import Workload
from archlab.device.turns import in_turns, turns
from archlab.device.witness import Witness

RUN = RunSpec(max_s=5.0)


class Machine:
    """Slows down as time goes by; `own_ms` is a network's time at the start."""

    def __init__(self, drift_per_s: float = 0.0) -> None:
        self.now_s, self.drift_per_s = 0.0, drift_per_s
        self.order: list[str] = []

    def clock(self) -> float:
        return self.now_s

    def block(self, name: str, own_ms: float) -> Any:
        def run(runs: int) -> Samples:
            self.order.append(name)
            times = []
            for _ in range(runs):
                ms = own_ms * (1 + self.drift_per_s * self.now_s)
                self.now_s += ms / 1e3
                times.append(round(ms * 1e6))
            wall = np.array(times, dtype=np.int64)
            return Samples(wall_ns=wall, cpu_ns=wall, switches=np.zeros(runs, dtype=np.int64))

        return run


def test_medians_and_counts() -> None:
    machine = Machine()
    found = turns([machine.block("a", 10.0), machine.block("b", 20.0)], RUN, clock=machine.clock)
    assert [turn.median_ms for turn in found] == [10.0, 20.0]
    assert [turn.quality for turn in found] == ["ok", "ok"]
    assert all(turn.n >= 30 for turn in found)


def test_the_order_is_turned_round() -> None:
    machine = Machine()
    turns([machine.block("a", 10.0), machine.block("b", 10.0)], RUN, clock=machine.clock)
    assert "".join(machine.order[-10:]) == "abbaabbaab"


def test_a_drift_falls_on_all_alike() -> None:
    """One after the other the second would look 10 % slower; in turns the two stay within 1 %."""
    machine = Machine(drift_per_s=0.05)
    a, b = turns([machine.block("a", 10.0), machine.block("b", 10.0)], RUN, clock=machine.clock)
    assert a.median_ms == pytest.approx(b.median_ms, rel=0.01)


def test_the_cap_ends_what_never_settles() -> None:
    draw = np.random.default_rng(0)
    machine = Machine()
    wild = machine.block("a", 10.0)

    def run(runs: int) -> Samples:
        samples = wild(runs)
        wall = (samples.wall_ns * draw.uniform(0.5, 1.5, runs)).astype(np.int64)
        return Samples(wall_ns=wall, cpu_ns=wall, switches=samples.switches)

    (turn,) = turns([run], RunSpec(max_s=2.0), clock=machine.clock)
    assert machine.now_s < 4
    assert turn.quality == "noisy"


def test_only_blocks_beside_which_the_machine_was_calm_count() -> None:
    """The witness doubles in the second round: its blocks, three times as slow, do not count."""
    machine = Machine()
    usual = machine.block("a", 10.0)
    calls = 0

    def run(runs: int) -> Samples:
        nonlocal calls
        calls += runs
        samples = usual(runs)
        is_slow = 60 < calls <= 80
        return Samples(
            wall_ns=samples.wall_ns * (3 if is_slow else 1), cpu_ns=samples.cpu_ns, switches=samples.switches
        )

    readings: list[float] = []

    def read_ms() -> float:
        readings.append(2.0 if 60 < calls <= 80 else 1.0)
        return readings[-1]

    (turn,) = turns([run], RUN, witness=Witness(read_ms), clock=machine.clock)
    assert 2.0 in readings
    assert turn.median_ms == 10.0
    assert turn.ci95_ms == (10.0, 10.0)


def test_handles_are_closed_and_the_witness_keeps_its_reading(make_backend: Any) -> None:
    backend = make_backend(lambda i: (10.0, 10.0, 0))
    kept: list[float] = []
    work = Workload(module=None, onnx=b"", input_shape=(1, 3, 8, 8))  # type: ignore[arg-type]
    found = in_turns(
        [work, work],
        DEVICES["cpu"],
        RUN,
        backends={"ort": backend},
        witnessed=lambda device, fingerprint, granted: Witness(lambda: 1.0, keep=kept.append),
        clock=backend.device.clock,
    )
    assert [turn.median_ms for turn in found] == [10.0, 10.0]
    assert all(handle.is_closed for handle in backend.handles)
    assert kept == [1.0]
