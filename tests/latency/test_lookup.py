"""A world whose operators take known times: the lookup finds them, and what its profiler adds."""

import dataclasses
import random

import numpy as np
import pytest

from archlab import space
from archlab.device.catalog import RunSpec, device
from archlab.errors import DeviceError
from archlab.families import published
from archlab.latency.lookup import learn, timed_layers
from archlab.latency.operators import operators
from archlab.latency.samples import Measured

CPU, RUN = device("cpu"), RunSpec()
SPECS = [published("edgenext_xx_small").spec.replace(resolution=side) for side in (64, 96, 128, 160)]


def in_a_plain_world(spec, *, slow=1.0):
    """50 M multiply-adds per ms, light operators 10 µs each; the profiler makes all of it 25 % and 2 µs dearer."""
    one = Measured(model=spec.digest, spec=spec, ms=1.0)
    ops, true_ms = [], 0.0
    for layer in operators(one.trace):
        count = sum(light.count for light in layer.light.values())
        for heavy in layer.heavy:
            ms = slow * heavy.macs / 50e6
            ops.append(("Conv", f"{layer.prefix}.deep", 1.25 * ms + 0.002))
            true_ms += ms
        ops += [("Add", layer.prefix, 1.25 * 0.01 + 0.002)] * count
        true_ms += 0.01 * count
    return dataclasses.replace(one, ms=true_ms, ops=tuple(ops))


def test_the_latency_of_what_was_profiled_comes_back_without_the_profiler_s_cost():
    networks = [in_a_plain_world(spec) for spec in SPECS]
    model = learn(networks, CPU, RUN)
    assert model.scale == pytest.approx(0.8, rel=1e-3)
    assert model.each_ms == pytest.approx(0.8 * 0.002, rel=1e-2)
    assert [model(one.trace) for one in networks] == pytest.approx([one.ms for one in networks], rel=0.01)
    assert model.seen_share(networks[0].trace) == 1.0


def test_an_unseen_network_is_interpolated():
    hybrid = space.default("hybrid")
    rng = random.Random(0)
    specs = [hybrid.decode(hybrid.sample(rng)).replace(resolution=64) for _ in range(10)]
    networks = [in_a_plain_world(spec) for spec in specs]
    model = learn(networks[:8], CPU, RUN)
    off = [model(one.trace) / one.ms - 1 for one in networks[8:]]
    assert np.abs(off).max() < 0.15


def test_a_profile_that_was_slowed_as_a_whole_does_not_spoil_the_times():
    networks = [in_a_plain_world(spec) for spec in SPECS]
    spoilt = [dataclasses.replace(one, ops=tuple((op, m, 1.3 * ms) for op, m, ms in one.ops)) for one in networks[:1]]
    model = learn(spoilt + networks[1:], CPU, RUN)
    assert [model(one.trace) for one in networks] == pytest.approx([one.ms for one in networks], rel=0.03)


def test_operators_are_joined_in_order_and_the_light_ones_by_layer():
    one = in_a_plain_world(SPECS[0])
    found = timed_layers(one)
    heavy = [ms for op, _, ms in one.ops if op == "Conv"]
    assert [ms for layer in found for ms in layer.heavy_ms] == heavy
    assert [layer.layer.prefix for layer in found] == [segment.prefix for segment in one.trace.segments]
    for layer in found:
        count = sum(light.count for light in layer.layer.light.values())
        assert layer.light_ms == pytest.approx(0.0145 * count)


@pytest.mark.parametrize("name", ["FusedConv", "Gemm", "conv2d", "addmm", "MatMul"])
def test_runtimes_have_their_own_names_for_operators_with_multiply_adds(name):
    one = in_a_plain_world(SPECS[0])
    renamed = tuple((name if op == "Conv" else op, module, ms) for op, module, ms in one.ops)
    assert timed_layers(dataclasses.replace(one, ops=renamed)) == timed_layers(one)


def test_a_profile_of_another_network_is_not_joined():
    one = in_a_plain_world(SPECS[0])
    assert timed_layers(dataclasses.replace(one, ops=one.ops[1:])) == ()
    assert timed_layers(dataclasses.replace(one, ops=())) == ()
    with pytest.raises(DeviceError) as caught:
        learn([dataclasses.replace(one, ops=())], CPU, RUN)
    assert str(caught.value) == (
        "no profile of cpu fits the operators of its network; given: 1 networks; allowed: a runtime that reports one "
        "time for each convolution, linear layer and product; use the predictor 'fitted', which needs no times of "
        "operators"
    )
