"""Numbers as a reader meets them; every expected text was written by hand."""

import math

import pytest

from archlab.format import DASH, count, duration, interval, milliseconds, number, percent, resolved, scientific, size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5_586_832, "5.59 M"),
        (1_253_200_000, "1.25 G"),
        (260_000_000, "260 M"),
        (999_700, "1.00 M"),
        (999_400, "999 k"),
        (12_345, "12.3 k"),
        (950, "950"),
        (0, "0"),
        (3.2e12, "3.20 T"),
        (None, DASH),
    ],
)
def test_counts_keep_three_digits(value: float | None, text: str) -> None:
    assert count(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(4_815_765, "4.82 MB"), (812, "812 B"), (2e9, "2.00 GB"), (0, "0 B"), (None, DASH)]
)
def test_bytes_are_decimal(value: float | None, text: str) -> None:
    assert size(value) == text


@pytest.mark.parametrize(
    ("value", "ends", "text"),
    [
        (3.4372, (3.0, 3.9), "3.4 ms"),  # half width 0.45: one digit of it
        (3.4372, (3.31, 3.55), "3.44 ms"),  # half width 0.12: two digits
        (3.4372, (3.43, 3.45), "3.437 ms"),  # half width 0.010: two digits
        (137.4, (92.0, 183.0), "140 ms"),  # half width 45: tens
        (0.2041, (0.2031, 0.2049), "0.2041 ms"),  # half width 0.0009: one digit
        (3.4372, None, "3.44 ms"),
        (3.4372, (3.4, 3.4), "3.44 ms"),  # an empty interval says nothing about digits
        (None, (1.0, 2.0), DASH),
    ],
)
def test_latency_is_rounded_to_its_interval(value: float | None, ends: tuple[float, float] | None, text: str) -> None:
    assert milliseconds(value, ends) == text


def test_interval_has_the_digits_of_its_latency() -> None:
    assert interval((3.012, 3.894)) == "3.0–3.9 ms"
    assert interval((3.312, 3.552)) == "3.31–3.55 ms"
    assert interval(None) == DASH


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (192.4, "3 min 12 s"),
        (3599.7, "1 h 0 min"),
        (7325, "2 h 2 min"),
        (None, DASH),
    ],
)
def test_durations_use_two_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_shares_never_round_a_little_to_nothing() -> None:
    assert [percent(x) for x in (0.0, 0.004, 0.014, 0.5, 0.996, 1.0, 1.4)] == [
        "0 %", "< 1 %", "1 %", "50 %", "> 99 %", "100 %", "140 %",
    ]  # fmt: skip
    assert percent(math.nan) == DASH


def test_numbers() -> None:
    assert number(-0.0004, 1) == "-0.0004"
    assert number(1234.5) == "1,230"
    assert number(1234.56, 6) == "1,234.56"
    assert number(999.96) == "1,000"
    assert number(2.5e20) == "2.50e+20"
    assert number(-3e-9, 2) == "-3.0e-09"
    assert number(math.inf) == DASH


def test_sizes_of_spaces_are_whole_numbers_of_any_length() -> None:
    assert scientific(8000) == "8,000"
    assert scientific(31_415_926) == "3.1 × 10⁷"
    assert scientific(9_960_000) == "1.0 × 10⁷"
    assert scientific(7 * 10**400) == "7.0 × 10⁴⁰⁰"


def test_decimals_follow_the_spread() -> None:
    assert resolved(1012.347, 250.0) == "1,012"
    assert resolved(41.2345, 3.0) == "41.23"
    assert resolved(41.2345, 0.02) == "41.2345"
    assert resolved(1012.347, 0.0) == "1,012"
    assert resolved(None, 1.0) == DASH
