"""GraSP: do the weights keep the gradient flowing?

Source: C. Wang, G. Zhang, R. Grosse, "Picking winning tickets before training by preserving gradient flow", ICLR 2020,
equation 8, S(−θ) = −θᵀ H g; as a score summed over all weights: M. Abdelfattah et al., ICLR 2021, equation 2, whose
sign is kept. Deviation: gradient and Hessian are those of the mean loss over two halves of the batch. The score has a
sign, so it is no logarithm, and it grows with the scale of the loss.
"""

import math

import torch

from archlab.errors import ProxyError, four_parts
from archlab.proxy.passes import Subject

__all__ = ["grasp"]


def grasp(subject: Subject) -> float:
    """Score a network: −Σ θ · (H g) over the weights of convolutions and linear layers.

    Raises:
        ProxyError: When the sum is not finite, or no curvature is there.
    """
    found = subject.learning
    assert found.curvature is not None
    total = -sum(
        float(torch.dot(weight.double().flatten(), product.double().flatten()))
        for weight, product in zip(found.weights, found.curvature, strict=True)
    )
    if math.isfinite(total) and total != 0:
        return total
    raise ProxyError(
        four_parts(
            "grasp found no finite curvature of the loss",
            given=total,
            allowed="a number other than 0",
            do="choose another --proxy for this network",
        )
    )
