"""Which networks a calibration measures: far apart, always the same, none too large."""

import numpy as np
import pytest

from archlab import space
from archlab.cost.trace import trace
from archlab.errors import PlanError
from archlab.families import published
from archlab.latency import choice


def test_each_network_is_the_farthest_from_those_taken(monkeypatch):
    """On a line at 0 … 10 and 100 the mean is near 13: first 10, then 100, then 0, then 5, then 2 or 3, 7 or 8."""
    places = [*range(11), 100]
    monkeypatch.setattr(choice, "trace", lambda spec: spec)
    monkeypatch.setattr(choice, "described", lambda spec: np.array([float(spec)]))
    taken = [places[i] for i in choice.spread(places, 10)]
    assert taken[:4] == [10, 100, 0, 5]
    assert set(taken[4:6]) <= {2, 3, 7, 8}
    assert len(set(taken)) == 10


@pytest.mark.parametrize("count", [9, 21, 12])
def test_too_few_or_too_many_are_refused(count):
    specs = [published("edgenext_xx_small").spec] * 11
    with pytest.raises(PlanError) as caught:
        choice.spread(specs, count)
    assert str(caught.value) == (
        f"a calibration cannot measure that many networks; given: {count}; allowed: 10 to 11; "
        "leave the number out for the default"
    )


def test_a_network_is_described_by_its_sizes_and_shares(sketch):
    """64 positions: 3·3·16·32 products, then 32·32; one ReLU over 2048 elements."""
    net = sketch(1, 16, 8, 8)
    net.add("relu", "activation", net.conv(net.conv(-1, 32, 3), 32))
    first, second = 64 * 16 * 32 * 9, 64 * 32 * 32
    found = choice.described(net.trace())
    expected = [np.log(first + second), np.log(2), np.log(2), np.log(1 + 2048), first / (first + second)]
    assert found[:5] == pytest.approx(expected)
    assert found[5:].tolist() == pytest.approx([0, 0, second / (first + second), 0, 0])


def test_candidates_hold_the_published_networks_of_the_space_s_size():
    hybrid = space.default("hybrid")
    found = choice.candidates(hybrid, seed=3, count=20)
    names = [name for name, _ in found]
    assert names == [name for name, _ in choice.candidates(hybrid, seed=3, count=20)]
    assert names[:20] != [name for name, _ in choice.candidates(hybrid, seed=4, count=20)][:20]
    most = max(sum(row.macs for row in trace(spec).rows) for _, spec in found[:20])
    assert "edgenext_small" in names
    assert "convnext_xlarge" not in names
    assert all(sum(row.macs for row in trace(spec).rows) <= most for _, spec in found)
