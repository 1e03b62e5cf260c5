"""torch-pruning's dependency graph and our own rules name the same rows and columns, where the graph can follow."""

from typing import Any

import pytest

from archlab.model.build import Backbone, build
from archlab.pruning.crosscheck import graph_group, our_group
from archlab.pruning.groups import layout_of
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

SIDE = 16
PLAIN: dict[str, Any] = {"norm": "bn", "act": "relu"}

BLOCKS = {
    "convnext_ln": BlockSpec(kind="convnext", width=8, hidden=12, kernels=(3,), norm="ln", act="gelu"),
    "convnext_bn": BlockSpec(kind="convnext", width=8, hidden=12, kernels=(3,), norm="bn", act="gelu"),
    "ffn": BlockSpec(kind="ffn", width=8, hidden=12, **PLAIN),
    "dw": BlockSpec(kind="dw", width=8, kernels=(3,), norm="bn"),
    "mbconv": BlockSpec(kind="mbconv", width=8, hidden=12, kernels=(3,), **PLAIN),
    "fused_mbconv": BlockSpec(kind="fused_mbconv", width=8, hidden=12, kernels=(3,), **PLAIN),
    "resconv": BlockSpec(kind="resconv", width=8, hidden=12, kernels=(3,), **PLAIN),
    "dsconv": BlockSpec(kind="dsconv", width=8, kernels=(3,), **PLAIN),
}
MAKER = {"convnext_ln": "mlp.fc1", "convnext_bn": "mlp.fc1", "ffn": "mlp.fc1.conv", "mbconv": "inverted_conv.conv",
         "fused_mbconv": "spatial_conv.conv", "resconv": "conv1.conv"}  # fmt: skip
"""Kind → the layer that makes its inner width."""


def network(case: str) -> Backbone:
    conv = BlockSpec(kind="conv", width=8, stride=2, kernels=(3,), norm="bn", act="relu")
    merge = BlockSpec(kind="norm_patch", width=10, stride=2, kernels=(2,), norm="bn")
    stages = (StageSpec(entry=conv, blocks=(BLOCKS[case], BLOCKS["dw"])), StageSpec(entry=merge))
    return build(ArchSpec(resolution=SIDE, stages=stages, classes=3, head=HeadSpec(kind="pool", norm="bn"))).eval()


@pytest.mark.parametrize("case", BLOCKS)
def test_the_map_of_a_stage_is_one_group(case: str) -> None:
    module = network(case)
    layout = layout_of(module.spec)
    ours = our_group(module, layout, layout.labels(role="embedding", stage=0)[3])
    assert ours == graph_group(module, SIDE, "stages.0.entry.layer.conv", 3)


@pytest.mark.parametrize("case", MAKER)
def test_an_inner_width_is_one_group(case: str) -> None:
    module = network(case)
    layout = layout_of(module.spec)
    ours = our_group(module, layout, layout.labels(role="ffn", stage=0)[5])
    assert ours == graph_group(module, SIDE, f"stages.0.blocks.0.{MAKER[case]}", 5)


def test_a_forgotten_tensor_would_be_seen() -> None:
    module = network("mbconv")
    layout = layout_of(module.spec)
    group = our_group(module, layout, layout.labels(role="ffn", stage=0)[0])
    assert ("stages.0.blocks.0.depth_conv.norm.weight", 0, 0) in group
    assert group - {("stages.0.blocks.0.depth_conv.norm.weight", 0, 0)} != graph_group(
        module, SIDE, "stages.0.blocks.0.inverted_conv.conv", 0
    )
