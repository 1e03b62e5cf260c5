"""One breath: the title, the lead and the cards, in the words a reader meets."""

from collections.abc import Callable

from archlab.reports import headline
from archlab.reports.study_files import Baseline, Study
from archlab.study.record import Record

MakeRecord = Callable[..., Record]
StudyOf = Callable[..., Study]


def test_title_names_space_device_and_budget(record: MakeRecord, study_of: StudyOf) -> None:
    assert headline.title(study_of(record(0, 1, 1.0), budget_ms=2.5, device="orin")) == "hybrid on orin under 2.5 ms"


def test_lead_compares_with_the_best_published_model_in_budget(record: MakeRecord, study_of: StudyOf) -> None:
    rows = [
        Baseline(model="slow", score=99.0, latency_ms=4.9, latency_interval=(4.7, 5.1)),  # its upper end is over 5 ms
        Baseline(model="good", score=8.0, latency_ms=3.0),
        Baseline(model="poor", score=2.0, latency_ms=1.0),
        Baseline(model="unknown"),
    ]
    study = study_of(record(0, 10, 2.0, 0.1), record(1, 0, 1.0), baselines=rows)
    assert headline.lead(study) == (
        "The best of 2 distinct networks, 000000000000, reaches a naswot score of 10.0 at a measured 2.00 ms "
        "(interval 1.90–2.10 ms). The best published model within the budget, good, scores 8.0 at 3.00 ms."
    )
    alone = study_of(record(0, 10, 2.0), baselines=rows[:1])
    assert headline.lead(alone).endswith("No published model beside it keeps the budget.")
    assert headline.lead(study_of(record(0, 10, 2.0))).endswith("at a measured 2.00 ms.")


def test_lead_says_when_the_best_is_a_published_model(record: MakeRecord, study_of: StudyOf) -> None:
    known = record(0, 10, 2.0, origin="published:convnext_pico")
    text = headline.lead(study_of(known, record(1, 9, 1.0)))
    assert (
        "It is the published model convnext_pico. The best network that the search itself found, 000000000001," in text
    )
    assert headline.lead(study_of(known)).endswith("It is the published model convnext_pico.")


def test_estimates_are_called_estimates(record: MakeRecord, study_of: StudyOf) -> None:
    text = headline.lead(study_of(record(0, 10, 2.0, 0.4, kind="estimated")))
    assert "at an estimated 2.0 ms (interval 1.6–2.4 ms)" in text and "measured" not in text


def test_cards_and_facts(record: MakeRecord, study_of: StudyOf) -> None:
    study = study_of(record(0, 10, 2.0, 0.1, origin="published:b1"), record(1, 5, 9.0), seconds=80.0)
    (card,) = headline.cards(study)
    assert card.reasons == "best under the budget · knee of the front · fastest within 1 % of the best score"
    assert (card.latency, card.within, card.origin) == ("2.00 ms", "1.90–2.10 ms", "b1")
    assert card.model == "studies/small:000000000000"
    assert headline.facts(study) == (
        ("2", "trials"), ("2", "distinct networks"), ("1", "within the budget"), ("1", "on the front"),
        ("1 min 20 s", "search time"),
    )  # fmt: skip
