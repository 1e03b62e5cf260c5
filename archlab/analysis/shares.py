"""How much of a stage is attention, and how many feed-forward blocks follow each? Sequences of blocks written anew.

A network is changed as little as the change allows: what can stay in its place stays, stages without attention stay as
they are, convolutions too. The series of whole networks of a paper's figure are another rule: `artifacts.mixes`.
"""

import dataclasses
from collections.abc import Sequence

from archlab.model.blocks import BLOCKS
from archlab.spec import BlockSpec, StageSpec

__all__ = ["is_attention", "is_feed_forward", "with_attention_share", "with_ffns"]

Blocks = tuple[BlockSpec, ...]


def is_attention(block: BlockSpec) -> bool:
    """Whether a block mixes by attention."""
    return callable(getattr(BLOCKS[block.kind], "attention_maps", None))


def is_feed_forward(block: BlockSpec) -> bool:
    """Whether a block widens and narrows its channels, without attention."""
    return block.hidden is not None and not is_attention(block)


def with_attention_share(stage: StageSpec, share: float) -> StageSpec:
    """Let a share of a stage's attention and feed-forward blocks be attention, evenly spread; their number stays.

    A stage without attention stays as it is; depthwise convolutions keep their places. Attention that goes becomes the
    stage's feed-forward block and the other way round.

    Source: EfficientViT (arXiv 2305.07027), fig. 3.
    """
    attentions = [block for block in stage.blocks if is_attention(block)]
    if not attentions:
        return stage
    plain = next((block for block in stage.blocks if is_feed_forward(block)), None) or _feed_forward(attentions[0])
    places = [i for i, block in enumerate(stage.blocks) if is_attention(block) or is_feed_forward(block)]
    kept = _spread(round(share * len(places)), places, [i for i in places if is_attention(stage.blocks[i])])
    blocks = list(stage.blocks)
    for i in places:
        if i in kept:
            blocks[i] = blocks[i] if is_attention(blocks[i]) else attentions[0]
        else:
            blocks[i] = blocks[i] if is_feed_forward(blocks[i]) else plain
    return dataclasses.replace(stage, blocks=tuple(blocks))


def with_ffns(stage: StageSpec, count: int) -> StageSpec:
    """Let `count` feed-forward blocks follow each attention that one follows now.

    What goes with a feed-forward block (a depthwise convolution before it) is repeated with it. Only runs that consist
    of equal repetitions are changed.
    """
    blocks: list[BlockSpec] = []
    rest = list(stage.blocks)
    while rest:
        head = rest.pop(0)
        blocks.append(head)
        if is_attention(head):
            run = _run(rest)
            unit = _unit(run)
            blocks += unit * count if unit else run
            rest = rest[len(run) :]
    return dataclasses.replace(stage, blocks=tuple(blocks))


def _feed_forward(attention: BlockSpec) -> BlockSpec:
    """An FFN for a stage that has none; its width is that of the attention's MLP or four times the stage's."""
    norm = "ln" if attention.norm == "ln" else "bn"
    hidden = attention.hidden or 4 * attention.width
    return BlockSpec(kind="ffn", width=attention.width, hidden=hidden, norm=norm, act=attention.act or "gelu")


def _spread(count: int, places: Sequence[int], present: Sequence[int]) -> set[int]:
    """Choose `count` of the places: of those that have attention now where they suffice, else the rest from the end."""
    if count <= len(present):
        step = len(present) / count if count else 0.0
        return {present[int((i + 1) * step) - 1] for i in range(count)}
    more = [i for i in reversed(places) if i not in present]
    return {*present, *more[: count - len(present)]}


def _run(blocks: Sequence[BlockSpec]) -> list[BlockSpec]:
    """The blocks before the next attention, or all."""
    end = next((i for i, block in enumerate(blocks) if is_attention(block)), len(blocks))
    return list(blocks[:end])


def _unit(run: Sequence[BlockSpec]) -> list[BlockSpec]:
    """The shortest piece whose repetition is the run and that holds a feed-forward block; empty where there is none."""
    for length in range(1, len(run) + 1):
        piece = list(run[:length])
        if len(run) % length == 0 and piece * (len(run) // length) == list(run):
            return piece if any(is_feed_forward(block) for block in piece) else []
    return []
