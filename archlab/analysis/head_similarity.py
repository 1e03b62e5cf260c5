"""How alike do the heads of a block look? EfficientViT-MSRA, figure 4.

For every image and block, each head's attention map is compared with every other head's by cosine similarity; what
counts for a head is the largest, its nearest double. Two formulas make one number per image of it:

- ``mean``: the largest for each head, averaged over the heads, as the paper's text and figure say;
- ``max``: the largest of all pairs, the maximum over i of the maximum over j ≠ i, as it is often quoted.

Both are then averaged over the images, with the bootstrap's interval over them. The map of a head on one image is all
its windows together; maps of padded windows are taken as they are. Channel attention (sdta) compares maps of channels
by channels, linear attention (msla) the map that it never forms. Weights of attention are positive, so flat maps are
alike whatever the heads do: `flatness`, the cosine similarity to the flat map, says how much of that there is.

Source: Liu et al., EfficientViT (arXiv 2305.07027), §2.2 and fig. 4.

Legend of the shape suffixes: B images, P images times windows, h heads, R rows and K columns of a map, M all elements
of a head's maps on one image.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from archlab.analysis.attention import AttentionMap, attention_maps
from archlab.analysis.finding import Conditions, Finding, Subject
from archlab.analysis.intervals import Floats, Mean, bootstrap
from archlab.errors import PlanError, four_parts, unknown_name
from archlab.figures import Line, LinePoint, draw_lines

__all__ = ["FORMULAS", "head_similarity", "similarities"]

_BATCH = 16
_NOTHING = 0.0005
"""A difference that three decimals do not show is none."""

FORMULAS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "mean": ("the largest cosine similarity to another head, averaged over the heads", lambda x_Bh: x_Bh.mean(dim=1)),
    "max": ("the largest cosine similarity of any two heads", lambda x_Bh: x_Bh.amax(dim=1)),
}
"""Name → the formula in words, and how the largest similarities of the heads become one number per image."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Block:
    """One attention over all images."""

    path: str
    kind: str
    heads: int
    rows: int
    columns: int
    windows: int
    similarity_B: Floats
    flatness_B: Floats


def similarities(maps_PhRK: Tensor, images: int, formula: str = "mean") -> Tensor:
    """Compare the heads of one block, image by image.

    Args:
        maps_PhRK: Attention maps; the windows of an image follow each other.
        images: How many images they are of.
        formula: A key of `FORMULAS`.

    Returns:
        One number per image, `(images,)`, at most 1.
    """
    x_BhM = _unit(maps_PhRK, images)
    cosine_Bhh = x_BhM @ x_BhM.transpose(1, 2)
    own = torch.eye(cosine_Bhh.shape[1], dtype=torch.bool)
    nearest_Bh = cosine_Bhh.masked_fill(own, -math.inf).amax(dim=2)
    return FORMULAS[formula][1](nearest_Bh)


def head_similarity(subject: Subject, conditions: Conditions) -> Finding:
    """Compare the heads of every attention of a network on images.

    Returns:
        One row per attention with two heads or more, in the order of execution: `similarity` with its interval over
        the images `low`, `high`, the `formula`, and `flatness`. The same in every row: `all_blocks` with `all_low`
        and `all_high`, the mean over the blocks, and `late_less_early` with `late_low` and `late_high`, the mean of
        the last third of the blocks less that of the first (nan with one block).

    Raises:
        UnknownNameError: For a formula that does not exist.
        PlanError: For a network without attention that can be read, or with one head everywhere.
    """
    if conditions.formula not in FORMULAS:
        raise unknown_name("formula of head_similarity", conditions.formula, FORMULAS)
    blocks = _seen(subject, conditions)
    rows = pd.DataFrame([_row(block, number, conditions) for number, block in enumerate(blocks, 1)])
    rows = rows.assign(
        **_whole(blocks, conditions.seed),
        model=subject.name,
        weights=subject.weights,
        data=conditions.data_name,
        formula=conditions.formula,
    )
    return Finding(
        name="head_similarity",
        model=subject.name,
        rows=rows,
        sentence=_sentence(subject, conditions, blocks),
        draw=lambda: _figure(rows),
    )


def _seen(subject: Subject, conditions: Conditions) -> list[_Block]:
    """Every attention with two heads or more, over all images."""
    seen: list[list[_Block]] = []
    for number, x_BCHW in enumerate(conditions.batches(_BATCH, subject.resolution)):
        conditions.on_progress(f"{subject.name}: {number * _BATCH} of {conditions.images} images")
        maps = [m for m in attention_maps(subject.module, x_BCHW) if m.maps_PhRK.shape[1] > 1]
        if not maps:
            raise PlanError(
                four_parts(
                    f"no block of {subject.name} has heads to compare",
                    given="attention with one head",
                    allowed="two heads or more",
                    do="choose another network",
                )
            )
        seen.append([_block(m, len(x_BCHW), conditions.formula) for m in maps])
    return [_joined(batches) for batches in zip(*seen, strict=True)]


