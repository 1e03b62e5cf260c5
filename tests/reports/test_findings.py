"""The front, the picks, the ties and the progress of studies small enough to do by hand."""

from collections.abc import Callable

import pytest

from archlab.reports import findings
from archlab.reports.study_files import Study
from archlab.study.record import Record

MakeRecord = Callable[..., Record]
StudyOf = Callable[..., Study]


def numbers(trials: tuple[Record, ...]) -> list[int]:
    return [trial.number for trial in trials]


def test_front_is_distinct_feasible_and_sorted(record: MakeRecord, study_of: StudyOf) -> None:
    study = study_of(
        record(0, 10, 4.0),
        record(1, 8, 2.0),
        record(2, 7, 3.0),  # slower and worse than 1
        record(3, 12, 4.9, 0.2),  # 5.1 ms at the upper end
        record(4, 10, 4.0, digest=f"{0:012d}", origin="repeat of 0"),
        record(5, 99, 1.0, state="failed", evaluation=None, violations={}, error="it broke"),
    )
    assert numbers(findings.front(study)) == [1, 0]
    assert numbers(findings.distinct(study.trials)) == [0, 1, 2, 3]


def test_picks_and_their_reasons(record: MakeRecord, study_of: StudyOf) -> None:
    study = study_of(
        record(0, 50, 1.0), record(1, 95, 2.0), record(2, 99.5, 3.5), record(3, 100, 4.5), record(4, 60, 1.5)
    )
    found = {pick.reasons: pick.trial.number for pick in findings.picks(study)}
    # 99.5 is within 1 % of 100, 95 is not; 95 at 2 ms bulges farthest from the chord (50, 1)–(100, 4.5).
    assert found == {
        ("best under the budget",): 3,
        ("knee of the front",): 1,
        ("fastest within 1 % of the best score",): 2,
    }


def test_picks_merge_and_negative_scores_have_a_nearest(record: MakeRecord, study_of: StudyOf) -> None:
    single = findings.picks(study_of(record(0, -5.0, 1.0)))
    assert [(pick.trial.number, len(pick.reasons)) for pick in single] == [(0, 3)]
    # 1 % of |-200| is 2: -201.5 is near enough, -203 is not.
    study = study_of(record(0, -203, 1.0), record(1, -201.5, 2.0), record(2, -200, 3.0))
    fastest = next(p for p in findings.picks(study) if "fastest within 1 % of the best score" in p.reasons)
    assert fastest.trial.number == 1


def test_no_feasible_network(record: MakeRecord, study_of: StudyOf) -> None:
    study = study_of(record(0, 10, 6.0))
    assert findings.front(study) == () and findings.picks(study) == () and findings.ties(study) == ()
    assert findings.overlaps(()) == ()


def test_overlapping_neighbours(record: MakeRecord, study_of: StudyOf) -> None:
    points = findings.front(study_of(record(0, 1, 1.0, 0.1), record(1, 2, 1.15, 0.1), record(2, 3, 2.0, 0.1)))
    assert findings.overlaps(points) == (True, False, False)
    bare = findings.front(study_of(record(0, 1, 1.0), record(1, 2, 1.0)))
    assert findings.overlaps(bare) == (False,)  # 1 dominates 0: same time, better score


def test_ties_are_networks_that_only_noise_puts_off_the_front(record: MakeRecord, study_of: StudyOf) -> None:
    level = record(1, 9, 2.05, 0.1)  # dominated by 0, but 1.95 … 2.15 ms overlaps 1.9 … 2.1 ms
    beaten = record(2, 9, 2.5, 0.1)  # 2.4 ms is above 2.1 ms
    assert numbers(findings.ties(study_of(record(0, 10, 2.0, 0.1), level, beaten))) == [1]
    assumed = [record(n, s, ms, 0.1, kind="estimated") for n, s, ms in ((0, 10, 2.0), (1, 9, 2.05))]
    assert findings.ties(study_of(*assumed)) == ()  # intervals of estimates say nothing about the order


def test_progress_by_hand(record: MakeRecord, study_of: StudyOf) -> None:
    study = study_of(
        record(0, 9, 6.0),  # over the budget
        record(1, 4, 3.0),  # (4 - 2) × (5 - 3) = 4
        record(2, 3, 4.0),  # dominated
        record(3, 6, 4.0),  # 4 + (6 - 4) × (5 - 4) = 6
        record(4, 2, 1.0),  # no better than the reference
    )
    corner = findings.reference([study])
    assert corner == (2.0, 5.0)
    run = findings.progress(study, corner)
    assert run.best == (None, 4, 4, 6, 6)
    assert run.volume == pytest.approx((0, 4, 4, 6, 6))
    assert run.numbers == (0, 1, 2, 3, 4)


def test_studies_share_the_worst_corner(record: MakeRecord, study_of: StudyOf) -> None:
    narrow, wide = study_of(record(0, 3, 1.0)), study_of(record(0, 7, 1.0), budget_ms=8.0)
    assert findings.reference([narrow, wide]) == (3.0, 8.0)
    empty = study_of(record(0, 1, 1.0, state="failed", evaluation=None, violations={}, error="x"))
    assert findings.reference([empty]) is None


def test_budget_applies_at_the_upper_end(record: MakeRecord, study_of: StudyOf) -> None:
    study = study_of(record(0, 1, 1.0))
    assert findings.keeps_budget(study, 4.9, (4.7, 5.0)) is True
    assert findings.keeps_budget(study, 4.9, (4.7, 5.1)) is False
    assert findings.keeps_budget(study, 4.9, None) is True
    assert findings.keeps_budget(study, None, None) is None
