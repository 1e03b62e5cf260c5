"""SNIP: how much the loss would change if single weights were cut, summed over all weights.

Source: N. Lee, T. Ajanthan, P. Torr, "SNIP: single-shot network pruning based on connection sensitivity", ICLR 2019,
equation 4 without its normalisation; as a score: M. Abdelfattah et al., ICLR 2021, equation 2. Deviations: the
logarithm of the sum; the gradient is the mean over two halves of the batch.
"""

import torch

from archlab.proxy.answer import log_of
from archlab.proxy.passes import Subject

__all__ = ["snip"]


def snip(subject: Subject) -> float:
    """Score a network: log Σ |θ · ∂L/∂θ| over the weights of convolutions and linear layers.

    Raises:
        ProxyError: When no gradient arrives, or it is not finite.
    """
    found = subject.learning
    total = sum(
        float((weight * gradient).abs_().sum(dtype=torch.float64))
        for weight, gradient in zip(found.weights, found.mean_gradients, strict=True)
    )
    return log_of(total, "snip", "connection sensitivity")
