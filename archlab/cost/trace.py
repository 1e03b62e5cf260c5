"""Which operators does a network run, on which shapes? The one walk, on the meta device.

A spec is built and walked layer by layer: a layer with the same `BlockSpec`, input width, input side and batch is
walked once per `Memo`. A module is walked whole, on a copy that holds no data; yours is left as it is.
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from archlab.cost.rows import ConvAttrs, LayerTrace, OpRow, OpTrace, Segment
from archlab.cost.walk import walk
from archlab.errors import SpecError, four_parts
from archlab.spec import ArchSpec

__all__ = ["ConvAttrs", "OpRow", "OpTrace", "trace", "trace_module"]


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
    """List every operator of a module called with one input per shape."""
    layer = walk(_on_meta(module), [torch.empty(tuple(shape), device="meta") for shape in shapes])
    side = shapes[0][-1] if len(shapes[0]) == 4 else None
    return _whole(layer, resolution=side, batch=shapes[0][0])


def _whole(layer: LayerTrace, *, resolution: int | None, batch: int) -> OpTrace:
    segment = Segment(prefix="", first=0, source=-1, layer=layer)
    return OpTrace(segments=(segment,), params=layer.params, resolution=resolution, batch=batch)


def _on_meta(module: nn.Module) -> nn.Module:
    """A copy in eval mode whose parameters and buffers have shapes and no data."""
    memo: dict[int, object] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(module, memo).eval()
