"""Gradient norm: how strongly the loss of one batch pulls at the untrained weights.

Source: M. Abdelfattah et al., "Zero-cost proxies for lightweight NAS", ICLR 2021, section 3.2. As in its code, the
Euclidean norms of the layers' gradients are added up over convolutions and linear layers. Deviations: the logarithm of
that sum; the gradient is the mean over two halves of the batch.
"""

import torch

from archlab.proxy.answer import log_of
from archlab.proxy.passes import Subject

__all__ = ["grad_norm"]


def grad_norm(subject: Subject) -> float:
    """Score a network: log of Σ over layers of ‖∂L/∂W‖₂.

    Raises:
        ProxyError: When no gradient arrives, or it is not finite.
    """
    total = sum(
        float(torch.linalg.vector_norm(gradient, dtype=torch.float64)) for gradient in subject.learning.mean_gradients
    )
    return log_of(total, "grad_norm", "gradient")
