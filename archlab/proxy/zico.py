"""ZiCo: are the gradients of different batches large and alike?

Source: G. Li, Y. Yang, K. Bhardwaj, R. Marculescu, "ZiCo: zero-shot NAS via inverse coefficient of variation on
gradients", ICLR 2023, equation 10. The batches are the two halves of the images.
"""

import math

import torch
from torch import Tensor

from archlab.errors import ProxyError, four_parts
from archlab.proxy.learning import HALVES
from archlab.proxy.passes import Subject

__all__ = ["zico"]


def zico(subject: Subject) -> float:
    """Score a network: Σ over layers of log Σ over weights of mean |g| / deviation of g, both over the batches.

    Weights whose gradient is the same in all batches are left out, as in the paper's code.

    Raises:
        ProxyError: When no gradient varies, or there are not two batches.
    """
    batches = subject.learning.gradients
    ratios = [_ratio(*halves) for halves in zip(*batches, strict=True)] if len(batches) == HALVES else []
    positive = [ratio for ratio in ratios if ratio > 0]
    if not positive:
        raise ProxyError(
            four_parts(
                "zico found no gradient that differs between batches",
                given=f"{len(ratios)} layers, {len(batches)} batches",
                allowed="at least one layer, and two batches",
                do="choose another --proxy for this network",
            )
        )
    return math.fsum(math.log(ratio) for ratio in positive)


def _ratio(first: Tensor, second: Tensor) -> float:
    """Sum over a layer's weights of mean / deviation, which for two values is (|a| + |b|) / |a − b|.

    That is |a + b| / |a − b|, or 1 where the signs differ.
    """
    ratio = (first + second).div_(first - second).abs_().clamp_(min=1).nan_to_num_(nan=0.0, posinf=0.0)
    return float(ratio.sum(dtype=torch.float64))
