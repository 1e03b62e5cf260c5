"""Every kind of block keeps the same promises: joining the table BLOCKS is being tested here."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archlab.errors import SpecError, UnknownNameError
from archlab.model.block import Block
from archlab.model.blocks import BLOCKS
from archlab.model.build import build_layer, initialise
from archlab.model.check import check_layer
from archlab.model.deploy import deploy
from archlab.model.residual import ThreeLayers
from archlab.spec import BlockSpec

WIDTH, SIDE = 24, 12
BN: dict[str, Any] = {"width": WIDTH, "norm": "bn", "act": "relu"}
LN: dict[str, Any] = {"width": WIDTH, "norm": "ln", "act": "gelu"}
MIXER: dict[str, Any] = {"kind": "mhsa", "width": WIDTH, "heads": 3}

EXAMPLES: dict[str, list[BlockSpec]] = {  # on a map of 24 channels and 12 rows
    "bottleneck": [
        BlockSpec(kind="bottleneck", hidden=10, kernels=(3,), **BN),
        BlockSpec(kind="bottleneck", hidden=10, kernels=(3,), stride=2, **(BN | {"width": 30})),
    ],
    "cga": [
        BlockSpec(kind="cga", heads=3, key_dim=4, kernels=(5, 3, 7), window=5, position="bias", **BN),
        BlockSpec(kind="cga", heads=3, key_dim=(4, 6, 2), value_dim=(5, 11, 8), kernels=(5, 3, 3), eps=1e-3, **BN),
        BlockSpec(kind="cga", heads=3, key_dim=4, kernels=(5, 3, 7), window=5, **LN),
    ],
    "conv": [
        BlockSpec(kind="conv", width=10, stride=2, kernels=(3,), norm="bn", act="silu"),
        BlockSpec(kind="conv", width=10, kernels=(5,), norm="ln", act="gelu_tanh"),
    ],
    "conv_pool": [
        BlockSpec(kind="conv_pool", width=10, stride=4, kernels=(7,), norm="bn", act="relu"),
        BlockSpec(kind="conv_pool", width=10, stride=2, kernels=(3,), norm="bn", act="gelu"),
    ],
    "convnext": [
        BlockSpec(kind="convnext", hidden=50, kernels=(7,), **LN),
        BlockSpec(kind="convnext", hidden=50, kernels=(5,), **BN),
    ],
    "dsconv": [BlockSpec(kind="dsconv", kernels=(3,), **BN)],
    "dw": [
        BlockSpec(kind="dw", width=WIDTH, kernels=(5,), norm="bn"),
        BlockSpec(kind="dw", width=WIDTH, kernels=(5,), norm="ln"),
    ],
    "dw_bottleneck": [
        BlockSpec(kind="dw_bottleneck", hidden=10, kernels=(3,), **BN),
        BlockSpec(kind="dw_bottleneck", hidden=50, kernels=(5,), stride=2, **(BN | {"width": 30})),
    ],
    "dw_first": [
        BlockSpec(kind="dw_first", hidden=50, kernels=(5,), **BN),
        BlockSpec(kind="dw_first", hidden=50, kernels=(3,), stride=2, **(BN | {"width": 30})),
    ],
    "dw_lean": [
        BlockSpec(kind="dw_lean", hidden=50, kernels=(5,), **BN),
        BlockSpec(kind="dw_lean", hidden=50, kernels=(5,), **(BN | {"norm": "bn_first"})),
        BlockSpec(kind="dw_lean", hidden=50, kernels=(7,), stride=2, **(LN | {"width": 30})),
    ],
    "ffn": [BlockSpec(kind="ffn", hidden=40, **BN), BlockSpec(kind="ffn", hidden=40, **LN)],
    "fused_mbconv": [
        BlockSpec(kind="fused_mbconv", hidden=40, kernels=(3,), **BN),
        BlockSpec(kind="fused_mbconv", hidden=40, kernels=(3,), stride=2, **(BN | {"width": 30})),
    ],
    "mbconv": [
        BlockSpec(kind="mbconv", hidden=40, kernels=(3,), **BN),
        BlockSpec(kind="mbconv", hidden=40, kernels=(5,), stride=2, **(BN | {"width": 30, "norm": "bn_last"})),
    ],
    "mhsa": [
        BlockSpec(norm="ln", **MIXER),
        BlockSpec(norm="ln", position="fourier", key_dim=5, value_dim=7, **MIXER),
        BlockSpec(norm="ln", position="bias", window=5, **MIXER),
        BlockSpec(norm="bn", position="bias", **MIXER),
        BlockSpec(norm="bn", position="fourier", window=4, value_dim=10, **MIXER),
    ],
    "msla": [BlockSpec(kind="msla", width=WIDTH, heads=2, key_dim=6, kernels=(3, 5), norm="bn")],
    "norm_patch": [
        BlockSpec(kind="norm_patch", width=30, stride=2, kernels=(2,), norm="ln"),
        BlockSpec(kind="norm_patch", width=30, stride=3, kernels=(3,), norm="bn"),
    ],
    "overlap_stem": [
        BlockSpec(kind="overlap_stem", width=16, stride=4, kernels=(3, 5), norm="bn", act="relu"),
        BlockSpec(kind="overlap_stem", width=16, stride=8, kernels=(3, 3, 3), norm="bn", act="hardswish"),
        BlockSpec(kind="overlap_stem", width=16, stride=4, kernels=(3, 3), norm="ln", act="relu"),
    ],
    "patch_merge": [
        BlockSpec(kind="patch_merge", hidden=96, stride=2, kernels=(3,), **(BN | {"width": 30})),
        BlockSpec(kind="patch_merge", hidden=96, stride=2, kernels=(3,), **(LN | {"width": 30})),
    ],
    "patch_tokens": [
        BlockSpec(kind="patch_tokens", width=30, stride=4, kernels=(4,), position="learned"),
        BlockSpec(kind="patch_tokens", width=30, stride=2, kernels=(2,)),
    ],
    "patchify": [
        BlockSpec(kind="patchify", width=30, stride=4, kernels=(4,), norm="ln"),
        BlockSpec(kind="patchify", width=30, stride=2, kernels=(2,), norm="bn"),
    ],
    "resconv": [BlockSpec(kind="resconv", kernels=(3,), **BN), BlockSpec(kind="resconv", kernels=(3,), hidden=9, **BN)],
    "sdta": [
        BlockSpec(kind="sdta", hidden=50, kernels=(3,), splits=4, heads=3, position="fourier", **LN),
        BlockSpec(kind="sdta", hidden=50, kernels=(3,), splits=2, heads=3, key_dim=5, **LN),
        BlockSpec(kind="sdta", hidden=50, kernels=(5,), splits=3, heads=2, position="fourier", **BN),
    ],
    "split": [
        BlockSpec(kind="split", heads=3, key_dim=4, kernels=(5, 3, 7), window=5, position="bias", **BN),
        BlockSpec(kind="split", heads=3, key_dim=8, value_dim=(5, 11, 8), kernels=(5, 3, 3), **LN),
    ],
    "swin_merge": [
        BlockSpec(kind="swin_merge", width=30, stride=2, norm="ln", eps=1e-5),
        BlockSpec(kind="swin_merge", width=30, stride=5, norm="ln"),
    ],
    "swmsa": [
        BlockSpec(kind="swmsa", width=WIDTH, heads=3, window=4, position="bias", norm="ln"),
        BlockSpec(kind="swmsa", width=WIDTH, heads=3, window=5, key_dim=5, value_dim=7, norm="ln"),
        BlockSpec(kind="swmsa", width=WIDTH, heads=3, window=12, position="bias", norm="ln"),
    ],
    "wmsa": [
        BlockSpec(kind="wmsa", width=WIDTH, heads=3, window=4, position="bias", norm="ln", eps=1e-5),
        BlockSpec(kind="wmsa", width=WIDTH, heads=4, window=5, key_dim=5, norm="ln"),
    ],
}
ATTENTION = {kind for kind, block in BLOCKS.items() if hasattr(block, "attention_maps")}
GROUPED = {"cga", "split"}
"""Kinds that attend head by head."""
CASES = [pytest.param(spec, id=f"{kind}-{i}") for kind, specs in EXAMPLES.items() for i, spec in enumerate(specs)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def role(spec: BlockSpec) -> str:
    roles = BLOCKS[spec.kind].roles
    return "block" if "block" in roles and spec.stride == 1 else "entry"


def check(spec: BlockSpec, side: int = SIDE) -> int:
    return check_layer(spec, WIDTH, side, path="stages.1.x", role=role(spec))


@torch.no_grad()
def randomised(spec: BlockSpec) -> Block:
    """The layer with weights and statistics that leave nothing at zero or one."""
    layer = build_layer(spec, WIDTH, SIDE, device="cpu")
    generator = torch.Generator().manual_seed(1)
    for name, tensor in layer.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith("running_var") or tensor.dim() == 1 else (-0.4, 0.4)
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return layer.eval()


def run(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = layer(x)
    assert isinstance(y, Tensor)
    return y


def image(batch: int = 2) -> Tensor:
    return torch.randn(batch, WIDTH, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def test_every_kind_has_examples() -> None:
    assert EXAMPLES.keys() == BLOCKS.keys()
    assert all(spec.kind == kind for kind, specs in EXAMPLES.items() for spec in specs)


@pytest.mark.parametrize("spec", CASES)
def test_side_and_width_are_as_said(spec: BlockSpec) -> None:
    side = check(spec)
    layer = build_layer(spec, WIDTH, SIDE)
    assert {tensor.device.type for tensor in layer.state_dict().values()} == {"meta"}
    places = (side * side + 1, 1) if BLOCKS[spec.kind].makes_tokens else (side, side)
    assert layer(torch.empty(2, WIDTH, SIDE, SIDE, device="meta")).shape == (2, spec.width, *places)
    if role(spec) == "block":
        assert side == SIDE


@pytest.mark.parametrize("spec", CASES)
def test_every_value_is_set_and_the_seed_decides(spec: BlockSpec) -> None:
    state = torch.get_rng_state()
    first, again, other = (build_layer(spec, WIDTH, SIDE, device="cpu", seed=s) for s in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), state)
    for tensor in [*first.parameters(), *first.buffers()]:
        assert tensor.isfinite().all()
    pairs = zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)
    assert any(not torch.equal(left, right) for left, right in zip(first.parameters(), other.parameters(), strict=True))
    poisoned = build_layer(spec, WIDTH, SIDE, device="cpu", seed=7)
    with torch.no_grad():
        for tensor in [*poisoned.parameters(), *poisoned.buffers()]:
            tensor.fill_(77)
    initialise(poisoned, seed=7)
    values = zip(first.state_dict().values(), poisoned.state_dict().values(), strict=True)
    assert all(torch.equal(left, right) for left, right in values), "a value that nobody sets"


@pytest.mark.parametrize("spec", CASES)
def test_a_block_is_near_the_identity_plus_its_branch(spec: BlockSpec) -> None:
    """With the branch's last weights at nothing a block gives its input back; an entry has no skip."""
    layer = randomised(spec)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "token_projection" not in name and "pos_embd" not in name:
                parameter.zero_()
    x = image()
    y = run(layer, x)
    if role(spec) == "entry":
        assert y.abs().max() == 0
    elif isinstance(layer, ThreeLayers):
        torch.testing.assert_close(y, layer.act(x))
    elif getattr(layer, "pos_embd", None) is not None and spec.kind == "mhsa":
        torch.testing.assert_close(y, x + layer.pos_embd(x))
    else:
        torch.testing.assert_close(y, x)


