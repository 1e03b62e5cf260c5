"""The baselines that every proxy has to beat: parameters, multiply-adds, activations, as logarithms."""

import math

from archlab.cost.count import CostReport, count
from archlab.cost.trace import trace
from archlab.errors import ProxyError, four_parts
from archlab.model.build import Backbone
from archlab.proxy.passes import Subject

__all__ = ["log_activations", "log_macs", "log_macs_of_spec", "log_params"]


def log_params(subject: Subject) -> float:
    """Natural logarithm of the number of parameters."""
    return _log(sum(parameter.numel() for parameter in subject.module.parameters()), "parameters")


def log_macs(subject: Subject) -> float:
    """Natural logarithm of the multiply-adds for one image of the side shown."""
    return _log(_report(subject).macs, "multiply-adds")


def log_activations(subject: Subject) -> float:
    """Natural logarithm of the elements that all operators write for one image of the side shown."""
    return _log(_report(subject).activation_elems, "activations")


def log_macs_of_spec(subject: Subject) -> float:
    """Natural logarithm of the multiply-adds at the resolution of the spec, whatever the side shown."""
    if subject.spec is None:
        return log_macs(subject)
    return _log(count(trace(subject.spec)).macs, "multiply-adds")


def _report(subject: Subject) -> CostReport:
    module, side = subject.module, subject.images_BCHW.shape[-1]
    if isinstance(module, Backbone) and not module.features_only:
        return count(trace(module.spec, resolution=side))
    return count(trace(module, resolution=side))


def _log(value: int, what: str) -> float:
    if value <= 0:
        raise ProxyError(
            four_parts(f"a network without {what} has no size", given=value, allowed="1 or more", do="add layers")
        )
    return math.log(value)
