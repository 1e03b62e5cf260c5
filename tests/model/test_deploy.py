"""Folding changes what a network costs, never what it answers."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from archlab.families import published
from archlab.model.build import build
from archlab.model.deploy import deploy

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
NETWORKS = [
    "edgenext_xx_small",
    "edgenext_xx_small_bn_hs",
    "efficientvit_m0",
    "efficientvit_b0",
    "convnext_atto",
    "efficientvit_l0",
]


def norms(module: nn.Module) -> list[str]:
    return [name for name, part in module.named_modules() if isinstance(part, BATCH_NORMS)]


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_of_the_deployed_network_are_the_same(name: str, randomise: Callable[..., nn.Module]) -> None:
    side = 224 if name == "efficientvit_m0" else 96
    module = randomise(build(published(name).spec.replace(resolution=side, classes=9)), side)
    deployed = deploy(module)
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        wanted, given = module(x), deployed(x)
    assert wanted.std() > 0.1
    assert (given - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    expected = {
        "edgenext_xx_small_bn_hs": ["stages.1.blocks.1", "stages.2.blocks.5", "stages.3.blocks.1"],
    }
    assert norms(deployed) == [f"{path}.norm_xca" for path in expected.get(name, [])]


def test_the_given_network_stays_as_it_is(randomise: Callable[..., nn.Module]) -> None:
    module = randomise(build(published("efficientvit_m0").spec), 224).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    deployed = deploy(module)
    assert module.training
    assert not deployed.training
    assert norms(module)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert not any(parameter.requires_grad for parameter in deployed.parameters())


def test_batchnorm_leaves_with_its_parameters() -> None:
    """M0: a BatchNorm has a weight and a bias per channel, the folded layer a bias; only the head had a bias before."""
    module = build(published("efficientvit_m0").spec)
    channels = sum(part.num_features for part in module.modules() if isinstance(part, nn.BatchNorm2d))
    before = sum(parameter.numel() for parameter in module.parameters())
    after = sum(parameter.numel() for parameter in deploy(module).parameters())
    assert before - after == 2 * channels - channels + 2 * 192


def test_the_skip_around_a_depthwise_convolution_is_a_one_in_its_middle() -> None:
    module = build(published("efficientvit_m0").spec)
    before, after = (network.stages[0].blocks[0] for network in (module, deploy(module)))
    assert before.has_skip
    assert not after.has_skip
    assert before.dw.norm.weight.abs().max() == 0  # as it starts, so the branch is nothing and the skip everything
    assert torch.equal(after.dw.conv.weight, functional.pad(torch.ones(64, 1, 1, 1), (1, 1, 1, 1)))


def test_layer_norm_stays() -> None:
    module = build(published("convnext_atto").spec)

    def count(network: nn.Module) -> int:
        return sum(isinstance(part, nn.LayerNorm) for part in network.modules())

    assert count(deploy(module)) == count(module) == 1 + 3 + sum((2, 2, 6, 2)) + 1


def test_other_sides_still_run_after_deploying(randomise: Callable[..., nn.Module]) -> None:
    module = randomise(build(published("edgenext_xx_small").spec.replace(classes=4)), 96)
    x = torch.randn(1, 3, 128, 160)
    with torch.no_grad():
        torch.testing.assert_close(deploy(module)(x), module(x), rtol=1e-4, atol=1e-4)


def test_a_module_without_anything_to_fold_is_copied() -> None:
    module = nn.Sequential(nn.Linear(3, 3))
    deployed = deploy(module)
    assert deployed is not module
    assert torch.equal(deployed[0].weight, module[0].weight)
