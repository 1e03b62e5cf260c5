"""The rows of EfficientViT-MSRA's Table 6: each changes what it says, and nothing else."""

import pytest
import torch

from archlab.errors import SpecError, UnknownNameError
from archlab.families import published
from archlab.families.efficientvit_msra import ABLATIONS, ablated, axes_of, make
from archlab.model.build import build
from archlab.spec import ArchSpec, BlockSpec

M4 = published("efficientvit_m4").spec
SMALL = {"resolution": 64, "classes": 10, "width_0": 32, "width_1": 48, "width_2": 64, "window": 4}


def kinds(spec: ArchSpec, stage: int) -> str:
    return " ".join(block.kind for block in spec.stages[stage].blocks)


def mixers(spec: ArchSpec) -> list[BlockSpec]:
    return [block for _, block in spec.layers() if block.heads]


def params(spec: ArchSpec) -> int:
    return sum(parameter.numel() for parameter in build(spec, device="meta").parameters())


@pytest.mark.parametrize("row", ABLATIONS)
def test_every_row_builds_and_reads_back(row: int) -> None:
    spec = ablated(row, **SMALL)
    assert make(**axes_of(spec)) == spec
    logits = build(spec).eval()(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, 10)
    assert (row == 1) == (spec == make(**SMALL))


def test_the_first_row_is_m4() -> None:
    assert ablated(1) == M4


def test_layouts() -> None:
    """By hand, from figure 6 of the paper and the Swin block; the last pair of a stage belongs to the merging."""
    assert kinds(M4, 0) == "dw ffn cga dw ffn dw ffn"
    assert kinds(ablated(2), 0) == "cga dw ffn dw ffn"
    assert kinds(ablated(2), 1) == "dw ffn cga dw ffn cga dw ffn dw ffn"
    assert kinds(ablated(3), 0) == "dw ffn dw ffn cga dw ffn dw ffn dw ffn"
    assert kinds(ablated(4, depth_2=1), 2) == "dw ffn " + "dw ffn " * 3 + "cga" + " dw ffn" * 3
    assert kinds(ablated(9), 1) == "ffn ffn cga ffn ffn cga ffn ffn"


def test_mixers() -> None:
    assert {block.kind for block in mixers(ablated(5))} == {"mhsa"}
    assert {block.kind for block in mixers(ablated(6))} == {"split"}
    assert [block.key_dim for block in mixers(M4)] == [16] * 6
    assert [block.key_dim for block in mixers(ablated(7))] == [32, 64, 64, 96, 96, 96]
    assert [block.key_dim for block in mixers(ablated(5))] == [32, 64, 64, 96, 96, 96]


def test_the_cascade_costs_no_parameters() -> None:
    assert params(ablated(6)) == params(M4)


def test_norms_and_activations() -> None:
    layer_norm, hardswish = ablated(10), ablated(11)
    assert {block.norm for _, block in layer_norm.layers()} == {"ln"}
    assert layer_norm.head is not None
    assert layer_norm.head.norm == "ln"
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in build(layer_norm, device="meta").modules())
    assert {block.act for _, block in hardswish.layers()} == {"hardswish", None}


def test_a_wider_ffn() -> None:
    """The last stage of M4 has 384 channels and seven FFNs."""
    narrow = [block.hidden for block in M4.stages[2].blocks if block.kind == "ffn"]
    wide = [block.hidden for block in ablated(8).stages[2].blocks if block.kind == "ffn"]
    assert narrow == [768] * 7
    assert wide == [1536] * 7


def test_unknown_rows_and_knobs() -> None:
    with pytest.raises(UnknownNameError, match="no row of Table 6 '12'"):
        ablated(12)
    with pytest.raises(UnknownNameError, match="no knob of efficientvit_msra 'widht_0'"):
        ablated(1, widht_0=3)
    with pytest.raises(SpecError, match="heads do not divide the width"):
        ablated(7, heads_0=3)
