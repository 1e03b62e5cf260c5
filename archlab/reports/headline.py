"""What would one say in one breath? The title, the best found, and the networks to look at first."""

import dataclasses

from archlab import format as fmt
from archlab.reports import findings, sources
from archlab.reports.picture import score_spread
from archlab.reports.study_files import Study, interval_ms, latency_ms, latency_source, score
from archlab.study import result
from archlab.study.record import Record
from archlab.study.trust import trust

__all__ = ["Card", "cards", "facts", "lead", "published_name", "title", "trusted"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """A network to look at first, in texts."""

    reasons: str
    digest: str
    score: str
    latency: str
    within: str
    params: str
    macs: str
    model: str
    origin: str


def title(study: Study) -> str:
    """Name the study: space, device, budget."""
    return f"{study.space} on {study.plan.device} under {study.plan.budget_ms:g} ms"


def lead(study: Study) -> str:
    """Say in one or two sentences what was found."""
    networks = findings.distinct(study.trials)
    best = result.best(study.trials)
    if best is None:
        return _nothing(study, networks)
    text = f"The best of {len(networks)} distinct networks, {best.digest}, reaches a {study.score_title} score of "
    text += f"{fmt.resolved(score(best), score_spread(study))} at {_latency_words(best)}."
    name = published_name(best)
    return f"{text} {_own(study, name) if name else _rival(study)}".strip()


def trusted(study: Study) -> str:
    """Say how far the score may be trusted, and what it cost."""
    found = trust(study.plan, study.trials)
    sentences = (found.correlation_words(), found.cost_words())
    return " ".join(f"{words[:1].upper()}{words[1:]}." for words in sentences if words)


def _own(study: Study, name: str) -> str:
    """Say that the best is a published model, and what the search itself found."""
    text = f"It is the published model {name}."
    own = [trial for trial in findings.distinct(study.trials) if not published_name(trial)]
    best = result.best(own)
    if best is None:
        return text
    found = f"{best.digest}, reaches {fmt.resolved(score(best), score_spread(study))} at {_latency_words(best)}"
    return f"{text} The best network that the search itself found, {found}."


def _rival(study: Study) -> str:
    """Name the best published model that keeps the budget."""
    rivals = [
        row
        for row in study.run.baselines
        if row.score is not None and findings.keeps_budget(study, row.latency_ms, row.latency_interval)
    ]
    if not rivals:
        return "No published model beside it keeps the budget." if study.run.baselines else ""
    rival = max(rivals, key=lambda row: row.score or 0.0)
    shown = fmt.milliseconds(rival.latency_ms, rival.latency_interval)
    scored = fmt.resolved(rival.score, score_spread(study))
    return f"The best published model within the budget, {rival.model}, scores {scored} at {shown}."


def cards(study: Study) -> tuple[Card, ...]:
    """Put the picks into words."""
    return tuple(_card(study, pick) for pick in findings.picks(study))


def facts(study: Study) -> tuple[tuple[str, str], ...]:
    """Give the counts that stand under the title as `(number, what it counts)`."""
    networks = findings.distinct(study.trials)
    feasible = sum(trial.is_feasible for trial in networks)
    return (
        (f"{len(study.trials):,}", "trials"),
        (f"{len(networks):,}", "distinct networks"),
        (f"{feasible:,}", "within the budget"),
        (f"{len(findings.front(study)):,}", "on the front"),
        (fmt.duration(study.seconds), "search time"),
    )


def published_name(trial: Record) -> str:
    """Give the published model that a trial tried; empty for a sampled network."""
    return trial.origin.removeprefix("published:") if trial.origin.startswith("published:") else ""


def _nothing(study: Study, networks: tuple[Record, ...]) -> str:
    if not networks:
        return "No network could be evaluated; the causes are listed below."
    nearest = min(networks, key=lambda trial: latency_ms(trial) or 0.0)
    return (
        f"None of {len(networks)} distinct networks keeps the budget of {study.plan.budget_ms:g} ms. "
        f"The fastest, {nearest.digest}, needs {_latency_words(nearest)}."
    )


def _card(study: Study, pick: findings.Pick) -> Card:
    trial = pick.trial
    known, ends = trial.evaluation, interval_ms(trial)
    return Card(
        reasons=" · ".join(pick.reasons),
        digest=trial.digest or "",
        score=fmt.resolved(score(trial), score_spread(study)),
        latency=fmt.milliseconds(latency_ms(trial), ends),
        within=fmt.interval(ends) if ends else "",
        params=fmt.count(known.params if known else None),
        macs=fmt.count(known.macs if known else None),
        model=f"{study.folder}:{trial.digest}",
        origin=published_name(trial),
    )


def _latency_words(trial: Record) -> str:
    ends = interval_ms(trial)
    kind = sources.parse(latency_source(trial)).kind
    article = "an " if kind[:1] in "aeiou" else "a "
    within = f" (interval {fmt.interval(ends)})" if ends else ""
    return f"{article if kind else ''}{kind} {fmt.milliseconds(latency_ms(trial), ends)}{within}".strip()
