"""Zen on one convolution, with and without a norm."""

import math

import pytest
import torch
from torch import nn

from archlab.errors import ProxyError
from archlab.model.layers import LayerNorm2d
from archlab.proxy.noise import STEP
from archlab.proxy.passes import Subject
from archlab.proxy.zen import zen

SHAPE = (4, 1, 16, 16)


def test_a_scaling_by_hand() -> None:
    """f(x) = w · x moves by 0.01 · |w| · ‖ε‖; weight, x and ε are the generator's first draws, whatever w was."""
    generator = torch.Generator().manual_seed(3)
    weight = float(torch.randn(1, generator=generator))
    torch.randn(SHAPE, generator=generator)
    noise = torch.randn(SHAPE, generator=generator)
    expected = math.log(STEP * abs(weight) * float(noise.flatten(1).norm(dim=1).mean()))
    net = nn.Conv2d(1, 1, 1, bias=False)
    before = net.weight.detach().clone()
    assert zen(Subject(net, torch.zeros(SHAPE), seed=3)) == pytest.approx(expected, rel=1e-3)
    assert torch.equal(net.weight, before)


def test_a_norm_takes_the_scale_and_the_score_gives_it_back() -> None:
    plain = nn.Conv2d(1, 1, 1, bias=False)
    normed = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1))
    shown = torch.zeros(SHAPE)
    assert zen(Subject(normed, shown, seed=3)) == pytest.approx(zen(Subject(plain, shown, seed=3)), abs=0.01)


def test_every_norm_counts_by_the_variance_it_divides_by() -> None:
    """Two channels c and −c of a map: every position has mean 0 and variance c²; over all of a group it is the same."""
    for norm in (LayerNorm2d(2), nn.GroupNorm(1, 2), nn.BatchNorm2d(2)):
        with torch.no_grad():
            for parameter, value in ((norm.weight, 1.0), (norm.bias, 0.0)):
                parameter.fill_(value)

        class Pair(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                c = x.sign() * 3
                return torch.cat([c, -c], dim=1) + 0 * x

        subject = Subject(nn.Sequential(Pair(), norm), torch.zeros(SHAPE))
        assert subject.noise.variances == pytest.approx([9.0], rel=0.01)


def test_a_network_that_ignores_its_input_has_no_score() -> None:
    class Zero(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 0

    with pytest.raises(
        ProxyError, match=r"zen found a map that does not depend on the input.*; given: .* 0; .*; choose"
    ):
        zen(Subject(Zero(), torch.zeros(SHAPE)))
