"""Sums counted on paper, and costs that a fit must find again."""

import numpy as np
import pytest

from archlab.latency.kernel_cache import CacheRoofline, cache_sums_of
from archlab.latency.launches import LAUNCH_COLUMNS, LAUNCH_KINDS, Launches


def launches_of(*kernels):
    """Kinds and columns of kernels; what is not said is 0, the count 1."""
    table = [[dict(columns).get(name, float(name == "count")) for name in LAUNCH_COLUMNS] for _, columns in kernels]
    kinds = np.array([LAUNCH_KINDS.index(kind) for kind, _ in kernels], np.intp)
    return Launches(runtime="inductor", kinds=kinds, table=np.array(table, np.float64))


def by_kind(sums, number, kind):
    return sums[3 + number * len(LAUNCH_KINDS) + LAUNCH_KINDS.index(kind)]


def test_every_number_of_a_kernel_is_summed_by_its_kind():
    """Two kernels of 3 + 1 + 16 MB: 16 MB lie beyond the first 4, 4 beyond the first 16, of each."""
    sizes = {"read_bytes": 3e6, "write_bytes": 1e6, "weight_bytes": 16e6}
    product = {"count": 2, "macs": 10, "rows": 63, "steps": 7, **sizes}
    (sums,) = cache_sums_of([launches_of(("linear", product))])
    assert sums[:3].tolist() == [2, 0, 0]
    assert [by_kind(sums, i, "linear") for i in range(7)] == [20, 40e6, 32e6, 32e6, 8e6, 14, 20]
    assert np.count_nonzero(sums) == 8
    (sums,) = cache_sums_of([launches_of(("linear", product | {"rows": 64}))])
    assert by_kind(sums, 6, "linear") == 0


def test_norms_that_a_convolution_reads_are_counted_apart():
    norm = {"is_inner": 1, "read_bytes": 5, "write_bytes": 2, "count": 3}
    other = {"is_inner": 1, "read_bytes": 100}
    (sums,) = cache_sums_of([launches_of(("layer_norm", norm), ("attention", other), ("layer_norm", {"steps": 1}))])
    assert sums[:3].tolist() == [5, 3, 21]


def test_costs_are_found_again_and_an_outlier_moves_them_little():
    """5 µs a kernel, 1 ns a multiply-add, 2 ns a byte of a loop; one network of 40 takes four times as long."""
    rng = np.random.default_rng(0)
    networks, ms = [], []
    for _ in range(40):
        macs, moved, count = rng.uniform(1e5, 1e7), rng.uniform(1e5, 3e6), rng.integers(1, 50)
        product = {"count": count, "macs": macs, "rows": 1000}
        networks.append(launches_of(("conv", product), ("elementwise", {"read_bytes": moved})))
        ms.append(0.005 * (count + 1) + 1e-6 * count * macs + 2e-6 * moved)
    true = np.array(ms)
    assert CacheRoofline(networks, true).predict(networks) == pytest.approx(true, rel=1e-6)
    found = CacheRoofline(networks, np.where(np.arange(40) == 7, 4 * true, true)).predict(networks)
    assert found == pytest.approx(true, rel=0.05)
