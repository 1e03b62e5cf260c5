"""What scores are judged by: which pairs, which differences, and the table of correlations, on made-up networks."""

import dataclasses
import math

import numpy as np
import pytest

from archlab.proxy.judging import Bench, Correlation, correlations, deviation_between_seeds, least_gap

FOUR = Bench(
    names=("a", "b", "c", "d"),
    top1=np.array([60.0, 61.0, 62.0, 63.0]),
    macs=np.array([10.0, 15.0, 100.0, 151.0]),
    latency_ms=np.array([1.0, np.nan, 1.25, 1.5]),
    gap=0.2,
)
"""Of equal cost: a and b. Of equal latency: a and c, c and d. Made up."""


def test_deviation_between_seeds_by_hand() -> None:
    """Variances 2 (one degree of freedom) and 1 (two): pooled (2 + 2) / 3."""
    assert deviation_between_seeds([[1.0, 3.0], [4.0, 5.0, 6.0], [7.0]]) == pytest.approx(math.sqrt(4 / 3))
    assert deviation_between_seeds([[1.0], [2.0]]) is None


def test_the_least_gap_is_a_deviation_of_a_difference() -> None:
    assert least_gap(None) == 0.2
    assert least_gap(0.01) == 0.2
    assert least_gap(3.0) == pytest.approx(math.sqrt(18))


def test_the_three_sets_of_pairs() -> None:
    scores = np.array([1.0, 2.0, 3.0, 0.0])
    found = FOUR.taus(scores)
    assert {part: one.pairs for part, one in found.items()} == {"all pairs": 6, "equal cost": 1, "equal latency": 2}
    assert found["all pairs"].value == 0.0
    assert found["equal cost"].value == FOUR.tau(scores) == 1.0
    assert found["equal latency"].value == FOUR.tau(scores, "equal latency") == 0.0
    assert FOUR.tau(scores, "all pairs") == 0.0


def test_a_network_without_a_score_is_left_out() -> None:
    scores = np.array([1.0, np.nan, 3.0, 2.0])
    found = FOUR.taus(scores)
    assert (found["all pairs"].pairs, found["all pairs"].value) == (3, pytest.approx(1 / 3))
    assert found["equal cost"].pairs == 0
    assert math.isnan(FOUR.tau(scores))
    found = FOUR.gain(scores, np.array([1.0, 2.0, np.nan, 0.0]), "all pairs")  # a and d: right, and wrong
    assert found.value == 2.0
    assert FOUR.only(np.array([False, True, False, True])).names == ("b", "d")


def test_the_table_has_a_row_per_score_and_part_the_best_at_equal_cost_first() -> None:
    scores = {
        "late": np.array([2.0, 1.0, 3.0, 4.0]),
        "nowhere": np.array([np.nan, 1.0, 2.0, 3.0]),
        "good": np.array([1.0, 2.0, 4.0, 3.0]),
    }
    found = correlations(FOUR, scores, {"good": 0.5}, source="made up")
    assert [(row.proxy, row.part) for row in found] == [
        *[("good", part) for part in ("all pairs", "equal cost", "equal latency")],
        *[("late", part) for part in ("all pairs", "equal cost", "equal latency")],
        *[("nowhere", part) for part in ("all pairs", "equal latency")],
    ]
    first = found[0]
    assert (first.tau, first.pairs, first.networks, first.seconds) == (pytest.approx(4 / 6), 6, 4, 0.5)
    assert first.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert first.source == "made up"
    assert [row.networks for row in found] == [4, 4, 3, 4, 4, 3, 3, 2]
    assert {row.spearman for row in found if row.part != "all pairs"} == {None}
    assert found[-1].seconds is None
    assert set(first.to_dict()) == {field.name for field in dataclasses.fields(Correlation)}