def _block(found: AttentionMap, images: int, formula: str) -> _Block:
    maps = found.maps_PhRK.double()
    windows, (heads, rows, columns) = len(maps) // images, maps.shape[1:]
    return _Block(
        path=found.path,
        kind=found.kind,
        heads=heads,
        rows=rows,
        columns=columns,
        windows=windows,
        similarity_B=similarities(maps, images, formula).numpy(),
        flatness_B=(_unit(maps, images).sum(dim=2) / math.sqrt(windows * rows * columns)).mean(dim=1).numpy(),
    )


def _unit(maps_PhRK: Tensor, images: int) -> Tensor:
    """Each head's maps on one image as one vector of length 1, `(images, h, M)`."""
    x_BwhM = maps_PhRK.unflatten(0, (images, -1)).flatten(3)
    return torch.nn.functional.normalize(x_BwhM.transpose(1, 2).flatten(2), dim=2)


def _joined(batches: Sequence[_Block]) -> _Block:
    return dataclasses.replace(
        batches[0],
        similarity_B=np.concatenate([b.similarity_B for b in batches]),
        flatness_B=np.concatenate([b.flatness_B for b in batches]),
    )


def _row(block: _Block, number: int, conditions: Conditions) -> dict[str, Any]:
    mean, low, high = bootstrap(block.similarity_B, conditions.seed)
    return {
        "block": number,
        "path": block.path,
        "kind": block.kind,
        "heads": block.heads,
        "windows": block.windows,
        "rows": block.rows,
        "columns": block.columns,
        "similarity": mean,
        "low": low,
        "high": high,
        "flatness": float(block.flatness_B.mean()),
        "images": len(block.similarity_B),
    }


def _sentence(subject: Subject, conditions: Conditions, blocks: Sequence[_Block]) -> str:
    """Which block is the most alike, whether others are level with it, and whether late blocks are more alike."""
    means = [float(b.similarity_B.mean()) for b in blocks]
    top = int(np.argmax(means))
    mean, low, high = bootstrap(blocks[top].similarity_B, conditions.seed)
    level = [
        str(i + 1)
        for i, b in enumerate(blocks)
        if i != top and bootstrap(blocks[top].similarity_B - b.similarity_B, conditions.seed)[1] <= 0
    ]
    images = len(blocks[0].similarity_B)
    text = (
        f"On {images} {conditions.data_name} the heads of {subject.name} ({subject.weights}) are most alike in block "
        f"{top + 1} of {len(blocks)} ({blocks[top].path}): {mean:.3f} ({low:.3f} to {high:.3f}), "
        f"{FORMULAS[conditions.formula][0]}"
    )
    text += f"; level with it within the noise: block {', '.join(level)}" if level else ""
    return text + _trend(blocks, conditions.seed) + "."


def _whole(blocks: Sequence[_Block], seed: int) -> dict[str, float]:
    """What is said of all blocks together, with intervals over the images."""
    everywhere = bootstrap(np.mean([b.similarity_B for b in blocks], axis=0), seed)
    late = _late(blocks, seed) or (math.nan,) * 3
    names = ("all_blocks", "all_low", "all_high", "late_less_early", "late_low", "late_high")
    return dict(zip(names, (*everywhere, *late), strict=True))


def _late(blocks: Sequence[_Block], seed: int) -> Mean | None:
    """The last third of the blocks less the first; None of a single block."""
    if len(blocks) < 2:
        return None
    third = max(1, len(blocks) // 3)
    table = np.stack([b.similarity_B for b in blocks])
    return bootstrap(table[-third:].mean(axis=0) - table[:third].mean(axis=0), seed)


def _trend(blocks: Sequence[_Block], seed: int) -> str:
    """The last third of the blocks against the first, in words; nothing of a single block."""
    found = _late(blocks, seed)
    if found is None:
        return ""
    mean, low, high = found
    which = "last third of the blocks is" if len(blocks) >= 6 else "last block is"
    than = "the first third" if len(blocks) >= 6 else "the first"
    ends = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
    if low <= 0 <= high or abs(mean) < _NOTHING:
        return f"; the {which} level with {than}, {ends}"
    return f"; the {which} {'more' if mean > 0 else 'less'} alike than {than}, {ends}"


def _figure(rows: pd.DataFrame) -> Any:
    first = rows.iloc[0]
    points = tuple(
        LinePoint(x=float(b), y=y, low=low, high=high)
        for b, y, low, high in zip(rows.block, rows.similarity, rows.low, rows.high, strict=True)
    )
    flat = tuple(LinePoint(x=float(b), y=y) for b, y in zip(rows.block, rows.flatness, strict=True))
    return draw_lines(
        [Line(label="nearest other head", points=points), Line(label="flat map", points=flat, is_dashed=True)],
        title=f"{first.model}, {first.weights}, {first.images} {first.data}",
        x_title="attention block",
        y_title=f"cosine similarity ({first.formula} over heads)",
    )
