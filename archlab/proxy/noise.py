"""The pass that disturbs: Gaussian weights, a Gaussian image, and how far a small change of it moves the last map.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from archlab.model.layers import LayerNorm2d
from archlab.proxy.look import joined
from archlab.proxy.modes import NORMS, as_batches, places, replaced, watched, weighted

__all__ = ["STEP", "Noise", "disturb"]

STEP = 0.01
_IMAGES = 4


@dataclasses.dataclass(kw_only=True)
class Noise:
    """The two last maps `(B, …)`, and the mean variance that each norm divided by, in the order in which they ran."""

    before: Tensor
    after: Tensor
    variances: list[float]


@torch.no_grad()
def disturb(module: nn.Module, images_BCHW: Tensor, seed: int, drawn: torch.Generator | None = None) -> Noise:
    """Run a network, with weights drawn from N(0, 1) for the while, on x and on x + 0.01 · ε, both Gaussian.

    Both run as one batch, so that norms of batches do the same to them.

    Args:
        module: A network; left as it is.
        images_BCHW: Only their shape is used, at most 4 of them.
        seed: Of weights and images.
        drawn: Where the network's own He-normal weights were drawn from last, if they began at the seed: then they are
            the same draws, and are scaled instead of drawn again.
    """
    generator = torch.Generator().manual_seed(seed)
    if drawn is not None:
        generator.set_state(drawn.get_state())
    values: dict[Tensor, Tensor] = {}
    for _, layer in weighted(module):
        weight = layer.weight.detach()
        if drawn is None:
            values[layer.weight] = torch.empty_like(weight).normal_(generator=generator)
        else:
            values[layer.weight] = weight * (weight[0].numel() / 2) ** 0.5
        if layer.bias is not None:
            values[layer.bias] = torch.zeros_like(layer.bias)
    shape = (min(len(images_BCHW), _IMAGES), *images_BCHW.shape[1:])
    x_BCHW, step_BCHW = (torch.randn(shape, generator=generator) for _ in range(2))
    both_BCHW = torch.cat([x_BCHW, x_BCHW + STEP * step_BCHW])
    cuts = places(module)
    ends: list[Tensor] = []
    variances: list[float] = []
    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs: variances.append(_variance(layer, inputs[0])))
        for layer in module.modules()
        if isinstance(layer, NORMS)
    ]
    try:
        with replaced(values), as_batches(module), watched(cuts[-1:], lambda layer, output: ends.append(output)):
            output = joined(module(both_BCHW))
    finally:
        for hook in hooks:
            hook.remove()
    before, after = (ends[-1] if cuts else output).chunk(2)
    return Noise(before=before, after=after, variances=variances)


def _variance(layer: Any, x: Tensor) -> float:
    """Mean of the variances by which a norm divides."""
    if isinstance(layer, _BatchNorm):
        return _mean_variance(x, [axis for axis in range(x.dim()) if axis != 1])
    if isinstance(layer, nn.GroupNorm):
        return _mean_variance(x.reshape(len(x), layer.num_groups, -1), [2])
    assert isinstance(layer, nn.LayerNorm)
    if isinstance(layer, LayerNorm2d):
        return _mean_variance(x, [1])
    return _mean_variance(x, list(range(x.dim() - len(layer.normalized_shape), x.dim())))


def _mean_variance(x: Tensor, over: list[int]) -> float:
    """Mean of the variances over some axes: all groups are of one size. Several times faster than torch's variance."""
    return float((x - x.mean(dim=over, keepdim=True)).square_().mean())
