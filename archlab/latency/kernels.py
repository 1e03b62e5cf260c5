"""What kind of kernel is a group, and how much work is its anchor? The kinds that predictors tell apart.

- ``conv`` k×k, ``grouped`` (1 < groups < channels), ``depthwise``; a 1×1 convolution and a linear layer are both
  ``pointwise``. A linear layer whose inner or outer width is no multiple of 8 is ``pointwise_even``, of no multiple of
  2 ``pointwise_odd``: tensor cores take its operands only padded, which convolutions do by themselves.
- ``matmul`` a product of two activations, ``attention`` a fused product, softmax, product.
- ``norm`` a norm or softmax that a run of token operators holds; ``first_norm`` one that is the first after a spatial
  convolution or a rearrangement, where runtimes do not fuse it.
- ``elementwise``, ``reduce`` (pooling, means, resizing), ``copy`` (rearranging, concatenating, padding).
"""

import math

from archlab.cost.rows import OpRow
from archlab.latency.fusion import BATCH_NORMS

__all__ = ["KINDS", "MAP_KINDS", "TOKEN_KINDS", "depth", "is_folded", "kind_of", "padded_macs"]

KINDS = (
    "conv",
    "grouped",
    "depthwise",
    "pointwise",
    "pointwise_even",
    "pointwise_odd",
    "matmul",
    "attention",
    "norm",
    "first_norm",
    "elementwise",
    "reduce",
    "copy",
)

MAP_KINDS = {"conv", "grouped", "depthwise"}
"""Kinds that read and write maps; all others but `TOKEN_KINDS` take what comes."""

TOKEN_KINDS = {"norm", "first_norm", "matmul", "attention"}
"""Kinds that read and write tokens."""

_TILE = 8


def is_folded(row: OpRow) -> bool:
    """Whether the row's parameters are gone at inference."""
    return row.op in BATCH_NORMS


def kind_of(kind: str, anchor: OpRow) -> str:
    """Refine a group's kind by its anchor; a norm is ``norm`` here, whether it is a run's first is not known yet."""
    match kind:
        case "conv":
            return _conv_kind(anchor)
        case "linear":
            return _linear_kind(anchor)
        case "softmax":
            return "norm"
        case "pool":
            return "reduce"
        case _:
            return kind


def _conv_kind(row: OpRow) -> str:
    assert row.attrs is not None
    if row.attrs.groups > 1:
        return "depthwise" if row.inputs[1][1] == 1 else "grouped"
    return "pointwise" if math.prod(row.attrs.kernel) == 1 else "conv"


def _linear_kind(row: OpRow) -> str:
    """A product with one vector is no matrix product, so its alignment is no matter."""
    rows, depth, width = _product(row)
    if rows == 1 or depth == 1 or not (depth % _TILE or width % _TILE):
        return "pointwise"
    return "pointwise_odd" if depth % 2 or width % 2 else "pointwise_even"


def _product(row: OpRow) -> tuple[int, int, int]:
    """Rows, inner width and outer width of a linear layer or product, of the whole batch."""
    left = row.inputs[0] if row.op == "linear" else row.inputs[-2]
    return math.prod(left[:-1]), left[-1], row.outputs[0][-1]


def padded_macs(row: OpRow) -> int:
    """Multiply-adds with both channel widths rounded up to a multiple of 8, as tensor cores work; of a depthwise
    convolution or a product as they are."""
    if row.kind == "conv":
        out, weight = row.outputs[0], row.inputs[1]
        groups = row.attrs.groups if row.attrs is not None else 1
        positions = out[0] * math.prod(out[2:]) * groups
        return positions * _up(out[1] // groups) * _up(weight[1]) * math.prod(weight[2:])
    if row.kind == "linear":
        rows, depth, width = _product(row)
        return rows * _up(depth) * _up(width)
    return row.macs


def depth(row: OpRow) -> int:
    """Products that one output element of a convolution or linear layer sums: a kernel walks them one after another."""
    if row.kind == "conv":
        return math.prod(row.inputs[1][1:])
    return _product(row)[1] if row.kind == "linear" else 0


def _up(width: int) -> int:
    return -(-width // _TILE) * _TILE
