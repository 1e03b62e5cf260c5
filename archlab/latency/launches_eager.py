"""What eager PyTorch starts on a GPU under 16-bit autocast: one kernel per operator, and the casts between them.

- Products run in 16 bits: what reaches them in 32 is cast first, weights at every call. Layer and group norms,
  softmaxes, powers, exponentials and sums run in 32 and leave 32. The rest keeps what it gets; where a parameter of 32
  bits takes part, the result has 32 (autocast's own lists, "CUDA op-specific behavior" in PyTorch's documentation).
- A convolution adds its bias by a kernel of its own, unless it is depthwise.
- A layer norm needs its axis innermost: where the map has it outermost, a copy comes before. From then on the map's
  channels are innermost, and convolutions keep that.
- The steps of a recurrent layer are products with nothing between them.
- What no image reaches is worked out again at each call, once for all images.
"""

import dataclasses
import math

from archlab.cost.rows import OpRow
from archlab.latency.fusion import BATCH_NORMS
from archlab.latency.launches_rows import Launch, is_attention, is_library_call, is_recurrent_step, product, recurrent

__all__ = ["autocast"]

_WIDE_OPS = {
    "native_layer_norm",
    "native_group_norm",
    "_softmax",
    "_safe_softmax",
    "_log_softmax",
    "pow",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "rsqrt",
    "reciprocal",
    "norm",
    "linalg_vector_norm",
    "sum",
    "prod",
    "cumsum",
    "cumprod",
    "softplus",
    "logsumexp",
    "tan",
}
"""Operators that autocast runs in 32 bits."""

_NORM_KINDS = {
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "_softmax": "softmax",
    "_safe_softmax": "softmax",
    "_log_softmax": "softmax",
}
_TRUTHS = {"eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_not"}
_MOVES = {"clone", "pixel_shuffle", "channel_shuffle"}

_LOW, _WIDE = 2, 4


def autocast(rows: tuple[OpRow, ...], images: int, is_channels_last: bool) -> list[Launch]:
    """List the kernels of some rows, traced at batch 1, for so many images."""
    walk = _Autocast(rows, images, is_channels_last)
    for i in range(len(rows)):
        walk.add(i)
    return walk.found


