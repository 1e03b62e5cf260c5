"""Fisher: how much the loss depends on each channel of the activations.

Source: L. Theis et al., "Faster gaze prediction with dense networks and Fisher pruning", 2018, equation 8, for
channels; J. Turner et al., "BlockSwap", ICLR 2020, equation 2; as a score: M. Abdelfattah et al., ICLR 2021,
equation 3. As in the latter's code, channels are those of the outputs of convolutions and linear layers, and a
channel counts once for each weight that makes it. Deviations: the logarithm of the sum; the mean over images runs
over two halves of the batch, whose losses are means of half as many images; the channels of a linear layer are its
last axis, also where it is applied to every position.
"""

import torch
from torch import Tensor, nn

from archlab.proxy.answer import log_of
from archlab.proxy.passes import Subject

__all__ = ["fisher"]


def fisher(subject: Subject) -> float:
    """Score a network: log Σ over channels of (weights) · ½ · mean over images of (Σ over positions of a · ∂L/∂a)².

    Raises:
        ProxyError: When no gradient arrives, or it is not finite.
    """
    total = sum(_layer(layer, product_BC) for half in subject.learning.channels for layer, product_BC in half)
    return log_of(total, "fisher", "information")


def _layer(layer: nn.Module, product_BC: Tensor) -> float:
    """One layer on one half."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    per_channel_C = 0.5 * torch.square(product_BC.double()).mean(dim=0)
    return float(per_channel_C.sum()) * layer.weight[0].numel()
