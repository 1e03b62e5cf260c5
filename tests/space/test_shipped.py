"""The spaces that ship: every point is a network and reads back, every published size is inside."""

import random
from pathlib import Path

import pytest
import torch

from archlab.families import FAMILIES, published
from archlab.model.build import build, check
from archlab.space import SearchSpace, default, load, names
from archlab.spec import ArchSpec

NAMES = ("convnext", "edgenext", "efficientvit_mit", "efficientvit_msra", "hybrid")

SPACES = {name: load(name) for name in NAMES}

IN_HYBRID = [
    *(f"convnext_{size}" for size in ("atto", "femto", "pico", "nano", "tiny")),
    *(row.name for row in FAMILIES["edgenext"].published),
    *(f"efficientvit_b{i}" for i in range(4)),
    *(f"efficientvit_m{i}" for i in range(6)),
]


def test_the_five_spaces_ship() -> None:
    assert names() == NAMES
    assert default().name == "hybrid"
    files = {path.stem for path in (Path(__file__).parents[2] / "search_spaces").glob("*.yaml")}
    assert files == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_ten_thousand_points_read_back(name: str) -> None:
    space, rng = SPACES[name], random.Random(1)
    for _ in range(10_000):
        point = space.sample(rng)
        spec = space.decode(point)
        assert space.encode(spec) == point


@pytest.mark.parametrize("name", NAMES)
def test_points_can_be_built(name: str) -> None:
    space, rng = SPACES[name], random.Random(2)
    for point in [*space.extremes(), *(space.sample(rng) for _ in range(300))]:
        check(space.decode(point))


@pytest.mark.parametrize("name", NAMES)
def test_points_are_other_networks(name: str) -> None:
    space, rng = SPACES[name], random.Random(3)
    points = [space.sample(rng) for _ in range(500)]
    distinct = {tuple(point.items()) for point in points}
    assert len({space.decode(point).digest for point in points}) == len(distinct) > 490


@pytest.mark.parametrize("name", NAMES)
def test_the_published_networks_are_inside(name: str) -> None:
    space = SPACES[name]
    inside = [row.name for row in space.published()]
    if name == "hybrid":
        assert inside == IN_HYBRID
    for row in FAMILIES[name].published:
        assert row.name in inside
        assert space.decode(space.encode(row.spec)) == row.spec


def test_other_families_may_be_baselines() -> None:
    found = {name: {row.family for row in SPACES[name].baselines()} for name in NAMES}
    assert found == {
        "convnext": {"convnext"},
        "edgenext": {"convnext", "edgenext"},
        "efficientvit_mit": {"efficientvit_mit"},
        "efficientvit_msra": {"deit", "efficientvit_msra"},
        "hybrid": {"convnext", "deit", "edgenext", "efficientvit_mit", "efficientvit_msra"},
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_choice_is_met(name: str) -> None:
    """No axis and no choice is dead: random points meet all of them."""
    space, rng = SPACES[name], random.Random(4)
    wanted = {(axis.name, choice) for axis in space.axes for choice in axis.choices if axis.name != "classes"}
    for _ in range(20_000):
        if not wanted:
            break
        wanted -= set(space.sample(rng).items())
    assert not wanted


def test_only_l0_has_no_classifier() -> None:
    point = SPACES["efficientvit_mit"].encode(published("efficientvit_l0").spec)
    assert point["classes"] == 0
    rng = random.Random(5)
    assert all(SPACES["efficientvit_mit"].decode(SPACES["efficientvit_mit"].sample(rng)).head for _ in range(1000))


def test_hybrid_mixes_the_blocks_of_all_families() -> None:
    every = {"cga", "convnext", "dsconv", "dw", "ffn", "fused_mbconv", "mbconv", "mhsa", "msla", "sdta"}
    assert SPACES["hybrid"].kinds == every
    rng = random.Random(6)
    mixers = [mixers_of(SPACES["hybrid"].decode(SPACES["hybrid"].sample(rng))) for _ in range(300)]
    assert sum(len(found) >= 2 for found in mixers) > 60


def mixers_of(spec: ArchSpec) -> set[str]:
    return {layer.kind for _, layer in spec.layers()} & {"sdta", "cga", "msla", "mhsa"}


def shapes(spec: ArchSpec, device: str) -> None:
    """Build and run, once for the maps of the stages and once for the logits."""
    image = torch.zeros(2, 3, spec.resolution, spec.resolution, device=device)
    with torch.no_grad():
        if device == "meta":
            maps = build(spec, device=device, features_only=True).eval()(image)
            assert [tuple(m.shape[:2]) for m in maps] == [(2, width) for width in spec.widths]
            assert [m.shape[2] for m in maps] == [-(-spec.resolution // stride) for stride in spec.strides]
        logits = build(spec, device=device).eval()(image)
    assert logits.shape == (2, spec.classes)
    assert device == "meta" or bool(torch.isfinite(logits).all())


@pytest.mark.parametrize("name", NAMES)
def test_points_run_without_data(name: str) -> None:
    rng = random.Random(7)
    for _ in range(10):
        shapes(SPACES[name].decode(SPACES[name].sample(rng)), "meta")


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_point_runs(name: str) -> None:
    shapes(SPACES[name].decode(SPACES[name].extremes()[0]), "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_three_hundred_points_run(name: str) -> None:
    rng = random.Random(8)
    for _ in range(300):
        shapes(SPACES[name].decode(SPACES[name].sample(rng)), "cpu")


def test_a_space_is_a_value() -> None:
    assert isinstance(SPACES["hybrid"], SearchSpace)
    assert load("hybrid") == SPACES["hybrid"]
    assert load(Path(__file__).parents[2] / "search_spaces" / "hybrid.yaml") == SPACES["hybrid"]
