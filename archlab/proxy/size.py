"""The baselines that every proxy has to beat: parameters, multiply-adds, activations, as logarithms."""

import functools
import math

from archlab.cost.count import CostReport, count
from archlab.cost.rows import OpTrace
from archlab.cost.trace import trace
from archlab.errors import ProxyError, four_parts
from archlab.proxy.passes import Subject
from archlab.spec import ArchSpec

__all__ = ["counted", "log_activations", "log_macs", "log_macs_of_spec", "log_params", "traced"]


def log_params(subject: Subject) -> float:
    """Natural logarithm of the number of parameters."""
    if subject.spec is not None:
        return _log(counted(subject.spec).params, "parameters")
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
    return _log(counted(subject.spec).macs, "multiply-adds")


def _report(subject: Subject) -> CostReport:
    side = subject.images_BCHW.shape[-1]
    if subject.spec is not None and subject.spec.resolution == side:
        return counted(subject.spec)
    return subject.counts


@functools.lru_cache(maxsize=8)
def counted(spec: ArchSpec) -> CostReport:
    """Counts of a network at the resolution of its spec; several scores of one network ask for the same."""
    return count(traced(spec))


@functools.lru_cache(maxsize=8)
def traced(spec: ArchSpec) -> OpTrace:
    """The operators of a network at the resolution of its spec, walked once."""
    return trace(spec)


def _log(value: int, what: str) -> float:
    if value <= 0:
        raise ProxyError(
            four_parts(f"a network without {what} has no size", given=value, allowed="1 or more", do="add layers")
        )
    return math.log(value)
