"""Subjects small enough to work every score out by hand."""

import torch
from torch import nn

from archlab.proxy.passes import Subject

__all__ = ["coin", "regression"]


def regression() -> Subject:
    """Softmax regression whose two logits are always equal.

    Every probability is ½, every label 0. Half 1 shows (2, 0) twice: gradient rows −½ · (2, 0) = (−1, 0) and (1, 0).
    Half 2 shows (4, 4) twice: rows (−2, −2) and (2, 2). Both rows of the weights are (3, −1).
    """
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, -1.0], [3.0, -1.0]]))
    x = torch.tensor([[2.0, 0.0], [2.0, 0.0], [4.0, 4.0], [4.0, 4.0]])
    return Subject(layer, x, labels_B=torch.zeros(4, dtype=torch.int64))


def coin(layer: nn.Module, x: torch.Tensor) -> Subject:
    """Logits (ln 3, 0): probabilities ¾ and ¼, every label 0, wherever the input is 1; weights (ln 3, 0)."""
    with torch.no_grad():
        weight = layer.get_parameter("0.weight")
        weight.copy_(torch.tensor([3.0, 1.0]).log().reshape(weight.shape))
    return Subject(layer, x, labels_B=torch.zeros(len(x), dtype=torch.int64))
