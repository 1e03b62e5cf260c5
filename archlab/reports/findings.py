"""What did the search find? The front, the three picks, the ties and the progress, all from the trials alone.

Only complete trials within every limit can be on the front, and a network counts once, at its first trial. Score is
better when higher, latency when lower.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from archlab import format as fmt
from archlab.pareto import hypervolume, knee
from archlab.reports import sources
from archlab.reports.study_files import Study, interval_ms, latency_ms, latency_source, score
from archlab.study import result
from archlab.study.confirm import Confirmed, share
from archlab.study.record import Record

__all__ = [
    "Pick",
    "Progress",
    "confirmed",
    "confirmed_words",
    "distinct",
    "front",
    "keeps_budget",
    "overlaps",
    "picks",
    "progress",
    "reference",
    "ties",
]

_UP_DOWN = (True, False)
_NEAR = 0.01
"""How far below the best score the fastest pick may lie, as a share of the best."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pick:
    """A network worth looking at first, with every reason why."""

    reasons: tuple[str, ...]
    trial: Record


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """How the search went: one value per trial, in the order of the trials; None before the first feasible network."""

    numbers: tuple[int, ...]
    best: tuple[float | None, ...]
    volume: tuple[float, ...]
    reference: tuple[float, float]


def distinct(trials: Sequence[Record]) -> tuple[Record, ...]:
    """Keep the first record of every network whose score and latency are known."""
    return tuple(trial for trial in result.distinct(trials) if trial.state == "complete")


def front(study: Study) -> tuple[Record, ...]:
    """Find the non-dominated feasible networks, fastest first."""
    return tuple(result.front(study.trials, study.plan.objectives))


def confirmed(study: Study) -> dict[str, Confirmed]:
    """Give the second measurements of the front by digest."""
    digests = {trial.digest for trial in front(study)}
    return {row.digest: row for row in study.confirmed if row.digest in digests}


def confirmed_words(study: Study) -> str:
    """Say how the front fared when it was measured again; empty where it was not."""
    found = share(front(study), study.confirmed)
    if found.slowest_share is None:
        return ""
    crossing = f", {found.crossing} cross it with their interval" if found.crossing else ""
    missing = len(front(study)) - found.networks
    return (
        f"Measured again in a fresh process, in random order: {found.within} of {found.networks} keep the budget by "
        f"their second median{crossing}; the slowest takes {fmt.percent(found.slowest_share)} of it."
        + (f" {missing} more are not measured again yet." if missing else "")
    )


def picks(study: Study) -> tuple[Pick, ...]:
    """Choose the best under the budget, the knee, and the fastest within 1 % of the best score; equal ones merge."""
    points, best = front(study), result.best(study.trials)
    if best is None:
        return ()
    floor = _pair(best)[0] - _NEAR * abs(_pair(best)[0])
    fastest = next(trial for trial in points if _pair(trial)[0] >= floor)
    chosen = [
        ("best under the budget", best),
        ("knee of the front", points[knee(_values(points), _UP_DOWN)]),
        ("fastest within 1 % of the best score", fastest),
    ]
    merged: dict[int, list[str]] = {}
    for reason, trial in chosen:
        merged.setdefault(trial.number, []).append(reason)
    by_number = {trial.number: trial for _, trial in chosen}
    return tuple(Pick(reasons=tuple(why), trial=by_number[number]) for number, why in merged.items())


def keeps_budget(study: Study, ms: float | None, ends: tuple[float, float] | None) -> bool | None:
    """Say whether a latency, taken at the upper end of its interval, keeps the budget; None where it is unknown."""
    return None if ms is None else (ends[1] if ends else ms) <= study.plan.budget_ms


def overlaps(points: tuple[Record, ...]) -> tuple[bool, ...]:
    """Say for each front point whether its latency interval overlaps with that of the next slower one."""
    pairs = itertools.pairwise(points)
    found = [_ends(slow)[0] <= _ends(fast)[1] and _has_interval(fast, slow) for fast, slow in pairs]
    return (*found, False) if points else ()


def ties(study: Study) -> tuple[Record, ...]:
    """Find the feasible networks off the front that only noise puts there, fastest first.

    Such a network is dominated, but by no network whose whole interval lies below its own. Only clocked latencies
    are compared so: the errors of estimates go together and intervals that overlap say nothing about the order.
    """
    points = front(study)
    on_front = {trial.digest for trial in points}
    timed = [t for t in distinct(study.trials) if t.is_feasible and t.digest not in on_front and interval_ms(t)]
    tied = [t for t in timed if sources.parse(latency_source(t)).kind == "measured" and not _is_beaten(t, points)]
    return tuple(sorted(tied, key=lambda trial: _pair(trial)[1]))


def reference(studies: Sequence[Study]) -> tuple[float, float] | None:
    """Choose the hypervolume's reference `(score, latency_ms)`: the lowest score of any network, the highest budget."""
    scores = [_pair(trial)[0] for study in studies for trial in distinct(study.trials)]
    return (min(scores), max(study.plan.budget_ms for study in studies)) if scores else None


def progress(study: Study, corner: tuple[float, float]) -> Progress:
    """Follow the best feasible score and the hypervolume over the trials.

    Args:
        study: The study.
        corner: Reference point `(score, latency_ms)`.
    """
    best: list[float | None] = []
    volume: list[float] = []
    kept: list[tuple[float, float]] = []
    for trial in study.trials:
        if trial.is_feasible and not _is_covered(_pair(trial), kept):
            kept = [*(p for p in kept if not _is_covered(p, [_pair(trial)])), _pair(trial)]
            volume.append(hypervolume(kept, corner, _UP_DOWN))
        else:
            volume.append(volume[-1] if volume else 0.0)
        best.append(max((value for value, _ in kept), default=None))
    numbers = tuple(trial.number for trial in study.trials)
    return Progress(numbers=numbers, best=tuple(best), volume=tuple(volume), reference=corner)


def _pair(trial: Record) -> tuple[float, float]:
    value, ms = score(trial), latency_ms(trial)
    assert value is not None and ms is not None
    return value, ms


def _values(trials: Iterable[Record]) -> list[tuple[float, float]]:
    return [_pair(trial) for trial in trials]


def _ends(trial: Record) -> tuple[float, float]:
    return interval_ms(trial) or (_pair(trial)[1], _pair(trial)[1])


def _has_interval(*trials: Record) -> bool:
    return all(interval_ms(trial) is not None for trial in trials)


def _is_beaten(trial: Record, points: tuple[Record, ...]) -> bool:
    value, low = _pair(trial)[0], _ends(trial)[0]
    return any(_pair(p)[0] >= value and _ends(p)[1] < low for p in points)


def _is_covered(pair: tuple[float, float], kept: list[tuple[float, float]]) -> bool:
    return any(value >= pair[0] and ms <= pair[1] for value, ms in kept)
