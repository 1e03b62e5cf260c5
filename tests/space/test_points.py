"""Points of small spaces whose every point can be listed by hand."""

import itertools
import random
from collections import Counter

import pytest

from archlab.errors import SpecError, UnknownNameError
from archlab.families import published
from archlab.space import Axis, Point, SearchSpace

TOY = SearchSpace(
    name="toy",
    family="edgenext",
    axes=(
        Axis(name="resolution", choices=(224, 256)),
        Axis(name="width_2", choices=(100, 160)),
        Axis(name="sdta_2", choices=(0, 1, 2)),
        Axis(name="place_2", choices=("start", "end"), when={"sdta_2": (1, 2)}),
        Axis(name="heads_2", choices=(4, 8), when={"sdta_2": (1, 2), "width_2": (160,)}),
        Axis(name="heads_2_of_100", knob="heads_2", choices=(2, 4, 5), when={"sdta_2": (1, 2), "width_2": (100,)}),
        Axis(name="splits_2", choices=(3, 4), when={"heads_2": (4, 5)}),
    ),
)


def listed() -> list[Point]:
    """Every point, by hand: without SDTA only the first three axes; splits wait for 4 or 5 heads."""
    points: list[Point] = []
    for resolution, width, count in itertools.product((224, 256), (100, 160), (0, 1, 2)):
        start: Point = {"resolution": resolution, "width_2": width, "sdta_2": count}
        if not count:
            points.append(start)
            continue
        name, heads = ("heads_2", (4, 8)) if width == 160 else ("heads_2_of_100", (2, 4, 5))
        for place, head in itertools.product(("start", "end"), heads):
            point: Point = {**start, "place_2": place, name: head}
            points += [{**point, "splits_2": s} for s in (3, 4)] if head in (4, 5) else [point]
    return points


def test_size_counts_every_point_once() -> None:
    # 2 resolutions × (2 widths without SDTA + 2 counts × 2 places × (100: 1 + 2 + 2; 160: 2 + 1))
    assert TOY.size == 2 * (2 + 2 * 2 * (5 + 3)) == 68
    assert len(listed()) == 68


def test_every_point_decodes_to_another_network_and_back() -> None:
    specs = [TOY.decode(point) for point in listed()]
    assert len(set(specs)) == len({spec.digest for spec in specs}) == 68
    assert [TOY.encode(spec) for spec in specs] == listed()
    assert [TOY.decode(TOY.encode(spec)) for spec in specs] == specs


def test_decode_means_the_knobs() -> None:
    spec = TOY.decode(
        {"resolution": 224, "width_2": 100, "sdta_2": 2, "place_2": "start", "heads_2_of_100": 5, "splits_2": 4}
    )
    assert (spec.resolution, spec.widths) == (224, (48, 96, 100, 304))
    assert [block.kind for block in spec.stages[2].blocks] == ["sdta"] * 2 + ["convnext"] * 7
    assert (spec.stages[2].blocks[0].heads, spec.stages[2].blocks[0].splits) == (5, 4)


def test_sampling_is_reproducible_and_uniform_over_choices() -> None:
    draws = [TOY.sample(random.Random(7)) for _ in range(2)]
    assert draws[0] == draws[1]
    rng = random.Random(0)
    points = [TOY.sample(rng) for _ in range(6000)]
    counts = Counter(point["sdta_2"] for point in points)
    assert all(abs(count - 2000) < 150 for count in counts.values())  # 4 standard deviations
    with_five = sum(point.get("heads_2_of_100") == 5 for point in points)
    assert abs(with_five - 6000 / 2 * 2 / 3 / 3) < 110
    assert {TOY.decode(point) for point in points} == {TOY.decode(point) for point in listed()}


def test_active_axes_follow_what_is_known() -> None:
    assert [axis.name for axis in TOY.active({})] == ["resolution", "width_2", "sdta_2"]
    point: Point = {"width_2": 100, "sdta_2": 1, "heads_2_of_100": 4}
    assert [axis.name for axis in TOY.active(point)][3:] == ["place_2", "heads_2_of_100", "splits_2"]


def test_walk_asks_for_active_axes_in_order() -> None:
    asked = []

    def choose(axis: Axis) -> int | str:
        asked.append(axis.name)
        return axis.choices[-1]  # type: ignore[return-value]

    assert TOY.walk(choose) == TOY.extremes()[1]
    assert asked == ["resolution", "width_2", "sdta_2", "place_2", "heads_2"]
    assert TOY.extremes()[0] == {"resolution": 224, "width_2": 100, "sdta_2": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width_2": 128}, "no point of the space toy; given: width_2 = 128; allowed: 100, 160; choose width_2"),
        ({"sdta_2": 1}, "given: place_2 = 'nothing'; allowed: start, end"),
        ({"place_2": "end"}, "the axis place_2 has no effect here; given: .*; allowed: only where sdta_2 is 1, 2"),
    ],
)
def test_points_outside_are_refused(change: Point, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        TOY.decode({"resolution": 224, "width_2": 100, "sdta_2": 0, **change})


def test_unknown_axes_name_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no axis of the space toy 'widht_2'.*did you mean 'width_2'"):
        TOY.decode({"resolution": 224, "width_2": 100, "sdta_2": 0, "widht_2": 3})


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"resolution": 288}, "given: resolution = 288; allowed: 224, 256"),
        ({"width_2": 160, "heads_2": 16, "resolution": 224}, "given: heads_2 = 16; allowed: 4, 8"),
        ({"width_0": 64, "resolution": 224}, "given: width_0 = 64; allowed: width_0 = 48; add axes to the space"),
        ({"depth_3": 2, "act": "relu", "resolution": 224}, "given: act = 'relu', depth_3 = 2"),
    ],
)
def test_networks_outside_are_refused(axes: Point, message: str) -> None:
    spec = published("edgenext_small").make(**axes)
    assert not TOY.contains(spec)
    with pytest.raises(SpecError, match=message):
        TOY.encode(spec)


def test_a_network_of_another_family_is_not_contained() -> None:
    assert not TOY.contains(published("efficientvit_m0").spec)
    with pytest.raises(SpecError, match="no point of the family edgenext"):
        TOY.encode(published("efficientvit_m0").spec)


def test_published_and_baselines() -> None:
    assert [row.name for row in TOY.published()] == ["edgenext_small"]
    assert TOY.kinds == {"convnext", "sdta"}
    assert {row.family for row in TOY.baselines()} == {"edgenext", "convnext"}


def test_numbers_of_either_type_are_one_choice() -> None:
    space = SearchSpace(name="toy", family="efficientvit_msra", axes=(Axis(name="expansion_1", choices=(2, 3.0)),))
    spec = space.decode({"expansion_1": 3})
    assert space.encode(spec) == {"expansion_1": 3.0}
    assert spec == space.decode({"expansion_1": 3.0})
