"""ZiCo of a softmax regression worked out by hand."""

import math

import pytest
import torch
from torch import nn

from archlab.errors import ProxyError
from archlab.proxy.passes import Subject
from archlab.proxy.zico import zico
from tests.proxy.tiny import regression


def test_mean_over_deviation() -> None:
    """Gradients ∓1 and ∓2: mean 1.5, deviation 0.5, ratio 3; 0 and ∓2: mean 1, deviation 1, ratio 1: 3 + 1 + 3 + 1."""
    assert zico(regression()) == pytest.approx(math.log(8))


@pytest.mark.parametrize("parts", [1, 2])
def test_without_two_batches_that_differ_there_is_no_score(parts: int) -> None:
    net, labels = nn.Linear(2, 2), torch.zeros(4, dtype=torch.int64)
    subject = Subject(net, torch.ones(4, 2), labels_B=labels, parts=parts)
    with pytest.raises(ProxyError, match=r"zico found no gradient that differs between batches; given: \d layers, .*"):
        zico(subject)
