"""What is the best network made of, and where do its arithmetic, its memory traffic and, if known, its time go?

Shares are of one image's MACs, of the parameters, of the bytes read and written, and of an estimated latency where a
predictor splits it up. An estimate knows fused groups: the time of a group counts for the operator that leads it.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from archlab.cost.count import CostLine, CostReport
from archlab.spec import ArchSpec, BlockSpec, StageSpec

__all__ = ["Anatomy", "Chip", "Piece", "Repeat", "StageRow", "dissect", "layers", "role_of"]

_ROLES = {
    "convolution": {
        "convnext", "dw", "dsconv", "mbconv", "fused_mbconv", "resconv", "bottleneck", "dw_bottleneck", "dw_first",
        "dw_lean",
    },
    "attention": {"sdta", "cga", "split", "msla", "mhsa", "wmsa", "swmsa"},
    "feed-forward": {"ffn"},
}  # fmt: skip
_LONGEST = 8
"""Layers of the longest pattern that is looked for; a block of EfficientViT-MSRA has 5."""
_OPS = {
    "conv": "convolution", "depthwise": "depthwise convolution", "linear": "linear layer", "matmul": "matrix product",
    "norm": "normalisation", "elementwise": "element-wise", "reduce": "reduction", "copy": "copy and rearrange",
    "pool": "pooling",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """A layer: `role` gives the colour, `detail` the whole truth as a tool tip."""

    role: str
    kind: str
    text: str
    detail: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Repeat:
    """Layers that follow one another `times` times."""

    times: int
    chips: tuple[Chip, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of the network and its shares (0 … 1) of the whole; `latency_share` is None where nobody knows it."""

    name: str
    params: int
    macs: int
    params_share: float
    macs_share: float
    traffic_share: float
    latency_share: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageRow:
    """One line of the drawing; the head has no stride of its own."""

    piece: Piece
    side: int | None
    stride: int | None
    width: int | None
    layers: tuple[Repeat, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Anatomy:
    """A network stage by stage and operator kind by operator kind; `is_timed` where latency shares are known."""

    digest: str
    resolution: int
    params: int
    macs: int
    stages: tuple[StageRow, ...]
    operators: tuple[Piece, ...]
    is_timed: bool = False


def dissect(spec: ArchSpec, report: CostReport, group_ms: Mapping[int, float] | None = None) -> Anatomy:
    """Draw up a network from its spec and its costs.

    Args:
        spec: The network.
        report: Its costs.
        group_ms: Index of a row of the report's trace → estimated ms of the fused group that this row leads.
    """
    by_stage = {line.name: _piece(line.name, [line], report) for line in report.by_stage()}
    by_stage = _timed(by_stage, group_ms, [row.stage for row in report.trace.rows])
    stages = [_stage(spec, i, by_stage) for i in range(len(spec.stages))]
    rest = [piece for name, piece in by_stage.items() if not name.startswith("stages.")]
    heads = [StageRow(piece=p, side=None, stride=None, width=spec.classes, layers=_head(spec)) for p in rest]
    return Anatomy(
        digest=spec.digest,
        resolution=spec.resolution,
        params=report.params,
        macs=report.macs,
        stages=(*stages, *heads),
        operators=_operators(report, group_ms),
        is_timed=bool(group_ms),
    )


def layers(stage: StageSpec) -> tuple[Repeat, ...]:
    """Describe a stage's layers in order; what follows itself, one layer or a pattern of several, is told once."""
    found = [Repeat(times=1, chips=(_chip(stage.entry, "entry"),))]
    blocks = stage.blocks
    while blocks:
        length, times = _pattern(blocks)
        chips = tuple(_chip(block, role_of(block.kind)) for block in blocks[:length])
        found.append(Repeat(times=times, chips=chips))
        blocks = blocks[length * times :]
    return tuple(found)


def role_of(kind: str) -> str:
    """Say in one word what a kind of block does: convolution, attention, feed-forward or other."""
    return next((role for role, kinds in _ROLES.items() if kind in kinds), "other")


def _pattern(blocks: tuple[BlockSpec, ...]) -> tuple[int, int]:
    """Find the pattern at the start that covers most blocks by repeating, as its length and how often it comes."""
    best = (1, 1)
    for length in range(1, min(_LONGEST, len(blocks) // 2) + 1):
        times = 1
        while blocks[length * times : length * (times + 1)] == blocks[:length]:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _stage(spec: ArchSpec, index: int, pieces: dict[str, Piece]) -> StageRow:
    stage, stride = spec.stages[index], spec.strides[index]
    name = f"stages.{index}"
    empty = Piece(name=name, params=0, macs=0, params_share=0.0, macs_share=0.0, traffic_share=0.0)
    piece = dataclasses.replace(pieces.get(name, empty), name=f"stage {index + 1}")
    side = -(-spec.resolution // stride)
    return StageRow(piece=piece, side=side, stride=stride, width=stage.width, layers=layers(stage))


def _operators(report: CostReport, group_ms: Mapping[int, float] | None) -> tuple[Piece, ...]:
    """One piece per kind of operator that does work: by time where it is known, by arithmetic, by traffic."""
    by_kind: dict[str, list[CostLine]] = {}
    for line in report.by_op():
        by_kind.setdefault(line.kind, []).append(line)
    pieces = {kind: _piece(_OPS.get(kind, kind), lines, report) for kind, lines in by_kind.items()}
    timed = _timed(pieces, group_ms, [row.kind for row in report.trace.rows]).values()
    working = [piece for piece in timed if piece.macs_share > 0 or piece.traffic_share > 0]
    return tuple(sorted(working, key=lambda piece: (-(piece.latency_share or 0), -piece.macs, -piece.traffic_share)))


def _timed(pieces: Mapping[str, Piece], group_ms: Mapping[int, float] | None, names: Sequence[str]) -> dict[str, Piece]:
    """Give each piece its share of the time; `names` says for each row of the trace whose time it is."""
    if not group_ms:
        return dict(pieces)
    total = sum(group_ms.values())
    own = dict.fromkeys(pieces, 0.0)
    for row, ms in group_ms.items():
        own[names[row]] += ms
    return {name: dataclasses.replace(piece, latency_share=own[name] / total) for name, piece in pieces.items()}


def _piece(name: str, lines: Sequence[CostLine], report: CostReport) -> Piece:
    params, macs = sum(line.params for line in lines), sum(line.macs for line in lines)
    return Piece(
        name=name,
        params=params,
        macs=macs,
        params_share=params / max(report.params, 1),
        macs_share=macs / max(report.macs, 1),
        traffic_share=sum(line.traffic_bytes for line in lines) / max(report.traffic_bytes, 1),
    )


def _chip(block: BlockSpec, role: str) -> Chip:
    parts = [f"{side}×{side}" for side in sorted(set(block.kernels or ()))]
    parts += [f"{block.splits} splits"] if block.splits else []
    parts += [f"{block.heads} heads" if block.heads != 1 else "1 head"] if block.heads else []
    parts += [f"window {block.window}"] if block.window else []
    parts += [f"expand {block.hidden / block.width:.3g}"] if block.hidden and not block.heads else []
    parts += [block.position] if block.position else []
    detail = ", ".join(f"{key} {value}" for key, value in _fields(block))
    return Chip(role=role, kind=block.kind, text=" · ".join(parts), detail=detail)


def _head(spec: ArchSpec) -> tuple[Repeat, ...]:
    if spec.head is None:
        return ()
    text = " → ".join(map(str, (*spec.head.widths, spec.classes)))
    chip = Chip(role="entry", kind=f"{spec.head.kind} head", text=text, detail=f"norm {spec.head.norm}")
    return (Repeat(times=1, chips=(chip,)),)


def _fields(block: BlockSpec) -> list[tuple[str, object]]:
    pairs = ((field.name, getattr(block, field.name)) for field in dataclasses.fields(block))
    return [(name, value) for name, value in pairs if value is not None and name != "kind"]
