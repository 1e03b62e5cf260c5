"""A network for large images, fitted to small ones: same weights but for the stem's, and the maps of a larger image."""

import pytest
import torch

from archlab.errors import SpecError
from archlab.families import published
from archlab.model.build import build
from archlab.spec import ArchSpec
from archlab.training.low_resolution import at_low_resolution


def sides(spec: ArchSpec) -> list[int]:
    with torch.no_grad():
        maps = build(spec, features_only=True).eval()(torch.zeros(1, 3, spec.resolution, spec.resolution))
    return [m.shape[-1] for m in maps]


@pytest.mark.parametrize(
    ("name", "plain", "halved"),
    [
        ("convnext_atto", [8, 4, 2, 1], [16, 8, 4, 2]),  # patches of 4, of 2
        ("edgenext_xx_small_bn_hs", [8, 4, 2, 1], [16, 8, 4, 2]),
        ("efficientvit_b0", [16, 8, 4, 2, 1], [32, 16, 8, 4, 2]),  # stride 2, 1
    ],
)
def test_half_the_stem_gives_maps_of_twice_the_side(name: str, plain: list[int], halved: list[int]) -> None:
    spec = published(name).spec
    assert sides(at_low_resolution(spec, 32)) == plain
    assert sides(at_low_resolution(spec, 32, stem_divisor=2)) == halved


def test_a_stem_of_many_convolutions_loses_the_last() -> None:
    spec = published("efficientvit_m0").spec
    assert sides(at_low_resolution(spec, 64)) == [4, 2, 1]  # stride 16, 32 and 64
    small = at_low_resolution(spec, 32, stem_divisor=4)
    assert sides(small) == [8, 4, 2]
    assert small.stages[0].entry.kernels == (3, 3)
    with pytest.raises(SpecError, match="the map is smaller than the stride"):
        at_low_resolution(spec, 32)


def test_windows_keep_their_share_of_the_map() -> None:
    """M0 attends in windows of 7 of 14 positions at 224 px: 2 of 4 are left of them at 32 px and half the stem."""
    spec = published("efficientvit_m0").spec
    assert {block.window for _, block in spec.layers()} == {None, 7}
    small = at_low_resolution(spec, 32, stem_divisor=2)
    assert {block.window for _, block in small.layers()} == {None, 2}
    assert {block.window for _, block in at_low_resolution(spec, 224).layers()} == {None, 7}


def test_only_the_stem_changes_its_weights() -> None:
    spec = published("convnext_atto").spec
    before = {name: p.shape for name, p in build(spec, device="meta").named_parameters()}
    small = at_low_resolution(spec, 32, stem_divisor=2)
    after = {name: p.shape for name, p in build(small, device="meta").named_parameters()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"stages.0.entry.patches.conv.weight"}
    assert after[changed.pop()][-2:] == (2, 2)


def test_classes_and_a_head_for_a_backbone() -> None:
    spec = published("edgenext_xx_small").spec
    assert at_low_resolution(spec, 32).classes == 1000
    assert at_low_resolution(spec, 32, classes=10).classes == 10
    headless = at_low_resolution(spec.replace(head=None, classes=0), 32, classes=10)
    with torch.no_grad():
        assert build(headless).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_the_same_network_at_its_own_side() -> None:
    spec = published("efficientvit_m0").spec
    assert at_low_resolution(spec, 224) == spec


@pytest.mark.parametrize(
    ("name", "divisor", "allowed"),
    [("efficientvit_b0", 4, "1, 2"), ("convnext_atto", 4, "1, 2"), ("convnext_atto", 3, "1, 2"),
     ("efficientvit_m0", 16, "1, 2, 4, 8"), ("edgenext_xx_small", 0, "1, 2")],
)  # fmt: skip
def test_a_stem_that_cannot_cut_so_little(name: str, divisor: int, allowed: str) -> None:
    message = (
        rf"the stem cannot cut so little; given: stride \d+ of '\w+' divided by {divisor}; allowed: divisors {allowed};"
    )
    with pytest.raises(SpecError, match=message):
        at_low_resolution(published(name).spec, 32, stem_divisor=divisor)
