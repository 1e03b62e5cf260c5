"""A space for small images: its networks, their points, and the published ones in it."""

import random

import pytest

from archlab import space
from archlab.errors import SpecError
from archlab.families.refit import Refit
from archlab.model.build import check

REFIT = Refit(resolution=32, stem_divisor=2, classes=10)


@pytest.mark.parametrize("name", space.names())
def test_points_come_back(name: str) -> None:
    """`encode` is the inverse of `decode`; all networks are for such images, and most can be built."""
    small, rng = space.load(name).at(REFIT), random.Random(3)
    possible = 0
    for _ in range(20):
        point = small.sample(rng)
        spec = small.decode(point)
        assert (spec.resolution, spec.classes) == (32, 10)
        assert small.encode(spec) == point
        assert small.contains(spec)
        try:
            check(spec)
            possible += 1
        except SpecError:
            pass
    assert possible >= 15


def test_the_published_networks_come_along() -> None:
    whole = {row.name for row in space.default("hybrid").published()}
    small = space.default("hybrid").at(REFIT)
    inside = {row.name: row.spec for row in small.published()}
    assert set(inside) == whole
    assert all(spec.resolution == 32 and small.decode(small.encode(spec)) == spec for spec in inside.values())
    assert {row.spec.resolution for row in small.baselines()} == {32}


def test_the_whole_space_does_not_hold_small_networks() -> None:
    whole = space.default("hybrid")
    small = whole.at(REFIT)
    assert not whole.contains(small.decode(small.sample(random.Random(0))))
    assert not small.contains(whole.decode(whole.sample(random.Random(0))))
    assert [axis.choices for axis in small.axes if axis.sets == "resolution"] == [(64,)]


def test_a_side_that_no_network_has_is_refused() -> None:
    with pytest.raises(SpecError, match="multiples of 32"):
        space.default("hybrid").at(Refit(resolution=20, stem_divisor=2))
