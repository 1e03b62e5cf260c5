"""Records: one line out, the same value in, damage named."""

import json

import pytest

from archlab.errors import StudyError
from archlab.families import published
from archlab.study.record import Evaluation, Record

SPEC = published("edgenext_xx_small").spec
EVALUATION = Evaluation(
    values={"score": 1.5, "latency_ms": 3.0},
    sources={"score": "proxy:naswot", "latency_ms": "estimated:roofline@orin"},
    intervals={"latency_ms": (2.5, 3.9)},
    macs=7,
    params=8,
)
RECORD = Record(
    number=3,
    state="complete",
    digest=SPEC.digest,
    spec=SPEC,
    point={"width": 24, "act": "gelu", "share": 0.5, "flag": True},
    origin="sampled",
    evaluation=EVALUATION,
    violations={"latency_ms": -1.1},
    seconds=0.5,
    seed=0,
)


def test_a_line_out_and_in() -> None:
    line = RECORD.to_json()
    assert "\n" not in line
    assert Record.from_dict(json.loads(line)) == RECORD
    failed = RECORD.replace(state="failed", evaluation=None, spec=None, digest=None, violations={}, error="why")
    assert Record.from_dict(json.loads(failed.to_json())) == failed


def test_the_keys_others_rely_on() -> None:
    document = RECORD.to_dict()
    assert list(document) == [
        "number", "state", "digest", "spec", "point", "origin", "evaluation", "violations", "seconds", "seed", "error",
    ]  # fmt: skip
    assert document["evaluation"]["intervals"] == {"latency_ms": [2.5, 3.9]}
    assert document["spec"] == SPEC.to_dict()


def test_feasible_is_complete_and_within_every_limit() -> None:
    assert RECORD.is_feasible
    assert RECORD.replace(violations={"latency_ms": 0.0}).is_feasible
    assert not RECORD.replace(violations={"latency_ms": 0.1}).is_feasible
    assert not RECORD.replace(state="skipped").is_feasible


def test_the_upper_end_is_the_value_where_there_is_no_interval() -> None:
    assert EVALUATION.upper("latency_ms") == 3.9
    assert EVALUATION.upper("score") == 1.5
    assert EVALUATION.upper("params") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": "running"}, "state 'running'"),
        ({"number": "three"}, "number: "),
        ({"surprise": 1}, "surprise: "),
        ({"spec": {"resolution": 32}}, "spec.stages: "),
        ({"spec": {"resolution": 1, "stages": []}}, "resolution is out of range"),
    ],
)
def test_damage_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=rf"line 7 is damaged; given: {message}.*; allowed: .*; restore"):
        Record.from_dict({**RECORD.to_dict(), **change}, where="line 7")