class _Autocast:
    """One pass over the rows, with the bytes per element and the order in memory of every value."""

    def __init__(self, rows: tuple[OpRow, ...], images: int, is_channels_last: bool) -> None:
        self.found: list[Launch] = []
        self._rows, self._images, self._is_channels_last = rows, images, is_channels_last
        self._bytes = {-1: _WIDE}
        self._inner = {-1: False}
        self._recurrent = recurrent(rows)

    def add(self, i: int) -> None:
        row = self._rows[i]
        first = row.sources[0] if row.sources else -1
        self._bytes[i], self._inner[i] = self._bytes[first], self._inner[first] if row.sources else False
        if row.kind == "view":
            self._bytes[i] = self._bytes[first] if row.sources else _WIDE
        elif is_recurrent_step(row, self._recurrent):
            self._bytes[i] = _LOW
        elif is_library_call(row):
            self._product(i, row)
        elif row.op in _WIDE_OPS:
            self._wide(i, row)
        else:
            self._light(i, row)

    def _times(self, row: OpRow) -> int:
        return 1 if row.is_constant else self._images

    def _constants(self, row: OpRow) -> int:
        """Elements of its operands that no image reaches, parameters apart."""
        if row.is_constant:
            return 0
        known = [s for s in row.sources if s >= 0 and self._rows[s].is_constant]
        return sum(math.prod(self._rows[s].outputs[0]) for s in known)

    def _moving(self, row: OpRow) -> list[int]:
        """Sources that an image reaches."""
        return [s for s in row.sources if s < 0 or not self._rows[s].is_constant]

    def _elems(self, row: OpRow) -> int:
        """Elements read that an image reaches, of one image."""
        return max(0, row.read_elems - row.weight_elems - self._constants(row))

    def _product(self, i: int, row: OpRow) -> None:
        times = self._times(row)
        for source in dict.fromkeys(row.sources):
            if self._bytes[source] == _WIDE:
                elems = math.prod(self._rows[source].outputs[0] if source >= 0 else row.inputs[0])
                self._cast(elems * (1 if source >= 0 and self._rows[source].is_constant else times), _WIDE, _LOW)
        if row.weight_elems:
            self._cast(row.weight_elems, _WIDE, _LOW)
        is_conv = row.op == "convolution"
        inner = (self._inner[i] or self._is_channels_last) if is_conv else True
        launch = product(row, times, _LOW)
        constants = self._constants(row)
        self._inner[i] = inner
        self._bytes[i] = _LOW
        changed = dataclasses.replace(
            launch,
            read_bytes=launch.read_bytes - _LOW * constants * times,
            weight_bytes=launch.weight_bytes + _LOW * constants,
            is_inner=launch.is_inner if is_attention(row) else is_conv and inner,
        )
        self.found.append(changed)
        if is_conv and len(row.inputs) > 2 and launch.kind != "depthwise":
            self.found.append(
                Launch(
                    kind="bias",
                    read_bytes=launch.write_bytes,
                    write_bytes=launch.write_bytes,
                    positions=launch.positions,
                    is_inner=inner,
                )
            )

    def _cast(self, elems: float, before: int, after: int) -> None:
        self.found.append(Launch(kind="cast", read_bytes=before * elems, write_bytes=after * elems, is_wide=True))

    def _wide(self, i: int, row: OpRow) -> None:
        times, elems = self._times(row), self._elems(row)
        moving, inner = self._moving(row), self._inner[i]
        kind = _NORM_KINDS.get(row.op)
        self._bytes[i] = _WIDE
        if row.op != "sum" and moving and self._bytes[moving[0]] == _LOW:
            self._cast(elems * times, _LOW, _WIDE)
        if kind == "layer_norm" and not inner:
            moved = _WIDE * elems * times
            self.found.append(Launch(kind="move", read_bytes=moved, write_bytes=moved, is_wide=True))
        out = row.outputs[0]
        self.found.append(
            Launch(
                kind=kind or ("reduce" if row.kind == "reduce" else "elementwise"),
                rows=times * math.prod(out[:-1]) if kind else 0,
                width=out[-1] if kind else 0,
                read_bytes=_WIDE * elems * times,
                write_bytes=_WIDE * row.write_elems * times,
                weight_bytes=_WIDE * (row.weight_elems + self._constants(row)) if kind else 0,
                is_wide=True,
            )
        )
        if kind in ("layer_norm", "softmax"):
            self._inner[i] = True

    def _light(self, i: int, row: OpRow) -> None:
        moving = self._moving(row)
        sizes = [self._bytes[s] for s in moving] or [_WIDE]
        mean, size = sum(sizes) / len(sizes), max(sizes)
        if row.kind == "elementwise":
            self._elementwise(i, row, mean, size)
            return
        times, elems = self._times(row), self._elems(row)
        if row.kind == "norm" and row.op in BATCH_NORMS:
            size = int(mean)
        self._bytes[i] = size
        read = row.write_elems if row.op == "index" else elems
        self.found.append(
            Launch(
                kind=_light_kind(row),
                rows=times * row.write_elems if row.kind in ("reduce", "pool") else 0,
                depth=elems / max(1, row.write_elems) if row.kind == "reduce" else 0,
                area=max(1.0, elems / max(1, row.write_elems)) if row.kind == "pool" else 1,
                positions=math.prod(row.outputs[0][2:]) if row.kind == "norm" else 0,
                read_bytes=size * read * times,
                write_bytes=size * row.write_elems * times,
                weight_bytes=_WIDE * row.weight_elems if row.kind == "norm" else 0,
                is_inner=self._inner[i],
                is_wide=size == _WIDE and row.kind != "norm",
            )
        )
        if row.op == "clone" and len(row.outputs[0]) == 4:
            self._inner[i] = not _looks_like_a_map(row.outputs[0])

    def _elementwise(self, i: int, row: OpRow, mean: float, size: int) -> None:
        out, elems = row.outputs[0], math.prod(row.outputs[0])
        constants = [self._rows[s].outputs[0] for s in row.sources if s >= 0 and self._rows[s].is_constant]
        if out and (row.weight_elems or any(constants)):
            size = _WIDE
        if row.op in _TRUTHS:
            size = 1
        self._bytes[i] = size
        whole = [s for s in row.sources if s >= 0 and math.prod(self._rows[s].outputs[0]) == elems]
        if whole:
            self._inner[i] = self._inner[whole[0]]
        times = self._times(row)
        self.found.append(
            Launch(
                kind="broadcast" if any(1 < math.prod(shape) < elems for shape in row.inputs) else "elementwise",
                positions=math.prod(out[2:]) if len(out) == 4 else 1,
                read_bytes=mean * self._elems(row) * times + _WIDE * (row.weight_elems + self._constants(row)),
                write_bytes=size * row.write_elems * times,
                is_inner=self._inner[i],
                is_wide=size == _WIDE,
            )
        )


def _light_kind(row: OpRow) -> str:
    if row.kind == "norm":
        return "batch_norm"
    if row.kind == "pool":
        return "resize" if "upsample" in row.op else "pool"
    if row.kind == "copy":
        return "cat" if row.op in ("cat", "stack") else "move" if row.op in _MOVES else "copy"
    return row.kind


def _looks_like_a_map(shape: tuple[int, ...]) -> bool:
    """(batch, channels, side, side), not (batch, side, side, channels)."""
    return shape[2] == shape[3] and shape[1] != shape[2]
