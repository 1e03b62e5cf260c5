"""Which operators of a network does a profiler time, and what decides how long each takes?

Two sorts. An operator with multiply-adds (convolution, linear layer, product) is one kernel in every runtime, so it is
described by itself, as an `Operator`. All else (norms, activations, rearranging, reorders between memory layouts) is
joined, split or dropped as the runtime likes, so of a layer it is only counted: how often, and how many elements.

Convention. `rows` are output positions or rows of a product, `depth` the channels that one output sums over (of one
group), `width` the output channels. A layer is worked out once and remembered.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping

from archlab.cost.rows import LayerTrace, OpRow, OpTrace
from archlab.latency.fusion import BATCH_NORMS, Fusion, fuse

__all__ = ["TAILS", "LayerOperators", "Light", "Operator", "operators"]

TAILS = ("", "relu", "hardswish", "sigmoid", "gelu", "add", "other")
"""What may follow an operator directly and run inside its kernel."""

_ALL_TAILS = Fusion(folds_norms=True, joins_tails=True, joins_attention=False)
"""Whatever follows directly is told from what stands alone; whether a runtime joins it, the times tell."""

_MIXING = {"softmax", "norm", "copy"}
_CACHE_LAYERS = 4096


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One operator with multiply-adds.

    `kind` is conv, grouped, depthwise, pointwise, vector (a convolution of one position), linear or product; `items`
    are products at once, `in_elems` what it reads of activations, `tail` one of `TAILS`.
    """

    kind: str
    items: int
    rows: int
    depth: int
    width: int
    kernel: int
    stride: int
    groups: int
    in_elems: int
    tail: str

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return self.items * self.rows * self.depth * self.width * self.kernel**2

    @property
    def out_elems(self) -> int:
        """Elements written."""
        return self.items * self.rows * self.width

    @property
    def weight_elems(self) -> int:
        """Elements of the weights; of a product, the second factor."""
        return self.items * self.depth * self.width * self.kernel**2


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Operators without multiply-adds of one name: how many, and the elements they read or write, the larger."""

    count: int
    elems: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerOperators:
    """The operators of one layer: those with multiply-adds in the order of execution, all others by name.

    A name is that of the operator, with ``conv+`` or ``matrix+`` before it where it follows a convolution or another
    product directly and may run inside its kernel; ``to map`` and ``to tokens`` are changes of the memory layout,
    ``view`` rearrangements that move nothing.
    """

    prefix: str
    heavy: tuple[Operator, ...]
    light: Mapping[str, Light]


def operators(trace: OpTrace) -> tuple[LayerOperators, ...]:
    """List the operators of a network, layer by layer; of a traced module it is one layer."""
    is_map = True
    found = []
    for segment in trace.segments:
        layer = _layer(segment.layer, is_map)
        found.append(LayerOperators(prefix=segment.prefix, heavy=layer.heavy, light=layer.light))
        is_map = layer.is_map
    return tuple(found)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found:
    heavy: tuple[Operator, ...]
    light: Mapping[str, Light]
    is_map: bool


_LAYERS: dict[tuple[int, bool], tuple[LayerTrace, _Found]] = {}
"""By identity of the layer's trace, which is kept alive beside it, so that an identity is never reused."""


def _layer(layer: LayerTrace, is_map: bool) -> _Found:
    key = (id(layer), is_map)
    if key not in _LAYERS:
        if len(_LAYERS) >= _CACHE_LAYERS:
            _LAYERS.pop(next(iter(_LAYERS)), None)
        _LAYERS[key] = (layer, _extract(layer, is_map))
    return _LAYERS[key][1]


def _extract(layer: LayerTrace, is_map: bool) -> _Found:
    rows = layer.rows
    counts: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    maps = _layouts(rows, is_map, counts)
    counts["view"][0] = sum(row.kind == "view" and not row.is_constant for row in rows)
    heavy: dict[int, Operator] = {}
    for group in fuse(rows, _ALL_TAILS)[0]:
        anchor = rows[group.rows[0]]
        tail = ""
        for i in group.rows:
            row = rows[i]
            if row.macs:
                continue
            where = "" if not anchor.macs else "conv+" if anchor.op == "convolution" else "matrix+"
            entry = counts[where + row.op]
            entry[0] += 1
            entry[1] += max(row.read_elems, row.write_elems)
            if anchor.macs and not tail and row.op not in BATCH_NORMS:
                tail = row.op if row.op in TAILS else "other"
        if anchor.macs:
            heavy[group.rows[0]] = _operator(anchor, tail)
    light = {name: Light(count=count, elems=elems) for name, (count, elems) in sorted(counts.items()) if count}
    return _Found(heavy=tuple(heavy[i] for i in sorted(heavy)), light=light, is_map=maps.get(layer.output, is_map))


def _layouts(rows: tuple[OpRow, ...], is_map: bool, counts: dict[str, list[int]]) -> dict[int, bool]:
    """Whether each row writes a map, in the blocked layout of convolutions; changes of layout go to `counts`."""
    maps = {-1: is_map}
    seen: set[tuple[int, bool]] = set()
    for i, row in enumerate(rows):
        if row.kind == "view" or row.is_constant:
            continue
        sources = [s for s in row.sources if s < 0 or not rows[s].is_constant]
        if row.macs:
            maps[i] = row.op == "convolution"
        elif row.kind in _MIXING and row.op not in BATCH_NORMS:
            maps[i] = False
        else:
            maps[i] = bool(sources) and maps.get(sources[0], False)
        for source in sources:
            if maps.get(source, maps[i]) != maps[i] and (source, maps[i]) not in seen:
                seen.add((source, maps[i]))
                entry = counts["to map" if maps[i] else "to tokens"]
                entry[0] += 1
                entry[1] += rows[source].write_elems if source >= 0 else math.prod(row.inputs[0])
    return maps


def _operator(row: OpRow, tail: str) -> Operator:
    return _convolution(row, tail) if row.attrs is not None else _product(row, tail)


def _convolution(row: OpRow, tail: str) -> Operator:
    assert row.attrs is not None
    image, weight, out = row.inputs[0], row.inputs[1], row.outputs[0]
    groups, positions = row.attrs.groups, math.prod(out[2:])
    kernel = round(math.sqrt(math.prod(row.attrs.kernel)))
    kind = "depthwise" if groups > 1 and weight[1] == 1 else "grouped" if groups > 1 else "conv"
    if groups == 1 and kernel == 1:
        kind = "vector" if positions == 1 else "pointwise"
    return Operator(
        kind=kind,
        items=out[0],
        rows=positions,
        depth=weight[1],
        width=out[1],
        kernel=kernel,
        stride=max(row.attrs.stride),
        groups=groups,
        in_elems=math.prod(image),
        tail=tail,
    )


def _product(row: OpRow, tail: str) -> Operator:
    out, depth = row.outputs[0], row.inputs[0 if row.op == "linear" else -2][-1]
    is_linear = row.kind == "linear"
    lead, width = (out[:-1], out[-1]) if len(out) > 1 else ((1,), out[-1])
    items = 1 if is_linear else math.prod(lead[:-1])
    rows = math.prod(lead) // items
    return Operator(
        kind="linear" if is_linear else "product",
        items=items,
        rows=rows,
        depth=depth,
        width=width,
        kernel=1,
        stride=1,
        groups=1,
        in_elems=items * rows * depth,
        tail=tail,
    )
