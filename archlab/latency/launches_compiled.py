"""What PyTorch's compiler starts on a CPU in 32 bits: calls of a library, and loops that join everything between them.

- Convolutions, products and fused attentions are calls. A call ends a loop: what follows is one step later.
- An element-wise operator, activation, norm or copy joins the loop of a source that works at the same step over the
  same number of elements; a reduction may end a loop, nothing but another reduction goes on after it. Joining a loop of
  the same step never closes a cycle, for every way through a call leads to a later step.
- Weights are inputs of the compiled code: batch norms are not folded but joined, and the weights of a convolution with
  a kernel above 1×1 are put into the library's order at each call (kind ``cast``).
- A loop reads what was made outside of it, once per value, and writes what is read outside of it.
"""

import collections
import dataclasses
import math

from archlab.cost.rows import OpRow
from archlab.latency.fusion import BATCH_NORMS
from archlab.latency.launches_rows import Launch, is_library_call, is_recurrent_step, product, recurrent

__all__ = ["compiled"]

_STEPS = {
    "gelu": 3,
    "silu": 2,
    "sigmoid": 2,
    "tanh": 3,
    "mish": 4,
    "erf": 3,
    "exp": 2,
    "softplus": 3,
    "_softmax": 3,
    "pow": 2,
    "elu": 2,
    "log": 2,
    "native_layer_norm": 2,
    "native_group_norm": 2,
    "cos": 3,
    "sin": 3,
}
"""Rough number of elementary operations per element; 1 for all others."""

_CALLS = {"cumsum", "sort", "topk", "grid_sampler_2d"}
_MOVES = {"clone", "index", "roll", "constant_pad_nd", "cat", "stack", "flip", "pixel_shuffle"}
_JOINS = {"cat", "stack"}
_BYTES = 4


@dataclasses.dataclass(slots=True)
class _Loop:
    elems: int
    step: int
    rows: list[int] = dataclasses.field(default_factory=list)
    is_reduced: bool = False


def compiled(rows: tuple[OpRow, ...], images: int, is_channels_last: bool) -> list[Launch]:
    """List the calls and loops of some rows, traced at batch 1, for so many images.

    The compiler puts channels innermost by itself, so `is_channels_last` changes nothing.
    """
    return _Compiled(rows, images).run()


