"""SNIP of a softmax regression worked out by hand."""

import math

import pytest
import torch
from torch import nn

from archlab.errors import ProxyError
from archlab.proxy.passes import Subject
from archlab.proxy.snip import snip
from tests.proxy.tiny import regression


def test_weights_times_gradients() -> None:
    """Weights (3, −1) in both rows, mean gradients ∓(1.5, 1): 2 · (3 · 1.5 + 1 · 1) = 11."""
    assert snip(regression()) == pytest.approx(math.log(11))


def test_nothing_depends_on_weights_of_zero() -> None:
    layer = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(layer.weight)
    with pytest.raises(
        ProxyError, match=r"snip found no finite connection sensitivity; given: 0.0; allowed: .*; choose"
    ):
        snip(Subject(layer, torch.ones(4, 2)))
