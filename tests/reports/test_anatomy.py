"""The best network stage by stage: shares worked out by hand, chips that say what is there."""

import pytest

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.model.blocks import BLOCKS
from archlab.reports.anatomy import dissect, layers, role_of
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

ENTRY = BlockSpec(kind="patchify", width=8, stride=4, kernels=(4,), norm="bn")
DW = BlockSpec(kind="dw", width=8, kernels=(3,), norm="bn")
FFN = BlockSpec(kind="ffn", width=8, hidden=16, norm="bn", act="relu")
SPEC = ArchSpec(
    resolution=32,
    stages=(StageSpec(entry=ENTRY, blocks=(DW, DW, FFN)),),
    classes=10,
    head=HeadSpec(kind="pool", norm="ln"),
)


def test_macs_and_params_by_hand() -> None:
    anatomy = dissect(SPEC, count(trace(SPEC)))
    stage, head = anatomy.stages
    # An 8 × 8 map: patchify 64·8·48, two dw 64·8·9 each, ffn 64·8·16·2; the head 8·10.
    assert stage.piece.macs == 24_576 + 2 * 4_608 + 16_384 == 50_176
    assert head.piece.macs == 80
    assert anatomy.macs == 50_256
    assert stage.piece.macs_share == pytest.approx(50_176 / 50_256)
    # Weights: 8·48, 2·8·9, 2·8·16; a BatchNorm has 2 per channel: patchify 16, dw 16 each, ffn 32 + 16.
    assert stage.piece.params == 384 + 144 + 256 + 16 + 32 + 48 == 880
    assert head.piece.params == 16 + 90
    assert anatomy.params == 986
    assert (stage.side, stage.stride, stage.width) == (8, 4, 8)
    assert (head.side, head.stride, head.width) == (None, None, 10)


def test_shares_add_up_and_arithmetic_comes_first() -> None:
    anatomy = dissect(SPEC, count(trace(SPEC)))
    for pieces in ([row.piece for row in anatomy.stages], anatomy.operators):
        assert sum(piece.macs_share for piece in pieces) == pytest.approx(1)
        assert sum(piece.traffic_share for piece in pieces) == pytest.approx(1)
    assert [piece.name for piece in anatomy.operators][:2] == ["convolution", "depthwise convolution"]
    assert anatomy.operators[1].macs == 2 * 4_608
    norm = next(piece for piece in anatomy.operators if piece.name == "normalisation")
    assert norm.macs == 0 and norm.traffic_share > 0


def told(stage: StageSpec) -> list[tuple[int, list[str]]]:
    return [(run.times, [chip.kind for chip in run.chips]) for run in layers(stage)]


def test_equal_neighbours_are_told_once() -> None:
    assert told(SPEC.stages[0]) == [(1, ["patchify"]), (2, ["dw"]), (1, ["ffn"])]
    found = [(chip.role, chip.text) for run in layers(SPEC.stages[0]) for chip in run.chips]
    assert found == [("entry", "4×4"), ("convolution", "3×3"), ("feed-forward", "expand 2")]


def test_patterns_are_told_once() -> None:
    wide = BlockSpec(kind="dw", width=8, kernels=(5,), norm="bn")
    assert told(StageSpec(entry=ENTRY, blocks=(DW, FFN) * 3 + (wide,)))[1:] == [(3, ["dw", "ffn"]), (1, ["dw"])]
    msra = (DW, FFN, wide, DW, FFN)
    assert told(StageSpec(entry=ENTRY, blocks=msra * 2))[1:] == [(2, ["dw", "ffn", "dw", "dw", "ffn"])]
    # Four equal layers are four of one, not two of two.
    assert told(StageSpec(entry=ENTRY, blocks=(DW,) * 4))[1:] == [(4, ["dw"])]
    assert told(StageSpec(entry=ENTRY, blocks=(DW, FFN, wide)))[1:] == [(1, ["dw"]), (1, ["ffn"]), (1, ["dw"])]
    assert told(StageSpec(entry=ENTRY)) == [(1, ["patchify"])]


def test_chips_of_attention_and_of_the_unknown() -> None:
    sdta = BlockSpec(kind="sdta", width=8, kernels=(3,), splits=2, heads=4, hidden=32, norm="ln", position="fourier")
    cga = BlockSpec(kind="cga", width=8, kernels=(7, 5, 5), heads=3, key_dim=16, window=7)
    new = BlockSpec(kind="spiral", width=8)
    found = [chip for run in layers(StageSpec(entry=ENTRY, blocks=(sdta, cga, new))) for chip in run.chips][1:]
    assert [(chip.role, chip.text) for chip in found] == [
        ("attention", "3×3 · 2 splits · 4 heads · fourier"),
        ("attention", "5×5 · 7×7 · 3 heads · window 7"),
        ("other", ""),
    ]
    assert "key_dim 16" in found[1].detail


def test_time_counts_for_the_row_that_leads_its_group() -> None:
    report = count(trace(SPEC))
    stages = [row.stage for row in report.trace.rows]
    first = next(i for i, row in enumerate(report.trace.rows) if row.kind == "conv")
    last = max(i for i, row in enumerate(report.trace.rows) if row.kind == "linear")
    assert (stages[first], stages[last]) == ("stages.0", "head")
    anatomy = dissect(SPEC, report, {first: 3.0, last: 1.0})
    assert anatomy.is_timed
    assert [row.piece.latency_share for row in anatomy.stages] == pytest.approx([0.75, 0.25])
    shares = {piece.name: piece.latency_share for piece in anatomy.operators}
    assert (shares["convolution"], shares["linear layer"], shares["normalisation"]) == pytest.approx((0.75, 0.25, 0))
    assert [piece.name for piece in anatomy.operators][:2] == ["convolution", "linear layer"]


def test_without_times_there_are_no_latency_shares() -> None:
    anatomy = dissect(SPEC, count(trace(SPEC)))
    assert not anatomy.is_timed
    assert all(piece.latency_share is None for piece in anatomy.operators)


@pytest.mark.parametrize("kind", BLOCKS)
def test_what_has_attention_maps_is_attention(kind: str) -> None:
    assert (role_of(kind) == "attention") == hasattr(BLOCKS[kind], "attention_maps")
