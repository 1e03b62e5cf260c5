"""SWAP on units whose patterns are known."""

import math

import pytest
import torch
from torch import nn

from archlab.errors import ProxyError
from archlab.proxy.passes import Subject
from archlab.proxy.swap import swap

# unit by unit, over three images: 110, 100, 010, 000
INPUTS = torch.tensor([[1.0, 2.0, -1.0, -3.0], [1.0, -2.0, 1.0, -3.0], [-1.0, -2.0, -1.0, -3.0]]).reshape(3, 1, 2, 2)


@pytest.mark.parametrize("act", [nn.ReLU(), nn.GELU(), nn.Hardswish(), nn.SiLU()])
def test_distinct_patterns_are_counted(act: nn.Module) -> None:
    assert swap(Subject(act, INPUTS)) == pytest.approx(math.log(4))


def test_a_pattern_seen_twice_counts_once() -> None:
    wide = torch.cat([INPUTS, INPUTS[:, :, :1]], dim=2)
    assert swap(Subject(nn.Sequential(nn.ReLU(), nn.ReLU()), wide)) == pytest.approx(math.log(4))


def test_a_network_without_activations_has_no_score() -> None:
    with pytest.raises(ProxyError, match=r"swap found no finite activation; given: 0.0; allowed: .*; choose another"):
        swap(Subject(nn.Conv2d(1, 1, 1), INPUTS))
