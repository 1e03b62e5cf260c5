"""TF-TAS: nuclear norms by hand, attention found, everything else as SynFlow."""

import math

import pytest
import torch
from torch import nn

from archlab.families import published
from archlab.model.build import build_layer
from archlab.proxy.flow import Flow
from archlab.proxy.passes import Subject
from archlab.proxy.synflow import synflow
from archlab.proxy.tf_tas import core, nuclear_norm, tf_tas


def test_nuclear_norms() -> None:
    assert nuclear_norm(torch.tensor([[3.0, 0.0], [0.0, -4.0]])) == pytest.approx(7)
    assert nuclear_norm(torch.ones(2, 3)) == pytest.approx(math.sqrt(6))  # rank one: its Frobenius norm
    assert nuclear_norm(1e30 * torch.eye(4)) == pytest.approx(4e30)
    assert nuclear_norm(torch.zeros(2, 2)) == 0


def test_weights_drawn_at_random_need_no_more_than_float32() -> None:
    """Beside the singular values themselves; squares have one near 0."""
    for shape in ((96, 96), (64, 256), (300, 100)):
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1)).abs()
        exact = float(torch.linalg.svdvals(matrix.double()).sum())
        assert nuclear_norm(matrix, torch.float32) == pytest.approx(exact, rel=2e-5)


@pytest.mark.parametrize("shape", [(100, 300), (300, 100)])
def test_a_large_matrix_of_low_rank_has_a_small_core(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(2)
    left, right = (torch.randn(side, 16, generator=generator, dtype=torch.float64) for side in shape)
    matrix = (1e20 * left @ right.T).float()
    exact = float(torch.linalg.svdvals(left @ right.T)[:16].sum())
    assert core(matrix).shape == (20, shape[1])
    assert nuclear_norm(core(matrix)) == pytest.approx(1e20 * exact, rel=1e-5)


def test_a_matrix_of_high_rank_is_its_own_core() -> None:
    for matrix in (torch.eye(100), torch.zeros(100, 100), torch.full((100, 100), torch.nan), torch.ones(90, 90)):
        assert core(matrix) is matrix


def test_attention_counts_by_rank_the_rest_by_saliency() -> None:
    layer = published("deit_tiny_patch16_224").spec.stages[0].blocks[0]
    assert layer.kind == "mhsa"
    net = nn.ModuleDict({"attention": build_layer(layer, layer.width, 4), "other": nn.Linear(2, 1)})
    diagonal, ones = torch.diag(torch.tensor([3.0, 4.0])), torch.ones(1, 2)
    subject = Subject(net, torch.zeros(1))
    subject.flow = Flow(
        weights={"attention.qkv": diagonal, "other": ones},
        gradients={"attention.qkv": 2 * torch.eye(2), "other": 5 * ones},
        logarithm=1.5,
    )
    # ‖W‖∗ = 7, ‖G‖∗ = 4; 1 · 5 twice
    assert tf_tas(subject) == pytest.approx(math.log(7 * 4 + 10) + 1.5)


def test_without_attention_it_is_synflow() -> None:
    torch.manual_seed(0)
    subject = Subject(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1)), torch.zeros(1, 3, 8, 8))
    assert tf_tas(subject) == pytest.approx(synflow(subject))
