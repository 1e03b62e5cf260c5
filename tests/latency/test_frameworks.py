"""A device whose law is known: training on some of its networks must predict others, and say how well."""

import dataclasses

import numpy as np
import pytest

from archlab.errors import PlanError
from archlab.latency import kernel_net
from archlab.latency.frameworks import Sample, folds, left_out, train
from archlab.latency.kernel_net import plain_roofline
from archlab.latency.launches import launches

LAUNCH_MS, MAC_MS, BYTE_MS = 0.01, 2e-9, 4e-8


def samples(sketch, count):
    """Networks of three groups whose ms are launch + compute + traffic, kernel by kernel."""
    draw = np.random.default_rng(0)
    made = []
    for i in range(count):
        net = sketch(1, 8 * int(draw.integers(1, 6)), 16, 16)
        at = -1
        for _ in range(int(draw.integers(2, 8))):
            at = net.conv(at, 8 * int(draw.integers(1, 20)), int(draw.choice([1, 3])))
            at = net.add("relu", "activation", at)
        found = launches(net.trace(), "inductor")
        moved = sum(found.column(name) for name in ("read_bytes", "write_bytes", "weight_bytes"))
        ms = found.column("count") @ (LAUNCH_MS + MAC_MS * found.column("macs") + BYTE_MS * moved)
        made.append(Sample(launches=found, ms=float(ms), group="abc"[i % 3]))
    return made


def test_the_plain_roofline_finds_the_law_it_was_made_by(sketch):
    made = samples(sketch, 30)
    found = plain_roofline([one.launches for one in made], np.array([one.ms for one in made]))
    np.testing.assert_allclose([found.launch_ms, found.mac_ms, found.byte_ms], [LAUNCH_MS, MAC_MS, BYTE_MS], rtol=1e-6)


@pytest.mark.slow
def test_networks_left_out_are_predicted_and_the_interval_holds_them(sketch):
    """Measured with an error of 4 %, or there would be next to nothing for an interval to hold."""
    draw = np.random.default_rng(1)
    made = [dataclasses.replace(one, ms=one.ms * float(np.exp(draw.normal(0, 0.04)))) for one in samples(sketch, 48)]
    found = left_out(made, count=3)
    ms = np.array([one.ms for one in made])
    assert np.abs(found[:, 0] / ms - 1).mean() < 0.06
    assert ((found[:, 1] <= ms) & (ms <= found[:, 2])).mean() > 0.8
    assert (found[:, 1] < found[:, 0]).all()


def test_training_twice_gives_the_same_and_parts_add_up(sketch, monkeypatch):
    monkeypatch.setattr(kernel_net, "_ROUNDS", 2)
    made = samples(sketch, 12)
    first, again = train(made), train(made)
    point = first.predict(made[0].launches)
    assert point == again.predict(made[0].launches)
    assert first.parts(made[0].launches).sum() == pytest.approx(point[0])


def test_folds_keep_groups_whole_and_sizes_even():
    """Five a, three b, two c, one d in two folds: a alone with d, b with c."""
    groups = list("aaaaabbbccd")
    assert folds(groups, 2).tolist() == [0] * 5 + [1] * 5 + [0]


def test_one_group_is_no_basis_for_an_interval(sketch):
    made = [Sample(launches=one.launches, ms=one.ms, group="a") for one in samples(sketch, 4)]
    with pytest.raises(PlanError, match="needs networks that were left out; given: 1 groups in 4 measured networks"):
        train(made)
