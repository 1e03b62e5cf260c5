"""What does a network ask of a device? The one extractor: a row of numbers per group that runs as one kernel.

Convention. Elements, not bytes: the precision is the predictor's business. What a group reads and writes is counted at
its border; what stays inside costs no traffic. What the kinds mean says `kernels.py`.

A map operator (convolution) that reads what a token operator (norm, product) wrote, or the other way round, crosses
between two memory layouts: `crossings` and `crossing_elems` count that once per value and direction.
"""

import collections
import dataclasses
import math

import numpy as np
import numpy.typing as npt

from archlab.cost.rows import LayerTrace, OpRow, OpTrace
from archlab.latency.fusion import Group, fuse, fusion_for
from archlab.latency.kernels import KINDS, MAP_KINDS, TOKEN_KINDS, depth, is_folded, kind_of, padded_macs

__all__ = ["COLUMNS", "Features", "features"]

COLUMNS = (
    "count",
    "macs",
    "padded_macs",
    "depth",
    "read_elems",
    "write_elems",
    "weight_elems",
    "score_elems",
    "biased_score_elems",
    "scaled_score_elems",
    "crossings",
    "crossing_elems",
)
"""What is known of a group. `count`: how many such groups there are; `padded_macs`: with channels rounded up to 8;
`depth`: products summed for one output element; `*score_elems`: elements of an attention's scores, by what happens to
them before the softmax: nothing, a tensor is added, they are multiplied by a tensor."""

_KIND_CODES = {kind: code for code, kind in enumerate(KINDS)}
_CACHE_LAYERS = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """The groups of a network: `kinds` codes into `KINDS`, `table` of shape `(groups, len(COLUMNS))`.

    `anchors` are the rows of the trace that begin the groups; it is empty where equal groups were merged.
    """

    runtime: str
    kinds: npt.NDArray[np.intp]
    table: npt.NDArray[np.float64]
    anchors: npt.NDArray[np.intp]

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One column of the table, by its name in `COLUMNS`."""
        column: npt.NDArray[np.float64] = self.table[:, COLUMNS.index(name)]
        return column

    def count(self, *kinds: str) -> int:
        """Number of groups, of the kinds named or of all."""
        codes = [_KIND_CODES[kind] for kind in kinds or KINDS]
        return int(self.column("count")[np.isin(self.kinds, codes)].sum())

    def merged(self) -> "Features":
        """The same network with equal groups as one row, in a fixed order; `count` says how often."""
        keys = np.column_stack([self.kinds, self.table[:, 1:]])
        unique, where = np.unique(keys, axis=0, return_inverse=True)
        counts = np.bincount(where.reshape(-1), weights=self.column("count"))
        return Features(
            runtime=self.runtime,
            kinds=unique[:, 0].astype(np.intp),
            table=np.column_stack([counts, unique[:, 1:]]),
            anchors=np.empty(0, np.intp),
        )


def features(trace: OpTrace, runtime: str = "trt") -> Features:
    """Extract the groups that a runtime makes of a network.

    The layers of a spec are worked out once each and remembered; nothing is remembered of a whole network.

    Args:
        trace: The network's operators.
        runtime: Whose fusion rules: a key of `fusion.RUNTIMES`.

    Raises:
        UnknownNameError: For a runtime without rules.
    """
    fusion_for(runtime)
    state = _State(is_token=False, saw_norm=False)
    kinds, tables, anchors = [], [], []
    is_whole = len(trace.segments) == 1
    for segment in trace.segments:
        layer = (_extract if is_whole else _layer)(segment.layer, runtime, state)
        kinds.append(layer.kinds)
        tables.append(layer.table)
        anchors.append(layer.anchors + segment.first)
        state = layer.state
    return Features(
        runtime=runtime,
        kinds=np.concatenate(kinds),
        table=np.concatenate(tables),
        anchors=np.concatenate(anchors),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _State:
    """What a layer must know of the one before: the layout of its output, and whether a run of tokens saw a norm."""

    is_token: bool
    saw_norm: bool


@dataclasses.dataclass(frozen=True, slots=True)
class _Layer:
    kinds: npt.NDArray[np.intp]
    table: npt.NDArray[np.float64]
    anchors: npt.NDArray[np.intp]
    state: _State


_LAYERS: dict[tuple[int, str, _State], tuple[LayerTrace, _Layer]] = {}
"""By identity of the layer's trace, which is kept alive beside it, so that an identity is never reused."""


def _layer(layer: LayerTrace, runtime: str, state: _State) -> _Layer:
    key = (id(layer), runtime, state)
    found = _LAYERS.get(key)
    if found is None:
        if len(_LAYERS) >= _CACHE_LAYERS:
            _LAYERS.pop(next(iter(_LAYERS)), None)
        found = _LAYERS[key] = (layer, _extract(layer, runtime, state))
    return found[1]


