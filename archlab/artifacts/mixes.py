"""Networks in which attention has a given share of the layers, and one throughput: EfficientViT-MSRA, Figs. 2 and 3.

A layer is one residual branch, attention or FFN. The number of layers of each stage stays; which of them attend
follows from the share alone, evenly spread over the network and beginning with attention, so that one half is the
network as it was. The attention layers of a stage alternate as they did, e.g. between plain and shifted windows.

These are the figures' series: from a network of halves, whole networks of every share. What one network gains by more
or less attention, stage by stage and every layer that can stay in its place, `archlab.analysis.shares` asks.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from archlab.analysis.shares import is_attention
from archlab.spec import ArchSpec, StageSpec

__all__ = ["share_of", "width_for", "with_share"]


def share_of(spec: ArchSpec) -> float:
    """Share of the layers that attend."""
    layers = [block for stage in spec.stages for block in stage.blocks]
    return sum(map(is_attention, layers)) / len(layers)


def with_share(spec: ArchSpec, share: float) -> ArchSpec:
    """The same network with `share` of its layers attending, the rest FFNs.

    Args:
        spec: A network whose stages have attention layers and FFNs.
        share: From 0 to 1; the nearest number of layers is taken.
    """
    total = sum(spec.depths)
    count = round(share * total)
    attends = [(i * count) % total < count for i in range(total)]
    stages, begin = [], 0
    for stage in spec.stages:
        stages.append(_mixed(stage, attends[begin : begin + stage.depth]))
        begin += stage.depth
    return spec.replace(stages=tuple(stages))


def _mixed(stage: StageSpec, attends: Sequence[bool]) -> StageSpec:
    distinct = dict.fromkeys(stage.blocks)
    own = [block for block in distinct if is_attention(block)], [block for block in distinct if not is_attention(block)]
    assert all(own), "a stage has attention layers and FFNs"
    attention, ffn = map(itertools.cycle, own)
    return dataclasses.replace(stage, blocks=tuple(next(attention if attend else ffn) for attend in attends))


def width_for(target: float, known: Mapping[int, float], allowed: Sequence[int]) -> int:
    """The width at which a network takes the time nearest to `target`, read off known times.

    Between two known widths, and beyond the outermost two, the logarithm of the time is linear in that of the width.

    Args:
        target: The time wanted.
        known: Width → time, in any unit, of two widths or more.
        allowed: The widths to choose from.
    """
    logs = sorted((math.log(width), math.log(time)) for width, time in known.items())

    def distance(width: int) -> float:
        return abs(_line(logs, math.log(width)) - math.log(target))

    return min(allowed, key=distance)


def _line(points: Sequence[tuple[float, float]], x: float) -> float:
    """Piecewise linear through points of rising x, the outer pieces going on."""
    i = next((i for i in range(1, len(points) - 1) if x <= points[i][0]), len(points) - 1)
    (x0, y0), (x1, y1) = points[i - 1], points[i]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
