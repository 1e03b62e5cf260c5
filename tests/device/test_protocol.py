from typing import Any

import numpy as np

from archlab.device.catalog import RunSpec
from archlab.device.protocol import chosen_of, collect
from archlab.device.witness import Witness

RUN = RunSpec(warmup_s=3.0, max_s=10.0)


def test_a_steady_device_is_measured_shortly(make_device: Any) -> None:
    device = make_device(lambda i: (10.0, 10.0, 0))
    found = collect(device.run, RUN, device.clock)
    # 10 ms runs: warm-up blocks of 0.1 s, five of them after two single runs; blocks of 0.25 s for one second
    assert device.blocks == [1, 1, *[10] * 5, 25, 25, 25, 25]
    assert found.is_warm
    assert found.warmup_runs == 52
    assert len(found.samples) == 100
    assert set(found.samples.wall_ns) == {10_000_000}


def test_nothing_of_the_warm_up_is_kept(make_device: Any) -> None:
    device = make_device(lambda i: (10.0 + 20.0 * 0.95**i,) * 2 + (0,))
    found = collect(device.run, RUN, device.clock)
    assert found.is_warm
    assert found.warmup_runs > 60
    assert found.samples.wall_ns.max() < 10.5e6


def test_a_device_that_never_settles_ends_at_the_caps(make_device: Any) -> None:
    rng = np.random.default_rng(0)
    device = make_device(lambda i: (float(rng.uniform(10, 20)),) * 2 + (0,))
    found = collect(device.run, RunSpec(warmup_s=2.0, max_s=4.0), device.clock)
    assert not found.is_warm
    longest_warm_up_block_s, longest_block_s = 0.2, 0.5
    assert 6.0 <= found.seconds <= 6.0 + longest_warm_up_block_s + longest_block_s
    assert len(found.samples) > 200


def test_every_sample_is_kept_interrupted_ones_too(make_device: Any) -> None:
    device = make_device(lambda i: (30.0, 11.0, 1) if i % 3 else (10.0, 10.0, 0))
    found = collect(device.run, RUN, device.clock)
    samples = found.samples
    assert set(samples.wall_ns) == {10_000_000, 30_000_000}
    assert np.array_equal(samples.switches == 0, samples.wall_ns == 10_000_000)
    assert np.array_equal(samples.cpu_ns == 11_000_000, samples.switches == 1)


def test_with_two_threads_it_goes_on_until_enough_runs_are_clean(make_device: Any) -> None:
    device = make_device(lambda i: (10.0, 10.0, 0) if i % 10 == 0 else (20.0, 14.0, 1))
    found = collect(device.run, RunSpec(threads=2), device.clock)
    assert 30 <= (found.samples.switches == 0).sum() < 35


def test_with_one_thread_cpu_time_ends_it_sooner(make_device: Any) -> None:
    device = make_device(lambda i: (20.0, 14.0, 1))
    found = collect(device.run, RunSpec(threads=1), device.clock)
    assert len(found.samples) == 60  # 20 ms runs, in blocks of 12 or 13, for one second


def test_a_slow_network_gets_ten_runs_however_short_the_cap(make_device: Any) -> None:
    device = make_device(lambda i: (2000.0, 2000.0, 0))
    found = collect(device.run, RunSpec(warmup_s=0.1, max_s=0.1), device.clock)
    assert len(found.samples) == 10
    assert found.warmup_runs == 2


def test_the_same_device_gives_the_same_samples(make_device: Any) -> None:
    def once() -> np.ndarray:
        rng = np.random.default_rng(5)
        device = make_device(lambda i: (float(rng.normal(10, 0.2)),) * 2 + (0,))
        return collect(device.run, RUN, device.clock).samples.wall_ns

    assert np.array_equal(once(), once())


def test_a_tool_that_warms_up_by_itself_gets_large_blocks_only(make_device: Any) -> None:
    device = make_device(lambda i: (10.0, 10.0, 0))
    found = collect(device.run, RUN, device.clock, is_self_warming=True)
    assert device.blocks == [200]
    assert (found.is_warm, found.warmup_runs, len(found.samples)) == (True, 0, 200)


def test_large_blocks_end_at_the_cap_too(make_device: Any) -> None:
    rng = np.random.default_rng(0)
    device = make_device(lambda i: (float(rng.uniform(10, 20)),) * 2 + (0,))
    collect(device.run, RunSpec(max_s=5.0), device.clock, is_self_warming=True)
    assert device.blocks == [200, 200]  # 3 s each


def test_the_witness_is_read_before_and_after_every_block_and_only_calm_blocks_count(make_device: Any) -> None:
    # 10 ms runs in blocks of 25; from the second on the witness takes 4.5 ms for four readings, the network 12 ms a run
    readings = iter([4.0, 4.0, 4.5, 4.5, 4.5, 4.5, *[4.0] * 20])
    device = make_device(lambda i: (12.0, 12.0, 0) if 77 <= i < 177 else (10.0, 10.0, 0))
    witness = Witness(lambda: next(readings), [4.0] * 9)
    found = collect(device.run, RUN, device.clock, witness=witness)
    assert device.blocks == [1, 1, *[10] * 5, *[25] * 9]  # until a second of calm runs is there
    assert found.samples.calm is not None
    assert found.samples.calm.tolist() == [True] * 25 + [False] * 125 + [True] * 75
    assert set(chosen_of(found.samples, RUN).times_ms) == {10.0}


def test_a_machine_that_is_never_calm_ends_at_the_cap(make_device: Any) -> None:
    device = make_device(lambda i: (10.0, 10.0, 0))
    found = collect(device.run, RUN, device.clock, witness=Witness(lambda: 5.0, [4.0] * 9))
    assert found.seconds == 0.5 + 0.02 + 10.0
    assert chosen_of(found.samples, RUN).calm_share == 0
