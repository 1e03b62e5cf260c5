"""The baselines that every proxy has to beat: parameters, multiply-adds, activations, as logarithms."""

import math

from torch import Tensor, nn

from archlab.cost.count import CostReport, count
from archlab.cost.trace import trace
from archlab.errors import ProxyError, four_parts
from archlab.model.build import Backbone

__all__ = ["log_activations", "log_macs", "log_params"]


def log_params(module: nn.Module, images_BCHW: Tensor, seed: int) -> float:
    """Natural logarithm of the number of parameters."""
    return _log(sum(parameter.numel() for parameter in module.parameters()), "parameters")


def log_macs(module: nn.Module, images_BCHW: Tensor, seed: int) -> float:
    """Natural logarithm of the multiply-adds for one image of the side shown."""
    return _log(_report(module, images_BCHW).macs, "multiply-adds")


def log_activations(module: nn.Module, images_BCHW: Tensor, seed: int) -> float:
    """Natural logarithm of the elements that all operators write for one image of the side shown."""
    return _log(_report(module, images_BCHW).activation_elems, "activations")


def _report(module: nn.Module, images_BCHW: Tensor) -> CostReport:
    side = images_BCHW.shape[-1]
    if isinstance(module, Backbone) and not module.features_only:
        return count(trace(module.spec, resolution=side))
    return count(trace(module, resolution=side))


def _log(value: int, what: str) -> float:
    if value <= 0:
        raise ProxyError(
            four_parts(f"a network without {what} has no size", given=value, allowed="1 or more", do="add layers")
        )
    return math.log(value)
