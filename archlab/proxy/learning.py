"""The pass that learns: gradients of the cross entropy on two halves of the batch, and the curvature along them.

Two halves, because ZiCo compares the gradients of two mini-batches; the other scores take their mean. Norms of
batches see one half at a time.

Legend of the shape suffixes: B images, C channels, K classes.
"""

import dataclasses
import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf
from torch.utils.hooks import RemovableHandle

from archlab.errors import ProxyError, four_parts
from archlab.proxy.look import joined
from archlab.proxy.modes import as_batches, only_differentiable, watched, weighted

__all__ = ["Learning", "learn"]

HALVES = 2


@dataclasses.dataclass(kw_only=True)
class Learning:
    """Gradients of the weights of convolutions and linear layers; an unused weight has gradient 0.

    `gradients` holds one list over the layers per half; `channels` one list per half of (layer, `(B, C)`), the sums
    over positions of each output times its gradient; `curvature` H·g per layer, where g is the mean gradient and H the
    Hessian of the mean loss.
    """

    names: list[str]
    weights: list[Tensor]
    gradients: list[list[Tensor]]
    channels: list[list[tuple[nn.Module, Tensor]]]
    curvature: list[Tensor] | None

    @functools.cached_property
    def mean_gradients(self) -> list[Tensor]:
        """Gradient of the mean loss, layer by layer."""
        return [torch.stack(parts).mean(dim=0) for parts in zip(*self.gradients, strict=True)]


def learn(
    module: nn.Module, images_BCHW: Tensor, labels_B: Tensor | None, *, seed: int, reads: frozenset[str]
) -> Learning:
    """Run both halves forward and backward, and twice backward where the curvature is read.

    Logits are the output; the last map's means over its positions where there is no classifier.

    Args:
        module: A network; whether its parameters want gradients is put back.
        images_BCHW: At least four images.
        labels_B: Classes of the images; None draws them.
        seed: Of the drawn classes.
        reads: `channels` keeps outputs of layers, `curvature` differentiates twice.

    Raises:
        ProxyError: When there are too few images, or no weights.
    """
    layers = weighted(module)
    if not layers or len(images_BCHW) < 2 * HALVES:
        raise ProxyError(
            four_parts(
                "there is nothing to learn from",
                given=f"{len(layers)} layers with weights, {len(images_BCHW)} images",
                allowed=f"at least one layer and {2 * HALVES} images",
                do="show more images, or choose another --proxy",
            )
        )
    weights = [layer.weight for _, layer in layers]
    with torch.enable_grad(), as_batches(module), only_differentiable(module, weights):
        return _learned(module, layers, images_BCHW, labels_B, seed, reads)


def _learned(
    module: nn.Module,
    layers: list[tuple[str, nn.Conv2d | nn.Linear]],
    images_BCHW: Tensor,
    labels_B: Tensor | None,
    seed: int,
    reads: frozenset[str],
) -> Learning:
    weights: list[Tensor] = [layer.weight for _, layer in layers]
    gradients: list[list[Tensor]] = []
    channels: list[list[tuple[nn.Module, Tensor]]] = []
    for part, half_BCHW in enumerate(images_BCHW.chunk(HALVES)):
        sums: list[tuple[nn.Module, Tensor]] = []
        hooks: list[RemovableHandle] = []
        to_watch = [layer for _, layer in layers] if "channels" in reads else []
        with watched(to_watch, functools.partial(_sum_later, sums, hooks)):
            logits_BK = _logits(module(half_BCHW))
        if labels_B is None:
            generator = torch.Generator().manual_seed(seed)
            labels_B = torch.randint(logits_BK.shape[1], (len(images_BCHW),), generator=generator)
        loss = nnf.cross_entropy(logits_BK, labels_B.chunk(HALVES)[part])
        gradients.append(_gradients(loss, weights, is_differentiable="curvature" in reads))
        channels.append(sums)
        for hook in hooks:  # going backward again, for the curvature, adds nothing
            hook.remove()
    curvature = _curvature(weights, gradients) if "curvature" in reads else None
    return Learning(
        names=[name for name, _ in layers],
        weights=[weight.detach() for weight in weights],
        gradients=[[gradient.detach() for gradient in half] for half in gradients],
        channels=channels,
        curvature=curvature,
    )


def _sum_later(
    sums: list[tuple[nn.Module, Tensor]], hooks: list[RemovableHandle], layer: nn.Module, output: Tensor
) -> None:
    """Once the gradient of an output is there, add their product up over positions; a linear layer's C is last."""
    values = output.detach()

    def add(gradient: Tensor) -> None:
        product = values * gradient.detach()
        if isinstance(layer, nn.Linear):
            product = product.movedim(-1, 1)
        sums.append((layer, product.flatten(2).sum(dim=2) if product.dim() > 2 else product))

    hooks.append(output.register_hook(add))


def _gradients(value: Tensor, by: list[Tensor], *, is_differentiable: bool = False) -> list[Tensor]:
    found = torch.autograd.grad(value, by, create_graph=is_differentiable, allow_unused=True)
    return [torch.zeros_like(x) if gradient is None else gradient for x, gradient in zip(by, found, strict=True)]


def _curvature(weights: list[Tensor], gradients: list[list[Tensor]]) -> list[Tensor]:
    """H·g: the gradient of gᵀ(θ)·g with the second g held fixed."""
    means = [torch.stack(parts).mean(dim=0) for parts in zip(*gradients, strict=True)]
    product = torch.stack([(mean.detach() * mean).sum() for mean in means]).sum()
    if not product.requires_grad:
        return [torch.zeros_like(weight) for weight in weights]
    return _gradients(product, weights)


def _logits(output: Any) -> Tensor:
    joined_B = joined(output)
    return joined_B.flatten(2).mean(dim=2) if joined_B.dim() > 2 else joined_B