def _extract(layer: LayerTrace, runtime: str, state: _State) -> _Layer:
    groups, aliases = fuse(layer.rows, fusion_for(runtime))
    return _Extractor(layer.rows, groups, aliases, state).run(layer.output)


class _Extractor:
    """One pass over the groups of a layer, in the order in which they end."""

    def __init__(self, rows: tuple[OpRow, ...], groups: list[Group], aliases: dict[int, int], state: _State) -> None:
        self._rows, self._groups, self._aliases = rows, groups, aliases
        self._of = {i: group for group in groups for i in group.rows}
        self._readers: dict[int, list[Group]] = collections.defaultdict(list)
        for i, group in self._of.items():
            for source in rows[i].sources:
                self._readers[self._real(source)].append(group)
        self._is_token = {-1: state.is_token}
        self._saw_norm = state.saw_norm
        self._crossed: set[tuple[int, bool]] = set()

    def run(self, output: int) -> _Layer:
        kinds, table = [], []
        for group in self._groups:
            kind = self._kind(group)
            kinds.append(_KIND_CODES[kind])
            table.append(self._numbers(group, kind))
        return _Layer(
            kinds=np.array(kinds, np.intp),
            table=np.array(table, np.float64).reshape(-1, len(COLUMNS)),
            anchors=np.array([group.rows[0] for group in self._groups], np.intp),
            state=_State(is_token=self._is_token.get(self._real(output), False), saw_norm=self._saw_norm),
        )

    def _real(self, source: int) -> int:
        while source in self._aliases:
            source = self._aliases[source]
        return source

    def _kind(self, group: Group) -> str:
        anchor = self._rows[group.rows[0]]
        kind = kind_of(group.kind, anchor)
        if kind in MAP_KINDS or kind == "copy":
            self._saw_norm = False
        if kind == "norm":
            kind, self._saw_norm = "norm" if self._saw_norm else "first_norm", True
        return kind

    def _numbers(self, group: Group, kind: str) -> list[float]:
        rows = [self._rows[i] for i in group.rows]
        anchor = rows[0]
        scores = max((row.write_elems for row in rows if row.kind == "softmax"), default=0)
        crossings, crossing_elems = self._crossing(group, kind)
        return [
            1,
            sum(row.macs for row in rows),
            padded_macs(anchor),
            depth(anchor),
            self._reads(group),
            sum(self._rows[i].write_elems for i in group.rows if self._leaves(i, group)),
            sum(row.weight_elems for row in rows if not is_folded(row)),
            0 if group.bias or group.scale or kind != "attention" else scores,
            scores if group.bias and not group.scale else 0,
            scores if group.scale else 0,
            crossings,
            crossing_elems,
        ]

    def _sources(self, group: Group) -> list[int]:
        """Values that come from outside the group, in order."""
        found = [self._real(s) for i in group.rows for s in self._rows[i].sources]
        return [s for s in dict.fromkeys(found) if s < 0 or (s in self._of and self._of[s] is not group)]

    def _reads(self, group: Group) -> int:
        total = 0
        for i in group.rows:
            row = self._rows[i]
            inner = sum(self._rows[s].write_elems for s in row.sources if s >= 0 and self._of.get(s) is group)
            total += max(0, row.read_elems - row.weight_elems - inner)
        return total

    def _leaves(self, i: int, group: Group) -> bool:
        readers = self._readers.get(i, [])
        return not readers or any(reader is not group for reader in readers)

    def _crossing(self, group: Group, kind: str) -> tuple[int, int]:
        sources = self._sources(group)
        layout = self._layout(kind, sources)
        for i in group.rows:
            self._is_token[i] = layout
        if kind not in MAP_KINDS and kind not in TOKEN_KINDS:
            return 0, 0
        crossed = [s for s in sources if self._is_token.get(s, layout) != layout and (s, layout) not in self._crossed]
        self._crossed.update((s, layout) for s in crossed)
        return len(crossed), sum(self._size(s, group) for s in crossed)

    def _layout(self, kind: str, sources: list[int]) -> bool:
        """Whether the group writes tokens; an element-wise one keeps the layout of its first input."""
        if kind in MAP_KINDS or kind in TOKEN_KINDS:
            return kind in TOKEN_KINDS
        return self._is_token.get(sources[0], False) if sources else False

    def _size(self, source: int, group: Group) -> int:
        if source >= 0:
            return self._rows[source].write_elems
        readers = (self._rows[i] for i in group.rows if any(self._real(s) == -1 for s in self._rows[i].sources))
        return max((math.prod(row.inputs[0]) for row in readers), default=0)
