"""The rules that give verdicts, on rows made by hand."""

from typing import Any

import pytest

from archlab.artifacts.checks import Equal, InRange, Larger, NotLarger, SameOrder, is_below
from archlab.artifacts.rows import NEEDS_COMPUTE, NEEDS_MEANS, Lack, Row
from archlab.artifacts.verdict import IN_SIGN, NOT_REPRODUCED, REPRODUCED, Check, Finding, because, overall, pick

UNTRAINED = Lack(verdict=NEEDS_COMPUTE, what="three seeds")
NO_DATA = Lack(verdict=NEEDS_MEANS, what="Cityscapes")


def row(setting: str, paper: Any = None, ours: Any = None, **more: Any) -> Row:
    return Row(setting=setting, metric="m", paper=paper, ours=ours, **more)


def score(setting: str, mean: float, half: float | None, runs: int = 3) -> Row:
    """A value of a small network, with half the width of its interval."""
    ci95 = None if half is None else (mean - half, mean + half)
    return row(setting, ours=mean, ours_ci95=ci95, runs=runs, is_small_scale=True)


EQUAL = Equal(claim="c", metric="m", within=0.02)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([row("a", 100.0, 102.0)], REPRODUCED),
        ([row("a", 100.0, 102.1)], NOT_REPRODUCED),
        ([row("a", 11.0, 11.48, rounding=0.5)], REPRODUCED),
        ([row("a", 11.0, 11.52, rounding=0.5)], NOT_REPRODUCED),
        ([row("a", "3/5/7/9", "3/5/7/9")], REPRODUCED),
        ([row("a", "3/5/7/9", "7/7/7/7")], NOT_REPRODUCED),
        ([row("a", 1.0, 1.5), row("b", 2.0, 2.6), row("c", 3.0, 3.0)], IN_SIGN),
        ([row("a", 1.0, 2.5), row("b", 2.0, 2.2), row("c", 3.0, 3.0)], NOT_REPRODUCED),
        ([row("a", 1.0, 1.5), row("b", 2.0, 2.0)], NOT_REPRODUCED),
        ([row("a", 4.4, 4.4), row("b", 4.4, 5.0), row("c", 4.4, 6.0)], NOT_REPRODUCED),
        ([row("a", 1.0, 1.0), row("b", None, 7.0)], REPRODUCED),
        ([row("a", 1.0, 1.0), row("b", 2.0, None, lack=NO_DATA)], NEEDS_MEANS),
    ],
)
def test_equal(rows: list[Row], verdict: str) -> None:
    assert EQUAL.judge(rows).verdict == verdict


def test_equal_names_the_furthest() -> None:
    found = EQUAL.judge([row("a", 100.0, 104.0), row("b", 100.0, 120.0), row("c", 100.0, 100.0)])
    assert found.detail == "m: 1 of 3 within 2% or the last digit, furthest b: 120 for 100"


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [((1.0, 2.0, 3.0, 4.0), REPRODUCED), ((1.0, 3.0, 2.0, 4.0), IN_SIGN), ((1.0, 4.0, 3.0, 2.0), NOT_REPRODUCED)],
)
def test_order_counts_pairs(ours: tuple[float, ...], verdict: str) -> None:
    """Four values make six pairs: none turned, one (5/6 ≥ 3/4), three (3/6)."""
    rows = [row(name, 10.0 * i, value) for i, (name, value) in enumerate(zip("abcd", ours, strict=True), 1)]
    assert SameOrder(claim="c", metric="m").judge(rows).verdict == verdict


def test_order_ignores_pairs_that_the_paper_has_level_and_counts_overlaps_against_us() -> None:
    rows = [row("a", 100.0, 2.0), row("b", 104.0, 1.0), row("c", 200.0, 3.0)]
    assert SameOrder(claim="c", metric="m", apart=0.05).judge(rows).detail == "m: 2 of 2 pairs in the paper's order"
    near = [row("a", 1.0, 1.0, ours_ci95=(0.8, 1.2)), row("b", 2.0, 1.1, ours_ci95=(1.0, 1.3))]
    assert SameOrder(claim="c", metric="m").judge(near).verdict == NOT_REPRODUCED
    assert not is_below(*near)


@pytest.mark.parametrize(
    "check",
    [
        EQUAL,
        SameOrder(claim="c", metric="m"),
        Larger(claim="c", metric="m", more="b", less="a", by=1.0),
        NotLarger(claim="c", metric="m", changed="a", than="b"),
        InRange(claim="c", metric="m", low=1.0, high=2.0),
    ],
)
def test_small_scale_is_in_sign_at_most(check: Check) -> None:
    for is_small, verdict in ((False, REPRODUCED), (True, IN_SIGN)):
        assert check.judge([row("a", 1.0, 1.0), row("b", 2.0, 2.0, is_small_scale=is_small)]).verdict == verdict


def test_a_claim_without_rows_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="no row to judge by: c"):
        EQUAL.judge([row("a", None, 1.0)])
    with pytest.raises(AssertionError, match="nothing can contradict"):
        SameOrder(claim="c", metric="m").judge([row("a", 1.0, 1.0), row("b", 1.0, 2.0)])


