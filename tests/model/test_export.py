import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from archlab.errors import StorageFullError
from archlab.model import export
from archlab.model.blocks import BLOCKS
from archlab.model.build import build, build_layer
from archlab.model.deploy import deploy
from archlab.model.export import OPSET, graph_hash, save_safetensors, to_onnx
from archlab.model.export_walk import write_onnx
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

BN_RELU: dict[str, Any] = {"norm": "bn", "act": "relu"}
LN_GELU: dict[str, Any] = {"norm": "ln", "act": "gelu"}

EVERY_KIND = [  # specs for a map of 16 channels and 14 rows; each kind in each of its ways to compute
    BlockSpec(kind="bottleneck", width=24, stride=2, hidden=8, kernels=(3,), **BN_RELU),
    BlockSpec(kind="cga", width=16, heads=2, key_dim=4, kernels=(5, 3), window=7, position="bias", **BN_RELU),
    BlockSpec(kind="cga", width=16, heads=2, key_dim=4, value_dim=6, kernels=(5, 3), window=14, **BN_RELU),
    BlockSpec(kind="conv", width=24, stride=2, kernels=(3,), norm="bn", act="hardswish"),
    BlockSpec(kind="conv_pool", width=24, stride=4, kernels=(7,), **BN_RELU),
    BlockSpec(kind="convnext", width=16, hidden=32, kernels=(7,), **LN_GELU),
    BlockSpec(kind="convnext", width=16, hidden=32, kernels=(5,), norm="bn", act="hardswish"),
    BlockSpec(kind="dsconv", width=16, kernels=(3,), norm="bn", act="silu"),
    BlockSpec(kind="dw", width=16, kernels=(3,), norm="bn"),
    BlockSpec(kind="dw_bottleneck", width=16, hidden=32, kernels=(3,), **BN_RELU),
    BlockSpec(kind="dw_first", width=16, hidden=32, kernels=(3,), **BN_RELU),
    BlockSpec(kind="dw_lean", width=24, stride=2, hidden=32, kernels=(3,), **LN_GELU),
    BlockSpec(kind="ffn", width=16, hidden=32, **BN_RELU),
    BlockSpec(kind="ffn", width=16, hidden=32, norm="ln", act="gelu_tanh"),
    BlockSpec(kind="fused_mbconv", width=24, stride=2, hidden=32, kernels=(3,), norm="bn", act="gelu"),
    BlockSpec(kind="mbconv", width=16, hidden=32, kernels=(3,), norm="bn", act="hardswish"),
    BlockSpec(kind="mbconv", width=16, hidden=32, kernels=(3,), norm="bn_last", act="gelu"),
    BlockSpec(kind="mhsa", width=16, heads=2, key_dim=4, value_dim=8, norm="bn", position="bias"),
    BlockSpec(kind="mhsa", width=16, heads=4, key_dim=4, window=7, norm="ln"),
    BlockSpec(kind="mhsa", width=16, heads=2, norm="ln", position="fourier"),
    BlockSpec(kind="msla", width=16, heads=2, key_dim=8, kernels=(3, 5), norm="bn"),
    BlockSpec(kind="norm_patch", width=24, stride=2, kernels=(2,), norm="ln"),
    BlockSpec(kind="overlap_stem", width=24, stride=4, kernels=(3, 3), **BN_RELU),
    BlockSpec(kind="patch_merge", width=24, stride=2, hidden=64, kernels=(3,), **BN_RELU),
    BlockSpec(kind="patch_tokens", width=24, stride=2, kernels=(2,), position="learned"),
    BlockSpec(kind="patchify", width=24, stride=2, kernels=(2,), norm="ln"),
    BlockSpec(kind="resconv", width=16, hidden=32, kernels=(3,), **BN_RELU),
    BlockSpec(kind="sdta", width=16, splits=3, heads=4, hidden=32, kernels=(3, 3), position="fourier", **LN_GELU),
    BlockSpec(kind="sdta", width=16, splits=2, heads=2, key_dim=6, hidden=32, kernels=(3,), norm="bn", act="hardswish"),
    BlockSpec(kind="split", width=16, heads=2, key_dim=4, kernels=(5, 3), window=7, **LN_GELU),
    BlockSpec(kind="swin_merge", width=24, stride=3, norm="ln"),
    BlockSpec(kind="swmsa", width=16, heads=2, window=4, position="bias", norm="ln"),
    BlockSpec(kind="wmsa", width=16, heads=2, window=7, norm="ln"),
]
HEADS = [
    HeadSpec(kind="linear", norm="none"),
    HeadSpec(kind="pool", norm="ln"),
    HeadSpec(kind="pool", norm="bn"),
    HeadSpec(kind="norm_pool", norm="bn"),
    HeadSpec(kind="norm_pool", norm="ln"),
    HeadSpec(kind="conv", norm="bn", widths=(24, 32), act="hardswish"),
]


