"""A rough bound from multiply-adds, used only to leave out what is hopeless."""

import pytest

from archlab.study.pace import Pace


def test_nothing_is_guessed_from_little() -> None:
    pace = Pace()
    for _ in range(7):
        pace.learn(1000, 2.0)
    assert pace.guess(1000, "cpu") is None
    pace.learn(0, 1.0)  # a network without multiply-adds teaches nothing
    assert pace.guess(1000, "cpu") is None


def test_the_bounds_are_the_fastest_and_slowest_pace_seen() -> None:
    pace = Pace()
    for latency in (1.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 9.0):
        pace.learn(1000, latency)
    guess = pace.guess(10_000, "cpu")
    assert guess is not None
    assert (guess.value, guess.interval) == (pytest.approx(30.0), pytest.approx((10.0, 90.0)))
    assert guess.source == "estimated:pace@cpu"
