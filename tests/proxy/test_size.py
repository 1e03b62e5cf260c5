"""The baselines: logarithms of plain counts."""

import math

import pytest
import torch
from torch import nn

from archlab.errors import ProxyError
from archlab.families import published
from archlab.model.build import build
from archlab.proxy.passes import Subject
from archlab.proxy.size import log_activations, log_macs, log_params


def test_params_and_macs_of_a_published_network() -> None:
    row = published("edgenext_xx_small")
    net = build(row.spec)
    assert log_params(Subject(net, torch.zeros(1, 3, 256, 256))) == pytest.approx(math.log(row.params))
    assert log_macs(Subject(net, torch.zeros(1, 3, 256, 256))) == pytest.approx(math.log(row.macs))


def test_macs_follow_the_side_shown() -> None:
    """A 3×3 convolution from 3 to 4 channels on 8×8: 4 · 3 · 9 · 64 multiply-adds."""
    net = nn.Conv2d(3, 4, 3, padding=1)
    assert log_macs(Subject(net, torch.zeros(1, 3, 8, 8))) == pytest.approx(math.log(4 * 3 * 9 * 64))


def test_activations_are_all_that_is_written() -> None:
    """A convolution to 4 channels on 8×8, then a ReLU on them: 2 · 4 · 64 elements."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    assert log_activations(Subject(net, torch.zeros(1, 3, 8, 8))) == pytest.approx(math.log(2 * 4 * 64))


def test_nothing_has_no_size() -> None:
    with pytest.raises(ProxyError, match="a network without parameters has no size; given: 0"):
        log_params(Subject(nn.ReLU(), torch.zeros(1, 3, 8, 8)))
