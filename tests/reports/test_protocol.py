"""The box tells how the numbers came about, and nothing it does not know."""

from collections.abc import Callable

from archlab.reports import protocol
from archlab.reports.study_files import Study
from archlab.study.record import Record
from archlab.study.trust import trust

MakeRecord = Callable[..., Record]
StudyOf = Callable[..., Study]


def facts(study: Study) -> dict[str, str]:
    return {name: text for group in protocol.groups(study) for name, text in group.facts}


def test_estimated_study(record: MakeRecord, study_of: StudyOf) -> None:
    held_out = {"mean_abs_pct": 11.83, "within_10_share": 0.54, "kendall_tau": 0.861, "points": 41, "families": 6}
    study = study_of(
        record(0, 1, 1.0, kind="estimated"),
        device="orin",
        protocol={"kind": "estimated", "predictor": "roofline", "held_out": held_out, "lines": ["first", "second"]},
        argv=["archlab", "search", "--out", "my study"],
        git={"hash": "abc", "dirty": True},
        seconds=75.0,
    )
    told = facts(study)
    assert protocol.heading(study) == "How it was estimated"
    assert told["held-out error"] == (
        "11.8 % mean absolute error, 54 % of the points within 10 %, Kendall's τ 0.86, over 41 points of 6 families, "
        "each left out in turn"
    )
    assert told["budget"] == "5 ms, applied at the upper end of the latency's interval"
    assert told["command"] == "archlab search --out 'my study'"
    assert told["git"] == "abc with local changes" and told["took"] == "1 min 15 s"
    assert told["procedure"] == "first"
    assert "no accuracy" in told["caution"]
    assert told["rank correlation"] == trust(study.plan, []).correlation_words()
    assert "cost" not in told  # no record says
    assert not any("measured" in text for text in (*told, *told.values()))


def test_counts(record: MakeRecord, study_of: StudyOf) -> None:
    lost = {"evaluation": None, "violations": {}}
    study = study_of(
        record(0, 1, 1.0),
        record(1, 1, 9.0),
        record(2, 1, 1.0, digest=f"{0:012d}", origin="repeat of 0"),
        record(3, 1, 1, state="failed", error="no rule for aten.fft_fft2", **lost),
        record(4, 1, 1, state="skipped", error="predicted 31.5 ms, over the budget", **lost),
        record(5, 1, 1, state="skipped", error="predicted 7 ms, over the budget", **lost),
    )
    told = facts(study)
    assert told["trials"] == "6, of which 3 complete"
    assert told["distinct networks"] == "2" and told["repeats"].startswith("1, ")
    assert told["within the budget"] == "1 distinct networks, 50 %"
    assert (told["skipped"], told["failed"]) == ("2", "1")
    assert protocol.heading(study) == "How it was measured"
    assert [(c.state, c.times, c.text) for c in protocol.causes(study)] == [
        ("skipped", 2, "predicted 31.5 ms, over the budget"),
        ("failed", 1, "no rule for aten.fft_fft2"),
    ]


def test_what_is_not_known_is_left_out(record: MakeRecord, study_of: StudyOf) -> None:
    told = facts(study_of(record(0, 1, 1.0)))
    assert not {"git", "command", "held-out error", "versions", "took", "answers from the cache"} & told.keys()
    assert protocol.held_out_words(None) == "not known"
    assert "93 % of the points inside their interval" in protocol.held_out_words({"coverage": 0.93, "points": 3})
    named = {"mean_abs_pct": 8, "points": 12, "families": ["edgenext", "convnext"]}
    assert protocol.held_out_words(named) == (
        "8.00 % mean absolute error, over 12 points of 2 families (edgenext, convnext), each left out in turn"
    )


def test_both_kinds_are_said(record: MakeRecord, study_of: StudyOf) -> None:
    study = study_of(record(0, 1, 1.0), record(1, 2, 2.0, kind="estimated"))
    assert protocol.heading(study) == "How it was measured and estimated"