class _Compiled:
    """One pass that gives every row its step and its loop, and one that counts."""

    def __init__(self, rows: tuple[OpRow, ...], images: int) -> None:
        self._rows, self._images = rows, images
        self._recurrent = recurrent(rows)
        self._real: list[int | None] = []
        self._step: dict[int | None, int] = collections.defaultdict(int)
        self._loop: dict[int, _Loop] = {}
        self._loops: list[_Loop] = []
        self._users: dict[int | None, list[int]] = collections.defaultdict(list)

    def run(self) -> list[Launch]:
        calls = []
        for i, row in enumerate(self._rows):
            if row.kind == "view":
                self._real.append(self._source(row.sources[0]) if row.sources else None)
                continue
            self._real.append(i)
            sources = [self._source(s) for s in row.sources]
            for source in sources:
                self._users[source].append(i)
            step = max([self._step[s] for s in sources], default=0)
            if is_library_call(row) or row.op in _CALLS:
                self._step[i] = step + 1
                calls += self._called(row)
            else:
                self._step[i] = step
                if not is_recurrent_step(row, self._recurrent):
                    self._join(i, row, sources)
        return calls + [self._counted(loop) for loop in self._loops]

    def _source(self, source: int) -> int | None:
        return self._real[source] if source >= 0 else -1

    def _times(self, row: OpRow) -> int:
        return 1 if row.is_constant else self._images

    def _join(self, i: int, row: OpRow, sources: list[int | None]) -> None:
        is_reduction = row.kind in ("reduce", "pool")
        elems = max(map(math.prod, row.inputs), default=0) if is_reduction else math.prod(row.outputs[0])
        loop = None
        for source in sorted((s for s in sources if s is not None), reverse=True):
            near = self._loop.get(source)
            if near is None or row.op in _JOINS or near.step != self._step[i] or near.elems != elems:
                continue
            if is_reduction or not near.is_reduced:
                loop = near
                break
        if loop is None:
            loop = _Loop(elems=elems, step=self._step[i])
            self._loops.append(loop)
        loop.is_reduced |= is_reduction
        loop.rows.append(i)
        self._loop[i] = loop

    def _called(self, row: OpRow) -> list[Launch]:
        times = self._times(row)
        if not is_library_call(row):
            elems = max(0, row.read_elems - row.weight_elems)
            return [
                Launch(kind="copy", read_bytes=_BYTES * elems * times, write_bytes=_BYTES * row.write_elems * times)
            ]
        launch = product(row, times, _BYTES)
        if launch.area == 1:
            return [launch]
        moved = _BYTES * row.weight_elems
        return [launch, Launch(kind="cast", area=launch.area, read_bytes=moved, write_bytes=moved)]

    def _counted(self, loop: _Loop) -> Launch:
        rows = [self._rows[i] for i in loop.rows]
        inside = set(loop.rows)
        times = max(self._times(row) for row in rows)
        read: dict[int | None, int] = {}
        for row in rows:
            read |= {s: e for s, e in self._read(row).items() if s not in inside}
        written = [i for i in loop.rows if not self._users[i] or any(u not in inside for u in self._users[i])]
        out = rows[-1].outputs[0]
        return Launch(
            kind=_loop_kind(rows),
            area=max(1.0, loop.elems / max(1, math.prod(out))),
            positions=math.prod(out[2:]) if len(out) == 4 else 1,
            read_bytes=_BYTES * sum(read.values()) * times,
            write_bytes=_BYTES * sum(math.prod(self._rows[i].outputs[0]) for i in written) * times,
            weight_bytes=_BYTES * sum(row.weight_elems for row in rows),
            steps=sum(_STEPS.get(row.op, 1) * _worked(row) for row in rows) * times,
            joined=len(rows),
            moved=sum(math.prod(row.outputs[0]) for row in rows if row.op in _MOVES) * times,
            operands=len(read),
            is_inner=self._is_map_norm(loop.rows),
        )

    def _is_map_norm(self, rows: list[int]) -> bool:
        """Whether a layer norm is among them, and a convolution reads what they make."""
        if all(self._rows[i].op != "native_layer_norm" for i in rows):
            return False
        users = {user for i in rows for user in self._users[i]}
        return any(self._rows[user].op == "convolution" for user in users)

    def _read(self, row: OpRow) -> dict[int | None, int]:
        """Elements of each source; one behind views counts as it was made."""
        found: dict[int | None, int] = {}
        for source in map(self._source, row.sources):
            if source is None:
                continue
            made = self._rows[source].outputs[0] if source >= 0 else row.inputs[0]
            found[source] = math.prod(made)
        return found


def _worked(row: OpRow) -> int:
    inputs = max(map(math.prod, row.inputs), default=0) if row.kind in ("reduce", "pool") else 0
    return max(math.prod(row.outputs[0]), inputs)


def _loop_kind(rows: list[OpRow]) -> str:
    """The most demanding of what is joined."""
    kinds = {row.kind for row in rows if row.op not in BATCH_NORMS}
    if "softmax" in kinds:
        return "softmax"
    if "norm" in kinds:
        return "group_norm" if any(row.op == "native_group_norm" for row in rows) else "layer_norm"
    if "pool" in kinds:
        return "resize" if any("upsample" in row.op for row in rows) else "pool"
    if "reduce" in kinds:
        return "reduce"
    if any(row.op in _JOINS for row in rows):
        return "cat"
    return "move" if any(row.op in _MOVES for row in rows) else "elementwise"
