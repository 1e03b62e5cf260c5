"""Predicting a device from a few measurements: worlds whose truth is written down here, not drawn from the code."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from archlab.errors import PlanError
from archlab.latency.transfer import Prediction, choose, learn, transfer

NETWORKS, DEVICES = 120, 6


def additive_world(seed: int = 0, noise: float = 0.01) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latencies that are sums: a floor and three operators' counts, each with a cost of its own on every device.

    Gives the sources' latencies in ms, the new device's (the last draw), and the counts.
    """
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 7, (NETWORKS, 3)).astype(float)
    costs = np.array([0.3, 1.0, 4.0]) * np.exp(rng.normal(0, 0.5, (DEVICES + 1, 3)))
    speeds = np.exp(rng.normal(0, 1.0, DEVICES + 1))
    truth = (2.0 + counts @ costs.T) * speeds * np.exp(rng.normal(0, noise, (NETWORKS, DEVICES + 1)))
    return truth[:, :-1], truth[:, -1], counts


def mean_error(predicted: Prediction, truth: np.ndarray) -> float:
    return float(np.abs(predicted.ms / truth - 1).mean())


def log_linear_error(source: np.ndarray, truth: np.ndarray, chosen: np.ndarray) -> float:
    """What a line through the logarithms of the ten makes of one source: the oracle to beat."""
    slope, shift = np.polyfit(np.log(source[chosen]), np.log(truth[chosen]), 1)
    return float(np.abs(np.exp(slope * np.log(source) + shift) / truth - 1).mean())


def test_ten_measurements_beat_a_line_through_the_best_source() -> None:
    sources, truth, counts = additive_world()
    chosen = np.arange(0, 120, 12)
    predicted = transfer(np.log(sources), counts, chosen, truth[chosen])
    best_line = min(log_linear_error(source, truth, chosen) for source in sources.T)
    assert mean_error(predicted, truth) < 0.03 < best_line
    assert spearmanr(predicted.ms, truth).statistic > 0.99


def test_a_device_that_is_only_slower_is_predicted_exactly() -> None:
    sources, _, counts = additive_world(noise=0.0)
    truth = 7.0 * sources[:, 2]
    predicted = transfer(np.log(sources), counts, np.arange(10), truth[:10])
    np.testing.assert_allclose(predicted.ms, truth, rtol=0.02)


def test_milliseconds_scale_with_the_measurements() -> None:
    sources, truth, counts = additive_world()
    learned = learn(np.log(sources), counts)
    once, thousandfold = learned.predict(np.arange(10), truth[:10]), learned.predict(np.arange(10), 1e3 * truth[:10])
    np.testing.assert_allclose(thousandfold.ms, 1e3 * once.ms)
    np.testing.assert_allclose(thousandfold.hi_ms, 1e3 * once.hi_ms)


def test_networks_no_source_measured_are_predicted_from_their_features() -> None:
    sources, truth, counts = additive_world()
    sources[60:] = np.nan
    predicted = transfer(np.log(sources), counts, np.arange(0, 60, 6), truth[:60:6])
    assert float(np.abs(predicted.ms[60:] / truth[60:] - 1).mean()) < 0.05


def test_sources_with_holes_and_no_features() -> None:
    rng = np.random.default_rng(3)
    size = rng.normal(0, 1.0, NETWORKS)
    sources = size[:, None] + rng.normal(0, 0.03, (NETWORKS, DEVICES)) + np.arange(DEVICES)
    sources[::3, 0], sources[1::3, 4] = np.nan, np.nan
    truth = np.exp(size + 2.0)
    predicted = transfer(sources, None, np.arange(10), truth[:10])
    assert mean_error(predicted, truth) < 0.03


def test_the_interval_holds_nine_in_ten_on_devices_never_seen() -> None:
    held = []
    for seed in range(8):
        sources, truth, counts = additive_world(seed, noise=0.05)
        chosen = np.random.default_rng(seed).permutation(NETWORKS)[:10]
        predicted = transfer(np.log(sources), counts, chosen, truth[chosen])
        rest = np.setdiff1d(np.arange(NETWORKS), chosen)
        held.append(((predicted.lo_ms <= truth) & (truth <= predicted.hi_ms))[rest].mean())
    assert 0.85 <= np.mean(held) <= 0.97


def test_one_source_is_enough_and_its_interval_is_there() -> None:
    sources, _, _ = additive_world()
    truth = 3.0 * sources[:, 0]
    predicted = transfer(np.log(sources[:, :1]), None, np.arange(5), truth[:5])
    np.testing.assert_allclose(predicted.ms, truth, rtol=1e-6)
    assert (predicted.lo_ms < predicted.ms).all()
    assert (predicted.ms < predicted.hi_ms).all()


def test_what_adds_up_is_compared_as_multiples_what_multiplies_as_logarithms() -> None:
    sources, _, counts = additive_world(noise=0.0)
    assert not learn(np.log(sources), counts).is_log
    rng = np.random.default_rng(5)
    exponents = 1.0 + rng.normal(0, 0.3, (3, DEVICES))
    assert learn(counts @ exponents, counts).is_log


