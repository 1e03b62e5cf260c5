"""Which study did better? Studies share a pair of axes only where device, runtime, precision and score agree."""

import dataclasses
from collections.abc import Sequence

from archlab import format as fmt
from archlab.pareto import hypervolume
from archlab.reports import findings, sources
from archlab.reports.picture import axis_key, score_spread
from archlab.reports.study_files import Study, interval_ms, latency_ms, latency_source, score
from archlab.study import result

__all__ = ["Panel", "Summary", "panels"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """One study in one line of text."""

    study: str
    space: str
    sampler: str
    budget: str
    trials: str
    feasible: str
    best: str
    latency: str
    kind: str
    volume: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """Studies that may share a pair of axes; `reference` is their common corner for the hypervolume."""

    title: str
    studies: tuple[Study, ...]
    reference: tuple[float, float] | None
    rows: tuple[Summary, ...]


def panels(studies: Sequence[Study]) -> tuple[Panel, ...]:
    """Group studies into panels, in the order given."""
    grouped: dict[tuple[str, ...], list[Study]] = {}
    for study in studies:
        grouped.setdefault(axis_key(study), []).append(study)
    return tuple(_panel(group) for group in grouped.values())


def _panel(group: Sequence[Study]) -> Panel:
    first = group[0]
    words = [first.plan.device, *(str(first.run.protocol.get(key) or "") for key in ("runtime", "precision"))]
    corner = findings.reference(group)
    return Panel(
        title=f"{', '.join(word for word in words if word)}, {first.score_title} score",
        studies=tuple(group),
        reference=corner,
        rows=tuple(_summary(study, corner) for study in group),
    )


def _summary(study: Study, corner: tuple[float, float] | None) -> Summary:
    networks = findings.distinct(study.trials)
    best = result.best(study.trials)
    points = [(score(trial) or 0.0, latency_ms(trial) or 0.0) for trial in findings.front(study)]
    return Summary(
        study=study.name,
        space=study.space,
        sampler=f"{study.plan.sampler}, seed {study.plan.seed}",
        budget=f"{study.plan.budget_ms:g} ms",
        trials=f"{len(study.trials):,}",
        feasible=f"{sum(trial.is_feasible for trial in networks):,} of {len(networks):,}",
        best=fmt.resolved(score(best), score_spread(study)) if best else fmt.DASH,
        latency=fmt.milliseconds(latency_ms(best), interval_ms(best)) if best else fmt.DASH,
        kind=sources.parse(latency_source(best)).kind if best else "",
        volume=fmt.number(hypervolume(points, corner, (True, False)), 4) if corner else fmt.DASH,
    )
