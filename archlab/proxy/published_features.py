"""What is a network made of? One row of numbers per network, for the prediction of its published accuracy.

Convention. Everything is read off the op trace of one image, so that a spec and any other traced module are described
alike; views and what no input reaches are left out. A level is how often the side of the map was halved: 1 for half the
input's side or more, 5 for a thirty-second or less. An operator on tokens has the side of a square with as many tokens;
one on a single position (squeeze-excitation, classifier) has no level. Attention counts by its multiply-adds and its
softmax, so that fused and spelled-out attention differ in no more than `attentions` and `log_spatial`. `scaled` is what
is multiplied by a parameter (the layer scale of a residual branch), `multiplied` by another map.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from archlab.cost.rows import OpRow, OpTrace, Shape

__all__ = ["NAMES", "described"]

Floats = npt.NDArray[np.float64]

_LEVELS = 5
_MIXERS = ("pointwise", "dense", "grouped", "depthwise", "attention")
_ACTIVATIONS = ("relu", "gelu", "silu", "hardswish", "other")
_NORMS = {"native_batch_norm": "batch", "native_layer_norm": "layer", "native_group_norm": "group"}
_OTHERS = ("multiplied", "scaled", "joined")
_WEIGHTED = ("conv", "depthwise", "linear")


@dataclasses.dataclass
class _Level:
    """Convolutions and linear layers at one level; `streams` are the widths of its residual additions."""

    macs: float = 0.0
    params: int = 0
    written: int = 0
    widths: list[int] = dataclasses.field(default_factory=list)
    streams: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class _Sums:
    """What the rows of a trace add up to, in the order of execution.

    `reach` is 1 plus how far convolutions look beyond one position, in sides of the input; `single_params` are those
    of layers on a single position; `elems` adds up what light operators write, by what they are.
    """

    side: int
    levels: list[_Level]
    macs: dict[str, float]
    elems: dict[str, float]
    kernels: list[float] = dataclasses.field(default_factory=list)
    stem: tuple[int, int, int] | None = None
    level: int = 1
    tokens_last: int = 1
    reach: float = 1.0
    single_params: int = 0
    head: tuple[int, int] = (0, 0)
    gates: int = 0
    attentions: int = 0
    residuals: int = 0
    pools: int = 0
    norms: int = 0


def described(trace: OpTrace) -> Floats:
    """Describe a network by `NAMES`, `(len(NAMES),)`; logarithms are natural."""
    return np.array([value for _, value in _numbers(trace)])


def _numbers(trace: OpTrace) -> Iterator[tuple[str, float]]:
    sums = _summed(trace)
    layers = sum(len(level.widths) for level in sums.levels) or 1
    yield from _sizes(sums, trace, layers)
    yield from _parts(sums, layers)
    yield from _shape(sums)


def _summed(trace: OpTrace) -> _Sums:
    sums = _Sums(
        side=int(trace.resolution or 0),
        levels=[_Level() for _ in range(_LEVELS)],
        macs=dict.fromkeys(_MIXERS, 0.0),
        elems=dict.fromkeys((*_ACTIVATIONS, *_NORMS.values(), *_OTHERS), 0.0),
    )
    for row in trace.rows:
        if row.kind != "view" and not row.is_constant:
            _ADD.get(row.kind, _add_light)(sums, row)
    return sums


def _depth(trace: OpTrace) -> int:
    """Most convolutions and linear layers, on more than one position, that follow each other."""
    depths: list[int] = []
    for row in trace.rows:
        below = max((depths[source] for source in row.sources if source >= 0), default=0)
        depths.append(below + (row.kind in _WEIGHTED and _positions(row) > 1))
    return max(depths, default=0)


def _positions(row: OpRow) -> int:
    """Output positions of a convolution or linear layer, windows and images together."""
    shape = row.outputs[0]
    return math.prod(shape[:-1]) if row.kind == "linear" else math.prod(shape[2:])


def _add_conv(sums: _Sums, row: OpRow) -> None:
    assert row.attrs is not None
    if _positions(row) == 1:
        sums.single_params += row.params
        return
    kernel, width = math.prod(row.attrs.kernel), row.outputs[0][1]
    sums.stem = sums.stem or (max(row.attrs.kernel), max(row.attrs.stride), width)
    _place(sums, row, width)
    if kernel == 1:
        mixer = "pointwise"
    elif row.kind == "depthwise":
        mixer = "depthwise"
    else:
        mixer = "dense" if row.attrs.groups == 1 else "grouped"
    sums.macs[mixer] += row.macs
    if kernel > 1:
        sums.kernels.append(math.sqrt(kernel))
        sums.reach += (math.sqrt(kernel) - 1) * 2.0**sums.level / sums.side


def _add_linear(sums: _Sums, row: OpRow) -> None:
    if _positions(row) == 1:
        sums.single_params += row.params
        sums.head = row.inputs[-2][-1], row.params
        return
    _place(sums, row, row.outputs[0][-1])
    sums.macs["pointwise"] += row.macs


def _place(sums: _Sums, row: OpRow, width: int) -> None:
    halved = math.log2(max(sums.side / math.sqrt(_positions(row)), 1))
    sums.level = min(max(round(halved), 1), _LEVELS)
    sums.tokens_last = _positions(row)
    level = sums.levels[sums.level - 1]
    level.macs += row.macs
    level.params += row.params
    level.written += math.prod(row.outputs[0])
    level.widths.append(width)


def _add_product(sums: _Sums, row: OpRow) -> None:
    sums.macs["attention"] += row.macs
    sums.levels[sums.level - 1].macs += row.macs


def _add_activation(sums: _Sums, row: OpRow) -> None:
    if row.op in ("sigmoid", "hardsigmoid") and not _is_map(row.outputs[0]):
        sums.gates += 1
    else:
        sums.elems[row.op if row.op in _ACTIVATIONS else "other"] += math.prod(row.outputs[0])


def _add_light(sums: _Sums, row: OpRow) -> None:
    shape: Shape = row.outputs[0] if row.outputs else ()
    elems, is_map = math.prod(shape), _is_map(shape)
    is_binary = is_map and len(row.sources) == 2 and row.inputs[0] == row.inputs[1]
    if row.op in _NORMS:
        sums.norms += 1
        sums.elems[_NORMS[row.op]] += elems
    elif row.op == "add" and is_binary:
        sums.residuals += 1
        sums.levels[sums.level - 1].streams.append(shape[1] if len(shape) == 4 else shape[-1])
    elif row.op == "mul" and is_binary:
        sums.elems["multiplied"] += elems
    elif row.op == "mul" and row.params:
        sums.elems["scaled"] += elems
    elif row.op == "cat" and is_map:
        sums.elems["joined"] += elems


def _add_softmax(sums: _Sums, row: OpRow) -> None:
    sums.attentions += 1


def _add_pool(sums: _Sums, row: OpRow) -> None:
    sums.pools += 1


def _is_map(shape: Shape) -> bool:
    """Three or more axes and more than one position."""
    return len(shape) >= 3 and math.prod(shape[2:] if len(shape) == 4 else shape[:-1]) > 1


_ADD: dict[str, Callable[[_Sums, OpRow], None]] = {
    "conv": _add_conv,
    "depthwise": _add_conv,
    "linear": _add_linear,
    "matmul": _add_product,
    "activation": _add_activation,
    "softmax": _add_softmax,
    "pool": _add_pool,
}


def _sizes(sums: _Sums, trace: OpTrace, layers: int) -> Iterator[tuple[str, float]]:
    """How large: multiply-adds, parameters (`body`: without the classifier), elements written, depth."""
    macs, written = sum(sums.macs.values()) or 1.0, sum(level.written for level in sums.levels) or 1
    body = max(trace.params - sums.head[1], 1)
    yield "log_macs", math.log(macs)
    yield "log_params", math.log(max(trace.params, 1))
    yield "log_body", math.log(body)
    yield "log_written", math.log(written)
    yield "log_side", math.log(sums.side)
    yield "log_depth", math.log1p(_depth(trace))
    yield "log_layers", math.log1p(layers)
    yield "log_residuals", math.log1p(sums.residuals)
    yield "log_spatial", math.log1p(len(sums.kernels) + sums.attentions)
    yield "log_macs_per_param", math.log(macs / body)
    yield "log_written_per_macs", math.log(written / macs)
    yield "log_written_per_layer", math.log(written / layers)
    yield "log_tokens_last", math.log(sums.tokens_last)
    yield "log_head_inputs", math.log1p(sums.head[0])
    yield "head_share", sums.head[1] / max(trace.params, 1)
    yield "single_share", (sums.single_params - sums.head[1]) / body
    for at, level in enumerate(sums.levels, 1):
        yield f"params_{at}", level.params / body


def _parts(sums: _Sums, layers: int) -> Iterator[tuple[str, float]]:
    """What of: multiply-adds by what mixes, light operators per element that a layer writes or per layer."""
    macs, written = sum(sums.macs.values()) or 1.0, sum(level.written for level in sums.levels) or 1
    for mixer in _MIXERS:
        yield f"share_{mixer}", sums.macs[mixer] / macs
    for name, elems in sums.elems.items():
        yield f"elems_{name}", elems / written
    yield "elems_activation", sum(sums.elems[name] for name in _ACTIVATIONS) / written
    yield "gates", sums.gates / layers
    yield "pools", sums.pools / layers
    yield "norms", sums.norms / layers
    yield "attentions", sums.attentions / layers
    yield "has_attention", float(sums.macs["attention"] > 0)
    yield "residuals", sums.residuals / layers
    yield "spatial", len(sums.kernels) / layers
    yield "kernel", float(np.mean(sums.kernels)) if sums.kernels else 1.0
    yield "log_reach", math.log(sums.reach)


def _shape(sums: _Sums) -> Iterator[tuple[str, float]]:
    """In what shape: the stem, where the work is done, widths of layers and of the residual stream."""
    macs, written = sum(sums.macs.values()) or 1.0, sum(level.written for level in sums.levels) or 1
    kernel, stride, width = sums.stem or (0, 0, 0)
    widths = [width for level in sums.levels for width in level.widths] or [1]
    stream = max((width for level in sums.levels for width in level.streams), default=0)
    yield "stem_kernel", kernel
    yield "stem_stride", stride
    yield "log_stem_width", math.log1p(width)
    yield "level_of_macs", sum(at * level.macs for at, level in enumerate(sums.levels, 1)) / macs
    yield "level_of_layers", sum(at * len(level.widths) for at, level in enumerate(sums.levels, 1)) / len(widths)
    for at, level in enumerate(sums.levels, 1):
        yield f"macs_{at}", level.macs / macs
        yield f"written_{at}", level.written / written
        yield f"log_layers_{at}", math.log1p(len(level.widths))
        if at > 1:
            yield f"log_width_{at}", math.log1p(float(np.mean(level.widths))) if level.widths else 0.0
    yield "log_stream", math.log1p(stream)
    yield "log_width", math.log1p(float(np.mean(widths)))
    yield "log_expansion", math.log(max(widths) / stream) if stream else 0.0


_EMPTY = OpTrace(segments=(), params=0, resolution=1, batch=1)

NAMES: tuple[str, ...] = tuple(name for name, _ in _numbers(_EMPTY))
"""What the numbers are: sizes as logarithms, shares of the multiply-adds, elements per written element."""
