"""Statistics of ranks: by hand, by what must hold of any numbers, and by scipy."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from archlab.proxy.ranking import again, gain, interval, near, spearman, tau

numbers = st.integers(-4, 4).map(float)
tables = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=12).map(lambda rows: np.array(rows).T)


def undrawn(networks: int) -> np.ndarray:
    return np.zeros((0, networks))


def test_tau_by_hand() -> None:
    """Of the six pairs of four networks one is in the wrong order (2 and 3), one is a tie of the score (0 and 1)."""
    truth, scores = np.array([1.0, 2.0, 3.0, 4.0]), np.array([5.0, 5.0, 9.0, 8.0])
    found = tau(scores, truth)
    assert found.value == pytest.approx((4 - 1) / 6)
    assert found.pairs == 6
    assert found.low < found.value < found.high
    assert tau(-scores, truth).value == -found.value


def test_pairs_that_are_not_told_apart_do_not_count() -> None:
    truth, scores = np.array([1.0, 1.4, 3.0]), np.array([2.0, 1.0, 3.0])
    assert tau(scores, truth).value == pytest.approx((2 - 1) / 3)
    assert tau(scores, truth, gap=0.5).value == 1.0
    assert tau(scores, truth, gap=9.0).pairs == 0
    assert math.isnan(tau(scores, truth, gap=9.0).value)


def test_decimals_are_as_far_apart_as_they_look() -> None:
    """0.3 - 0.1 is less than 0.2 in binary; two equal accuracies are not apart, whatever the gap."""
    assert 0.3 - 0.1 < 0.2
    assert tau(np.array([1.0, 2.0]), np.array([0.1, 0.3]), gap=0.2).pairs == 1
    assert tau(np.array([1.0, 2.0]), np.array([70.1, 70.1])).pairs == 0


def test_only_pairs_of_about_equal_cost() -> None:
    """1 and 1.5 are just within a factor of 1.5, 1.5 and 2.4 are not; what is not known is near nothing."""
    mask = near(np.array([1.0, 1.5, 2.4, np.nan]), 1.5)
    told = [[True, True, False, False], [True, True, False, False], [False, False, True, False], [False] * 4]
    assert mask.tolist() == told
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    found = tau(np.array([2.0, 1.0, 3.0, 4.0]), truth, pairs=mask)
    assert (found.value, found.pairs) == (-1.0, 1)


def test_an_interval_narrows_with_more_networks() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    scores = truth + rng.normal(size=200)
    few, many = tau(scores[:20], truth[:20]), tau(scores, truth)
    assert many.high - many.low < few.high - few.low
    assert many.low < 0.5 < many.high  # 2/π · arcsin(1/√2), Kendall's τ of a correlation of 1/√2


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """40 networks, 200 times over; the percentile bootstrap is known to be a little narrow."""
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        truth = rng.normal(size=40)
        found = tau(truth + rng.normal(size=40), truth, times_RN=again(40, number=200, seed=seed))
        held += found.low <= 0.5 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_drawing_weighs_pairs_as_copies_of_networks_would() -> None:
    """Network 0 twice, 2 once: its two copies are no pair, and each agrees with 2; network 1 is out."""
    truth, scores = np.array([1.0, 2.0, 3.0]), np.array([1.0, 9.0, 2.0])
    found = tau(scores, truth, times_RN=np.array([[2.0, 0.0, 1.0]]))
    assert (found.low, found.high) == (1.0, 1.0)
    assert found.value == pytest.approx(1 / 3)
    other = tau(scores, truth, times_RN=np.array([[1.0, 1.0, 2.0]]))  # 0-1 agrees, 0-2 agrees twice, 1-2 twice not
    assert other.low == pytest.approx((1 + 2 - 2) / 5)
    nothing = tau(scores, truth, times_RN=np.array([[3.0, 0.0, 0.0]]))
    assert math.isnan(nothing.low)


def test_the_gain_of_a_score_over_another() -> None:
    """One has all six pairs right, the other five; where both err alike the difference is known exactly."""
    truth, other = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 4.0, 3.0])
    found = gain(truth, other, truth)
    assert found.value == pytest.approx(1 - 4 / 6)
    assert found.low <= found.value <= found.high
    same = gain(other, other, truth)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert math.isnan(gain(truth, other, truth, gap=9.0).value)


def test_a_gain_is_known_better_than_its_parts() -> None:
    """Two scores that share most of their noise."""
    rng = np.random.default_rng(2)
    truth, shared = rng.normal(size=(2, 60))
    one, other = truth + shared, truth + shared + 0.1 * rng.normal(size=60)
    found, alone = gain(one, other, truth), tau(one, truth)
    assert found.high - found.low < (alone.high - alone.low) / 2


def test_groups_are_drawn_whole() -> None:
    times = again(5, number=50, groups=np.array(["a", "b", "a", "c", "b"]))
    assert times.shape == (50, 5)
    assert (times[:, 0] == times[:, 2]).all()
    assert (times[:, 1] == times[:, 4]).all()
    assert (times[:, [0, 1, 3]].sum(1) == 3).all()
    assert (again(5, number=50).sum(1) == 5).all()
    assert (again(5, seed=1) == again(5, seed=1)).all()
    assert (again(5, seed=1) != again(5, seed=2)).any()


def test_ends_that_hold_95_percent() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
    assert all(math.isnan(end) for end in interval(np.array([])))


def test_spearman_by_hand() -> None:
    """Ranks 1 2 3 4 and 1 2 4 3: 1 - 6 · (1 + 1) / (4 · 15) = 0.8."""
    found = spearman(np.array([1.0, 10.0, 30.0, 20.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.value == pytest.approx(0.8)
    assert found.low <= found.value <= found.high
    assert math.isnan(spearman(np.ones(3), np.arange(3.0)).value)


def test_spearman_of_a_draw_is_that_of_its_copies() -> None:
    scores, truth = np.array([3.0, 1.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0, 4.0])
    found = spearman(scores, truth, times_RN=np.array([[2.0, 1.0, 0.0, 1.0]]))
    expected = scipy.stats.spearmanr([3, 3, 1, 5], [1, 1, 2, 4]).statistic
    assert found.low == found.high == pytest.approx(expected)


@given(tables)
@settings(deadline=None)
def test_tau_is_somers_d_of_the_score_given_the_accuracy(table: np.ndarray) -> None:
    scores, truth = table
    found = tau(scores, truth, times_RN=undrawn(len(truth)))
    if len(set(truth)) == 1:
        assert found.pairs == 0
    elif len(set(scores)) == 1:
        assert found.value == 0.0
    else:
        assert found.value == pytest.approx(scipy.stats.somersd(truth, scores).statistic)
        assert math.isnan(found.low)


@given(st.permutations(range(9)))
@settings(deadline=None)
def test_tau_without_ties_is_kendalls(order: list[int]) -> None:
    scores = np.array(order, float)
    found = tau(scores, np.arange(9.0), times_RN=undrawn(9))
    assert found.value == pytest.approx(scipy.stats.kendalltau(scores, np.arange(9.0)).statistic)
    assert found.pairs == 36


@given(tables)
@settings(deadline=None)
def test_only_orders_count(table: np.ndarray) -> None:
    """A growing function of the score changes nothing, a falling one the sign, a shuffle of the networks nothing."""
    scores, truth = table
    times = undrawn(len(truth))
    found = tau(scores, truth, times_RN=times)
    for other, sign in ((np.exp(scores), 1), (-(scores**3), -1)):
        assert tau(other, truth, times_RN=times).value == pytest.approx(sign * found.value, nan_ok=True)
        rho = spearman(other, truth, times_RN=times).value
        assert rho == pytest.approx(sign * spearman(scores, truth, times_RN=times).value, nan_ok=True)
    assert tau(scores[::-1], truth[::-1], times_RN=times).value == pytest.approx(found.value, nan_ok=True)
    assert found.pairs == 0 or -1 <= found.value <= 1


@given(tables)
@settings(deadline=None)
def test_spearman_is_scipys(table: np.ndarray) -> None:
    scores, truth = table
    found = spearman(scores, truth, times_RN=undrawn(len(truth))).value
    if len(set(scores)) > 1 and len(set(truth)) > 1:
        assert found == pytest.approx(scipy.stats.spearmanr(scores, truth).statistic, abs=1e-12)
    else:
        assert math.isnan(found)
