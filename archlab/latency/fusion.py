"""Which operators of a trace run as one kernel? One set of rules per runtime.

A group is what a runtime starts at once: an anchor (convolution, linear layer, matrix product) with what it absorbs, or
a lone operator. Views and constants are no work. The rules, each switched by a field of `Fusion`:

- a norm with fixed statistics (BatchNorm) disappears into the anchor that feeds it, and only it;
- an activation, an element-wise operator of one activation, or the sum of a residual joins the group before it, if
  that group feeds nothing else; so convolution + BN + sum + activation is one group;
- products with a softmax between them are one attention kernel, with the scaling, bias and rearrangements on the way.

A group never crosses the border of a layer: a layer's groups depend on nothing but the layer.
"""

import collections
import dataclasses
import math
from collections.abc import Sequence

from archlab.cost.rows import OpRow
from archlab.errors import unknown_name

__all__ = ["RUNTIMES", "Fusion", "Group", "fuse", "fusion_for"]

BATCH_NORMS = {
    "native_batch_norm",
    "cudnn_batch_norm",
    "_batch_norm_no_update",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
}
"""Norms that are a fixed scale and shift at inference."""

_SUMS = {"add", "sub"}
_SCORE_BIASES = {"add", "sub", "masked_fill", "where"}
_SCORE_SCALES = {"mul", "div"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Fusion:
    """What a runtime joins. `folds_norms`: BatchNorm into its anchor; `joins_tails`: activations, scales and sums into
    the group before; `joins_attention`: product, softmax, product into one kernel.

    `lone` are activations that run by themselves all the same, `bare` kinds of anchors that take no tail.
    """

    folds_norms: bool
    joins_tails: bool
    joins_attention: bool
    lone: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()


RUNTIMES: dict[str, Fusion] = {
    "eager": Fusion(folds_norms=False, joins_tails=False, joins_attention=False),
    "ort": Fusion(
        folds_norms=True,
        joins_tails=True,
        joins_attention=False,
        lone=frozenset({"gelu"}),
        bare=frozenset({"linear", "matmul"}),
    ),
    "trt": Fusion(folds_norms=True, joins_tails=True, joins_attention=True),
}


@dataclasses.dataclass(slots=True)
class Group:
    """Rows that run as one kernel, in order; the first is the anchor.

    `kind` is the anchor's, or ``attention``. `bias` and `scale` say whether an attention's scores get a tensor added or
    are multiplied by one (a plain number is free).
    """

    kind: str
    rows: list[int]
    bias: bool = False
    scale: bool = False

    @property
    def tail(self) -> int:
        """The row whose result leaves the group last."""
        return self.rows[-1]


def fusion_for(runtime: str) -> Fusion:
    """Look up the rules of a runtime.

    Raises:
        UnknownNameError: With the nearest known name.
    """
    if runtime not in RUNTIMES:
        raise unknown_name("fusion runtime", runtime, RUNTIMES)
    return RUNTIMES[runtime]


def fuse(rows: Sequence[OpRow], fusion: Fusion) -> tuple[list[Group], dict[int, int]]:
    """Join the rows of one layer into groups, in the order in which they end.

    Args:
        rows: A layer's rows; source -1 is the layer's input.
        fusion: What the runtime joins.

    Returns:
        The groups, and for every rearrangement that vanished the row that stands for it.
    """
    return _Fuser(rows, fusion).run()


class _Fuser:
    """One pass over the rows of a layer."""

    def __init__(self, rows: Sequence[OpRow], fusion: Fusion) -> None:
        self._rows, self._fusion = rows, fusion
        self._users: dict[int, list[int]] = collections.defaultdict(list)
        self._aliases: dict[int, int] = {}
        self._cores: dict[int, Group] = {}
        self._groups: list[Group] = []
        self._of: dict[int, Group] = {}
        for i, row in enumerate(rows):
            if row.kind != "view" and not row.is_constant:
                for source in row.sources:
                    self._users[source].append(i)

    def run(self) -> tuple[list[Group], dict[int, int]]:
        if self._fusion.joins_attention:
            for i, row in enumerate(self._rows):
                if row.kind == "softmax" and not row.is_constant:
                    self._find_attention(i)
        for i, row in enumerate(self._rows):
            if row.kind == "view" or row.is_constant or i in self._aliases:
                continue
            if _is_empty_pad(row):
                self._aliases[i] = row.sources[0]
            else:
                self._place(i, row)
        self._groups.sort(key=lambda group: group.tail)
        return self._groups, self._aliases

    def _place(self, i: int, row: OpRow) -> None:
        core = self._cores.get(i)
        home = core if core is not None and core.rows else None
        if core is None and self._is_tail(row):
            home = self._home(row)
        if home is None:
            home = core or Group(kind=row.kind if row.kind != "activation" else "elementwise", rows=[])
            if home.kind == "norm" and self._is_fixed(row):
                home.kind = "elementwise"
            self._groups.append(home)
        home.rows.append(i)
        self._of[i] = home

    def _is_fixed(self, row: OpRow) -> bool:
        return row.op in BATCH_NORMS

    def _is_tail(self, row: OpRow) -> bool:
        if row.kind == "norm":
            return self._fusion.folds_norms and self._is_fixed(row)
        is_lone = row.op in self._fusion.lone
        return self._fusion.joins_tails and row.kind in ("activation", "elementwise") and not is_lone

    def _home(self, row: OpRow) -> Group | None:
        """The group that absorbs an activation, a scale, a folded norm or a sum."""
        sources = self._activations(row)
        feeding = [self._of[s] for s in sources if s in self._of and len(self._users[s]) == 1]
        feeding = [group for group in feeding if group.tail in sources and group.kind != "copy"]
        if not self._is_fixed(row):
            feeding = [group for group in feeding if group.kind not in self._fusion.bare]
        if not feeding:
            return None
        last = max(feeding, key=lambda group: group.tail)
        joins = len(sources) == 1 or row.op in _SUMS or last.kind in ("elementwise", "norm")
        return last if joins else None

    def _activations(self, row: OpRow) -> list[int]:
        """Sources that depend on the network's input, seen through vanished rearrangements."""
        return [self._real(s) for s in row.sources if s < 0 or not self._rows[s].is_constant]

    def _real(self, source: int) -> int:
        while source in self._aliases:
            source = self._aliases[source]
        return source

    def _find_attention(self, softmax: int) -> None:
        before = self._scores(softmax)
        after = self._values(softmax)
        if before is None or after is None:
            return
        core = Group(kind="attention", rows=[])
        for i in before[:-1]:
            row = self._rows[i]
            core.bias |= row.op in _SCORE_BIASES
            core.scale |= row.op in _SCORE_SCALES and len(row.inputs) > 1
        for i in (*before, softmax, *after):
            self._cores[i] = core
        self._absorb_operands(before[-1])
        self._absorb_operands(after[-1])
        users = self._users[after[-1]]
        if len(users) == 1 and self._rows[users[0]].op == "clone":
            self._alias(users[0])

    def _scores(self, softmax: int) -> list[int] | None:
        """Rows from the softmax back to the product of queries and keys, the product last."""
        found: list[int] = []
        at, size = softmax, self._rows[softmax].write_elems
        while True:
            makers = [s for s in self._rows[at].sources if s >= 0 and not self._rows[s].is_constant]
            makers = [s for s in makers if self._rows[s].write_elems == size and len(self._users[s]) == 1]
            if not makers:
                return None
            at = makers[0]
            found.append(at)
            if self._rows[at].kind == "matmul":
                return found
            if self._rows[at].kind not in ("elementwise", "copy"):
                return None

    def _values(self, softmax: int) -> list[int] | None:
        """Rows from the softmax on to the product with the values, the product last."""
        found: list[int] = []
        at = softmax
        while len(self._users[at]) == 1:
            at = self._users[at][0]
            found.append(at)
            if self._rows[at].kind == "matmul":
                return found
            if self._rows[at].kind != "copy":
                return None
        return None

    def _absorb_operands(self, product: int) -> None:
        """Rearrangements and plain scalings of an operand happen while the kernel reads it."""
        for source in self._rows[product].sources:
            at = source
            while at >= 0 and at not in self._cores and len(self._users[at]) == 1 and _is_free(self._rows[at]):
                self._alias(at)
                at = self._rows[at].sources[0]

    def _alias(self, i: int) -> None:
        self._aliases[i] = self._rows[i].sources[0]


def _is_free(row: OpRow) -> bool:
    """A rearrangement, or the product with a plain number."""
    return row.op == "clone" or (row.op in _SCORE_SCALES and len(row.inputs) == 1)


def _is_empty_pad(row: OpRow) -> bool:
    return row.op == "constant_pad_nd" and math.prod(row.outputs[0]) == math.prod(row.inputs[0])
