"""Fisher information of channels worked out by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from archlab.errors import ProxyError
from archlab.proxy.fisher import fisher
from archlab.proxy.passes import Subject
from tests.proxy.tiny import coin

# outputs (ln 3, 0), their gradients in a half of two images (−¼, ¼) / 2: ½ · (ln 3 / 8)² per half, and two halves
EXPECTED = math.log(2 * 0.5 * (math.log(3) / 8) ** 2)


class Mean(nn.Module):
    """Mean over positions."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(dim=2) if x.dim() == 4 else x.mean(dim=1)


def test_channels_of_a_linear_layer() -> None:
    assert fisher(coin(nn.Sequential(nn.Linear(1, 2, bias=False)), torch.ones(4, 1))) == pytest.approx(
        EXPECTED, rel=1e-5
    )


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Conv2d(1, 2, 1, bias=False), (4, 1, 2, 2)), (nn.Linear(1, 2, bias=False), (4, 4, 1))]
)
def test_positions_add_up_before_squaring(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """Four positions carry a quarter of the gradient each, on maps and on tokens."""
    assert fisher(coin(nn.Sequential(layer, Mean()), torch.ones(shape))) == pytest.approx(EXPECTED, rel=1e-5)


def test_a_channel_counts_once_per_weight() -> None:
    """Two inputs of one half and two weights make the same outputs: twice the score."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([3.0, 1.0]).log()[:, None].expand(2, 2))
    subject = Subject(layer, torch.full((4, 2), 0.5), labels_B=torch.zeros(4, dtype=torch.int64))
    assert fisher(subject) == pytest.approx(EXPECTED + math.log(2), rel=1e-5)


def test_outputs_of_zero_have_no_score() -> None:
    with pytest.raises(ProxyError, match=r"fisher found no finite information; given: 0.0; allowed: .*; choose"):
        fisher(Subject(nn.Linear(2, 2, bias=False), torch.zeros(4, 2)))
