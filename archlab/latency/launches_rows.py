"""The kinds of kernels that a framework starts, what is known of one, and the shapes of its products.

- ``conv`` k×k, ``pointwise`` 1×1, ``grouped``, ``depthwise`` convolutions; ``linear``, ``matmul`` (two activations),
  ``attention`` (one fused kernel).
- ``batch_norm``, ``layer_norm``, ``group_norm``, ``softmax``, ``activation``, ``elementwise``; ``broadcast`` where one
  operand is smaller than the result; ``reduce``, ``pool``, ``resize``, ``copy``, ``cat``.
- ``move``: a copy into another order, also the one that a library makes by itself. ``cast``: into another precision, or
  weights into the order that a library wants. ``bias``: the sum after a convolution that a library leaves out.
"""

import collections
import dataclasses
import math
from collections.abc import Iterable

from archlab.cost.rows import OpRow

__all__ = [
    "LAUNCH_COLUMNS",
    "LAUNCH_KINDS",
    "Launch",
    "is_attention",
    "is_library_call",
    "is_recurrent_step",
    "product",
    "recurrent",
]

LAUNCH_KINDS = (
    "conv",
    "pointwise",
    "grouped",
    "depthwise",
    "linear",
    "matmul",
    "attention",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "softmax",
    "activation",
    "elementwise",
    "broadcast",
    "reduce",
    "pool",
    "resize",
    "copy",
    "cat",
    "move",
    "cast",
    "bias",
)

_RECURRENT = 8
"""So many products with weights that were read before make a module recurrent."""

_PRODUCTS = {"convolution", "addmm", "mm", "bmm", "baddbmm", "addbmm", "linear", "mv", "addmv"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """One kernel. `area` is that of a convolution's kernel, or how many elements become one; `positions` those of a
    map, or the rows of one product; `is_inner` says that channels are innermost in memory (of a compiled layer norm,
    that a convolution reads it), `is_wide` that elements have more bytes than the run's precision. Of a compiled loop,
    `steps` are its elementary operations, `joined` the operators in it, `moved` the elements that change their order,
    `operands` the values that it reads."""

    kind: str
    macs: float = 0
    rows: float = 0
    width: float = 0
    depth: float = 0
    copies: float = 1
    area: float = 1
    stride: float = 1
    positions: float = 0
    read_bytes: float = 0
    write_bytes: float = 0
    weight_bytes: float = 0
    is_inner: bool = False
    is_wide: bool = False
    steps: float = 0
    joined: float = 0
    moved: float = 0
    operands: float = 0

    def numbers(self) -> tuple[float, ...]:
        """The values of `LAUNCH_COLUMNS` after the count."""
        return tuple([float(getattr(self, name)) for name in _FIELDS])


_FIELDS = tuple(field.name for field in dataclasses.fields(Launch) if field.name != "kind")
LAUNCH_COLUMNS = ("count", *_FIELDS)


def is_attention(row: OpRow) -> bool:
    """Whether the row is a fused attention."""
    return row.op.startswith("_scaled_dot_product")


def is_library_call(row: OpRow) -> bool:
    """Whether a library multiplies here: a convolution, a product, a fused attention."""
    return row.op in _PRODUCTS or is_attention(row)


def recurrent(rows: Iterable[OpRow]) -> set[str]:
    """Modules that apply the same weights time after time: libraries run their steps without kernels in between."""
    again = collections.Counter(row.module for row in rows if row.kind == "linear" and row.weight_elems > row.params)
    return {module for module, times in again.items() if times >= _RECURRENT}


def is_recurrent_step(row: OpRow, modules: set[str]) -> bool:
    """Whether the row is part of such a step and no product."""
    return row.module in modules and row.kind in ("elementwise", "activation", "copy")


def product(row: OpRow, images: int, bytes_per_elem: int) -> Launch:
    """The kernel of a convolution, product or attention for so many images, all elements of one size in bytes."""
    make = _conv if row.op == "convolution" else _attention if is_attention(row) else _linear_or_matmul
    return dataclasses.replace(
        make(row, images),
        macs=row.macs * images,
        read_bytes=bytes_per_elem * max(0, row.read_elems - row.weight_elems) * images,
        write_bytes=bytes_per_elem * math.prod(row.outputs[0]) * images,
        weight_bytes=bytes_per_elem * row.weight_elems,
    )


def _linear_or_matmul(row: OpRow, images: int) -> Launch:
    out, left = row.outputs[0], row.inputs[0] if row.op == "linear" else row.inputs[-2]
    if row.kind == "linear":
        rows = math.prod(left[:-1])
        return Launch(kind="linear", rows=images * rows, width=out[-1], depth=left[-1], positions=rows)
    copies, rows = images * math.prod(out[:-2]), left[-2] if len(left) > 1 else 1
    return Launch(kind="matmul", rows=rows * copies, width=out[-1], depth=left[-1], copies=copies, positions=rows)


def _conv(row: OpRow, images: int) -> Launch:
    assert row.attrs is not None
    groups, area = row.attrs.groups, math.prod(row.attrs.kernel)
    width, depth = row.inputs[1][0], row.inputs[1][1]
    positions = math.prod(row.outputs[0][2:])
    kind = "pointwise" if area == 1 else "conv"
    if groups > 1:
        kind = "depthwise" if depth == 1 else "grouped"
    return Launch(
        kind=kind,
        rows=images * row.outputs[0][0] * positions,
        width=width // groups,
        depth=depth * area,
        copies=groups,
        area=area,
        stride=max(row.attrs.stride),
        positions=positions,
    )


def _attention(row: OpRow, images: int) -> Launch:
    """`is_inner` says here that the scores get a tensor added."""
    query, key = row.inputs[:2]
    return Launch(
        kind="attention",
        rows=images * math.prod(query[:-1]),
        width=key[-2],
        depth=query[-1],
        copies=images * math.prod(query[:-2]),
        positions=query[-2],
        is_inner=len(row.inputs) > 3,
    )
