"""The pass that learns: gradients of the cross entropy on parts of the batch, and the curvature along them.

Two halves unless asked otherwise, because ZiCo compares the gradients of two mini-batches; the other scores take their
mean. Norms of batches see one part at a time.

Legend of the shape suffixes: B images, C channels, K classes.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from archlab.errors import ProxyError, four_parts
from archlab.proxy.look import joined
from archlab.proxy.modes import as_batches, only_differentiable, watched, weighted

__all__ = ["HALVES", "Learning", "learn"]

HALVES = 2
"""Parts that a batch has if no other number is asked for."""


@dataclasses.dataclass(kw_only=True)
class Learning:
    """Gradients of the weights of convolutions and linear layers; an unused weight has gradient 0.

    `gradients` holds one list over the layers per part, `mean_gradients` their means; `channels` one list per part of
    (layer, `(B, C)`), the sums over positions of each output times its gradient; `curvature` H·g per layer, where g is
    the mean gradient and H the Hessian of the mean loss.
    """

    names: list[str]
    weights: list[Tensor]
    gradients: list[list[Tensor]]
    channels: list[list[tuple[nn.Module, Tensor]]]
    mean_gradients: list[Tensor]
    curvature: list[Tensor] | None


def learn(
    module: nn.Module,
    images_BCHW: Tensor,
    labels_B: Tensor | None,
    *,
    seed: int,
    reads: frozenset[str],
    parts: int = HALVES,
) -> Learning:
    """Run all parts forward and backward, and twice backward where the curvature is read.

    Logits are the output; the last map's means over its positions where there is no classifier.

    Args:
        module: A network; whether its parameters want gradients is put back.
        images_BCHW: At least two images per part.
        labels_B: Classes of the images; None draws them.
        seed: Of the drawn classes.
        reads: `channels` keeps outputs of layers, `curvature` differentiates twice.
        parts: Number of mini-batches.

    Raises:
        ProxyError: When there are too few images, or no weights.
    """
    layers = weighted(module)
    if not layers or len(images_BCHW) < 2 * parts:
        raise ProxyError(
            four_parts(
                "there is nothing to learn from",
                given=f"{len(layers)} layers with weights, {len(images_BCHW)} images",
                allowed=f"at least one layer and {2 * parts} images",
                do="show more images, or choose another --proxy",
            )
        )
    weights = [layer.weight for _, layer in layers]
    with torch.enable_grad(), as_batches(module), only_differentiable(module, weights):
        return _learned(module, layers, images_BCHW, labels_B, seed=seed, reads=reads, parts=parts)


def _learned(
    module: nn.Module,
    layers: list[tuple[str, nn.Conv2d | nn.Linear]],
    images_BCHW: Tensor,
    labels_B: Tensor | None,
    *,
    seed: int,
    reads: frozenset[str],
    parts: int,
) -> Learning:
    weights: list[Tensor] = [layer.weight for _, layer in layers]
    gradients: list[list[Tensor]] = []
    channels: list[list[tuple[nn.Module, Tensor]]] = []
    for part, part_BCHW in enumerate(images_BCHW.chunk(parts)):
        outputs: list[tuple[nn.Module, Tensor]] = []
        to_watch = [layer for _, layer in layers] if "channels" in reads else []
        with watched(to_watch, lambda layer, output, kept=outputs: kept.append((layer, output))):  # type: ignore[misc]
            logits_BK = _logits(module(part_BCHW))
        if labels_B is None:
            generator = torch.Generator().manual_seed(seed)
            labels_B = torch.randint(logits_BK.shape[1], (len(images_BCHW),), generator=generator)
        loss = nnf.cross_entropy(logits_BK, labels_B.chunk(parts)[part])
        by = [*weights, *(output for _, output in outputs)]
        found = torch.autograd.grad(loss, by, create_graph="curvature" in reads, allow_unused=True)
        gradients.append(_filled(found[: len(weights)], weights))
        channels.append(_channel_sums(outputs, found[len(weights) :]))
    means = [
        functools.reduce(torch.add, (gradient.detach() for gradient in one)) / parts
        for one in zip(*gradients, strict=True)
    ]
    curvature = _curvature(weights, gradients, means) if "curvature" in reads else None
    return Learning(
        names=[name for name, _ in layers],
        weights=[weight.detach() for weight in weights],
        gradients=[[gradient.detach() for gradient in part] for part in gradients],
        channels=channels,
        mean_gradients=means,
        curvature=curvature,
    )


@torch.no_grad()
def _channel_sums(
    outputs: list[tuple[nn.Module, Tensor]], gradients: Sequence[Tensor | None]
) -> list[tuple[nn.Module, Tensor]]:
    """Each output times its gradient, added up over positions; a linear layer's C is last."""
    sums = []
    for (layer, output), gradient in zip(outputs, gradients, strict=True):
        if gradient is not None:
            product, channel = output * gradient, -1 if isinstance(layer, nn.Linear) else 1
            positions = [axis for axis in range(1, product.dim()) if axis != channel % product.dim()]
            sums.append((layer, product.sum(dim=positions) if positions else product))
    return sums


def _curvature(weights: list[Tensor], gradients: list[list[Tensor]], means: list[Tensor]) -> list[Tensor]:
    """H·g: the gradient of gᵀ(θ)·g with the second g held fixed, which is what arrives at every g(θ)."""
    arriving = [mean / len(gradients) for mean in means]
    found = [(g, mean) for part in gradients for g, mean in zip(part, arriving, strict=True) if g.requires_grad]
    if not found:
        return [torch.zeros_like(weight) for weight in weights]
    curved = torch.autograd.grad(
        [g for g, _ in found], weights, grad_outputs=[mean for _, mean in found], allow_unused=True
    )
    return _filled(curved, weights)


def _filled(found: Sequence[Tensor | None], by: list[Tensor]) -> list[Tensor]:
    """Gradients by these tensors, 0 where they are unused."""
    return [torch.zeros_like(x) if gradient is None else gradient for x, gradient in zip(by, found, strict=True)]


def _logits(output: Any) -> Tensor:
    joined_B = joined(output)
    return joined_B.flatten(2).mean(dim=2) if joined_B.dim() > 2 else joined_B