@pytest.mark.parametrize("spec", CASES)
def test_deployed_outputs_are_the_same(spec: BlockSpec) -> None:
    layer = randomised(spec)
    deployed = deploy(layer)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    wanted, given = run(layer, image()), run(deployed, image())
    assert (given - wanted).norm() <= 1e-4 * wanted.norm()
    assert (given - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    left = [name for name, part in deployed.named_modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert left == (["norm_xca"] if spec.kind == "sdta" and spec.norm == "bn" else [])
    assert not any("gamma" in name for name, _ in deployed.named_parameters())
    assert not deployed.training
    assert all(torch.equal(before[name], tensor) for name, tensor in layer.state_dict().items())
    torch.testing.assert_close(run(deploy(deployed), image()), given, rtol=0, atol=0)


@pytest.mark.parametrize("spec", CASES)
def test_images_of_a_batch_do_not_mix(spec: BlockSpec) -> None:
    layer, x = randomised(spec), image(3)
    torch.testing.assert_close(run(layer, x)[1:2], run(layer, x[1:2]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spec", CASES)
def test_half_precision_runs_and_stays_near(spec: BlockSpec) -> None:
    layer = randomised(spec)
    wanted, given = run(layer, image()), run(layer.bfloat16(), image().bfloat16())
    assert given.dtype == torch.bfloat16
    assert (given.float() - wanted).norm() <= 0.05 * wanted.norm()


@pytest.mark.parametrize("spec", CASES)
def test_every_parameter_learns(spec: BlockSpec) -> None:
    layer = randomised(spec)
    layer(image()).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("spec", CASES)
def test_missing_and_unused_fields_are_named(spec: BlockSpec) -> None:
    kind = BLOCKS[spec.kind]
    for name in kind.needs:
        with pytest.raises(SpecError, match=rf"^stages\.1\.x: kind '{spec.kind}' needs {name}; .*set {name}$"):
            check(dataclasses.replace(spec, **{name: None}))
    values = {"hidden": 8, "kernels": (3,), "splits": 2, "heads": 2, "key_dim": 4, "value_dim": 4, "window": 4}
    values |= {"position": "bias", "act": "relu"}
    for name, value in values.items():
        if name not in kind.needs | kind.allows:
            with pytest.raises(SpecError, match=rf"kind '{spec.kind}' does not use {name}; .*leave {name} out$"):
                check(dataclasses.replace(spec, **{name: value}))


@pytest.mark.parametrize("spec", CASES)
def test_words_are_checked(spec: BlockSpec) -> None:
    with pytest.raises(UnknownNameError, match=r"^stages\.1\.x: no norm 'bnn'.*did you mean 'bn'"):
        check(dataclasses.replace(spec, norm="bnn"))
    for norm in {"bn", "bn_first", "bn_last", "ln"} - set(BLOCKS[spec.kind].norms):
        with pytest.raises(SpecError, match=f"kind '{spec.kind}' has no norm '{norm}'"):
            check(dataclasses.replace(spec, norm=norm))
    if "act" in BLOCKS[spec.kind].needs:
        with pytest.raises(UnknownNameError, match=r"no act 'relo'.*did you mean 'relu'"):
            check(dataclasses.replace(spec, act="relo"))


@pytest.mark.parametrize("spec", CASES)
def test_roles_are_checked(spec: BlockSpec) -> None:
    for wrong in {"entry", "block"} - BLOCKS[spec.kind].roles:
        with pytest.raises(SpecError, match=f"kind '{spec.kind}' cannot be "):
            check_layer(dataclasses.replace(spec, stride=1), WIDTH, SIDE, path="p", role=wrong)


@pytest.mark.parametrize("spec", [case for case in CASES if case.values[0].kernels is not None])
def test_even_kernels_are_refused(spec: BlockSpec) -> None:
    with pytest.raises(SpecError, match=r"has no middle|patches overlap"):
        check(dataclasses.replace(spec, kernels=(spec.kernels[0] + (spec.kernels[0] % 2 or 1), *spec.kernels[1:])))


@pytest.mark.parametrize("spec", [case for case in CASES if case.values[0].kind in ATTENTION - {"msla"}])
def test_attention_maps_can_be_hooked(spec: BlockSpec) -> None:
    layer = randomised(spec)
    softmax = [part for part in layer.modules() if isinstance(part, nn.Softmax)]
    maps: list[Tensor] = []
    softmax[0].register_forward_hook(lambda _module, _inputs, output: maps.append(output))
    run(layer, image())
    assert len(softmax) == 1
    assert len(maps) == (spec.heads if spec.kind in GROUPED else 1)
    for attn in maps:
        torch.testing.assert_close(attn.sum(-1), torch.ones(attn.shape[:-1]))


@pytest.mark.parametrize("spec", CASES)
def test_the_graph_can_be_taken_out_whole_and_shows_every_product(spec: BlockSpec) -> None:
    layer = randomised(spec)
    program = torch.export.export(layer, (image(),))
    torch.testing.assert_close(program.module()(image()), layer(image()))
    calls = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert not any("scaled_dot_product" in call for call in calls)
    if spec.kind in ATTENTION:
        products = sum(call.startswith("aten.matmul") for call in calls)
        assert products == (2 * (spec.heads or 0) if spec.kind in GROUPED else 2)
