"""Networks for small images and back: what `of` does, `undo` takes back, for every published network."""

import pytest

from archlab.errors import SpecError
from archlab.families import all_published, published
from archlab.families.refit import Refit

PLAIN = ["edgenext_small", "efficientvit_m5", "efficientvit_b1", "convnext_atto"]


@pytest.mark.parametrize("divisor", [1, 2])
@pytest.mark.parametrize("name", PLAIN)
def test_undo_is_the_inverse_at_the_full_side(name: str, divisor: int) -> None:
    """Where the full side is the network's own, windows stay and nothing is rounded."""
    spec = published(name).spec
    refit = Refit(resolution=spec.resolution // divisor, stem_divisor=divisor, classes=7)
    small = refit.of(spec)
    assert (small.resolution, small.classes) == (spec.resolution // divisor, 7)
    assert small.stages[0].entry.stride * divisor == spec.stages[0].entry.stride
    assert refit.undo(small, classes=spec.classes) == spec


def test_undo_refuses_other_images() -> None:
    spec = published("convnext_atto").spec
    with pytest.raises(SpecError, match=r"other images; given: 224 px; allowed: 32 px; choose the resolution"):
        Refit(resolution=32, stem_divisor=2).undo(spec, classes=1000)


def test_a_published_row_keeps_its_numbers_and_changes_its_network() -> None:
    row = published("efficientvit_m0")
    fitted = row.at(Refit(resolution=32, stem_divisor=2, classes=10))
    assert (fitted.name, fitted.macs, fitted.top1) == (row.name, row.macs, row.top1)
    assert (fitted.spec.resolution, fitted.spec.classes, fitted.spec.stages[0].entry.stride) == (32, 10, 8)
    assert row.spec.resolution == row.resolution


def test_published_stems_can_cut_half() -> None:
    refit = Refit(resolution=64, stem_divisor=2)
    for row in all_published():
        if row.spec.stages[0].entry.kind == "conv_pool":  # ResNet's: a convolution and a pooling in one layer
            continue
        assert row.at(refit).spec.stages[0].entry.stride * 2 == row.spec.stages[0].entry.stride, row.name
