"""EfficientViT (MSRA), Table 1: widths, depths and heads of M0 to M5, read off the networks that are built here.

Source: arXiv 2305.07027, Table 1.
"""

from collections.abc import Iterable

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Equal
from archlab.artifacts.paper import beside
from archlab.artifacts.rows import Row
from archlab.families import published
from archlab.spec import ArchSpec, StageSpec

__all__ = ["ARTIFACT", "shape_of"]

_PAPER, _ITEM = "EfficientViT-MSRA", "Table 1 architecture"
_CHANNELS, _DEPTHS, _HEADS = "channels C1,C2,C3", "depth L1,L2,L3", "heads H1,H2,H3"


def compute(bench: Bench) -> tuple[Row, ...]:
    """Three rows for each of the six sizes; nothing is measured."""
    return tuple(
        beside(_PAPER, _ITEM, f"EfficientViT-M{size}", metric, ours=text, ours_source="read off the network")
        for size in range(6)
        for metric, text in shape_of(published(f"efficientvit_m{size}").spec).items()
    )


def shape_of(spec: ArchSpec) -> dict[str, str]:
    """Widths, attention layers and heads of the stages, as the table writes them: ``128/256/384``."""
    mixers = [[block for block in stage.blocks if block.heads] for stage in spec.stages]
    return {
        _CHANNELS: _joined(spec.widths),
        _DEPTHS: _joined(len(blocks) for blocks in mixers),
        _HEADS: _joined(_heads(stage) for stage in spec.stages),
    }


def _heads(stage: StageSpec) -> int:
    """The heads of a stage's attention layers, which all have the same number; 0 without attention."""
    return max((block.heads or 0 for block in stage.blocks), default=0)


def _joined(numbers: Iterable[int]) -> str:
    return "/".join(map(str, numbers))


ARTIFACT = Artifact(
    name="msra_table1",
    source="EfficientViT-MSRA (arXiv 2305.07027), Table 1: architecture of M0 to M5",
    needs="nothing",
    compute=compute,
    checks=(
        Equal(claim="the widths of the stages", metric=_CHANNELS),
        Equal(claim="the sandwiches of the stages", metric=_DEPTHS),
        Equal(claim="the heads of the stages", metric=_HEADS),
    ),
)
