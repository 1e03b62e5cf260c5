"""Every kind of block keeps the same promises: joining the table BLOCKS is being tested here."""

import dataclasses

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
from tests.contracts.examples import CASES, EXAMPLES, SIDE, WIDTH

pytestmark = pytest.mark.usefixtures("one_thread")

ATTENTION = {kind for kind, block in BLOCKS.items() if hasattr(block, "attention_maps")}
GROUPED = {"cga", "split"}
"""Kinds that attend head by head."""


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
