"""The gradient's norm of a softmax regression worked out by hand."""

import math

import pytest
import torch
from torch import nn

from archlab.errors import ProxyError
from archlab.proxy.grad_norm import grad_norm
from archlab.proxy.passes import Subject
from tests.proxy.tiny import regression


def test_the_gradient_of_a_regression() -> None:
    """Mean gradient rows (−1.5, −1) and (1.5, 1): norm √(2 · (2.25 + 1))."""
    assert grad_norm(regression()) == pytest.approx(math.log(6.5) / 2)


def test_layers_add_up() -> None:
    """A layer of weight 2 before the same regression doubles its inputs, whose gradient doubles."""
    inner, outer = nn.Linear(1, 1, bias=False), nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        inner.weight.fill_(2.0)
        outer.weight.copy_(torch.tensor([[0.5], [-0.5]]))
    x = torch.ones(4, 1)
    # logits (1, −1), class 0: p₁ = 1 / (1 + e²); outer: 2 · (−p₁, p₁); inner: −p₁ · 0.5 · 2 = −p₁
    p = 1 / (1 + math.exp(2))
    expected = math.log(2 * p * math.sqrt(2) + p)
    subject = Subject(nn.Sequential(inner, outer), x, labels_B=torch.zeros(4, dtype=torch.int64))
    assert grad_norm(subject) == pytest.approx(expected, rel=1e-5)


def test_a_network_that_ignores_its_input_has_no_score() -> None:
    layer = nn.Linear(2, 2, bias=False)
    with pytest.raises(ProxyError, match=r"grad_norm found no finite gradient; given: 0.0; allowed: a positive number"):
        grad_norm(Subject(layer, torch.zeros(4, 2)))
