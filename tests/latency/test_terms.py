"""The roofline's sum, worked out by hand on one convolution and on two groups that differ in what bounds them."""

import math

import numpy as np
import pytest

from archlab.latency.features import COLUMNS, features
from archlab.latency.kernels import KINDS
from archlab.latency.terms import PARTS, TERMS, design

NAMES = [term.name for term in TERMS]


def coefficients(**values):
    return np.array([values.get(name, 1e-30) for name in NAMES])


def test_every_term_names_what_exists():
    assert len(set(NAMES)) == len(NAMES)
    for term in TERMS:
        assert term.part in PARTS
        assert term.column in (*COLUMNS, "io_elems")
        assert set(term.kinds) <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_launch_and_traffic(kind):
    mine = [term for term in TERMS if kind in term.kinds]
    assert sum(term.column == "count" for term in mine) == 1
    assert sum(term.column == "io_elems" for term in mine) == 1


def test_closed_form_of_one_convolution(sketch):
    """16 → 32 channels, 3×3, on 8×8, batch 1, FP16."""
    net = sketch(1, 16, 8, 8)
    net.conv(-1, 32, 3)
    macs, weights, io = 64 * 32 * 16 * 9, 32 * 16 * 9, 16 * 64 + 32 * 64
    found = design(features(net.trace())).group_ms(
        coefficients(launch_gemm=5.0, depth=2.0, conv_macs=0.5, gemm_bytes=3.0, weight_bytes=7.0)
    )
    floor_ms, compute_ms, traffic_ms = 5e-3 + 2e-6 * 16 * 9, 0.5e-9 * macs, 1e-9 * 2 * (3 * io + 7 * weights)
    assert found == pytest.approx([floor_ms + math.sqrt(compute_ms**2 + traffic_ms**2)])


def test_the_weighted_sums_add_up_to_the_time_for_each_network(sketch):
    first, second = sketch(1, 16, 8, 8), sketch(1, 16, 8, 8)
    first.conv(first.conv(-1, 32, 3), 8, 1)
    second.conv(-1, 16, 3, groups=16)
    found = [features(net.trace()) for net in (first, second)]
    values = np.linspace(0.5, 3.0, len(TERMS))
    laid_out = design(*found)
    sums = laid_out.weighted(values) @ values
    assert sums == pytest.approx([design(one).group_ms(values).sum() for one in found])


def test_a_group_that_occurs_three_times_costs_three_times(sketch):
    net = sketch(1, 16, 8, 8)
    last = -1
    for _ in range(3):
        last = net.conv(last, 16, 3)
    values = np.ones(len(TERMS))
    found = features(net.trace())
    assert design(found.merged()).group_ms(values).tolist() == pytest.approx([design(found).group_ms(values).sum()])
