"""Which channels does a trained network not need? EfficientViT-MSRA, figure 5.

First-order Taylor importance ranks all channels of a network together, and the least important go until the asked share
is left (0.7 by default). What each role keeps then says where the network is redundant: queries with keys, values, the
inner width of feed-forward parts, the embedding, whole heads. Each share stands with the interval of 95 % over the
batches that the importance is averaged over: they are drawn anew, with replacement, and the network is pruned again.

A network of one stage is shown in quarters of its depth instead of stages; its embedding runs through all of them. A
module without a spec is read by torch-pruning's graph (`pruning.graph`): its parts are those of its layers' paths, and
whole heads are not among the roles.

Source: Liu et al., EfficientViT (arXiv 2305.07027), §2.3 and fig. 5.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from archlab.analysis.finding import Conditions, Finding, Subject
from archlab.errors import PlanError, four_parts
from archlab.figures import Line, LinePoint, draw_lines
from archlab.pruning.choose import choice_of
from archlab.pruning.graph import Traced, traced
from archlab.pruning.groups import ROLES, Labelled, Layout, layout_of
from archlab.pruning.importance import taylor_by_batch
from archlab.pruning.shrink import Keep, reach

__all__ = ["redundancy"]

_BATCH = 16
_RESAMPLES = 40
_KEEP = 0.7
_ALL, _QUARTER = "all", "quarter"
_MOST_PARTS = 8
_INSIDE = tuple(role for role in ROLES if role not in ("embedding", "heads"))
"""Roles whose channels belong to one block; only these are added up over roles."""

_Key = tuple[str, str]
_Counts = dict[_Key, int]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Kept:
    """Channels before, after, and after pruning by other draws of the batches, by part of the network and role."""

    before: _Counts
    after: _Counts
    draws: Sequence[_Counts]

    def share(self, key: _Key) -> tuple[float, float, float]:
        """Share kept with its interval."""
        shares = [draw.get(key, 0) / self.before[key] for draw in self.draws]
        low, high = np.quantile(shares, [0.025, 0.975])
        return self.after.get(key, 0) / self.before[key], float(low), float(high)

    def gap(self, first: _Key, second: _Key) -> tuple[float, float, float]:
        """Share of the first less that of the second, with its interval."""
        gaps = [d.get(first, 0) / self.before[first] - d.get(second, 0) / self.before[second] for d in self.draws]
        low, high = np.quantile(gaps, [0.025, 0.975])
        return self.share(first)[0] - self.share(second)[0], float(low), float(high)


def redundancy(subject: Subject, conditions: Conditions) -> Finding:
    """Prune a network by Taylor importance and count what each role keeps.

    Without data the images are generated and labelled by the network itself; images of data are taken in whole batches.

    Returns:
        One row per stage and role with `before`, `after`, `share` and its interval `low`, `high`, and sums: role `all`
        adds up the channels inside the blocks of a stage, stage `all` those of a role.

    Raises:
        PlanError: For a network without logits, or whose channels cannot be followed, for data with more classes, or a
            share that cannot be reached.
    """
    batches = _batches(subject, _classes(subject), conditions)
    layout = layout_of(subject.spec) if subject.spec else traced(subject.module, _blank(subject))
    scores = taylor_by_batch(subject.module, layout, batches)
    keep = _KEEP if conditions.keep is None else conditions.keep
    draw = np.random.default_rng(conditions.seed)
    picks = draw.integers(0, len(scores), size=(_RESAMPLES, len(scores)))
    after = _counts(layout, _gone(layout, scores.mean(0), keep))
    draws = []
    for i, pick in enumerate(picks):
        conditions.on_progress(f"{subject.name}: draw {i + 1} of {_RESAMPLES}")
        draws.append(_counts(layout, _gone(layout, scores[torch.from_numpy(pick)].mean(0), keep)))
    kept = _Kept(before=_counts(layout, frozenset()), after=after, draws=draws)
    rows = pd.DataFrame([_row(kept, key) for key in kept.before])
    data = conditions.data_name if conditions.data else f"{conditions.data_name}, labelled by the network itself"
    rows = rows.assign(model=subject.name, weights=subject.weights, data=data, keep=keep, batches=len(scores))
    return Finding(
        name="redundancy",
        model=subject.name,
        rows=rows,
        sentence=f"Of the channels of {subject.name} ({subject.weights}) {100 * keep:.0f} % are kept by Taylor "
        f"importance on {data}: {_sentence(kept)}.",
        draw=lambda: _figure(rows),
    )


def _blank(subject: Subject) -> Tensor:
    return torch.zeros(1, 3, subject.resolution, subject.resolution)


def _classes(subject: Subject) -> int:
    """How many classes the network tells apart."""
    with torch.no_grad():
        logits = subject.module(_blank(subject))
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        raise PlanError(
            four_parts(
                "redundancy reads the gradient of a loss, and the network has no classifier",
                given=subject.name,
                allowed="a network that gives logits (batch, classes)",
                do="choose another network",
            )
        )
    return logits.shape[1]


def _batches(subject: Subject, classes: int, conditions: Conditions) -> Iterator[tuple[Tensor, Tensor]]:
    """Labelled images: held-out ones of the data, or generated ones with the network's own answers."""
    if conditions.data is None:
        for x_BCHW in conditions.batches(_BATCH, subject.resolution):
            with torch.no_grad():
                answers = subject.module(x_BCHW).argmax(1)
            yield x_BCHW, answers
        return
    if conditions.data.classes > classes:
        raise PlanError(
            four_parts(
                "the data have more classes than the network",
                given=f"{conditions.data.classes} classes in {conditions.data.name}",
                allowed=f"at most {classes}",
                do="choose the data that the network was trained on",
            )
        )
    count = max(1, math.ceil(conditions.images / _BATCH))
    found = conditions.data.batches(_BATCH, subject.resolution, conditions.seed, split="val")
    yield from (batch for _, batch in zip(range(count), found, strict=False))