def test_chosen_networks_are_different_and_spread() -> None:
    sources, _, counts = additive_world()
    sizes = counts @ np.array([0.3, 1.0, 4.0])
    chosen = choose(np.log(sources), counts, 10)
    assert len(set(chosen.tolist())) == 10
    assert np.ptp(sizes[chosen]) > 0.7 * np.ptp(sizes)
    np.testing.assert_array_equal(chosen, choose(np.log(sources), counts, 10))


def test_all_networks_are_chosen_once_each() -> None:
    sources = np.random.default_rng(0).normal(size=(12, 3))
    assert sorted(choose(sources, None, 12).tolist()) == list(range(12))


def test_large_networks_may_cost_more_than_in_proportion() -> None:
    """One source, no features: nothing but another slope of the logarithms makes 1.3 of 1."""
    log_source = np.linspace(0, 4, 40)[:, None]
    truth = np.exp(0.5 + 1.3 * log_source[:, 0])
    at = np.arange(0, 40, 6)
    np.testing.assert_allclose(transfer(log_source, None, at, truth[at]).ms, truth, rtol=0.1)


def test_of_twins_only_one_is_chosen() -> None:
    sources, _, counts = additive_world()
    doubled, twice = np.vstack([sources, sources]), np.vstack([counts, counts])
    chosen = choose(np.log(doubled), twice, 8)
    assert len(set((chosen % NETWORKS).tolist())) == 8


def test_chosen_networks_predict_better_than_the_smallest_ten() -> None:
    sources, truth, counts = additive_world()
    learned = learn(np.log(sources), counts)
    chosen, smallest = choose(np.log(sources), counts, 10), np.argsort(sources[:, 0])[:10]
    assert mean_error(learned.predict(chosen, truth[chosen]), truth) < mean_error(
        learned.predict(smallest, truth[smallest]), truth
    )


@pytest.mark.parametrize(
    ("sources", "features", "chosen", "ms", "says"),
    [
        (np.zeros(5), None, [0, 1], [1, 1], "no table of other devices; given: shape (5,), 0 infinite"),
        (np.zeros((5, 0)), None, [0, 1], [1, 1], "no table of other devices; given: shape (5, 0)"),
        (np.full((5, 2), -np.inf), None, [0, 1], [1, 1], "10 infinite; allowed: logarithms of ms"),
        (np.array([[0, np.nan]] * 5), None, [0, 1], [1, 1], "a device that measured at least one of them"),
        (np.array([[0.0], [np.nan]]), None, [0, 1], [1, 1], "nothing is known; given: 1 without; allowed: networks"),
        (np.zeros((5, 2)), np.zeros((4, 1)), [0, 1], [1, 1], "features that do not fit; given: shape (4, 1) beside 5"),
        (np.zeros((2, 2)), [[1.0], [np.nan]], [0, 1], [1, 1], "1 not finite; allowed: one row of finite numbers"),
        (np.zeros((5, 2)), None, [0], [1], "given: 1 networks, 1 latencies; allowed: as many of both"),
        (np.zeros((5, 2)), None, [0, 0], [1, 1], "different networks, at least two; measure more"),
        (
            np.zeros((5, 2)),
            None,
            [0, 5],
            [1, 1],
            "no network of the table; given: 0 to 5; allowed: whole numbers from 0 to 4",
        ),
        (np.zeros((5, 2)), None, [-1, 2], [1, 1], "given: -1 to 2"),
        (np.zeros((5, 2)), None, [0, 1], [1, 0], "no latency; given: 0.0 to 1.0 ms; allowed: finite latencies above 0"),
    ],
)
def test_what_cannot_be_predicted_from_is_told(
    sources: np.ndarray, features: np.ndarray | None, chosen: list[int], ms: list[float], says: str
) -> None:
    with pytest.raises(PlanError) as told:
        transfer(sources, features, chosen, ms)
    assert says in str(told.value)


def test_more_networks_than_there_are_cannot_be_chosen() -> None:
    with pytest.raises(PlanError, match="cannot choose so many networks; given: 6; allowed: 1 to 5"):
        choose(np.zeros((5, 2)), None, 6)


def test_what_was_learnt_chooses_among_those_that_can_be_measured() -> None:
    sources, truth, counts = additive_world()
    learned, odd = learn(np.log(sources), counts), np.arange(1, NETWORKS, 2)
    chosen = learned.choose(odd, 10)
    assert set(chosen.tolist()) <= set(odd.tolist())
    assert mean_error(learned.predict(chosen, truth[chosen]), truth) < 0.03
    with pytest.raises(PlanError, match="given: 61; allowed: 1 to 60"):
        learned.choose(odd, 61)


def test_only_those_asked_for_are_predicted_in_their_order() -> None:
    sources, truth, counts = additive_world()
    learned = learn(np.log(sources), counts)
    every, few = (learned.predict(np.arange(10), truth[:10], asked=asked) for asked in (None, [70, 3]))
    np.testing.assert_allclose(few.ms, every.ms[[70, 3]])
    np.testing.assert_allclose(few.lo_ms, every.lo_ms[[70, 3]])
