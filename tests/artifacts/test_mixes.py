"""Shares of attention and widths for one throughput, against patterns and lines written down by hand."""

import math

import pytest

from archlab.artifacts.mixes import share_of, width_for, with_share
from archlab.spec import ArchSpec, BlockSpec, StageSpec

_PLAIN = BlockSpec(kind="wmsa", width=8, heads=2, window=4, norm="ln")
_SHIFTED = BlockSpec(kind="swmsa", width=8, heads=2, window=4, norm="ln")
_FFN = BlockSpec(kind="ffn", width=8, hidden=16, norm="ln", act="gelu")
_ENTRY = BlockSpec(kind="patchify", width=8, stride=4, kernels=(4,), norm="ln")
_LETTERS = {"wmsa": "w", "swmsa": "s", "ffn": "f"}


def net() -> ArchSpec:
    two = StageSpec(entry=_ENTRY, blocks=(_PLAIN, _FFN, _SHIFTED, _FFN))
    return ArchSpec(resolution=32, stages=(two, StageSpec(entry=_ENTRY, blocks=(*two.blocks, _PLAIN, _FFN))))


def letters(spec: ArchSpec) -> str:
    return " ".join("".join(_LETTERS[block.kind] for block in stage.blocks) for stage in spec.stages)


@pytest.mark.parametrize(
    ("share", "pattern"),
    [
        (0.0, "ffff ffffff"),
        (0.2, "wfff fwffff"),
        (0.4, "wffs fwffsf"),
        (0.5, "wfsf wfsfwf"),
        (1.0, "wsws wswsws"),
    ],
)
def test_layers_attend_evenly(share: float, pattern: str) -> None:
    """Layer i of n attends where i·k mod n < k, k the layers that attend; worked out on paper."""
    mixed = with_share(net(), share)
    assert letters(mixed) == pattern
    assert share_of(mixed) == pytest.approx(share)
    assert mixed.depths == (4, 6)


def test_one_half_is_the_network_itself() -> None:
    assert with_share(net(), 0.5) == net()


def test_a_stage_without_ffns_has_no_mixes() -> None:
    alone = net().replace(stages=(StageSpec(entry=_ENTRY, blocks=(_PLAIN, _SHIFTED)),))
    with pytest.raises(AssertionError, match="a stage has attention layers and FFNs"):
        with_share(alone, 0.5)


def test_a_width_is_read_off_a_line() -> None:
    """Time = width² / 100 is a line in logarithms: 25 ms take width 50."""
    known = {20: 4.0, 100: 100.0}
    assert width_for(25.0, known, range(10, 200, 10)) == 50
    assert width_for(400.0, known, range(10, 300, 10)) == 200
    assert width_for(1.0, known, range(5, 200, 5)) == 10


def test_the_nearest_piece_counts() -> None:
    """Linear up to 40, quadratic behind it: 16 ms at 80 by the second piece, 8 ms half-way in logarithms."""
    known = {10: 1.0, 40: 4.0, 80: 16.0}
    assert width_for(2.0, known, range(1, 100)) == 20
    assert width_for(8.0, known, range(1, 100)) == round(40 * math.sqrt(2))
