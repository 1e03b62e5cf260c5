"""Passes are shared, and leave the network as it was."""

import pytest
import torch
from torch import nn

from archlab.errors import ProxyError
from archlab.proxy.learning import learn
from archlab.proxy.passes import READS, Subject


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


def test_every_pass_leaves_the_network_as_it_was() -> None:
    net = network()
    net[1].requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    wanted = [parameter.requires_grad for parameter in net.parameters()]
    subject = Subject(net, torch.randn(4, 3, 8, 8))
    assert subject.look.bits == 8 * 64
    assert subject.learning.curvature is not None
    assert subject.flow.weights.keys() == {"0", "5"}
    assert len(subject.noise.variances) == 1
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [parameter.requires_grad for parameter in net.parameters()] == wanted
    assert net.training
    assert all(not part._forward_hooks for part in net.modules())


def test_a_pass_is_made_once() -> None:
    subject = Subject(network(), torch.randn(4, 3, 8, 8))
    assert subject.look is subject.look
    assert subject.learning is subject.learning


def test_only_what_is_read_is_kept() -> None:
    subject = Subject(network(), torch.randn(4, 3, 8, 8), reads=("gradients",))
    assert subject.learning.curvature is None
    assert subject.learning.channels == [[], []]
    assert subject.look.bits == 0
    assert not subject.look.lambdas
    assert READS.keys() > {"gradients"}


def test_labels_are_drawn_from_the_seed() -> None:
    shown = torch.randn(4, 3, 8, 8)
    one, again, other = (learn(network(), shown, None, seed=seed, reads=frozenset()) for seed in (1, 1, 5))
    assert torch.equal(one.gradients[0][1], again.gradients[0][1])
    assert not torch.equal(one.gradients[0][1], other.gradients[0][1])


@pytest.mark.parametrize(("net", "count"), [(nn.ReLU(), 4), (nn.Conv2d(3, 2, 1), 3)])
def test_too_little_to_learn_from(net: nn.Module, count: int) -> None:
    with pytest.raises(
        ProxyError, match=r"there is nothing to learn from; given: \d layers with weights, \d images; .*"
    ):
        learn(net, torch.randn(count, 3, 4, 4), None, seed=0, reads=frozenset())
