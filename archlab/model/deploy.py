"""Make a trained network ready to run: fold what is constant, keep the outputs."""

import copy
from typing import TypeVar

import torch
from torch import nn

from archlab.model.layers import Foldable

__all__ = ["deploy"]

Module = TypeVar("Module", bound=nn.Module)


@torch.no_grad()
def deploy(module: Module) -> Module:
    """Copy a network in evaluation mode with everything folded that folds exactly.

    BatchNorm goes into the convolution or linear layer beside it, layer scale into the layer before it, relative
    biases are gathered and Fourier positions projected once. LayerNorm stays, and so does a BatchNorm whose output
    feeds a skip. The given module is left as it is.
    """
    deployed = copy.deepcopy(module).eval()
    for part in reversed(list(deployed.modules())):
        if isinstance(part, Foldable):
            part.fold()
    for parameter in deployed.parameters():
        parameter.requires_grad_(False)
    return deployed
