"""The lines of the page's tables: every number as text for the eye and as a value to sort by."""

import dataclasses

from archlab import format as fmt
from archlab.reports import findings, sources
from archlab.reports.anatomy import role_of
from archlab.reports.headline import published_name
from archlab.reports.picture import score_spread
from archlab.reports.study_files import Baseline, Study, interval_ms, latency_ms, latency_source, score
from archlab.reports.tables import kinds_text
from archlab.spec import ArchSpec
from archlab.study.confirm import Confirmed
from archlab.study.record import Record

__all__ = ["Cell", "FrontRow", "PublishedRow", "front_rows", "published_rows", "tie_words"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A number as text, and the number itself; a missing one sorts last."""

    text: str
    value: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontRow:
    """A network of the front, or one that only noise keeps off it (`is_tie`).

    `again` is the second measurement, `verdict` what it says of the budget; empty where there is none.
    """

    digest: str
    model: str
    score: Cell
    latency: Cell
    within: str
    source: str
    again: Cell
    again_within: str
    verdict: str
    overlaps_next: bool
    is_tie: bool
    budget_share: Cell
    params: Cell
    macs: Cell
    resolution: Cell
    widths: str
    depths: str
    kinds: str
    attention: str
    origin: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A published model on the same device."""

    model: str
    resolution: Cell
    score: Cell
    top1: Cell
    latency: Cell
    within: str
    source: str
    verdict: str
    params: Cell
    macs: Cell
    note: str


def front_rows(study: Study) -> tuple[FrontRow, ...]:
    """List the front fastest first, then the networks level with it."""
    points = findings.front(study)
    marks = findings.overlaps(points)
    rows = [_front_row(study, trial, mark, is_tie=False) for trial, mark in zip(points, marks, strict=True)]
    return (*rows, *(_front_row(study, trial, False, is_tie=True) for trial in findings.ties(study)))


def published_rows(study: Study) -> tuple[PublishedRow, ...]:
    """List the published models fastest first."""
    ordered = sorted(study.run.baselines, key=lambda row: (row.latency_ms is None, row.latency_ms or 0.0))
    spread = score_spread(study)
    return tuple(_published_row(study, row, spread) for row in ordered)


def tie_words(study: Study) -> str:
    """Say how many neighbours on the front cannot be told apart by their latency."""
    marks = findings.overlaps(findings.front(study))
    pairs, level = len(marks) - 1, len(findings.ties(study))
    if pairs < 1 or not any(marks):
        text = ""
    else:
        text = (
            f"{sum(marks)} of {pairs} neighbouring pairs overlap in their latency intervals: "
            "≈ marks a network that may be as slow as the next one."
        )
    more = f" {level} more are level with the front within the noise; they stand below it." if level else ""
    return (text + more).strip()


def _front_row(study: Study, trial: Record, overlaps_next: bool, *, is_tie: bool) -> FrontRow:
    ms, ends, known, spec = latency_ms(trial), interval_ms(trial), trial.evaluation, trial.spec
    share = None if ms is None else ms / study.plan.budget_ms
    again = findings.confirmed(study).get(str(trial.digest))
    return FrontRow(
        digest=trial.digest or "",
        model=f"{study.folder}:{trial.digest}",
        score=Cell(text=fmt.resolved(score(trial), score_spread(study)), value=score(trial)),
        latency=Cell(text=fmt.milliseconds(ms, ends), value=ms),
        within=fmt.interval(ends) if ends else "",
        source=sources.parse(latency_source(trial)).kind,
        again=_again(again),
        again_within=fmt.interval(again.interval_again_ms) if again else "",
        verdict=again.verdict if again else "",
        overlaps_next=overlaps_next,
        is_tie=is_tie,
        budget_share=Cell(text=fmt.percent(share), value=share),
        params=_count(known.params if known else None),
        macs=_count(known.macs if known else None),
        resolution=Cell(text=str(spec.resolution), value=spec.resolution) if spec else Cell(text=fmt.DASH),
        widths="-".join(map(str, spec.widths)) if spec else "",
        depths="-".join(map(str, spec.depths)) if spec else "",
        kinds=kinds_text(spec) if spec else "",
        attention=_attention(spec) if spec else "",
        origin=published_name(trial),
    )


def _published_row(study: Study, row: Baseline, spread: float) -> PublishedRow:
    kept = findings.keeps_budget(study, row.latency_ms, row.latency_interval)
    verdict = {True: "within", False: "over", None: fmt.DASH}[kept]
    return PublishedRow(
        model=row.model,
        resolution=Cell(text=str(row.resolution or fmt.DASH), value=row.resolution),
        score=Cell(text=fmt.resolved(row.score, spread), value=row.score),
        top1=Cell(text=fmt.DASH if row.top1 is None else f"{row.top1:.1f} %", value=row.top1),
        latency=Cell(text=fmt.milliseconds(row.latency_ms, row.latency_interval), value=row.latency_ms),
        within=fmt.interval(row.latency_interval) if row.latency_interval else "",
        source=sources.parse(row.latency_source).kind,
        verdict=verdict,
        params=_count(row.params),
        macs=_count(row.macs),
        note=row.note or "",
    )


def _again(found: Confirmed | None) -> Cell:
    if found is None:
        return Cell(text=fmt.DASH)
    return Cell(text=fmt.milliseconds(found.latency_again_ms, found.interval_again_ms), value=found.latency_again_ms)


def _count(value: int | None) -> Cell:
    return Cell(text=fmt.count(value), value=value)


def _attention(spec: ArchSpec) -> str:
    kinds = dict.fromkeys(block.kind for stage in spec.stages for block in stage.blocks)
    return ", ".join(kind for kind in kinds if role_of(kind) == "attention") or "none"
