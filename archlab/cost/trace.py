"""Which operators does a network run, on which shapes? The one walk, on the meta device.

A spec is built and walked layer by layer: a layer with the same `BlockSpec`, input width, input side and batch is
walked once per `Memo`. A module is walked whole, on a copy that holds no data; yours is left as it is.
"""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import torch
from torch import nn

from archlab.cost.rows import ConvAttrs, OpRow, OpTrace, Segment
from archlab.cost.walk import walk
from archlab.errors import CostRuleError, SpecError, four_parts
from archlab.spec import ArchSpec

__all__ = ["ConvAttrs", "OpRow", "OpTrace", "as_if_on_meta", "on_meta", "trace", "trace_module"]


def trace(target: ArchSpec | nn.Module, *, resolution: int | None = None, batch: int = 1) -> OpTrace:
    """List every operator of a network at one input size.

    Args:
        target: A spec, or a module that takes images `(batch, 3, resolution, resolution)`.
        resolution: Input side; without it the spec's.
        batch: Images at once.

    Raises:
        CostRuleError: For an operator without a rule.
        SpecError: For an impossible spec, or a module of which no resolution is known.
    """
    spec = target if isinstance(target, ArchSpec) else getattr(target, "spec", None)
    side = resolution or (spec.resolution if isinstance(spec, ArchSpec) else None)
    if side is None:
        raise SpecError(
            four_parts(
                "no input size to trace at",
                given=f"a {type(target).__name__} without a spec",
                allowed="any side in pixels",
                do="give resolution=224, say",
            )
        )
    assert isinstance(target, nn.Module), "specs come with the next change"
    return trace_module(target, (batch, 3, side, side))


def trace_module(module: nn.Module, *shapes: Sequence[int]) -> OpTrace:
    """List every operator of a module called with one input per shape.

    Raises:
        CostRuleError: For an operator without a rule, or a network that needs data to choose its way.
    """
    inputs = [torch.empty(tuple(shape), device="meta") for shape in shapes]
    try:
        with as_if_on_meta():
            layer = walk(on_meta(module), inputs)
    except (RuntimeError, NotImplementedError) as error:
        raise CostRuleError(
            four_parts(
                f"{type(module).__name__} cannot be walked without data",
                given=f"input {tuple(shapes[0])}: {str(error)[:200]}",
                allowed="networks that run on the meta device at this input size",
                do="try another resolution, or a module whose way does not depend on values",
            )
        ) from error
    side = shapes[0][-1] if len(shapes[0]) == 4 else None
    segment = Segment(prefix="", first=0, source=-1, layer=layer)
    return OpTrace(segments=(segment,), params=layer.params, resolution=side, batch=shapes[0][0])


def on_meta(module: nn.Module) -> nn.Module:
    """Copy a module to eval mode with parameters and buffers that have shapes and no data."""
    memo: dict[int, object] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(module, memo).eval()


@contextlib.contextmanager
def as_if_on_meta() -> Iterator[None]:
    """Make what foreign code creates on the fly land on the meta device, and let it ask for autocast there.

    torch knows no autocast for the meta device, not even a disabled one; there is nothing to cast.
    """
    with torch.device("meta"), mock.patch.object(torch, "autocast", _Autocast):
        yield


class _Autocast(torch.autocast):
    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu" if device_type == "meta" else device_type, *args, **kwargs)
