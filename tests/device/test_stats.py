import numpy as np
import pytest
from scipy import stats as scipy_stats

from archlab.device.stats import (
    STATISTICS,
    Chosen,
    choose,
    doubt,
    drift_share,
    is_steady,
    judge,
    median_interval,
    spread_share,
    width_share,
)


def chosen(times: list[float], statistic: str = "wall_clean") -> Chosen:
    return Chosen(times_ms=np.array(times), statistic=statistic, clean_share=1.0)


def test_interval_of_seven_runs_is_the_second_and_the_sixth() -> None:
    # P(resampled median <= smallest) = P(Binomial(7, 1/7) >= 4) = 0.0102 < 2.5 %; with the second it is 0.11
    assert median_interval(np.array([7.0, 1, 6, 2, 5, 3, 4])) == (2.0, 6.0)


def test_interval_of_five_runs_is_all_of_them() -> None:
    # P(Binomial(5, 1/5) >= 3) = 0.0579 > 2.5 %
    assert median_interval(np.arange(1.0, 6.0)) == (1.0, 5.0)


def test_interval_of_one_run_is_that_run() -> None:
    assert median_interval(np.array([3.0])) == (3.0, 3.0)


@pytest.mark.parametrize("n", [31, 60, 201])
def test_interval_agrees_with_scipys_bootstrap(n: int) -> None:
    times = np.random.default_rng(n).lognormal(1.0, 0.1, n)
    ours = median_interval(times)
    theirs = scipy_stats.bootstrap(
        (times,), np.median, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1), vectorized=True
    ).confidence_interval
    ordered = np.sort(times)
    for mine, other in zip(ours, theirs, strict=True):
        assert abs(np.searchsorted(ordered, mine) - np.searchsorted(ordered, other)) <= 1


def test_interval_holds_the_true_median_19_times_of_20() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(600):
        low, high = median_interval(rng.normal(10.0, 1.0, 80))
        hits += low <= 10.0 <= high
    assert 0.92 <= hits / 600 <= 0.98


def test_clean_runs_are_chosen_by_wall_time() -> None:
    switches = np.array([0] * 30 + [1] * 170)
    found = choose(np.where(switches == 0, 10.0, 25.0), np.full(200, 9.0), switches, threads=1)
    assert found.statistic == "wall_clean"
    assert len(found.times_ms) == 30
    assert set(found.times_ms) == {10.0}
    assert found.clean_share == 0.15


def test_only_runs_beside_which_the_machine_was_calm_count() -> None:
    wall, switches = np.repeat([10.0, 12.0], 50), np.zeros(100, dtype=np.int64)
    found = choose(wall, wall, switches, threads=1, calm=wall < 11)
    assert (found.statistic, found.calm_share, len(found.times_ms)) == ("wall_clean", 0.5, 50)
    assert set(found.times_ms) == {10.0}


def test_of_interrupted_runs_only_the_calm_ones_tell_by_cpu_time() -> None:
    cpu, calm = np.repeat([10.0, 12.0], 100), np.repeat([False, True], 100)
    found = choose(np.full(200, 25.0), cpu, np.full(200, 2), threads=1, calm=calm)
    assert found.statistic == "cpu_clean"
    assert set(found.times_ms) == {12.0}


def test_where_the_machine_was_never_calm_all_runs_are_there_and_doubted() -> None:
    wall, switches = np.full(100, 10.0), np.zeros(100, dtype=np.int64)
    found = choose(wall, wall, switches, threads=1, calm=np.zeros(100, dtype=np.bool_))
    assert (found.calm_share, len(found.times_ms)) == (0.0, 100)
    assert judge(found, is_throttled=False) == "noisy"
    assert doubt(found) == "the machine was not what it usually is"


def test_few_runs_of_a_slow_network_count_when_most_are_clean() -> None:
    switches = np.array([0] * 10 + [2] * 6)
    found = choose(np.full(16, 700.0), np.full(16, 699.0), switches, threads=2)
    assert found.statistic == "wall_clean"
    assert len(found.times_ms) == 10


def test_one_thread_falls_back_to_cpu_time_of_the_least_interrupted_quarter() -> None:
    switches = np.array([1] * 50 + [5] * 150)
    cpu = np.where(switches == 1, 10.0, 11.0)
    found = choose(np.full(200, 40.0), cpu, switches, threads=1)
    assert found.statistic == "cpu_clean"
    assert len(found.times_ms) == 50
    assert set(found.times_ms) == {10.0}


def test_the_calm_runs_are_never_fewer_than_thirty() -> None:
    switches = np.arange(1, 61)
    found = choose(np.full(60, 40.0), np.arange(60.0), switches, threads=1)
    assert found.times_ms.tolist() == list(range(30))