@pytest.mark.parametrize(
    ("more", "less", "verdict"),
    [
        (score("x", 80.0, 0.3), score("y", 79.0, 0.3), IN_SIGN),
        (score("x", 79.0, 0.3), score("y", 80.0, 0.3), NOT_REPRODUCED),
        (score("x", 80.0, 0.9), score("y", 79.5, 0.9), NOT_REPRODUCED),
        (score("x", 80.0, 0.9, runs=2), score("y", 79.5, 0.9, runs=2), NEEDS_COMPUTE),
        (score("x", 80.0, None, runs=1), score("y", 70.0, None, runs=1), NEEDS_COMPUTE),
        (row("x", lack=UNTRAINED), score("y", 70.0, 0.1), NEEDS_COMPUTE),
        (row("x", ours=5.0), row("y", ours=4.0), REPRODUCED),
        (row("x", ours=5.0), row("y", ours=3.0), IN_SIGN),
        (row("x", ours=5.0, ours_ci95=(4.0, 6.0)), row("y", ours=4.9), NOT_REPRODUCED),
    ],
)
def test_larger_by_one(more: Row, less: Row, verdict: str) -> None:
    """The paper's difference is 1.0: at its own scale 0.5 to 1.5 is its size."""
    assert Larger(claim="c", metric="m", more="x", less="y", by=1.0).judge([less, more]).verdict == verdict


def test_larger_without_a_size_is_a_sign() -> None:
    found = Larger(claim="c", metric="m", more="x", less="y").judge([row("x", ours=5.0), row("y", ours=4.0)])
    assert found.verdict == IN_SIGN
    assert found.detail == "m: x − y = +1"


def test_intervals_add_in_squares() -> None:
    """Halves of 0.3 and 0.4 make 0.5: a difference of 0.6 is told from zero, one of 0.45 is not."""
    larger = Larger(claim="c", metric="m", more="x", less="y")
    assert larger.judge([score("x", 1.6, 0.3), score("y", 1.0, 0.4)]).verdict == IN_SIGN
    assert larger.judge([score("x", 1.45, 0.3), score("y", 1.0, 0.4)]).verdict == NOT_REPRODUCED


@pytest.mark.parametrize(
    ("changed", "than", "verdict"),
    [
        (score("x", 78.0, 0.3), score("y", 79.0, 0.3), IN_SIGN),
        (score("x", 79.1, 0.3), score("y", 79.0, 0.3), IN_SIGN),
        (score("x", 79.1, 0.3, runs=2), score("y", 79.0, 0.3, runs=2), NEEDS_COMPUTE),
        (score("x", 80.0, 0.3), score("y", 79.0, 0.3), NOT_REPRODUCED),
        (score("x", 70.0, None, runs=1), score("y", 79.0, None, runs=1), NEEDS_COMPUTE),
        (row("x", ours=1.0), row("y", ours=2.0), REPRODUCED),
    ],
)
def test_not_larger(changed: Row, than: Row, verdict: str) -> None:
    assert NotLarger(claim="c", metric="m", changed="x", than="y").judge([changed, than]).verdict == verdict


@pytest.mark.parametrize(
    ("values", "verdict"), [((3.3, 4.5), REPRODUCED), ((1.9, 7.2), IN_SIGN), ((0.95, 4.0), NOT_REPRODUCED)]
)
def test_in_range(values: tuple[float, ...], verdict: str) -> None:
    rows = [row(str(i), ours=value) for i, value in enumerate(values)]
    assert InRange(claim="c", metric="m", low=3.3, high=4.5).judge(rows).verdict == verdict


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ((REPRODUCED, REPRODUCED), REPRODUCED),
        ((REPRODUCED, IN_SIGN), IN_SIGN),
        ((IN_SIGN, NEEDS_COMPUTE, REPRODUCED), NEEDS_COMPUTE),
        ((NEEDS_COMPUTE, NEEDS_MEANS), NEEDS_MEANS),
        ((NEEDS_MEANS, NOT_REPRODUCED, REPRODUCED), NOT_REPRODUCED),
    ],
)
def test_the_artifact_has_the_first_word_of_the_rank(words: tuple[str, ...], verdict: str) -> None:
    findings = [Finding(claim=str(i), verdict=word, detail=f"{word} {i}") for i, word in enumerate(words)]
    assert overall(findings) == verdict
    assert because(findings).startswith(verdict)


def test_a_missing_means_outweighs_missing_compute() -> None:
    rows = [row("a", 1.0, lack=UNTRAINED), row("b", 2.0, lack=NO_DATA)]
    found = EQUAL.judge(rows)
    assert (found.verdict, found.detail) == (NEEDS_MEANS, "Cityscapes")


def test_picking_keeps_the_order_asked_for_and_misses_loudly() -> None:
    rows = [row("a"), row("b"), Row(setting="a", metric="other")]
    assert [r.setting for r in pick(rows, "m", ("b", "a"))] == ["b", "a"]
    assert len(pick(rows, "m")) == 2
    with pytest.raises(KeyError):
        pick(rows, "m", ("c",))
