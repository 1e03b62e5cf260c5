"""The dependency graph names the rows and columns that our own rules name, and finds the channels of other modules."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archlab.errors import PlanError
from archlab.model.build import Backbone, build
from archlab.pruning.graph import traced
from archlab.pruning.groups import Labelled, layout_of
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


def slices(module: Backbone, found: Labelled, label: int) -> set[tuple[str, int, int]]:
    """Parameter, axis and place of the rows and columns that a label stands for, those that go with it included."""
    gone = found.with_followers_of([label])
    names = {name for name, _ in module.named_parameters()}
    return {
        (name, axis, place)
        for name, parts in found.tensors.items()
        if name in names and len(parts) == 1
        for axis, labels in enumerate(parts[0])
        for place, each in enumerate(labels)
        if each in gone
    }


def of_the_graph(module: Backbone, layer: str, channel: int) -> set[tuple[str, int, int]]:
    """What the graph says goes with an output channel of a layer."""
    found = traced(module, torch.zeros(1, 3, SIDE, SIDE))
    return slices(module, found, found.tensors[f"{layer}.weight"][0][0][channel])


@pytest.mark.parametrize("case", BLOCKS)
def test_the_map_of_a_stage_is_one_group(case: str) -> None:
    module = network(case)
    layout = layout_of(module.spec)
    ours = slices(module, layout, layout.labels(role="embedding", stage=0)[3])
    assert ours == of_the_graph(module, "stages.0.entry.layer.conv", 3)


@pytest.mark.parametrize("case", MAKER)
def test_an_inner_width_is_one_group(case: str) -> None:
    module = network(case)
    layout = layout_of(module.spec)
    ours = slices(module, layout, layout.labels(role="ffn", stage=0)[5])
    assert ours == of_the_graph(module, f"stages.0.blocks.0.{MAKER[case]}", 5)


def test_a_forgotten_tensor_would_be_seen() -> None:
    module = network("mbconv")
    layout = layout_of(module.spec)
    group = slices(module, layout, layout.labels(role="ffn", stage=0)[0])
    assert ("stages.0.blocks.0.depth_conv.norm.weight", 0, 0) in group
    assert group - {("stages.0.blocks.0.depth_conv.norm.weight", 0, 0)} != of_the_graph(
        module, "stages.0.blocks.0.inverted_conv.conv", 0
    )


class Residual(nn.Module):
    """A stem, two branches on one map with a grouped and a depthwise convolution, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.wide = nn.Conv2d(6, 8, 1)
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.narrow = nn.Conv2d(8, 6, 1)
        self.deep = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.mix = nn.Conv2d(6, 6, 1)
        self.head = nn.Linear(6, 4)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.stem(x_BCHW)
        x_BCHW = x_BCHW + self.narrow(self.grouped(self.norm(self.wide(x_BCHW)).relu()))
        x_BCHW = x_BCHW + self.mix(self.deep(x_BCHW))
        out: Tensor = self.head(x_BCHW.mean((2, 3)))
        return out


class Attending(nn.Module):
    """Two layers of attention over 16 places with queries, keys and values from one linear layer of three widths."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.blocks = nn.ModuleList(nn.ModuleDict({"qkv": nn.Linear(8, 24), "proj": nn.Linear(8, 8)}) for _ in range(2))
        self.head = nn.Linear(8, 4)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BNC = self.patch(x_BCHW).flatten(2).transpose(1, 2)
        for block in self.blocks:
            q_BHND, k_BHND, v_BHND = block["qkv"](x_BNC).reshape(-1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
            attn_BHNN = (q_BHND @ k_BHND.transpose(-2, -1)).softmax(-1)
            x_BNC = x_BNC + block["proj"]((attn_BHNN @ v_BHND).transpose(1, 2).reshape(-1, 16, 8))
        out: Tensor = self.head(x_BNC.mean(1))
        return out


def test_roles_and_parts_of_a_module_without_a_spec() -> None:
    found = traced(Residual().eval(), torch.zeros(1, 3, SIDE, SIDE))
    sizes = Counter((found.names[stage], role) for stage, role in zip(found.stages, found.roles, strict=True))
    assert sizes == {("stem", "embedding"): 6, ("wide", "ffn"): 8, ("grouped", "ffn"): 8, ("stem", "fixed"): 1}
    assert [(pool.role, len(pool.strata[0])) for pool in found.pools] == [("embedding", 6), ("ffn", 8), ("ffn", 8)]


def test_the_weights_of_an_inner_channel_are_its_row_its_norm_and_no_part_of_a_grouped_reader() -> None:
    found = traced(Residual().eval(), torch.zeros(1, 3, SIDE, SIDE))
    wide = found.labels(role="ffn", stage=found.names.index("wide"))
    grouped = found.labels(role="ffn", stage=found.names.index("grouped"))
    embedding = found.labels(role="embedding")
    assert found.tensors["wide.weight"] == ((wide, embedding, (), ()),)
    assert found.tensors["norm.weight"] == found.tensors["norm.bias"] == found.tensors["wide.bias"] == ((wide,),)
    assert found.tensors["grouped.weight"] == ((grouped, (), (), ()),)
    assert found.tensors["narrow.weight"] == ((embedding, grouped, (), ()),)
    assert found.tensors["deep.weight"] == ((embedding, (), (), ()),)
    assert found.tensors["head.weight"] == (((), embedding),)
    assert "head.bias" not in found.tensors


def test_values_are_told_from_queries_and_keys() -> None:
    found = traced(Attending().eval(), torch.zeros(1, 3, SIDE, SIDE))
    first = [found.roles[label] for label in found.tensors["blocks.0.qkv.weight"][0][0]]
    assert first == ["qk"] * 16 + ["v"] * 8
    values = found.tensors["blocks.0.qkv.weight"][0][0][16:]
    assert found.tensors["blocks.0.proj.weight"][0][1] == values
    assert found.names == ("patch", "blocks.0", "blocks.1")


def test_a_module_is_left_as_it_was() -> None:
    module = Residual().eval().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    traced(module, torch.zeros(1, 3, SIDE, SIDE))
    assert not any(parameter.requires_grad for parameter in module.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


class Broken(Residual):
    """Runs nowhere."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        raise RuntimeError("no way through")


@pytest.mark.parametrize(
    ("module", "why"),
    [(Broken(), "RuntimeError: no way through"), (nn.Sequential(nn.Flatten(), nn.Linear(768, 4)), "no channels")],
)
def test_what_cannot_be_followed_is_refused(module: nn.Module, why: str) -> None:
    with pytest.raises(PlanError, match=rf"cannot be followed; given: .*{why}.*; allowed: .*; choose a published name"):
        traced(module.eval(), torch.zeros(1, 3, SIDE, SIDE))
