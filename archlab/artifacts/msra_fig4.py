"""EfficientViT (MSRA), Fig. 4: how alike are the heads of a block, and does it help to split the features among them?

The paper compares Swin-T and DeiT-T, 1.25 times as fast, with and without a split of the features; its values are read
off the figure. Ours are of small networks trained on 32 px: Swin and DeiT with as many blocks, so that block stands
beside block; and EfficientViT-MSRA with plain attention, with split features and with the cascade, trained alike, where
only the means over the blocks can be compared. The figure says that late blocks of Swin are the most alike and that a
split lowers the similarity; DeiT's blocks are about level.

Attention weights are positive, so the maps of a few positions are alike whatever the heads do: the similarity to a flat
map stands beside each block, and the last stages of small networks have as few as four positions.

Source: arXiv 2305.07027, §2.2 and Fig. 4; the formula is `archlab.analysis.head_similarity`'s ``mean``.
"""

import dataclasses
from collections.abc import Mapping

from archlab.analysis.finding import Conditions, Subject
from archlab.analysis.head_similarity import head_similarity
from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger
from archlab.artifacts.kept import Kept, Repeats, fields_of, over_seeds
from archlab.artifacts.paper import numbers
from archlab.artifacts.rows import NEEDS_COMPUTE, Lack, Row
from archlab.training.dataset import Dataset

__all__ = ["ARTIFACT", "thirds"]

_PAPER, _ITEM = "EfficientViT-MSRA", "Fig. 4 head similarity"
_SIMILARITY, _FLATNESS = "similarity of a head to its nearest", "similarity to a flat map"
_BLOCKS = 12
_SERIES = {"swin": "Swin-T-1.25x", "deit": "DeiT-T-1.25x"}
"""Trained network → the paper's series beside it."""
_MIXERS = {"msra_mhsa": "plain attention", "msra_split": "split features", "msra_cascade": "cascade"}
_FIRST, _LAST, _MEAN = "first third", "last third", "all blocks"
_SPLIT = "with per-head feature splits"
_IMAGES, _PARTS = 256, 5
_NOT_TRAINED = Lack(verdict=NEEDS_COMPUTE, what="Swin and DeiT with split features")


def compute(bench: Bench) -> tuple[Row, ...]:
    """Rows by block for Swin and DeiT, means for the three mixers."""
    rows: list[Row] = []
    for net, series in _SERIES.items():
        found, printed = over_seeds(bench, net, _look, parts=_PARTS), _printed(series)
        rows += [_row(found, f"{series}, {where}", where, printed) for where in printed]
        rows += [_row(found, f"{series}, {where}", where, {}, flat=True) for where in printed]
    for net, what in _MIXERS.items():
        found = over_seeds(bench, net, _look)
        rows += [_row(found, f"MSRA, {what}", _MEAN, {}), _row(found, f"MSRA, {what}", _MEAN, {}, flat=True)]
    rows += [
        _row(_NOT_TRAINED, f"{series} {_SPLIT}", _MEAN, _printed(f"{series} {_SPLIT}")) for series in _SERIES.values()
    ]
    return tuple(rows)


def thirds(blocks: Mapping[int, float]) -> dict[str, float]:
    """Means over the first and the last third of numbered blocks, and over all of them."""
    ordered = [blocks[number] for number in sorted(blocks)]
    part = max(1, len(ordered) // 3)
    groups = {_FIRST: ordered[:part], _LAST: ordered[-part:], _MEAN: ordered}
    return {name: sum(group) / len(group) for name, group in groups.items()}


def _look(network: Kept, data: Dataset) -> dict[str, float]:
    """Similarities in % by block and third, and those to the flat map."""
    subject = Subject(
        name=f"{network.net}, seed {network.seed}",
        module=network.module,
        resolution=network.spec.resolution,
        spec=network.spec,
        weights="trained weights",
    )
    table = head_similarity(subject, Conditions(data=data, images=_IMAGES)).rows
    seen: dict[str, float] = {}
    for metric, column in ((_SIMILARITY, "similarity"), (_FLATNESS, "flatness")):
        blocks = {int(number): 100 * float(value) for number, value in zip(table.block, table[column], strict=True)}
        named = {f"block {number}": value for number, value in blocks.items()} | thirds(blocks)
        seen |= {f"{metric} {where}": value for where, value in named.items()}
    return seen


def _printed(series: str) -> dict[str, float]:
    """What the figure shows of a series, by block and third."""
    shown = numbers(_PAPER, _ITEM)
    blocks = {number: shown[f"{series}, block {number}"] for number in range(1, _BLOCKS + 1)}
    return {f"block {number}": value for number, value in blocks.items()} | thirds(blocks)


def _row(
    found: Mapping[str, Repeats] | Lack,
    setting: str,
    where: str,
    printed: Mapping[str, float],
    *,
    flat: bool = False,
) -> Row:
    metric = _FLATNESS if flat else _SIMILARITY
    own = found if isinstance(found, Lack) else found[f"{metric} {where}"]
    row = Row(setting=setting, metric=metric, unit="%", **fields_of(own, f"head_similarity on {_IMAGES} images"))
    if where not in printed:
        return row
    status = "digitised" if where.startswith("block") else "derived"
    return dataclasses.replace(row, paper=printed[where], paper_source="figure digitised", paper_status=status)


_SWIN = _printed(_SERIES["swin"])

ARTIFACT = Artifact(
    name="msra_fig4",
    source="EfficientViT-MSRA (arXiv 2305.07027), Fig. 4: similarity of heads by block, with and without a split",
    needs="networks trained at small scale, and the images they were trained on",
    compute=compute,
    checks=(
        Larger(
            claim="the heads of Swin's late blocks are more alike than those of its early ones",
            metric=_SIMILARITY,
            more=f"{_SERIES['swin']}, {_LAST}",
            less=f"{_SERIES['swin']}, {_FIRST}",
            by=round(_SWIN[_LAST] - _SWIN[_FIRST], 2),
        ),
        Larger(
            claim="heads that see a share of the features each are less alike than heads that see all",
            metric=_SIMILARITY,
            more="MSRA, plain attention",
            less="MSRA, split features",
        ),
    ),
)