def test_many_threads_have_no_cpu_time_to_fall_back_to() -> None:
    found = choose(np.full(100, 40.0), np.full(100, 70.0), np.full(100, 3), threads=2)
    assert found.statistic == "wall_all"
    assert set(found.times_ms) == {40.0}
    assert judge(found, is_throttled=False) == "noisy"


def test_a_tools_own_times_are_taken_as_they_are() -> None:
    found = choose(np.array([1.0, 2.0]), None, None, threads=1)
    assert (found.statistic, found.times_ms.tolist()) == ("reported", [1.0, 2.0])


def test_cpu_time_of_a_process_that_hardly_had_the_cpu_is_noisy() -> None:
    cpu, switches = np.full(200, 10.0), np.full(200, 3)
    quarter = choose(np.full(200, 40.0), cpu, switches, threads=1)
    half = choose(np.full(200, 20.0), cpu, switches, threads=1)
    assert (quarter.cpu_share, half.cpu_share) == (0.25, 0.5)
    assert judge(quarter, is_throttled=False) == "noisy"
    assert judge(half, is_throttled=False) == "ok"


def test_thirty_runs_make_a_latency_unless_the_cap_has_no_room_for_them() -> None:
    twelve = chosen([100.0, 100.1] * 6)
    assert judge(twelve, is_throttled=False, room_s=10.0) == "noisy"
    assert judge(twelve, is_throttled=False, room_s=1.35) == "noisy"  # thirteen runs would have fitted
    assert judge(twelve, is_throttled=False, room_s=1.2) == "ok"


def test_every_statistic_has_words() -> None:
    assert set(STATISTICS) == {"wall_clean", "cpu_clean", "wall_all", "reported"}


def test_steady_means_five_medians_within_two_percent() -> None:
    assert is_steady([50.0, 10.0, 10.1, 10.2, 10.1, 10.0])
    assert not is_steady([10.0, 10.1, 10.3, 10.1, 10.0])
    assert not is_steady([10.0, 10.0, 10.0, 10.0])


def test_drift_compares_the_halves() -> None:
    assert drift_share(np.array([10.0] * 20 + [11.0] * 20)) == pytest.approx(0.1)
    assert drift_share(np.array([10.0] * 9 + [20.0] * 10)) == 0.0


def test_quality_in_every_word() -> None:
    steady = [10.0, 10.05] * 20
    assert judge(chosen(steady), is_throttled=False) == "ok"
    assert judge(chosen(steady), is_throttled=True) == "throttled"
    assert judge(chosen(steady[:9]), is_throttled=False) == "noisy"
    assert judge(chosen([10.0, 12.0] * 20), is_throttled=False) == "noisy"
    assert judge(chosen(steady, "wall_all"), is_throttled=False) == "noisy"
    assert judge(chosen([]), is_throttled=False) == "failed"
    assert judge(chosen([0.0, 1.0]), is_throttled=False) == "failed"
    assert judge(chosen([float("nan")]), is_throttled=False) == "failed"


def test_a_drift_alone_makes_it_noisy() -> None:
    creeping = np.concatenate([np.linspace(10.0, 10.05, 200), np.linspace(10.55, 10.6, 200)])
    assert spread_share(creeping) < 0.06
    assert judge(chosen(creeping.tolist()), is_throttled=False) == "noisy"


def test_quartiles_far_apart_alone_make_it_noisy() -> None:
    times = np.random.default_rng(0).normal(10.0, 0.6, 4000)
    assert width_share(times) < 0.01
    assert drift_share(times) < 0.01
    assert spread_share(times) == pytest.approx(2 * 0.6745 * 0.06, rel=0.05)
    assert judge(chosen(times.tolist()), is_throttled=False) == "noisy"


def test_a_wide_interval_alone_makes_it_noisy() -> None:
    times = [10.0, 10.5] * 8
    assert spread_share(np.array(times)) < 0.06
    assert judge(chosen(times), is_throttled=False) == "noisy"


def test_every_doubt_has_words() -> None:
    steady = [10.0, 10.05] * 20
    interrupted = Chosen(times_ms=np.array(steady), statistic="cpu_clean", clean_share=0.0, cpu_share=0.3)
    creeping = np.linspace(10.0, 11.1, 4000)  # halves 5.4 % apart, quartiles 5.2 %
    found = [
        doubt(chosen(steady, "wall_all")),
        doubt(interrupted),
        doubt(chosen(steady[:9])),
        doubt(chosen([10.0, 10.5] * 15)),
        doubt(chosen(np.random.default_rng(0).normal(10.0, 0.6, 4000).tolist())),
        doubt(chosen(creeping.tolist())),
        doubt(chosen(steady)),
    ]
    assert found == [
        "others interrupted nearly every run",
        "others had the CPU for much of the time",
        "too few runs count",
        "the median's interval is wide",
        "the runs differ much among themselves",
        "the runs grew slower or faster",
        None,
    ]
