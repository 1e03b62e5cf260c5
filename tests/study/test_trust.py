"""What is known of a search's score: found by name, put into words, with its seconds."""

import dataclasses

import pytest

from archlab.proxy.judging import EQUAL_COST, Correlation
from archlab.study import trust as room
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record


def correlation(proxy: str, tau: float) -> Correlation:
    return Correlation(
        proxy=proxy, part=EQUAL_COST, tau=tau, low=tau - 0.1, high=tau + 0.1, pairs=90, networks=30, source="made up"
    )


def record(number: int, score_s: float | None, origin: str = "sampled") -> Record:
    found = Evaluation(values={"score": 1.0}, sources={"score": "proxy:naswot"}, score_s=score_s)
    return Record(
        number=number, state="complete", digest=f"{number:012d}", spec=None, point=None, origin=origin,
        evaluation=found, violations={}, seconds=3.0, seed=0,
    )  # fmt: skip


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {name: correlation(name, tau) for name, tau in (("naswot", 0.5), ("params", 0.25), ("macs", -0.125))}
    more = dataclasses.replace(rows["naswot"], tau=0.75, low=0.5, high=1.0, pairs=900, networks=99, source="papers")
    other_part = dataclasses.replace(rows["naswot"], part="all pairs")
    found = {name: (row,) for name, row in rows.items()} | {"naswot": (other_part, rows["naswot"], more)}
    monkeypatch.setattr(room, "known_correlations", lambda proxy: found.get(proxy, ()))


@pytest.mark.usefixtures("known")
def test_a_known_score_stands_beside_the_counts() -> None:
    plan = StudyPlan(budget_ms=5.0, device="orin", proxy="naswot")
    found = room.trust(plan, [record(0, 0.5), record(1, 1.5), record(2, None), record(3, 1.5, origin="repeat of 1")])
    assert (found.seconds, found.networks) == (2.0, 2)
    assert found.cost_words() == "scoring took 2.0 s, 1 s for each of 2 networks"
    assert found.correlation_words() == (
        "the score naswot ranks networks of about equal cost with Kendall's τ 0.75 (0.50 to 1.00; 99 networks, papers) "
        "and 0.50 (0.40 to 0.60; 30 networks, made up; beside it params 0.25, macs -0.12); 0 is chance, 1 is perfect"
    )
    assert (found.to_dict()["tau"], found.to_dict()["networks"]) == (0.75, 99)
    assert [one["tau"] for one in found.to_dict()["others"]] == [0.5]
    assert found.to_dict()["scored"] == 2


@pytest.mark.usefixtures("known")
def test_a_count_does_not_stand_beside_itself() -> None:
    found = room.trust(StudyPlan(budget_ms=5.0, device="orin", proxy="macs"), [])
    assert [one.proxy for one in found.beside] == ["params"]
    assert found.cost_words() == ""


@pytest.mark.usefixtures("known")
def test_a_score_that_nobody_has_judged_says_so() -> None:
    found = room.trust(StudyPlan(budget_ms=5.0, device="orin", proxy="zen"), [])
    assert found.correlation_words() == "how well zen ranks trained networks is not known yet: read a score as a hint"
    assert found.to_dict() == {
        "proxy": "zen", "part": None, "tau": None, "low": None, "high": None, "pairs": None, "networks": None,
        "source": None, "others": [], "seconds": 0.0, "scored": 0,
    }  # fmt: skip
