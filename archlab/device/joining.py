"""Which operator of the network did this kernel run? A runtime's times put down to the counted rows.

A runtime does not run the operators that were counted: it fuses, splits, reorders, and adds copies of its own. Each of
its times goes to the finest place that is sure:

- `operator`: the first row of that kind, in that module, that no time has yet, by its name where both share one. Where
  the name says no module, and where the module has no such row (an activation fused under the name of its convolution),
  the next such row in the order of execution. An addition in a module that has nothing to add is a bias, and goes to
  the module's matrix operator.
- `module`: the module the name says, for work that no counted row stands for: a transpose made real, a reorder, the
  arithmetic of nodes that the runtime made itself.
- `kind`: the runtime's own operator and nothing else.

No time is split and none is left out, so the sums are the runtime's. A row that got no time was fused into another.
"""

import dataclasses
from collections.abc import Sequence

from archlab.cost.rows import OpRow
from archlab.cost.rules import RULES
from archlab.device.runtime import OpTime

__all__ = ["COMPUTE", "Joint", "join", "kinds_of"]

COMPUTE = frozenset({"conv", "depthwise", "linear", "matmul"})
"""Kinds with multiply-adds."""

_NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("softmax", ("softmax",)),
    ("conv", ("conv", "depthwise")),
    ("gemm matmul fullyconnected linear addmm bmm", ("linear", "matmul")),
    ("norm mvn rms", ("norm",)),
    ("pool resize upsample", ("pool",)),
    ("gelu relu swish sigmoid erf tanh silu hardtanh activation", ("activation",)),
    ("reduce mean sum l2", ("reduce",)),
    ("concat cat pad clone copy", ("copy",)),
    ("transpose permute reshape squeeze split slice expand reorder reformat gather view shuffle", ("view",)),
    ("subgraph eltwise clip clamp sqrt pow max min where add mul div sub exp pointwise", ("elementwise",)),
)
"""Parts of a runtime's name for an operator, lower case → kinds of rows it may have run; the first that fits."""
_LOOSE = frozenset({"elementwise", "reduce", "view", "copy"})
"""Kinds of which there are many: a node that the runtime made and called by no module is not taken for one of them."""
_AROUND = ("cpp_fused", "triton_poi_fused", "triton_per_fused", "triton_red_fused")
"""Kernels that inductor makes of what lies between the matrix operators, which are its ``triton_tem_fused``."""
_REACH = 16
"""How many rows after the last one may be looked at for one that computes nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Joint:
    """Where a time went: `place` is operator, module or kind; `row` the counted row, for an operator.

    `module` is a module of the network, empty for its root or where none is known; `kind` that of the row, or else of
    the runtime's own operator.
    """

    time: OpTime
    place: str
    module: str
    kind: str
    row: int | None = None


def join(rows: Sequence[OpRow], times: Sequence[OpTime]) -> tuple[Joint, ...]:
    """Put each time down to a counted row, a module or a kind, in the order of the times.

    Args:
        rows: The network's operators in the order of execution, counted.
        times: The same network's operators as the runtime ran them, in the order of execution.
    """
    ledger = _Ledger(rows)
    return tuple(ledger.enter(time) for time in times)


def kinds_of(op: str) -> tuple[str, ...]:
    """Say which kinds of counted rows an operator of a runtime may have run: aten names, ONNX, OpenVINO, inductor."""
    if op in RULES and (kind := RULES[op].kind) is not None:
        return ("conv", "depthwise") if kind == "conv" else ("linear", "matmul") if kind == "matmul" else (kind,)
    name = op.lower()
    is_fused_around = name.startswith(_AROUND)
    for parts, kinds in _NAMES:
        if any(part in name for part in parts.split()) and not (is_fused_around and kinds[0] in COMPUTE):
            return kinds
    return ("copy",) if is_fused_around else ("other",)


class _Ledger:
    """Which rows have had their time."""

    def __init__(self, rows: Sequence[OpRow]) -> None:
        self._rows = rows
        self._by_module: dict[str, list[int]] = {}
        self._modules = {""}
        for index, row in enumerate(rows):
            self._by_module.setdefault(row.module, []).append(index)
            parts = row.module.split(".")
            self._modules.update(".".join(parts[:n]) for n in range(1, len(parts) + 1))
        self._free = [not row.is_constant for row in rows]
        self._last = -1

    def enter(self, time: OpTime) -> Joint:
        """Find the place of one time."""
        kinds, module = kinds_of(time.op), self._known(time.module)
        is_extra = bool(time.module) and "/" not in time.node and kinds[0] in _LOOSE
        row = None if is_extra else self._row(time, module, kinds)
        if row is None:
            return Joint(time=time, place="module" if time.module else "kind", module=module, kind=_own(kinds))
        self._free[row] = False
        self._last = row
        found = self._rows[row]
        return Joint(time=time, place="operator", module=found.module, kind=found.kind, row=row)

    def _row(self, time: OpTime, module: str, kinds: tuple[str, ...]) -> int | None:
        row = self._of_module(module, kinds, time.op) if time.module else None
        if row is None and time.module and kinds == ("elementwise",):
            row = self._biased(module)
        return self._following(kinds) if row is None else row

    def _known(self, path: str) -> str:
        """The path, or the nearest module around it that the network has."""
        while path not in self._modules:
            path = path.rpartition(".")[0]
        return path

    def _of_module(self, module: str, kinds: tuple[str, ...], op: str) -> int | None:
        """The module's first free row of these kinds, of the same name if there is one."""
        indices = self._by_module.get(module, ())
        free = [i for i in indices if self._free[i] and self._rows[i].kind in kinds]
        same = (i for i in free if self._rows[i].op.strip("_") in op.lower())
        return next(same, free[0] if free else None)

    def _biased(self, module: str) -> int | None:
        """The one matrix operator of a module that adds nothing itself."""
        indices = self._by_module.get(module, ())
        matrix = [i for i in indices if self._rows[i].kind in COMPUTE]
        has_own = any(self._rows[i].kind == "elementwise" for i in indices)
        return matrix[0] if len(matrix) == 1 and not has_own else None

    def _following(self, kinds: tuple[str, ...]) -> int | None:
        """The next free row of these kinds, not past a matrix operator that waits for its time."""
        if kinds[0] in {"view", "copy", "other"}:  # too many, or none
            return None
        is_matrix = not COMPUTE.isdisjoint(kinds)
        end = len(self._rows) if is_matrix else min(self._last + 1 + _REACH, len(self._rows))
        for index in range(self._last + 1, end):
            if self._free[index] and self._rows[index].kind in kinds:
                return index
            if self._free[index] and self._rows[index].kind in COMPUTE:
                return None
        return None


def _own(kinds: tuple[str, ...]) -> str:
    """The kind of work that no counted row stands for; a view that takes time is a copy."""
    return "copy" if kinds[0] == "view" else kinds[0]