def _gone(layout: Labelled, scores: Tensor, keep: float) -> frozenset[int]:
    return reach(choice_of(layout, scores.tolist()), Keep(goal=keep))


def _counts(layout: Labelled, gone: frozenset[int]) -> _Counts:
    """Channels left by part of the network and role, with the sums over parts and over roles."""
    counts: Counter[_Key] = Counter()
    parts = _parts(layout)
    for label in layout.labels():
        role, part = layout.roles[label], parts[label]
        if role == "embedding" and part.startswith(_QUARTER):
            part = _ALL
        left = int(label not in gone)
        for key in {(part, role), (_ALL, role)} | ({(part, _ALL), (_ALL, _ALL)} if role in _INSIDE else set()):
            counts[key] += left
    order = {part: i for i, part in enumerate((*dict.fromkeys(parts), _ALL))}
    return {key: counts[key] for key in sorted(counts, key=lambda key: (order[key[0]], _order(key[1])))}


def _parts(layout: Labelled) -> Sequence[str]:
    """For each label the part of the network it is in: its stage, or the quarter of the depth where stages say little.

    That is a network of one stage of four blocks or more, or a module of more than eight parts, of which only those
    with inner channels count.
    """
    if isinstance(layout, Traced):
        inner = {stage for stage, role in zip(layout.stages, layout.roles, strict=True) if role in _INSIDE}
        if len(inner) <= _MOST_PARTS:
            return [layout.names[stage] for stage in layout.stages]
        places = {stage: 4 * i // len(inner) for i, stage in enumerate(sorted(inner))}
        return [f"{_QUARTER} {places.get(stage, 0) + 1}" for stage in layout.stages]
    assert isinstance(layout, Layout)
    stages = layout.spec.stages
    if len(stages) > 1 or stages[0].depth < 4:
        return [str(stage) for stage in layout.stages]
    return [f"{_QUARTER} {4 * block // stages[0].depth + 1}" for block in layout.blocks]


def _order(role: str) -> int:
    return ROLES.index(role) if role in ROLES else len(ROLES)


def _row(kept: _Kept, key: _Key) -> dict[str, Any]:
    share, low, high = kept.share(key)
    before, after = kept.before[key], kept.after.get(key, 0)
    return {"stage": key[0], "role": key[1], "before": before, "after": after, "share": share, "low": low, "high": high}


def _sentence(kept: _Kept) -> str:
    """Which role keeps least and most, and whether the first part keeps more than the last."""
    roles = sorted((key for key in kept.before if key[0] == _ALL and key[1] in _INSIDE), key=lambda k: kept.share(k)[0])
    told = [f"{role} keeps {_percent(kept.share((_ALL, role)))}" for _, role in roles]
    if len(roles) > 1:
        gap = kept.gap(roles[-1], roles[0])
        told.append(f"the most less the least is {_points(gap)}" if gap[1] > 0 else "level within the noise")
    parts = [part for part, role in kept.before if role == _ALL and part != _ALL]
    if len(parts) > 1:
        gap = kept.gap((parts[0], _ALL), (parts[-1], _ALL))
        word = "more than" if gap[1] > 0 else "less than" if gap[2] < 0 else "as much as"
        named = "quarter of the blocks" if _QUARTER in parts[0] else "stage" if parts[0].isdigit() else "part"
        told.append(f"the first {named} keeps {word} the last, {_points(gap)}")
    return ", ".join(told)


def _percent(value: tuple[float, float, float]) -> str:
    return f"{100 * value[0]:.0f} % ({100 * value[1]:.0f} to {100 * value[2]:.0f})"


def _points(value: tuple[float, float, float]) -> str:
    return f"{100 * value[0]:+.0f} points ({100 * value[1]:+.0f} to {100 * value[2]:+.0f})"


def _figure(rows: pd.DataFrame) -> Any:
    parts: list[str] = [stage for stage in dict.fromkeys(rows["stage"].tolist()) if stage != _ALL]
    points: dict[str, list[LinePoint]] = {}
    for row in rows.to_dict("records"):
        if row["stage"] != _ALL:
            y, low, high = (100 * row[name] for name in ("share", "low", "high"))
            point = LinePoint(x=parts.index(row["stage"]) + 1.0, y=y, low=low, high=high)
            points.setdefault(row["role"], []).append(point)
    lines = [Line(label=role, points=tuple(own), is_dashed=role == _ALL) for role, own in points.items()]
    first = rows.iloc[0]
    names = [f"stage {part}" if part.isdigit() else part for part in parts]
    title = f"{first['model']}, {first['weights']}: {100 * first['keep']:.0f} % of the channels kept"
    return draw_lines(lines, title=title, x_title="", y_title="channels kept, %", x_names=names)