def name_of(spec: BlockSpec) -> str:
    return f"{spec.kind}-{spec.norm}-{spec.position}-{spec.window}"


def tiny(**changes: Any) -> ArchSpec:
    stem = BlockSpec(kind="patchify", width=16, stride=4, kernels=(4,), norm="ln")
    block = BlockSpec(kind="convnext", width=16, hidden=32, kernels=(7,), **LN_GELU)
    plain = ArchSpec(resolution=32, stages=(StageSpec(entry=stem, blocks=(block,)),), classes=10, head=HEADS[0])
    return dataclasses.replace(plain, **changes)


@torch.no_grad()
def shaken(module: nn.Module) -> nn.Module:
    """Weights and statistics under which every path matters."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if "running_var" in name or "temperature" in name:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.2)
    return module.eval()


def run(data: bytes, x: Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x.numpy()})


def assert_equal(module: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    (found,) = run(to_onnx(module, shape), x)
    with torch.no_grad():
        expected = module(x).numpy()
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 1e-3
    assert np.abs(found - expected).max() <= 1e-4


def test_every_kind_is_here() -> None:
    assert {spec.kind for spec in EVERY_KIND} == set(BLOCKS)


@pytest.mark.parametrize("spec", EVERY_KIND, ids=name_of)
def test_a_block_computes_the_same_in_onnx_runtime(spec: BlockSpec) -> None:
    block = shaken(build_layer(spec, 16, 14, device="cpu"))
    assert_equal(block, (1, 16, 14, 14))
    assert_equal(deploy(block), (2, 16, 14, 14))
    assert write_onnx(block, (1, 16, 14, 14), torch.float32, OPSET)  # each of its calls has a writer


@pytest.mark.parametrize("head", HEADS, ids=lambda head: f"{head.kind}-{head.norm}")
def test_a_network_computes_the_same_in_onnx_runtime(head: HeadSpec) -> None:
    assert_equal(deploy(shaken(build(tiny(head=head)))), (1, 3, 32, 32))


def test_every_map_of_a_backbone_is_an_output() -> None:
    module = build(tiny(head=None), features_only=True).eval()
    x = torch.randn(1, 3, 32, 32)
    found = run(to_onnx(module, (1, 3, 32, 32)), x)
    assert len(found) == 1
    with torch.no_grad():
        assert np.abs(found[0] - module(x)[0].numpy()).max() < 1e-4


def test_shapes_are_static_weights_inside_opset_old_enough(tmp_path: Path) -> None:
    path = tmp_path / "new" / "m.onnx"
    data = to_onnx(build(tiny()), (2, 3, 32, 32), path)
    assert path.read_bytes() == data
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model)
    assert [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")] == [17]
    (entry,) = model.graph.input
    assert [d.dim_value for d in entry.type.tensor_type.shape.dim] == [2, 3, 32, 32]
    (output,) = model.graph.output
    assert [d.dim_value for d in output.type.tensor_type.shape.dim] == [2, 10]
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)


def test_the_module_stays_as_it_is() -> None:
    module = build(tiny())
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    to_onnx(module, (1, 3, 32, 32))
    assert module.training
    assert all(p.requires_grad for p in module.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_half_precision_goes_out_as_half_precision() -> None:
    model = onnx.load_model_from_string(to_onnx(nn.Conv2d(3, 4, 3).half(), (1, 3, 8, 8)))
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(path: Path, data: bytes) -> None:
        raise StorageFullError("full")

    monkeypatch.setattr(export, "write_bytes", full)
    with pytest.raises(StorageFullError):
        to_onnx(nn.Conv2d(3, 4, 3), (1, 3, 8, 8), tmp_path / "m.onnx")


def test_safetensors_hold_every_weight_and_buffer(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    save_safetensors(module, tmp_path / "m.safetensors")
    found = safetensors.torch.load_file(tmp_path / "m.safetensors")
    assert set(found) == {
        *("0.weight", "0.bias", "1.weight", "1.bias"),
        *("1.running_mean", "1.running_var", "1.num_batches_tracked"),
    }
    assert torch.equal(found["0.weight"], module[0].weight)


class TestGraphHash:
    SHAPE = (1, 3, 16, 16)

    def of(self, *layers: nn.Module, shape: tuple[int, ...] = SHAPE) -> str:
        return graph_hash(to_onnx(nn.Sequential(*layers), shape))

    def test_is_a_sha256(self) -> None:
        assert len(self.of(nn.Conv2d(3, 4, 3))) == 64
        int(self.of(nn.Conv2d(3, 4, 3)), 16)

    def test_weights_do_not_count(self) -> None:
        assert graph_hash(to_onnx(build(tiny(), seed=0), (1, 3, 32, 32))) == graph_hash(
            to_onnx(build(tiny(), seed=1), (1, 3, 32, 32))
        )

    def test_weights_that_happen_to_be_equal_do_not_count(self) -> None:
        fresh = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3))  # both begin as ones and zeros
        trained = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3))
        nn.init.uniform_(trained[0].weight)
        assert graph_hash(to_onnx(fresh, self.SHAPE)) == graph_hash(to_onnx(trained, self.SHAPE))

    def test_names_of_modules_do_not_count(self) -> None:
        inner = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)))
        assert self.of(nn.Conv2d(3, 4, 3)) == self.of(inner)

    def test_names_and_order_of_nodes_do_not_count(self) -> None:
        class Two(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return torch.relu(x) + torch.sigmoid(x)

        data = to_onnx(Two(), self.SHAPE)
        model = onnx.load_model_from_string(data)
        first, second = model.graph.node[0], model.graph.node[1]
        swapped = [onnx.NodeProto.FromString(node.SerializeToString()) for node in (second, first)]
        model.graph.node[0].CopyFrom(swapped[0])
        model.graph.node[1].CopyFrom(swapped[1])
        for i, node in enumerate(model.graph.node):
            node.name = f"n{i}"
            node.doc_string = "some words"
        renamed = model.SerializeToString()
        onnx.checker.check_model(model)
        assert renamed != data
        assert graph_hash(renamed) == graph_hash(data)

    @pytest.mark.parametrize(
        "other",
        [
            nn.Conv2d(3, 5, 3),
            nn.Conv2d(3, 4, 5),
            nn.Conv2d(3, 4, 3, stride=2),
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Conv2d(3, 4, 3, bias=False),
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()),
        ],
    )
    def test_what_is_computed_counts(self, other: nn.Module) -> None:
        assert self.of(nn.Conv2d(3, 4, 3)) != self.of(other)

    def test_the_input_counts(self) -> None:
        conv = nn.Conv2d(3, 4, 3)
        hashes = {self.of(conv, shape=shape) for shape in [(1, 3, 16, 16), (2, 3, 16, 16), (1, 3, 16, 18)]}
        assert len(hashes) == 3

    def test_constants_of_the_graph_count(self) -> None:
        class Scaled(nn.Module):
            def __init__(self, scale: float, dims: tuple[int, ...]) -> None:
                super().__init__()
                self.scale, self.dims = scale, dims

            def forward(self, x: Tensor) -> Tensor:
                return (x * self.scale).reshape(self.dims)

        hashes = {
            graph_hash(to_onnx(Scaled(scale, dims), (1, 4, 4, 4)))
            for scale, dims in [(2.0, (8, 8)), (3.0, (8, 8)), (2.0, (4, 16))]
        }
        assert len(hashes) == 3

    def test_how_nodes_are_joined_counts(self) -> None:
        class Chain(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return torch.relu(torch.sigmoid(x)) + x

        class Fork(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return torch.relu(x) + torch.sigmoid(x)

        assert graph_hash(to_onnx(Chain(), self.SHAPE)) != graph_hash(to_onnx(Fork(), self.SHAPE))


def test_torchs_attention_is_written_out() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = nn.Sequential(nn.Flatten(2), nn.Linear(16, 8), layer).eval()
    graph = onnx.load_from_string(to_onnx(net, (1, 3, 4, 4))).graph
    assert "Softmax" in {node.op_type for node in graph.node}
    assert torch.backends.mha.get_fastpath_enabled()
