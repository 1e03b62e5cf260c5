"""One scale for devices that measured different networks."""

import numpy as np

from archlab.latency.sources import relative, smoothed, standardised, tabulate


def test_offsets_come_off_although_devices_measured_different_networks() -> None:
    sizes = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    log_ms = sizes[:, None] + np.array([3.0, -5.0])
    log_ms[0, 0] = log_ms[4, 1] = np.nan
    found = relative(log_ms)
    np.testing.assert_allclose(found[1:4, 0], sizes[1:4], atol=1e-9)
    np.testing.assert_allclose(found[:4, 1], sizes[:4], atol=1e-9)
    assert np.isnan(found[0, 0])


def test_features_are_scaled_over_measured_networks_and_constant_ones_are_dropped() -> None:
    features = np.array([[1.0, 5.0], [3.0, 5.0], [100.0, 9.0]])
    np.testing.assert_allclose(standardised(features, np.array([True, True, False])), [[-1.0], [1.0], [98.0]])


def test_smooth_values_are_nearer_the_truth_than_noisy_ones() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 2))
    truth = 2 * features[:, 0] - features[:, 1] + np.sin(features[:, 0])
    noisy = (truth + rng.normal(0, 0.5, 200))[:, None]
    found = smoothed(noisy, features)[:, 0]
    assert np.abs(found - truth).mean() < 0.4 * np.abs(noisy[:, 0] - truth).mean()


def test_holes_are_filled_from_the_features_of_each_device() -> None:
    features = np.linspace(-1.5, 1.5, 60)[:, None]
    values = np.hstack([3 * features, -2 * features])
    holed = values.copy()
    holed[20:30, 0] = np.nan
    np.testing.assert_allclose(smoothed(holed, features), values, atol=0.05)


def test_smooth_and_rest_add_up_to_the_latency() -> None:
    rng = np.random.default_rng(1)
    log_ms = rng.normal(size=(30, 3))
    logs, multiples = tabulate(log_ms, None)
    np.testing.assert_allclose(logs.smooth + logs.rest, relative(log_ms))
    ratio = (multiples.smooth + multiples.rest) / np.exp(log_ms)
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape))
    assert (logs.is_log, multiples.is_log) == (True, False)


def test_multiples_sum_to_the_same_on_every_device() -> None:
    _, multiples = tabulate(np.random.default_rng(4).normal(size=(30, 3)) + np.array([0.0, 2.0, -1.0]), None)
    sums = (multiples.smooth + multiples.rest).sum(axis=0)
    np.testing.assert_allclose(sums, sums[0])


def test_without_takes_one_device_out() -> None:
    table = tabulate(np.random.default_rng(2).normal(size=(10, 3)), None)[0]
    np.testing.assert_array_equal(table.without(1).rest, table.rest[:, [0, 2]])
