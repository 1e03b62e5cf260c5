"""MeCo on maps whose correlations are known."""

import pytest
import torch
from torch import nn

from archlab.errors import ProxyError
from archlab.proxy.look import smallest_eigenvalues
from archlab.proxy.meco import meco
from archlab.proxy.passes import Subject

# centred they are (2, −1, −1) / 3 and (−1, 2, −1) / 3: correlation −½, eigenvalues ½ and 3/2
MAP = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).reshape(1, 2, 1, 3)


def test_the_smallest_eigenvalue_of_two_channels() -> None:
    assert meco(Subject(nn.Identity(), MAP)) == pytest.approx(0.5)


def test_layers_add_up() -> None:
    """The container's map counts as well, as in the paper's code."""
    assert meco(Subject(nn.Sequential(nn.Identity(), nn.Identity()), MAP)) == pytest.approx(1.5)


def test_tokens_are_maps_with_channels_last() -> None:
    assert smallest_eigenvalues([MAP[0].flatten(1).T]) == pytest.approx([0.5])


def test_constant_channels_and_too_many_channels_are_dependent() -> None:
    assert smallest_eigenvalues([torch.ones(2, 2, 2), torch.randn(4, 2, 2)]) == [0, 0]


def test_maps_of_one_shape_are_told_apart() -> None:
    constant, other = torch.ones(2, 1, 3), torch.eye(2, 3).reshape(2, 1, 3)
    maps = [constant, MAP[0], torch.zeros(3, 1, 2), other]
    assert smallest_eigenvalues(maps) == pytest.approx([0, 0.5, 0, 0.5])


def test_small_maps_have_no_score() -> None:
    with pytest.raises(ProxyError, match=r"meco found no map with independent channels; given: 1 maps; .*; choose"):
        meco(Subject(nn.Identity(), torch.randn(1, 4, 2, 2)))
