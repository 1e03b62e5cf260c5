"""The pass that disturbs: Gaussian weights, a Gaussian image, and how far a small change of it moves the last map.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from archlab.model.layers import LayerNorm2d
from archlab.proxy.look import joined
from archlab.proxy.modes import NORMS, as_batches, places, watched

__all__ = ["STEP", "Noise", "disturb"]

STEP = 0.01
_IMAGES = 8


@dataclasses.dataclass(kw_only=True)
class Noise:
    """The two last maps `(B, …)`, and the mean variance that each norm divided by, in the order in which they ran."""

    before: Tensor
    after: Tensor
    variances: list[float]


@torch.no_grad()
def disturb(module: nn.Module, images_BCHW: Tensor, seed: int) -> Noise:
    """Run a copy of a network, its weights drawn from N(0, 1), on x and on x + 0.01 · ε, both Gaussian.

    Args:
        module: A network; left as it is.
        images_BCHW: Only their shape is used, at most 8 of them.
        seed: Of weights and images.
    """
    generator = torch.Generator().manual_seed(seed)
    module = copy.deepcopy(module)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.normal_(generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
    shape = (min(len(images_BCHW), _IMAGES), *images_BCHW.shape[1:])
    x_BCHW, step_BCHW = (torch.randn(shape, generator=generator) for _ in range(2))
    cuts = places(module)
    ends: list[Tensor] = []
    variances: list[float] = []

    def end(layer: nn.Module, output: Tensor) -> None:
        ends.append(output)

    with as_batches(module), watched(cuts[-1:], end):
        norms = [layer for layer in module.modules() if isinstance(layer, NORMS)]
        hooks = [
            layer.register_forward_pre_hook(lambda layer, inputs: variances.append(_variance(layer, inputs[0])))
            for layer in norms
        ]
        outputs = [joined(module(x_BCHW))]
        for hook in hooks:
            hook.remove()
        outputs.append(joined(module(x_BCHW + STEP * step_BCHW)))
    before, after = ends if cuts else outputs
    return Noise(before=before, after=after, variances=variances)


def _variance(layer: Any, x: Tensor) -> float:
    """Mean of the variances by which a norm divides."""
    if isinstance(layer, _BatchNorm):
        return float(x.transpose(0, 1).flatten(1).var(dim=1, correction=0).mean())
    if isinstance(layer, nn.GroupNorm):
        return float(x.reshape(len(x), layer.num_groups, -1).var(dim=2, correction=0).mean())
    assert isinstance(layer, nn.LayerNorm)
    if isinstance(layer, LayerNorm2d):
        x = x.movedim(1, -1)
    return float(x.flatten(-len(layer.normalized_shape)).var(dim=-1, correction=0).mean())
