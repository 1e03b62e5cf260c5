"""TF-TAS (DSS): synaptic diversity of the attention, synaptic saliency of all else.

Source: Q. Zhou et al., "Training-free transformer architecture search", CVPR 2022, equations 3 to 5: an attention's
weights count by the product of the nuclear norms of W and of ∂L/∂W, which falls when their ranks collapse; the others
by Σ θ · ∂L/∂θ. L is the flow of `flow`, as in the paper's code, which also takes absolute weights and an input of ones.
Deviations: norms and activations are the identity there; 1×1 convolutions of attention blocks count like linear
layers; the logarithm of the sum. In a network without attention the score is SynFlow's.
"""

import torch
from torch import Tensor, nn

from archlab.model.blocks import BLOCKS
from archlab.proxy.answer import log_of
from archlab.proxy.passes import Subject

__all__ = ["nuclear_norm", "tf_tas"]

ATTENTION = ("cga", "mhsa", "msla", "sdta", "swmsa", "wmsa")
"""Kinds of blocks whose matrices count by diversity."""


def tf_tas(subject: Subject) -> float:
    """Score a network: log (Σ ‖W‖∗ · ‖∂R/∂W‖∗ over attention matrices + Σ θ · ∂R/∂θ over the other weights).

    Raises:
        ProxyError: When nothing flows, or the flow is not finite.
    """
    found, matrices = subject.flow, _attention_matrices(subject.module)
    total = 0.0
    for name, weight in found.weights.items():
        gradient = found.gradients[name]
        if name in matrices:
            total += nuclear_norm(weight.flatten(1)) * nuclear_norm(gradient.flatten(1))
        else:
            total += float((weight.double() * gradient.double()).sum())
    return log_of(total, "tf_tas", "flow through the network") + found.logarithm


def nuclear_norm(matrix: Tensor) -> float:
    """Sum of the singular values, by the eigenvalues of the smaller Gram matrix; scaled first, so nothing overflows."""
    scale = float(matrix.abs().max())
    if scale == 0 or matrix.isnan().any():
        return scale
    wide = (matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T).double() / scale
    return scale * float(torch.linalg.eigvalsh(wide @ wide.T).clamp(min=0).sqrt().sum())


def _attention_matrices(module: nn.Module) -> set[str]:
    """Names of the linear layers and 1×1 convolutions inside attention blocks."""
    kinds = tuple(BLOCKS[kind] for kind in ATTENTION)
    return {
        f"{outer}.{inner}"
        for outer, block in module.named_modules()
        if isinstance(block, kinds)
        for inner, layer in block.named_modules()
        if isinstance(layer, nn.Linear)
        or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1)
    }
