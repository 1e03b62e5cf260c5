"""How much would the loss change without this channel? One number per label, least important first to go.

Taylor: |gradient × weight|, summed over every weight that goes with the channel (the row that makes it, the columns
that read it, the affine parameters of its norms), averaged over batches. The gradient is that of the batch's mean
cross-entropy in evaluation mode. Magnitude and random are there to compare with.

Source: Molchanov et al., Importance Estimation for Neural Network Pruning (arXiv 1906.10771) eq. 8, its absolute value
taken per weight; EfficientViT (arXiv 2305.07027) §2.3 prunes by it.
"""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from archlab.model.build import Backbone
from archlab.model.channels import Axes, Labels
from archlab.pruning.groups import Labelled, Layout

__all__ = ["CRITERIA", "Batches", "Importance", "magnitude", "random", "sum_by_label", "taylor", "taylor_by_batch"]

Batches = Iterable[tuple[Tensor, Tensor]]
"""Normalised images `(B, 3, H, W)` with labels `(B,)`; iterated once per call."""

Importance = Callable[[Backbone, Layout], Tensor]
"""Gives the score of every label, `(labels,)` float64; a module is left as it was."""

CRITERIA = ("taylor", "magnitude", "random")


def taylor(batches: Batches) -> Importance:
    """Score by first-order Taylor expansion on labelled images."""

    def score(module: Backbone, layout: Layout) -> Tensor:
        return taylor_by_batch(module, layout, batches).mean(0)

    return score


def taylor_by_batch(module: nn.Module, layout: Labelled, batches: Batches) -> Tensor:
    """Score by each batch alone: `(batches, labels)` float64, whose mean over the batches is the Taylor score."""
    parameters = {name: p for name, p in module.named_parameters() if name in layout.tensors}
    rows = []
    with _AskingGradients(module):
        for images, classes in batches:
            loss = functional.cross_entropy(module(images), classes)
            gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            found = zip(parameters.items(), gradients, strict=True)
            rows.append(sum_by_label(layout, {n: (w.detach() * g).abs() for (n, w), g in found if g is not None}))
    return torch.stack(rows)


def magnitude() -> Importance:
    """Score by the sum of |weight|, relative to the mean of the channels of the same width."""

    def score(module: Backbone, layout: Layout) -> Tensor:
        terms = {n: p.detach().abs() for n, p in module.named_parameters() if n in layout.tensors}
        scores = sum_by_label(layout, terms)
        for width in (*layout.widths, *_hidden_widths(layout)):
            index = torch.tensor(width)
            scores[index] /= scores[index].mean().clamp_min(1e-30)
        return scores

    return score


def _hidden_widths(layout: Layout) -> list[Labels]:
    """Widths that no field of a spec holds: those inside a layer that keep the size of one that a field does hold."""
    named = {label for width in layout.widths for label in width}
    strata = (stratum for layer in layout.layers for strata in layer.channels.strata for stratum in strata)
    runs = (tuple(label for member in stratum for label in member) for stratum in strata)
    return [run for run in runs if named.isdisjoint(run)]


def random(seed: int) -> Importance:
    """Score by chance."""

    def score(module: Backbone, layout: Layout) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(len(layout.roles), generator=generator, dtype=torch.float64)

    return score


def sum_by_label(layout: Labelled, values: Mapping[str, Tensor]) -> Tensor:
    """Add up values of weights over every slice that belongs to a label.

    Args:
        layout: Of the network whose tensors these are.
        values: Tensor name → one value per weight.

    Returns:
        The sums, `(labels,)` float64; a weight between two labels counts for both.
    """
    sums = torch.zeros(len(layout.roles), dtype=torch.float64)
    for name, value in values.items():
        start = 0
        for axes in layout.tensors[name]:
            rows = value.narrow(0, start, len(axes[0])) if axes[0] else value
            start += len(axes[0])
            _add(sums, rows.double().cpu(), axes)
    return sums


def _add(sums: Tensor, value: Tensor, axes: Axes) -> None:
    for axis, labels in enumerate(axes):
        if labels:
            others = [i for i in range(value.dim()) if i != axis]
            sums.index_add_(0, torch.tensor(labels), value.sum(others) if others else value)


class _AskingGradients:
    """Evaluation mode with gradients for every parameter, and everything as before afterwards."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.training = module.training
        self.asked = [(parameter, parameter.requires_grad) for parameter in module.parameters()]

    def __enter__(self) -> None:
        self.module.eval()
        self.module.requires_grad_(True)

    def __exit__(self, *_: object) -> None:
        self.module.train(self.training)
        for parameter, asked in self.asked:
            parameter.requires_grad_(asked)
