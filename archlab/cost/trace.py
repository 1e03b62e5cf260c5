"""Which operators does a network run, on which shapes? The one walk, on the meta device.

A spec is built and walked layer by layer: a layer with the same `BlockSpec` and input shape is walked once per `Memo`.
A module is walked whole, on a copy that holds no data; yours is left as it is.
"""

import contextlib
import copy
import functools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, cast
from unittest import mock

import torch
from torch import nn
from torch.nn import functional

from archlab.cost.rows import ConvAttrs, LayerTrace, OpRow, OpTrace, Segment, Shape
from archlab.cost.walk import walk
from archlab.errors import CostRuleError, SpecError, four_parts
from archlab.model.build import build_head, build_layer
from archlab.model.check import check
from archlab.spec import ArchSpec, HeadSpec

__all__ = [
    "ConvAttrs",
    "Memo",
    "OpRow",
    "OpTrace",
    "as_if_on_meta",
    "fused_attention",
    "on_meta",
    "trace",
    "trace_module",
]


class Memo:
    """Layers walked so far, so that an equal layer on an equal input is walked once; the oldest goes when it is full.

    Its keys are `(BlockSpec, input shape)`, for a classifier `((HeadSpec, classes), input shape)`; nothing is kept of a
    whole network. The whole shape: tokens are `(batch, width, tokens, 1)`, so their side says nothing of their number.
    """

    def __init__(self, max_layers: int = 4096) -> None:
        self._layers: dict[Hashable, LayerTrace] = {}
        self._max_layers = max_layers

    def __len__(self) -> int:
        return len(self._layers)

    def walk(self, key: Hashable, make: Callable[[], nn.Module], shape: Shape) -> LayerTrace:
        """Look a layer up, or make it on the meta device and walk it on an input of `shape`."""
        found = self._layers.get(key)
        if found is None:
            found = walk(make().eval(), [torch.empty(shape, device="meta")])
            if len(self._layers) >= self._max_layers:
                self._layers.pop(next(iter(self._layers)))
            self._layers[key] = found
        return found


_MEMO = Memo()


def trace(
    target: ArchSpec | nn.Module, *, resolution: int | None = None, batch: int = 1, memo: Memo | None = None
) -> OpTrace:
    """List every operator of a network at one input size.

    Args:
        target: A spec, or a module that takes images `(batch, 3, resolution, resolution)`.
        resolution: Input side; without it the spec's.
        batch: Images at once.
        memo: Layers of specs walked before; without one, those of this process.

    Raises:
        CostRuleError: For an operator without a rule.
        SpecError: For an impossible spec, or a module of which no resolution is known.
    """
    spec = target if isinstance(target, ArchSpec) else getattr(target, "spec", None)
    if isinstance(spec, ArchSpec) and resolution not in (None, spec.resolution):
        spec = spec.replace(resolution=resolution)
    side = spec.resolution if isinstance(spec, ArchSpec) else resolution
    if side is None:
        raise SpecError(
            four_parts(
                "no input size to trace at",
                given=f"a {type(target).__name__} without a spec",
                allowed="any side in pixels",
                do="give resolution=224, say",
            )
        )
    if isinstance(target, nn.Module):
        return trace_module(target, (batch, 3, side, side))
    assert isinstance(spec, ArchSpec)
    return _trace_spec(spec, batch, _MEMO if memo is None else memo)


def _trace_spec(spec: ArchSpec, batch: int, memo: Memo) -> OpTrace:
    check(spec)
    shape: Shape = (batch, 3, spec.resolution, spec.resolution)
    segments: list[Segment] = []
    first, source = 0, -1
    for path, key, make in _parts(spec):
        layer = memo.walk((key, shape), functools.partial(make, shape[1], shape[-1]), shape)
        segments.append(Segment(prefix=path, first=first, source=source, layer=layer))
        source = first + layer.output if layer.output >= 0 else source
        first += len(layer.rows)
        shape = layer.output_shape
    return OpTrace(
        segments=tuple(segments),
        params=sum(segment.layer.params for segment in segments),
        resolution=spec.resolution,
        batch=batch,
        digest=spec.digest,
    )


def _parts(spec: ArchSpec) -> Iterator[tuple[str, Hashable, Callable[[int, int], nn.Module]]]:
    """Module path, identity and maker (from input width and side) of every layer in order."""
    for path, block in spec.layers():
        yield path, block, functools.partial(build_layer, block)
    head, classes = spec.head, spec.classes
    if head is not None and classes > 0:
        yield "head", (head, classes), functools.partial(_head, head, classes)


def _head(head: HeadSpec, classes: int, width: int, side: int) -> nn.Module:
    with torch.device("meta"):
        return build_head(head, width, classes)


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
        empty = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
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


@contextlib.contextmanager
def fused_attention() -> Iterator[None]:
    """Keep a fused attention one row, as runtimes that have such a kernel run it; without, it falls apart.

    The row is torch's CPU kernel, whatever the device: its shapes and its counts are those of all the others.
    """
    with mock.patch.object(functional, "scaled_dot_product_attention", _attention):
        yield


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **_: object,
) -> torch.Tensor:
    """Attention over tensors `(…, tokens, width)` as one operator, which takes four axes."""
    lead = query.shape[:-2]
    flat = [_four_axes(x.expand(*lead, *x.shape[-2:])) for x in (query, key, value)]
    mask = None
    if attn_mask is not None and attn_mask.dim() <= 4:
        mask = attn_mask.to(query.dtype) if attn_mask.dtype == torch.bool else attn_mask
        mask = mask.unsqueeze(1) if mask.dim() == 3 else mask
    made = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*flat, 0.0, is_causal, attn_mask=mask)[0]
    return cast(torch.Tensor, made.reshape(*lead, *made.shape[-2:]))


def _four_axes(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dim() == 4:
        return tensor
    return tensor.unsqueeze(1) if tensor.dim() == 3 else tensor.flatten(0, -4)
