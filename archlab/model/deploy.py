"""Make a trained network ready to run: fold what is constant, keep the outputs."""

import copy
from typing import TypeVar

import torch
from torch import nn

from archlab.model.layers import Foldable

__all__ = ["deploy", "fold"]

Module = TypeVar("Module", bound=nn.Module)


def deploy(module: Module) -> Module:
    """Copy a network as `fold` makes it; the given module is left as it is."""
    return fold(copy.deepcopy(module))


@torch.no_grad()
def fold(module: Module) -> Module:
    """Put a network into evaluation mode with everything folded that folds exactly; changes the module and gives it.

    BatchNorm goes into the convolution or linear layer beside it, layer scale into the layer before it, relative
    biases are gathered and Fourier positions projected once. LayerNorm stays, and so does a BatchNorm whose output
    feeds a skip.
    """
    for part in reversed(list(module.eval().modules())):
        if isinstance(part, Foldable):
            part.fold()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module
