"""How do the calls that only move elements read in ONNX? One function per call, all in one table.

The rules are those of `export_ops`, whose table takes this one in.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from archlab.model.export_graph import Graph, UnwrittenError

__all__ = ["MOVERS", "twin"]

Writer = Callable[..., Any]


def twin(x: Tensor) -> Tensor:
    """The tensor on the meta device that has the shape and type of `x`."""
    return x if x.is_meta else torch.empty_like(x, device="meta")


def _reshaped(function: Callable[..., Tensor]) -> Writer:
    def write(graph: Graph, x: Tensor, *sizes: Any, **options: Any) -> Tensor:
        result = function(x, *sizes, **options)
        if result is x:
            return x
        return graph.write("Reshape", [graph.read(x), graph.ints(result.shape)], result)

    return write


def _permute(graph: Graph, x: Tensor, *dims: Any) -> Tensor:
    order = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return graph.write("Transpose", [graph.read(x)], x.permute(*order), perm=[d % x.dim() for d in order])


def _transpose(graph: Graph, x: Tensor, dim0: int, dim1: int) -> Tensor:
    order = list(range(x.dim()))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _permute(graph, x, order)


def _split(graph: Graph, x: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    parts = tuple(x.split(split_size, dim))
    graph.write_all("Split", [graph.read(x), graph.ints([p.shape[dim] for p in parts])], parts, axis=dim)
    return parts


def _unbind(graph: Graph, x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    parts = _split(graph, x, 1, dim)
    return tuple(graph.write("Squeeze", [graph.read(p), graph.ints([dim])], p.squeeze(dim)) for p in parts)


def _cat(graph: Graph, tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    result = torch.cat([twin(x) for x in tensors], dim)
    return graph.write("Concat", [graph.read(x) for x in tensors], result, axis=dim)


def _pad(graph: Graph, x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """torch names the last axis first, before and after; ONNX all befores, then all afters."""
    if mode != "constant" or min(pad) < 0:
        raise UnwrittenError(f"padding {mode}")
    rest = [0] * (x.dim() - len(pad) // 2)
    before, after = rest + list(pad[-2::-2]), rest + list(pad[::-2])
    inputs = [graph.read(x), graph.ints(before + after), graph.scalar(value or 0.0, x)]
    return graph.write("Pad", inputs, functional.pad(x, list(pad), value=value), mode="constant")


def _roll(graph: Graph, x: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Per axis: what falls off at one end joins at the other."""
    if dims is None:
        raise UnwrittenError("a roll of the flattened tensor")
    steps, axes = ((v,) if isinstance(v, int) else tuple(v) for v in (shifts, dims))
    for step, axis in zip(steps, axes, strict=True):
        cut = -step % x.shape[axis]
        if cut:
            before = (slice(None),) * (axis % x.dim())
            parts = [_getitem(graph, x, (*before, part)) for part in (slice(cut, None), slice(0, cut))]
            x = _cat(graph, parts, axis)
    return x


def _getitem(graph: Graph, x: Tensor, index: Any) -> Tensor:
    """Slices and whole numbers, as a Slice or Gather per axis."""
    places = list(index) if isinstance(index, tuple) else [index]
    if not all(isinstance(p, int | slice) for p in places):
        raise UnwrittenError("an index other than numbers and slices")
    axis = 0
    for place in places:
        if isinstance(place, int):
            at = graph.read(torch.tensor(place % x.shape[axis]))
            x = graph.write("Gather", [graph.read(x), at], x.select(axis, place), axis=axis)
            continue
        start, stop, step = place.indices(x.shape[axis])
        if (start, stop, step) != (0, x.shape[axis], 1):
            inputs = [graph.read(x), *(graph.ints([n]) for n in (start, stop, axis, step))]
            x = graph.write("Slice", inputs, x[(slice(None),) * axis + (place,)])
        axis += 1
    return x


MOVERS: dict[Any, Writer] = {
    torch.cat: _cat,
    functional.pad: _pad,
    Tensor.reshape: _reshaped(Tensor.reshape),
    Tensor.view: _reshaped(Tensor.view),
    Tensor.flatten: _reshaped(Tensor.flatten),
    Tensor.unflatten: _reshaped(Tensor.unflatten),
    Tensor.permute: _permute,
    Tensor.transpose: _transpose,
    Tensor.split: _split,
    Tensor.unbind: _unbind,
    Tensor.__getitem__: _getitem,
    torch.roll: _roll,
}
"""Call → how it is written."""
