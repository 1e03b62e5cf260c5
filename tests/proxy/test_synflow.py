"""SynFlow on networks small enough to work the flow out by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from archlab.errors import ProxyError
from archlab.families import published
from archlab.model.build import build
from archlab.proxy.passes import Subject
from archlab.proxy.subject import reinitialise
from archlab.proxy.synflow import synflow


def images(*shape: int) -> Tensor:
    return torch.zeros(shape)


def set_weight(layer: nn.Module, values: list[list[float]]) -> nn.Module:
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(values).reshape(layer.weight.shape))  # type: ignore[operator, union-attr, arg-type]
    return layer


def test_two_linear_layers_by_hand() -> None:
    """R = 1ᵀ|W2||W1|1 = (1 2)·(3 7) = 17; each of the two layers carries all of R, so the sum is 34."""
    first = set_weight(nn.Linear(2, 2, bias=False), [[1.0, -2.0], [3.0, 4.0]])
    second = set_weight(nn.Linear(2, 1, bias=False), [[-1.0, 2.0]])
    assert synflow(Subject(nn.Sequential(first, second), images(1, 2))) == pytest.approx(math.log(2 * (1 * 3 + 2 * 7)))


def test_norms_activations_and_biases_change_nothing() -> None:
    plain = nn.Sequential(set_weight(nn.Conv2d(1, 2, 1), [[1.0], [-2.0]]), set_weight(nn.Conv2d(2, 1, 1), [[3.0, 4.0]]))
    dressed = nn.Sequential(
        set_weight(nn.Conv2d(1, 2, 1), [[1.0], [-2.0]]),
        nn.BatchNorm2d(2),
        nn.GELU(),
        nn.GroupNorm(1, 2),
        set_weight(nn.Conv2d(2, 1, 1), [[3.0, 4.0]]),
        nn.Hardswish(),
    )
    # a 2×2 map of ones: R = 4 · (1·3 + 2·4) = 44, twice
    assert synflow(Subject(plain, images(1, 1, 2, 2))) == pytest.approx(math.log(88))
    assert synflow(Subject(dressed, images(1, 1, 2, 2))) == pytest.approx(math.log(88))


def test_a_residual_branch_adds_its_paths() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = set_weight(nn.Linear(1, 1), [[5.0]])
            self.last = set_weight(nn.Linear(1, 1), [[2.0]])

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.last(x + self.branch(x))
            return y

    # R = 2·(1 + 5) = 12; the branch carries 2·5 = 10 of it, the last layer all of it
    assert synflow(Subject(Residual(), images(1, 1))) == pytest.approx(math.log(10 + 12))


def test_scaling_between_blocks_is_exact() -> None:
    """The same convolutions, once as an archlab network would name them, once without places to rescale."""

    class Stage(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.entry = nn.Conv2d(3, 4, 2, stride=2)
            self.blocks = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)])

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.blocks(self.entry(x))
            return y

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = nn.ModuleList([Stage()])
            self.head = nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.head(self.stages[0](x).mean((2, 3)))
            return y

    torch.manual_seed(0)
    named = Net()
    plain = nn.Sequential(nn.Sequential(named.stages[0]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), named.head)
    exact = synflow(Subject(plain, images(1, 3, 8, 8)))
    assert synflow(Subject(named, images(1, 3, 8, 8))) == pytest.approx(exact, abs=1e-4)


def test_a_deep_wide_network_stays_finite() -> None:
    spec = published("efficientvit_b1").spec.replace(resolution=64)
    deep = spec.replace(
        stages=tuple(s if i == 0 else type(s)(entry=s.entry, blocks=s.blocks * 6) for i, s in enumerate(spec.stages))
    )
    score = synflow(Subject(reinitialise(build(deep), 0), images(1, 3, 64, 64)))
    assert score > 350  # beyond what float32 holds by far (88 is its largest logarithm), and near float64's (709)


def test_nothing_flows() -> None:
    dead = set_weight(nn.Linear(2, 1), [[0.0, 0.0]])
    with pytest.raises(ProxyError, match=r"synflow found no finite flow .*; given: 0.*; allowed: .*; choose another"):
        synflow(Subject(nn.Sequential(dead), images(1, 2)))
