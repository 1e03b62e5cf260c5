import time

from archlab.device.runtime import timed


def test_every_run_is_timed_by_three_clocks() -> None:
    calls: list[int] = []
    samples = timed(lambda: calls.append(1), 7)
    assert len(calls) == len(samples) == 7
    assert samples.cpu_ns is not None
    assert samples.switches is not None
    assert (samples.wall_ns > 0).all()
    assert (samples.cpu_ns > 0).all()
    assert (samples.switches >= 0).all()


def test_sleeping_takes_wall_time_and_hardly_any_cpu_time() -> None:
    samples = timed(lambda: time.sleep(0.02), 3)
    assert samples.cpu_ns is not None
    assert (samples.wall_ns >= 20_000_000).all()
    assert (samples.cpu_ns < 15_000_000).all()
