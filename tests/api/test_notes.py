from types import SimpleNamespace
from typing import Any

import pytest

from archlab.api.notes import note_on
from archlab.errors import StudyError
from archlab.families import published
from archlab.latency.estimate import Estimate, HeldOut

HELD_OUT = HeldOut(mean_abs_pct=5, within_10_share=1, kendall_tau=1, coverage=None, points=9, families=3)


def estimate(ms: float, seen_ms: tuple[float, float] | None = (1.0, 10.0)) -> Estimate:
    return Estimate(ms=ms, lo_ms=ms, hi_ms=ms, predictor="roofline", device="orin", held_out=HELD_OUT, seen_ms=seen_ms)


@pytest.mark.parametrize("ms", [0.5, 1.0, 10.0, 20.0])
def test_inside_twice_what_was_seen_there_is_nothing_to_say(ms: float) -> None:
    assert estimate(ms).note is None


@pytest.mark.parametrize("ms", [0.49, 20.1])
def test_far_outside_it_is_said(ms: float) -> None:
    assert estimate(ms).note == (
        f"an estimate of {ms:g} ms for orin lies far outside the 1 to 10 ms that it was fitted on: take it as a hint"
    )


def test_a_fit_that_does_not_say_what_it_saw() -> None:
    assert estimate(1e6, None).note is None


def best(name: str, source: str) -> Any:
    return lambda: SimpleNamespace(spec=published(name).spec, latency_source=source)


def test_the_best_network_of_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    assert note_on(best("edgenext_small", "estimated:roofline@orin")) == {}
    monkeypatch.setattr("archlab.latency.estimate._FAR", 0.05)
    (said,) = note_on(best("edgenext_small", "estimated:roofline@orin")).values()
    assert "ms for orin lies far outside the 0.52 to 11.5 ms" in said
    for source in ("measured:ort@cpu", "estimated:other@orin", "estimated:roofline@gone"):
        assert note_on(best("edgenext_small", source)) == {}


def test_a_study_without_a_best_network_has_none() -> None:
    def nothing() -> Any:
        raise StudyError("no network of the study is under that budget")

    assert note_on(nothing) == {}
