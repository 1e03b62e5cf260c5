"""EfficientViT (MSRA), Fig. 5: which channels does Taylor pruning leave?

The paper prunes Swin-T by first-order Taylor importance and shows, block by block, the widths of queries and keys, of
values and of the FFNs that remain over the width of the map: 1, 1 and 4 before. Ours is a small Swin trained on 32 px,
pruned in one shot in these three roles, maps and heads left alone, down to the share of channels that the paper keeps
of them. Kept shares stand side by side by stage, the paper's as the mean over a stage's blocks. The figure says that
early stages keep more, that queries, keys and FFNs go first and that values stay.

Source: arXiv 2305.07027, §2.3 and Fig. 5; its values are read off the figure.
"""

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger
from archlab.artifacts.kept import Kept, fields_of, over_seeds
from archlab.artifacts.paper import numbers
from archlab.artifacts.rows import Lack, Row
from archlab.pruning.importance import taylor
from archlab.pruning.shrink import Keep, prune
from archlab.training.dataset import Dataset

__all__ = ["ARTIFACT", "kept_share"]

_PAPER, _ITEM = "EfficientViT-MSRA", "Fig. 5 Taylor pruning"
_NET, _KEPT = "swin", "share of channels kept"
_ROLES = {"qk": "queries and keys", "v": "values", "ffn": "FFN"}
_METRICS = {
    "qk": "remaining ratio QK dim / embedding",
    "v": "remaining ratio V dim / embedding",
    "ffn": "remaining ratio FFN hidden / embedding",
}
_WHOLE = {"qk": 1.0, "v": 1.0, "ffn": 4.0}
"""The ratios of the whole network."""
_STAGES = {1: (1, 2), 2: (3, 4), 3: (5, 6, 7, 8, 9, 10), 4: (11, 12)}
"""Swin-T's blocks by stage."""
_WIDTHS = {1: 96, 2: 192, 3: 384, 4: 768}
_BATCH, _IMAGES, _PARTS = 32, 512, 5


def _setting(role: str, stage: int | None = None) -> str:
    return f"{_ROLES[role]}, {'all stages' if stage is None else f'stage {stage}'}"


def _ratios() -> dict[str, dict[int, float]]:
    """Role → block → what the figure shows over what the whole network has."""
    found: dict[str, dict[int, float]] = {}
    for role, metric in _METRICS.items():
        shown = numbers(_PAPER, _ITEM, metric)
        found[role] = {int(setting.rpartition(" ")[2]): ratio / _WHOLE[role] for setting, ratio in shown.items()}
    return found


def _printed() -> dict[str, float]:
    """The paper's kept shares by role and stage; over all stages channels count, so that wide blocks weigh more."""
    shares: dict[str, float] = {}
    for role, blocks in _ratios().items():
        means = {stage: sum(blocks[b] for b in members) / len(members) for stage, members in _STAGES.items()}
        channels = {stage: len(members) * _WIDTHS[stage] for stage, members in _STAGES.items()}
        shares |= {_setting(role, stage): mean for stage, mean in means.items()}
        shares[_setting(role)] = kept_share({stage: (n, n * means[stage]) for stage, n in channels.items()})
    return shares


def kept_share(counts: dict[int, tuple[float, float]]) -> float:
    """Share kept over all stages of channels before and after."""
    return sum(after for _, after in counts.values()) / sum(before for before, _ in counts.values())


def _goal() -> float:
    """The share that the paper keeps of all channels of the three roles."""
    shares = _printed()
    return sum(_WHOLE[role] * shares[_setting(role)] for role in _ROLES) / sum(_WHOLE.values())


def compute(bench: Bench) -> tuple[Row, ...]:
    """One row by role and stage, and one by role over all stages."""
    found = over_seeds(bench, _NET, _look, parts=_PARTS)
    source = f"Taylor pruning on {_IMAGES} images to {_goal():.0%} of the channels"
    return tuple(
        Row(
            setting=setting,
            metric=_KEPT,
            paper=round(share, 4),
            paper_source="figure digitised",
            paper_status="derived",
            **fields_of(found if isinstance(found, Lack) else found[setting], source),
        )
        for setting, share in _printed().items()
    )


def _look(network: Kept, data: Dataset) -> dict[str, float]:
    """Kept shares of one trained network by role and stage."""
    batches = list(data.first(_IMAGES).batches(_BATCH, network.spec.resolution))
    pruned = prune(network.spec, network.module, taylor(batches), Keep(goal=_goal()), roles=tuple(_ROLES))
    shares: dict[str, float] = {}
    for role in _ROLES:
        counts = {row.stage + 1: (float(row.before), float(row.after)) for row in pruned.kept if row.role == role}
        shares |= {_setting(role, stage): after / before for stage, (before, after) in counts.items()}
        shares[_setting(role)] = kept_share(counts)
    return shares


def _claims() -> list[Larger]:
    shares = _printed()
    pairs = [
        *((f"{_ROLES[role]}: stage 1 keeps more than stage 4", (role, 1), (role, 4)) for role in _ROLES),
        ("values stay rather than queries and keys", ("v", None), ("qk", None)),
        ("values stay rather than FFNs", ("v", None), ("ffn", None)),
    ]
    claims = []
    for claim, more, less in pairs:
        ends = _setting(*more), _setting(*less)
        by = round(shares[ends[0]] - shares[ends[1]], 3)
        claims.append(Larger(claim=claim, metric=_KEPT, more=ends[0], less=ends[1], by=by))
    return claims


ARTIFACT = Artifact(
    name="msra_fig5",
    source="EfficientViT-MSRA (arXiv 2305.07027), Fig. 5: channels that Taylor pruning leaves of Swin-T, by role",
    needs="networks trained at small scale, and the images they were trained on",
    compute=compute,
    checks=tuple(_claims()),
)
