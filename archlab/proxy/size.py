"""The baselines that every proxy has to beat: how many parameters, how many multiply-adds."""

import math

from torch import Tensor, nn

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.errors import ProxyError, four_parts

__all__ = ["log_macs", "log_params"]


def log_params(module: nn.Module, images_BCHW: Tensor, seed: int) -> float:
    """Natural logarithm of the number of parameters."""
    return _log(sum(parameter.numel() for parameter in module.parameters()), "parameters")


def log_macs(module: nn.Module, images_BCHW: Tensor, seed: int) -> float:
    """Natural logarithm of the multiply-adds for one image of the side shown (`design`'s counting convention)."""
    return _log(count(trace(module, resolution=images_BCHW.shape[-1])).macs, "multiply-adds")


def _log(value: int, what: str) -> float:
    if value <= 0:
        raise ProxyError(
            four_parts(f"a network without {what} has no size", given=value, allowed="1 or more", do="add layers")
        )
    return math.log(value)
