"""How much does a network cost without running it? Sums over the rows of one trace, whole and in parts.

Convention. `macs` are multiply-adds of convolutions, linear layers and matrix products (`rules.py`); `activation_elems`
the elements that operators write; `traffic_bytes` the elements read and written, parameters included, as if every
operator went through memory by itself. A parameter belongs to the first operator that reads it; one that none reads is
shown as operator `unread`. Every total is the sum of its parts. Views cost nothing and are not listed.
"""

import dataclasses
from collections.abc import Callable

from archlab.cost.rows import OpRow, OpTrace, stage_of

__all__ = ["CostLine", "CostReport", "count"]

_Key = tuple[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CostLine:
    """The costs of one operator, module or stage; `calls` counts operator calls."""

    name: str
    kind: str
    calls: int = 0
    params: int = 0
    macs: int = 0
    activation_elems: int = 0
    traffic_bytes: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostReport:
    """Costs of one forward pass at the trace's resolution and batch."""

    trace: OpTrace
    bytes_per_elem: int
    params: int
    macs: int
    activation_elems: int
    traffic_bytes: int

    def by_op(self) -> tuple[CostLine, ...]:
        """One line per operator and kind, the most MACs first, then the most traffic."""
        lines = self._lines(lambda row: (row.op, row.kind), lambda _: ("unread", "unread"))
        return tuple(sorted(lines, key=lambda line: (-line.macs, -line.traffic_bytes, line.name, line.kind)))

    def by_module(self, depth: int | None = None) -> tuple[CostLine, ...]:
        """One line per module in the order of execution; operators below `depth` path parts count for their parent.

        Without `depth` an operator counts for the innermost module that called it, and for no other.
        """

        def name(path: str) -> tuple[str, str]:
            return ".".join(path.split(".")[:depth]), "module"

        return self._lines(lambda row: name(row.module), name)

    def by_stage(self) -> tuple[CostLine, ...]:
        """One line per stage and one for the head, in the order of execution."""
        return self._lines(lambda row: (row.stage, "stage"), lambda path: (stage_of(path), "stage"))

    def _lines(self, key: Callable[[OpRow], _Key], key_unread: Callable[[str], _Key]) -> tuple[CostLine, ...]:
        sums: dict[_Key, list[int]] = {}
        for row in self.trace.rows:
            if row.kind == "view":
                continue
            line = sums.setdefault(key(row), [0] * 5)
            elems = row.read_elems + row.write_elems
            parts = (1, row.params, row.macs, row.activation_elems, elems * self.bytes_per_elem)
            line[:] = [total + part for total, part in zip(line, parts, strict=True)]
        for path, params in self.trace.unread:
            sums.setdefault(key_unread(path), [0] * 5)[1] += params
        return tuple(
            CostLine(name=name, kind=kind, calls=c, params=p, macs=m, activation_elems=a, traffic_bytes=t)
            for (name, kind), (c, p, m, a, t) in sums.items()
        )


def count(trace: OpTrace, bytes_per_elem: int = 4) -> CostReport:
    """Add up a trace.

    Args:
        trace: What `trace` returned.
        bytes_per_elem: 4 for float32, 2 for half precision; the same for weights and activations.
    """
    layers = [segment.layer for segment in trace.segments]
    return CostReport(
        trace=trace,
        bytes_per_elem=bytes_per_elem,
        params=trace.params,
        macs=sum(layer.totals[0] for layer in layers),
        activation_elems=sum(layer.totals[1] for layer in layers),
        traffic_bytes=sum(layer.totals[2] for layer in layers) * bytes_per_elem,
    )
