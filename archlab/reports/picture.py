"""Studies as points of one picture: what the still figure and the interactive chart both draw."""

import dataclasses
import html
from collections.abc import Iterator, Sequence

from archlab import format as fmt
from archlab.figures import FrontPicture, FrontPoint
from archlab.reports import findings, sources
from archlab.reports.study_files import Baseline, Study, interval_ms, latency_ms, latency_source, score
from archlab.reports.tables import kinds_text
from archlab.study.record import Record

__all__ = ["Dot", "axis_key", "dots", "latency_title", "picture", "score_spread"]


_AGREEING = ("kind", "runtime", "predictor", "precision", "batch", "threads")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dot:
    """A point with what is said about it when a pointer rests on it (escaped, lines joined by ``<br>``)."""

    point: FrontPoint
    hover: str


def axis_key(study: Study) -> tuple[str, ...]:
    """Name what must agree before two studies may share a pair of axes."""
    protocol = study.run.protocol
    words = [study.plan.device, *(str(protocol.get(key, "")) for key in _AGREEING)]
    return (*words, study.plan.proxy)


def picture(studies: Sequence[Study], title: str = "") -> FrontPicture:
    """Put the points of studies that share their axes into one picture."""
    assert len({axis_key(study) for study in studies}) == 1, "one axis never mixes devices, runtimes or precisions"
    return FrontPicture(
        points=tuple(dot.point for dot in dots(studies)),
        latency_title=latency_title(studies),
        score_title=f"{studies[0].score_title} score (higher is better)",
        title=title,
        budgets_ms=tuple(sorted({study.plan.budget_ms for study in studies})),
    )


def latency_title(studies: Sequence[Study]) -> str:
    """Say on the axis what the latency is: where, how it came about, at which precision and batch."""
    protocol = studies[0].run.protocol
    texts = [latency_source(trial) for study in studies for trial in findings.distinct(study.trials)]
    parts = [f"latency on {studies[0].plan.device} (ms)", sources.describe(texts)]
    parts += [str(protocol["precision"])] if protocol.get("precision") else []
    parts += [f"batch {protocol['batch']}"] if protocol.get("batch") else []
    return ", ".join(parts)


def score_spread(study: Study) -> float:
    """Give the range of all scores of a study, which sets how many decimals a score is worth."""
    known = [score(trial) for trial in findings.distinct(study.trials)]
    scores = [value for value in known if value is not None]
    return max(scores) - min(scores) if scores else 0.0


def dots(studies: Sequence[Study]) -> tuple[Dot, ...]:
    """List the points of all studies; a published model that several studies hold is drawn once."""
    found: list[Dot] = []
    seen: set[str] = set()
    for study in studies:
        found += _trial_dots(study)
        for row in study.run.baselines:
            if row.model not in seen and row.latency_ms is not None and row.score is not None:
                seen.add(row.model)
                found.append(_published_dot(study, row, row.latency_ms, row.score))
    return tuple(found)


def _trial_dots(study: Study) -> Iterator[Dot]:
    front = {trial.number for trial in findings.front(study)}
    tied = {trial.number for trial in findings.ties(study)}
    spread = score_spread(study)
    for trial in findings.distinct(study.trials):
        role = "front" if trial.number in front else "feasible" if trial.is_feasible else "infeasible"
        role = "tie" if trial.number in tied else role
        ms, value = latency_ms(trial), score(trial)
        assert ms is not None and value is not None
        point = FrontPoint(
            latency_ms=ms,
            score=value,
            role=role,
            kind=sources.parse(latency_source(trial)).kind,
            label=trial.digest or "",
            interval_ms=interval_ms(trial) if role in {"front", "tie"} else None,
            study=study.name,
        )
        yield Dot(point=point, hover=_joined(_trial_lines(trial, role, spread)))


def _trial_lines(trial: Record, role: str, spread: float) -> Iterator[str]:
    origin = f", {trial.origin}" if trial.origin.startswith("published:") else ""
    yield f"{trial.digest}, trial {trial.number}{origin}"
    yield f"score {fmt.resolved(score(trial), spread)}"
    yield from _latency_lines(latency_ms(trial), interval_ms(trial), latency_source(trial))
    known = trial.evaluation
    yield f"{fmt.count(known.params if known else None)} params, {fmt.count(known.macs if known else None)} MACs"
    if trial.spec is not None:
        spec = trial.spec
        yield f"resolution {spec.resolution}, widths {_dashed(spec.widths)}, depths {_dashed(spec.depths)}"
        yield kinds_text(spec)
    notes = {"front": "on the front", "tie": "level with the front within the noise", "feasible": "within the budget"}
    yield notes.get(role) or _over(trial)


def _over(trial: Record) -> str:
    over = trial.violations.get("latency_ms", 0.0)
    return f"over the budget by {fmt.milliseconds(over)} at the upper end" if over > 0 else "outside the limits"


def _published_dot(study: Study, row: Baseline, ms: float, value: float) -> Dot:
    kind = sources.parse(row.latency_source).kind
    lines = [f"{row.model}, published", f"score {fmt.resolved(value, score_spread(study))}"]
    lines += _latency_lines(ms, row.latency_interval, row.latency_source or "")
    lines.append(f"{fmt.count(row.params)} params, {fmt.count(row.macs)} MACs, resolution {row.resolution or fmt.DASH}")
    lines += [f"published top-1 {fmt.number(row.top1)} %"] if row.top1 is not None else []
    point = FrontPoint(latency_ms=ms, score=value, role="published", kind=kind, label=row.model)
    return Dot(point=point, hover=_joined(lines))


def _latency_lines(ms: float | None, ends: tuple[float, float] | None, source: str) -> Iterator[str]:
    within = f" ({fmt.interval(ends)})" if ends else ""
    yield f"{fmt.milliseconds(ms, ends)}{within}, {sources.parse(source).words}"


def _joined(lines: Iterator[str] | list[str]) -> str:
    first, *rest = [html.escape(line) for line in lines]
    return "<br>".join([f"<b>{first}</b>", *rest])


def _dashed(numbers: tuple[int, ...]) -> str:
    return "-".join(map(str, numbers))
