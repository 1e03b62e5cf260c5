"""NASWOT on networks whose activation codes are known."""

import math

import pytest
import torch
from torch import Tensor, nn

from archlab.errors import ProxyError
from archlab.proxy.naswot import kernel_score, naswot
from archlab.proxy.passes import Subject


class Signs(nn.Module):
    """Its activation sees the four inputs as they are."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.act = act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y: Tensor = self.act(x_BCHW)
        return y


CODES = torch.tensor([[1.0, 2.0, -1.0, -3.0], [1.0, -2.0, 1.0, -3.0], [-1.0, -2.0, -1.0, -3.0]]).reshape(3, 1, 2, 2)
# bits 1100, 1010, 0000: pairs share 2 (first and second), 2 (first and third), 2 (second and third) of four bits
EXPECTED = math.log(4 * (16 - 4) - 2 * (8 - 4) + 2 * (4 - 8))  # determinant of [[4,2,2],[2,4,2],[2,2,4]] = 32


@pytest.mark.parametrize("act", [nn.ReLU(), nn.ReLU(inplace=True), nn.GELU(), nn.Hardswish(), nn.SiLU(), nn.ReLU6()])
def test_known_codes(act: nn.Module) -> None:
    assert math.log(32) == pytest.approx(EXPECTED)
    assert naswot(Subject(Signs(act), CODES.clone())) == pytest.approx(math.log(32))


def test_bits_of_all_activations_add_up() -> None:
    """Two layers with the same codes: every entry of the kernel doubles, so the determinant grows by 2³."""
    twice = nn.Sequential(Signs(nn.ReLU()), Signs(nn.ReLU()))
    shifted = nn.Sequential(Signs(nn.GELU()), Signs(nn.Hardswish()))  # GELU and Hard-Swish keep the sign
    assert naswot(Subject(twice, CODES.clone())) == pytest.approx(math.log(8 * 32))
    assert naswot(Subject(shifted, CODES.clone())) == pytest.approx(math.log(8 * 32))


def test_images_that_look_alike_have_no_score() -> None:
    same = torch.ones(2, 1, 2, 2)
    with pytest.raises(ProxyError, match=r"naswot cannot tell the images apart; given: .*; allowed: .*; choose"):
        naswot(Subject(Signs(nn.ReLU()), same))


def test_a_network_without_activations_has_no_score() -> None:
    with pytest.raises(ProxyError, match=r"naswot found no activation in the network; given: Conv2d"):
        naswot(Subject(nn.Conv2d(1, 1, 1), CODES))


def test_the_kernel_of_the_paper() -> None:
    """N_A = 8 units, Hamming distance 3: K = [[8, 5], [5, 8]]."""
    assert kernel_score(torch.tensor([[8.0, 5.0], [5.0, 8.0]])) == pytest.approx(math.log(64 - 25))
