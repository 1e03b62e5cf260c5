"""Jacobian covariance of gradients that are known."""

import math

import pytest
import torch
from torch import Tensor, nn

from archlab.errors import ProxyError
from archlab.proxy.jacob_cov import correlation_score, jacob_cov
from archlab.proxy.passes import Subject

K = 1e-5


class Square(nn.Module):
    """Its gradient is twice its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square()


def score(*eigenvalues: float) -> float:
    return -sum(math.log(value + K) + 1 / (value + K) for value in eigenvalues)


def test_a_known_correlation() -> None:
    """(1, 0, 0) and (0, 1, 0) correlate at −½: eigenvalues ½ and 3/2."""
    rows = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    assert correlation_score(rows) == pytest.approx(score(0.5, 1.5))
    assert jacob_cov(Subject(Square(), rows.float().reshape(2, 1, 1, 3))) == pytest.approx(score(0.5, 1.5), rel=1e-5)


def test_a_linear_network_cannot_tell_images_apart() -> None:
    """Every image has the same gradient, the weights: eigenvalues 2 and 0."""
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    assert jacob_cov(Subject(linear, torch.randn(2, 1, 2, 2))) == pytest.approx(score(2, 0), rel=1e-3)


def test_an_output_that_ignores_the_image_has_no_score() -> None:
    with pytest.raises(
        ProxyError, match=r"jacob_cov found an image on which the output does not depend; given: .*; choose"
    ):
        jacob_cov(Subject(nn.Identity(), torch.ones(2, 1, 1, 2)))
