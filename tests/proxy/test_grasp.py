"""GraSP of a softmax regression worked out by hand."""

import math

import pytest
import torch
from torch import nn

from archlab.errors import ProxyError
from archlab.proxy.grasp import grasp
from archlab.proxy.passes import Subject
from tests.proxy.tiny import coin


def test_curvature_of_a_regression() -> None:
    """p = (¾, ¼), g = (−¼, ¼), H = 3/16 · (1 −1; −1 1), H g = (−3/32, 3/32), θ = (ln 3, 0): −θᵀHg = 3 ln 3 / 32."""
    subject = coin(nn.Sequential(nn.Linear(1, 2, bias=False)), torch.ones(4, 1))
    assert grasp(subject) == pytest.approx(3 * math.log(3) / 32, rel=1e-5)


def test_the_hessian_is_that_of_the_mean_loss() -> None:
    """Inputs 1 and 2 in the two halves, labels 0, logits (w, 0) and (2w, 0): by central differences of the gradient."""
    layer = nn.Linear(1, 2, bias=False)
    x, labels = torch.tensor([[1.0], [1.0], [2.0], [2.0]]), torch.zeros(4, dtype=torch.int64)

    def gradient(theta: torch.Tensor) -> torch.Tensor:
        p = torch.softmax(x.double() @ theta[None, :], dim=1)
        p[:, 0] -= 1
        return (p * x.double()).mean(dim=0)

    theta = torch.tensor([0.7, -0.2], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(theta[:, None])
    g, step = gradient(theta), 1e-5
    product = (gradient(theta + step * g) - gradient(theta - step * g)) / (2 * step)
    assert grasp(Subject(layer, x, labels_B=labels)) == pytest.approx(-float(theta @ product), rel=1e-4)


def test_a_network_that_ignores_its_input_has_no_score() -> None:
    with pytest.raises(
        ProxyError, match=r"grasp found no finite curvature of the loss; given: -?0.0; allowed: .*; choose"
    ):
        grasp(Subject(nn.Linear(2, 2, bias=False), torch.zeros(4, 2)))
