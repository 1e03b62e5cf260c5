"""TF-TAS (DSS): synaptic diversity of the attention, synaptic saliency of all else.

Source: Q. Zhou et al., "Training-free transformer architecture search", CVPR 2022, equations 3 to 5: an attention's
weights count by the product of the nuclear norms of W and of ∂L/∂W, which falls when their ranks collapse; the others
by Σ θ · ∂L/∂θ. L is the flow of `flow`, as in the paper's code, which also takes absolute weights and an input of ones.
Deviations: norms and activations are the identity there; 1×1 convolutions of attention blocks count like linear
layers; the logarithm of the sum. In a network without attention the score is SynFlow's.
"""

import math

import torch
from torch import Tensor, nn

from archlab.model.blocks import BLOCKS
from archlab.proxy.answer import log_of
from archlab.proxy.passes import Subject

__all__ = ["core", "nuclear_norm", "tf_tas"]

ATTENTION = ("cga", "mhsa", "msla", "sdta", "swmsa", "wmsa")
"""Kinds of blocks whose matrices count by diversity."""

_LARGE, _RANK = 96, 20
_ROUNDING = 1e-12
"""Share of a matrix's squares that may be left out: what rounding in float32 leaves."""


def tf_tas(subject: Subject) -> float:
    """Score a network: log (Σ ‖W‖∗ · ‖∂R/∂W‖∗ over attention matrices + Σ θ · ∂R/∂θ over the other weights).

    Raises:
        ProxyError: When nothing flows, or the flow is not finite.
    """
    found, matrices = subject.flow, _attention_matrices(subject.module)
    total = 0.0
    for name, weight in found.weights.items():
        if name in matrices:
            total += nuclear_norm(weight.flatten(1), torch.float32) * nuclear_norm(
                core(found.gradients[name].flatten(1))
            )
        else:
            total += found.saliency[name]
    return log_of(total, "tf_tas", "flow through the network") + found.logarithm


def nuclear_norm(matrix: Tensor, dtype: torch.dtype = torch.float64) -> float:
    """Sum of the singular values, by the eigenvalues of the smaller Gram matrix; scaled first, so nothing overflows.

    In float32 it is good to 1e-5 for a matrix drawn at random; one of lower rank needs float64.
    """
    scale = float(matrix.abs().max())
    if scale == 0 or matrix.isnan().any():
        return scale
    wide = (matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T).to(dtype) / scale
    return scale * float(torch.linalg.eigvalsh(wide @ wide.T).clamp(min=0).sqrt().sum())


def core(matrix: Tensor) -> Tensor:
    """A smaller matrix of the same singular values but for zeros, if there is one; else the matrix itself.

    The gradient of a layer has at most the rank of the positions that it is applied to, 16 for 4×4. Random combinations
    of the columns then span them all, and the matrix is its projection on these; what the projection leaves out tells.

    Source: N. Halko, P. Martinsson, J. Tropp, "Finding structure with randomness", 2011, algorithm 4.1.
    """
    scale = float(matrix.abs().max())
    if min(matrix.shape) < _LARGE or not (math.isfinite(scale) and scale > 0):
        return matrix
    whole = matrix.double() / scale
    generator = torch.Generator().manual_seed(0)
    mixed = whole @ torch.randn(matrix.shape[1], _RANK, generator=generator, dtype=torch.float64)
    basis, _ = torch.linalg.qr(mixed)
    small = basis.T @ whole
    left_out = 1 - float(small.square().sum() / whole.square().sum())
    return small * scale if left_out < _ROUNDING else matrix


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
