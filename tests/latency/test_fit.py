"""The fit finds coefficients that made the data, forgives an outlier, and its derivatives are the differences."""

import numpy as np
import pytest

from archlab.latency.features import features
from archlab.latency.fit import Points, Prior, _Problem, fit, leave_out
from archlab.latency.terms import TERMS, design

TRUTH = np.linspace(0.5, 4.0, len(TERMS))


@pytest.fixture
def points(sketch):
    """Twelve networks of two families whose latencies follow TRUTH, the last four with half a millisecond on top."""
    found = []
    for width in (16, 32, 64, 128, 256, 512):
        for kernel in (1, 3):
            net = sketch(1, 16, 32, 32)
            last = net.conv(-1, width, kernel)
            for _ in range(kernel + width // 64):
                last = net.conv(net.norm(net.conv(last, width, 3, groups=width)), width, kernel)
            found.append(features(net.trace()))
    laid_out = design(*found)
    addends = np.array([-1] * 8 + [0] * 4)
    ms = laid_out.weighted(TRUTH) @ TRUTH + np.where(addends == 0, 0.5, 0.0)
    return Points(
        design=laid_out,
        log_ms=np.log(ms),
        families=np.array(["a", "b"] * 6),
        networks=np.array([f"n{i}" for i in range(12)]),
        addends=addends,
    )


def prior(tightness, *, off=1.3, is_shared=False):
    return Prior(
        log_coefficients=np.log(TRUTH * off), log_addends=np.log([0.4]), tightness=tightness, is_shared=is_shared
    )


def test_it_explains_what_follows_the_model(points):
    found = fit(points, prior(0.001))
    assert np.abs(found.log_ms - points.log_ms).mean() < 0.01
    assert np.exp(found.log_addends) == pytest.approx([0.5], rel=0.15)


def test_a_tight_prior_holds_the_coefficients(points):
    found = fit(points, prior(1e4))
    assert np.allclose(found.log_coefficients, np.log(TRUTH * 1.3), atol=1e-3)


def test_one_shared_step_moves_all_of_a_part(points):
    found = fit(points, prior(100.0, is_shared=True))
    moved = found.log_coefficients - np.log(TRUTH * 1.3)
    floor = moved[[term.part == "floor" for term in TERMS]]
    assert np.ptp(floor) < 0.02
    free = fit(points, prior(1.0, is_shared=True))
    assert np.abs(free.log_ms - points.log_ms).mean() < np.abs(found.log_ms - points.log_ms).mean()


def test_one_wild_row_does_not_bend_the_others(points):
    wild = points.log_ms.copy()
    wild[3] += np.log(20)
    others = np.arange(12) != 3
    found = fit(Points(**{**vars(points), "log_ms": wild}), prior(0.05))
    assert np.abs(found.log_ms - points.log_ms)[others].max() < 0.1


def test_rows_left_out_are_predicted_but_do_not_count(points):
    spoilt = points.log_ms.copy()
    spoilt[points.families == "b"] += 3.0
    keep = points.families == "a"
    start = np.zeros(len(TERMS) + 1)
    one = fit(points, prior(0.1), keep=keep, start=start)
    other = fit(Points(**{**vars(points), "log_ms": spoilt}), prior(0.1), keep=keep, start=start)
    np.testing.assert_allclose(one.log_ms, other.log_ms)


def test_leaving_families_out_asks_each_fold_for_its_prior(points):
    asked = []

    def prior_without(family):
        asked.append(family)
        return prior(0.01)

    log_ms, folds = leave_out(points, points.families, prior_without, np.zeros(len(TERMS) + 1))
    assert asked == ["a", "b"]
    assert [left.tolist() for left, _ in folds] == [(points.families == name).tolist() for name in "ab"]
    assert np.abs(log_ms - points.log_ms).mean() < 0.2


@pytest.mark.parametrize("is_shared", [False, True])
def test_derivatives_are_differences(points, is_shared):
    problem = _Problem(points, prior(0.3, is_shared=is_shared), np.ones(12, bool))
    steps = np.random.default_rng(0).normal(0, 0.05, problem.size)
    slopes = problem.jacobian(steps)
    for column in range(problem.size):
        nudge = np.zeros(problem.size)
        nudge[column] = 1e-6
        difference = (problem.residuals(steps + nudge) - problem.residuals(steps - nudge)) / 2e-6
        np.testing.assert_allclose(slopes[:, column], difference, atol=1e-5)
