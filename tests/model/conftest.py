"""What the tests of networks share: one thread, and weights under which every parameter matters to the logits."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@pytest.fixture(autouse=True)
def _always_one_thread(one_thread: None) -> None:
    """Every test of networks."""


@pytest.fixture
def randomise() -> Callable[..., nn.Module]:
    return fill


@torch.no_grad()
def fill(module: nn.Module, side: int, seed: int = 0, batch: int = 4) -> nn.Module:
    """Fill every parameter and statistic so that no branch, norm or scale is near nothing or near one.

    Statistics of BatchNorm are those of random images, then moved a little: with unrelated statistics the image would
    drown in the shifts, and the logits would test nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        _draw(name.rpartition(".")[2], parameter, generator)
    norms = [part for part in module.modules() if isinstance(part, NORMS)]
    if norms:
        for norm in norms:
            norm.momentum = 1.0
        module.train()
        module(torch.randn(batch, 3, side, side, generator=generator))
        for norm in norms:
            deviation = norm.running_var.sqrt()
            norm.running_mean.add_(deviation * torch.randn(deviation.shape, generator=generator), alpha=0.05)
            norm.running_var.clamp_(min=0.05).mul_(torch.rand(deviation.shape, generator=generator) * 0.4 + 0.8)
    module.eval()
    return module


def _draw(last: str, tensor: torch.Tensor, generator: torch.Generator) -> None:
    low, high = -0.3, 0.3
    if "temperature" in last:
        low, high = 2.0, 6.0
    elif "gamma" in last:
        low, high = 0.2, 0.7
    elif last == "weight" and tensor.dim() == 1:
        low, high = 0.5, 1.2
    elif last == "weight":
        low, high = -2.0, 2.0
    tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    if last == "weight" and tensor.dim() > 1:
        tensor.mul_(tensor[0].numel() ** -0.5)
