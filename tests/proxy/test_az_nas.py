"""The four parts of AZ-NAS on chains of blocks whose maps and Jacobians are known, and the sum of ranks."""

import math

import pytest
import torch
from torch import Tensor, nn

from archlab.errors import ProxyError
from archlab.proxy.az_nas import (
    PARTS,
    TYPICAL,
    assemble,
    az_complexity,
    az_expressivity,
    az_nas,
    az_progressivity,
    az_trainability,
    entropy,
    spectral_norm,
)
from archlab.proxy.passes import Subject

WORST = -1e6


class Mix(nn.Module):
    """One matrix for the channels of every position, in the shape of a 1×1 convolution."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.matrix = torch.tensor(rows)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", self.matrix, x)


class Stage(nn.Module):
    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.entry, self.blocks = nn.Identity(), nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(self.entry(x))
        return y


class Chain(nn.Module):
    """Blocks where archlab's networks have them."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.stages = nn.Sequential(Stage(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.stages(x)
        return y


# two channels with the same variance and no correlation: entropy ln 2
PLAIN = torch.tensor([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]).reshape(1, 2, 2, 2)
# variances 1 and 3² once mixed: shares 0.1 and 0.9
SKEW = Mix([[1.0, 0.0], [0.0, 3.0]])
SKEWED = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))


def test_entropy_of_known_spectra() -> None:
    assert entropy(PLAIN) == pytest.approx(math.log(2), abs=1e-5)
    assert entropy(SKEW(PLAIN)) == pytest.approx(SKEWED, abs=1e-5)
    assert entropy(PLAIN[:, :1].expand(-1, 2, -1, -1)) == pytest.approx(0, abs=1e-5)
    assert entropy(torch.ones(2, 3, 2, 2)) == 0


def test_more_channels_than_positions_change_nothing() -> None:
    """Eight channels, each one of the two: the spectrum is that of two directions, the rest is 0."""
    wide = PLAIN.repeat(1, 4, 1, 1)
    assert entropy(wide) == pytest.approx(math.log(2), abs=1e-5)


def test_expressivity_adds_and_progressivity_takes_the_worst_step() -> None:
    subject = Subject(Chain(SKEW, Mix([[1.0, 0.0], [0.0, 1 / 3]])), PLAIN)
    assert az_expressivity(subject) == pytest.approx(2 * math.log(2) + SKEWED, abs=1e-4)
    assert az_progressivity(subject) == pytest.approx(SKEWED - math.log(2), abs=1e-4)


def test_trainability_of_known_jacobians() -> None:
    """One channel: the estimate is exact. Scaling by 2 and by ½ gives 2 − 2 − ½ both times."""
    one = PLAIN[:, :1]
    assert az_trainability(Subject(Chain(Mix([[2.0]]), Mix([[0.5]])), one)) == pytest.approx(-0.5, abs=1e-5)
    assert az_trainability(Subject(Chain(Mix([[-1.0]])), one)) == pytest.approx(0, abs=1e-5)


def test_blocks_that_do_nothing_or_stop_the_gradient_are_the_worst() -> None:
    class Stop(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.detach() + 0 * x

    assert az_trainability(Subject(Chain(nn.ReLU(), Mix([[1.0]])), PLAIN[:, :1].abs())) == WORST
    assert az_trainability(Subject(Chain(Stop()), PLAIN)) == pytest.approx(WORST, rel=1e-5)


def test_the_norm_of_a_rotation_and_of_a_smaller_map() -> None:
    signs = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]]).reshape(1, 2, 2, 2)
    assert spectral_norm(3 * signs, signs) == pytest.approx(3)
    # mean over positions of (four pixels of a patch, each 2 · sign) · sign: a column of four 2s, norm √(4 · 2²)
    small = signs[:, :1]
    large = 2 * small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert spectral_norm(large, small) == pytest.approx(4)
    # sides 3 → 2 share no patches: the means stand for them
    assert math.isfinite(spectral_norm(torch.randn(2, 3, 3, 3), torch.ones(2, 4, 2, 2)))


def test_complexity_is_the_logarithm_of_the_multiply_adds() -> None:
    net = nn.Conv2d(3, 4, 3, padding=1)
    assert az_complexity(Subject(net, torch.zeros(1, 3, 8, 8))) == pytest.approx(math.log(4 * 3 * 9 * 64))


def test_ranks_are_assembled() -> None:
    """Ranks (1, 2, 3) and (2.5, 2.5, 1) of 3."""
    found = assemble({"a": [0.1, 5.0, 7.0], "b": [4.0, 4.0, -9.0]})
    assert found == pytest.approx(
        [math.log(1 / 3) + math.log(2.5 / 3), math.log(2 / 3) + math.log(2.5 / 3), math.log(1 / 3)]
    )


def test_a_typical_network_scores_four_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the median of every part the logistic function is ½."""
    for name in PARTS:
        monkeypatch.setitem(PARTS, name, lambda subject, name=name: TYPICAL[name][0])
    assert az_nas(Subject(nn.Identity(), PLAIN)) == pytest.approx(4 * math.log(0.5))


def test_a_network_of_one_map_has_no_score() -> None:
    with pytest.raises(ProxyError, match=r"az_nas has nothing to compare; given: 0 maps between blocks; .*; choose"):
        az_expressivity(Subject(nn.Conv2d(2, 2, 1), PLAIN))
