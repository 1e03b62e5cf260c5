"""Domination, hypervolume and knee against hand-drawn fronts and a brute-force referee."""

import numpy as np
import pytest

from archlab.pareto import hypervolume, knee, nondominated

UP_DOWN = (True, False)  # score up, latency down


def brute_force(values: np.ndarray, signs: np.ndarray) -> list[bool]:
    good = values * signs
    return [not any((other >= row).all() and (other > row).any() for other in good) for row in good]


def test_hand_drawn_front() -> None:
    # score, latency: c is slower and worse than b; d is as fast as a but worse.
    points = [[70.0, 1.0], [80.0, 2.0], [79.0, 3.0], [69.0, 1.0]]
    assert nondominated(points, UP_DOWN).tolist() == [True, True, False, False]
    # The same numbers read the other way round: fewer score, more latency.
    assert nondominated(points, (False, True)).tolist() == [False, False, True, True]


def test_copies_of_a_front_point_are_ties() -> None:
    assert nondominated([[1.0, 1.0], [1.0, 1.0], [0.5, 1.0]], UP_DOWN).tolist() == [True, True, False]


@pytest.mark.parametrize("maximise", [(True, False), (False, False), (True, True), (True, False, True)])
def test_against_brute_force(maximise: tuple[bool, ...]) -> None:
    values = np.random.default_rng(3).integers(0, 8, size=(60, len(maximise))).astype(float)
    assert nondominated(values, maximise).tolist() == brute_force(values, np.where(maximise, 1, -1))


def test_no_points() -> None:
    assert nondominated([], UP_DOWN).shape == (0,)
    assert hypervolume([], (0.0, 5.0), UP_DOWN) == 0.0
    with pytest.raises(AssertionError, match="no knee"):
        knee([], UP_DOWN)


def test_hypervolume_by_hand() -> None:
    # Reference (score 0, 5 ms). (2, 1 ms) covers 2×4 = 8; (3, 4 ms) adds the strip 2…3 × 4…5 = 1.
    assert hypervolume([[2.0, 1.0], [3.0, 4.0]], (0.0, 5.0), UP_DOWN) == pytest.approx(9.0)
    # Slower than the reference, or below its score: nothing.
    assert hypervolume([[9.0, 6.0], [-1.0, 1.0]], (0.0, 5.0), UP_DOWN) == 0.0


def test_knee_by_hand() -> None:
    # Chord from (0, 1 ms) to (10, 11 ms); (8, 3 ms) bulges most, (9, 9 ms) lies near the far end.
    assert knee([[0.0, 1.0], [9.0, 9.0], [8.0, 3.0], [10.0, 11.0]], UP_DOWN) == 2
    # A dominated point is never the knee, even when it is first.
    assert knee([[7.0, 3.0], [8.0, 3.0], [0.0, 1.0], [10.0, 11.0]], UP_DOWN) == 1


def test_knee_of_a_short_front_is_its_first_point() -> None:
    assert knee([[5.0, 2.0]], UP_DOWN) == 0
    assert knee([[5.0, 2.0], [6.0, 3.0]], UP_DOWN) == 0


def test_missing_values_are_refused() -> None:
    with pytest.raises(AssertionError, match="missing value"):
        nondominated([[float("nan"), 1.0]], UP_DOWN)
