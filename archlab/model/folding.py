"""Exact algebra that removes a layer: a BatchNorm or a factor per channel disappears into the weights beside it.

In eval mode a BatchNorm is x·scale + shift per channel. All products are formed in float64 and rounded once.
"""

import torch
from torch import Tensor, nn

__all__ = ["fold_norm_into_next", "fold_norm_into_previous", "fold_scale_into_previous"]

Layer = nn.Conv2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d


def fold_norm_into_previous(layer: Layer, norm: Norm) -> None:
    """Fold a BatchNorm into the layer whose output it normalises, in place."""
    scale_C, shift_C = _scale_and_shift(norm)
    bias_C = torch.zeros_like(shift_C) if layer.bias is None else layer.bias.double()
    _assign(layer, _rows(scale_C, layer.weight) * layer.weight.double(), bias_C * scale_C + shift_C)


def fold_norm_into_next(norm: Norm, layer: Layer) -> None:
    """Fold a BatchNorm into the layer that reads its output, in place.

    Exact for a Linear layer and for an ungrouped convolution without padding (padding would be normalised as well).
    """
    assert isinstance(layer, nn.Linear) or (layer.groups == 1 and not any(map(int, layer.padding)))
    scale_C, shift_C = _scale_and_shift(norm)
    weight = layer.weight.double()
    columns = [1, -1] + [1] * (weight.dim() - 2)
    moved_C = (weight * shift_C.view(columns)).flatten(1).sum(1)
    _assign(layer, weight * scale_C.view(columns), moved_C + (0 if layer.bias is None else layer.bias.double()))


def fold_scale_into_previous(layer: Layer, gamma_C: Tensor) -> None:
    """Fold a factor per channel into the layer whose output it multiplies, in place."""
    scale_C = gamma_C.double()
    weight = layer.weight.double() * _rows(scale_C, layer.weight)
    _assign(layer, weight, None if layer.bias is None else layer.bias.double() * scale_C)


def _scale_and_shift(norm: Norm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale_C = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale_C, norm.bias.double() - norm.running_mean.double() * scale_C


def _rows(vector_C: Tensor, weight: Tensor) -> Tensor:
    return vector_C.view([-1] + [1] * (weight.dim() - 1))


def _assign(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias_C: Tensor | None) -> None:
    dtype = layer.weight.dtype
    layer.weight = nn.Parameter(weight.to(dtype))
    if bias_C is not None:
        layer.bias = nn.Parameter(bias_C.to(dtype))
