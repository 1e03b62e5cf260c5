from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archlab.device.catalog import RunSpec, device
from archlab.device.comparison import Comparison, compare, paired
from archlab.device.measure import workload
from archlab.device.measurement import Samples
from archlab.errors import DeviceError, DeviceUnreachable

A_MS, B_MS = 3.0, 2.0


def block(turns: list[str], name: str, slow: Callable[[int], float]) -> Callable[[int], Samples]:
    def run(runs: int) -> Samples:
        turns.append(name)
        ms = {"a": A_MS, "b": B_MS}[name] * slow(len(turns))
        times = np.full(runs, int(ms * 1e6))
        return Samples(wall_ns=times * 2, cpu_ns=times, switches=np.zeros(runs, dtype=np.int64))

    return run


def test_it_takes_turns_and_cancels_what_slows_both() -> None:
    turns: list[str] = []

    def ever_slower(turn: int) -> float:
        return 1 + (turn - 1) // 2

    found = paired(block(turns, "a", ever_slower), block(turns, "b", ever_slower), RunSpec())
    assert turns[:2] == ["a", "b"]  # the warm-up
    assert turns[2:10] == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert found.ratio == pytest.approx(1.5)
    assert found.ci95 == pytest.approx((1.5, 1.5))
    assert found.pairs == 30
    assert found.verdict == "slower"


def test_one_thread_counts_by_cpu_time_two_by_wall_time() -> None:
    def same(turn: int) -> float:
        return 1.0

    one = paired(block([], "a", same), block([], "b", same), RunSpec(threads=1))
    two = paired(block([], "a", same), block([], "b", same), RunSpec(threads=2))
    assert (one.a_ms, one.b_ms) == (3.0, 2.0)
    assert (two.a_ms, two.b_ms) == (6.0, 4.0)


def test_it_goes_on_until_the_ratio_is_known_or_the_cap_ends() -> None:
    rng = np.random.default_rng(0)
    clock = iter(np.arange(0.0, 1e6, 0.1))
    noisy = paired(
        block([], "a", lambda turn: float(rng.uniform(1, 2))),
        block([], "b", lambda turn: float(rng.uniform(1, 2))),
        RunSpec(max_s=10.0),
        clock=lambda: float(next(clock)),
    )
    assert 100 <= noisy.pairs <= 130  # one reading of the clock per pair beyond the thirtieth


@pytest.mark.parametrize(
    ("ci95", "verdict"), [((1.01, 1.02), "slower"), ((0.9, 0.99), "faster"), ((0.99, 1.01), "level")]
)
def test_the_verdict_needs_the_whole_interval(ci95: tuple[float, float], verdict: str) -> None:
    assert Comparison(ratio=1.0, ci95=ci95, a_ms=1.0, b_ms=1.0, pairs=30).verdict == verdict


def test_two_networks_on_a_fake_device(make_backend: Any) -> None:
    backend = make_backend(lambda i: (2.0, 2.0, 0))
    work = workload(nn.Conv2d(3, 4, 3), RunSpec(), (1, 3, 8, 8))
    found = compare(work, work, device("cpu"), RunSpec(), backends={"ort": backend}, clock=backend.device.clock)
    assert found.ratio == 1.0
    assert found.verdict == "level"
    assert [handle.is_closed for handle in backend.handles] == [True, True]


def test_what_was_made_ready_is_closed_when_the_other_cannot_be(make_backend: Any) -> None:
    backend = make_backend(lambda i: (2.0, 2.0, 0))
    first = backend.prepare

    def once(*asked: Any) -> Any:
        if backend.handles:
            raise DeviceError("no room")
        return first(*asked)

    backend.prepare = once
    work = workload(nn.Conv2d(3, 4, 3), RunSpec(), (1, 3, 8, 8))
    with pytest.raises(DeviceError, match="no room"):
        compare(work, work, device("cpu"), RunSpec(), backends={"ort": backend})
    assert [handle.is_closed for handle in backend.handles] == [True]


def test_a_device_that_is_estimated_compares_nothing() -> None:
    torch.manual_seed(0)
    work = workload(nn.Conv2d(3, 4, 3), RunSpec(), (1, 3, 8, 8))
    with pytest.raises(DeviceUnreachable):
        compare(work, work, device("orin"), RunSpec(runtime="trtexec", precision="fp16"))
