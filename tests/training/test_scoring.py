"""Statistics of BatchNorm measured anew, against closed forms."""

import numpy as np
import pytest
import torch
from torch import nn

from archlab.training.data import load_data
from archlab.training.dataset import Dataset, to_input
from archlab.training.scoring import settle_batch_norms


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data("digits").first(100)


def classifier(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))


def test_the_statistics_are_those_of_training_images(digits: Dataset) -> None:
    """Of 100 images one whole batch of 64 counts; of 50 all do."""
    norm = nn.BatchNorm2d(3)
    norm.running_mean.fill_(7.0)  # type: ignore[union-attr]
    module = classifier(norm).eval()
    settle_batch_norms(module, digits, 8)
    order = np.random.default_rng(0).permutation(100)[:64]
    x_BCHW = to_input(torch.from_numpy(digits.images[order]), digits, 8)
    torch.testing.assert_close(norm.running_mean, x_BCHW.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, x_BCHW.transpose(0, 1).flatten(1).var(1))
    assert not module.training
    assert norm.momentum == 0.1

    few = digits.first(50)
    settle_batch_norms(module, few, 8)
    x_BCHW = to_input(torch.from_numpy(few.images), few, 8)
    torch.testing.assert_close(norm.running_mean, x_BCHW.mean((0, 2, 3)), atol=1e-6, rtol=1e-5)


def test_what_is_drawn_follows_the_seed_and_leaves_the_others_alone(digits: Dataset) -> None:
    def settled(seed: int) -> torch.Tensor:
        module = classifier(nn.Dropout(0.5), nn.BatchNorm2d(3))
        torch.manual_seed(9)
        settle_batch_norms(module, digits, 8, seed=seed)
        assert torch.initial_seed() == 9
        return module[1].running_mean  # type: ignore[return-value]

    torch.testing.assert_close(settled(0), settled(0), atol=0, rtol=0)
    assert not torch.equal(settled(0), settled(1))


def test_a_network_without_batch_norms_is_left(digits: Dataset) -> None:
    module = classifier(nn.GroupNorm(1, 3))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    settle_batch_norms(module, digits, 8)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
