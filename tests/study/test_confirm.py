import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archlab.errors import DeviceError
from archlab.families import published
from archlab.study import again, confirm
from archlab.study.confirm import Confirmed, fresh_process, read, share
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record

PLAN = StudyPlan(budget_ms=10.0, device="cpu")
SPEC = published("edgenext_xx_small").spec.replace(resolution=64)


def record(digest: str, ms: float = 9.0) -> Record:
    values = {"latency_ms": ms, "score": ms}
    found = Evaluation(values=values, sources={"latency_ms": "measured:ort@cpu", "score": "proxy:x"})
    return Record(
        number=0, state="complete", digest=digest, spec=SPEC, point=None, origin="sampled",
        evaluation=found, violations={}, seconds=1.0, seed=0,
    )  # fmt: skip


class Process:
    """Stands in for the fresh process: the second median of each network."""

    def __init__(self, **again_ms: float) -> None:
        self.again_ms = again_ms
        self.asked: list[str] = []

    def __call__(self, networks: Sequence[Record], anchor_ms: float | None) -> Iterator[Mapping[str, Any]]:
        assert anchor_ms == 9.0
        for network in networks:
            self.asked.append(str(network.digest))
            ms = self.again_ms[str(network.digest)]
            yield {
                "digest": network.digest,
                "latency_again_ms": ms,
                "latency_again_interval": [ms - 0.1, ms + 0.1],
                "source": "measured:ort@cpu",
                "quality": "ok",
            }


FRONT = [record(digest) for digest in "abcdefgh"]


def test_both_numbers_are_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "confirmed.jsonl"
    process = Process(**dict.fromkeys("abcdefgh", 9.5))
    found = list(confirm.confirm(PLAN, FRONT, path, process, 9.0))
    assert read(path) == tuple(found)
    assert {row.digest for row in found} == set("abcdefgh")
    assert (found[0].latency_ms, found[0].latency_again_ms, found[0].budget_ms) == (9.0, 9.5, 10.0)


def test_the_order_is_random_and_the_seeds(tmp_path: Path) -> None:
    orders = []
    for name, seed in (("x", 0), ("y", 0), ("z", 1)):
        process = Process(**dict.fromkeys("abcdefgh", 9.5))
        list(confirm.confirm(PLAN.replace(seed=seed), FRONT, tmp_path / name, process, 9.0))
        orders.append(process.asked)
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != list("abcdefgh")


def test_what_was_measured_again_is_not_measured_a_third_time(tmp_path: Path) -> None:
    path = tmp_path / "confirmed.jsonl"
    list(confirm.confirm(PLAN, FRONT[:3], path, Process(a=9.0, b=9.0, c=9.0), 9.0))
    with path.open("a") as stream:
        stream.write('{"digest": "d", "budg')
    process = Process(d=9.0)
    list(confirm.confirm(PLAN, FRONT[:4], path, process, 9.0))
    assert process.asked == ["d"]


def test_an_interrupt_keeps_what_is_done(tmp_path: Path) -> None:
    path = tmp_path / "confirmed.jsonl"
    rows = confirm.confirm(PLAN, FRONT, path, Process(**dict.fromkeys("abcdefgh", 9.5)), 9.0)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert len(read(path)) == 1


@pytest.mark.parametrize(
    ("ms", "verdict", "within"),
    [
        (9.89, "within", True),
        (9.95, "crosses the budget", True),
        (10.05, "crosses the budget", False),
        (10.2, "over", False),
    ],
)
def test_the_verdict(ms: float, verdict: str, within: bool) -> None:
    row = Confirmed(
        digest="a", budget_ms=10.0, latency_ms=9.0, latency_again_ms=ms, interval_again_ms=(ms - 0.1, ms + 0.1),
        source="measured:ort@cpu",
    )  # fmt: skip
    assert (row.verdict, row.is_within) == (verdict, within)


def test_the_share_counts_the_front_only(tmp_path: Path) -> None:
    rows = list(confirm.confirm(PLAN, FRONT[:4], tmp_path / "c", Process(a=8.0, b=9.95, c=10.5, d=20.0), 9.0))
    found = share(FRONT[:3], rows)
    assert (found.networks, found.within, found.crossing, found.slowest_share) == (3, 2, 1, 1.05)
    assert share([], rows).slowest_share is None


def measured(ms: float, quality: str, half: float = 0.1) -> Any:
    return SimpleNamespace(
        median_ms=ms, ci95_ms=(ms - half, ms + half), source="measured:ort@cpu", quality=quality,
        environment={"wall_mean_ms": ms + 1},
    )  # fmt: skip


def test_a_noisy_one_is_measured_once_more_after_the_others() -> None:
    answers = [measured(9.0, "noisy"), measured(8.0, "ok"), measured(9.2, "ok")]
    networks = [{"digest": name, "spec": SPEC.to_dict()} for name in ("a", "b")]
    rows = list(again.rows(networks, lambda spec: answers.pop(0), lambda: 0.01))
    assert [(row["digest"], row["latency_again_ms"], row["quality"]) for row in rows] == [
        ("b", 8.0, "ok"),
        ("a", 9.2, "ok"),
    ]
    assert rows[0]["wall_mean_ms"] == 9.0


def test_it_waits_for_calm_as_long_as_patience_lasts() -> None:
    waits: list[float] = []
    readings = [10.5, 10.4, 10.2, 8.0]
    wait = again.CalmWait(lambda: readings.pop(0), 10.0, sleep=waits.append)
    assert wait() == pytest.approx(0.02)
    assert waits == [3.0, 3.0]
    assert wait() == pytest.approx(-0.2)  # faster is no trouble
    assert len(waits) == 2


def test_where_the_device_stays_away_only_the_first_network_waits() -> None:
    waits: list[float] = []
    readings = [11.0] * 6 + [10.0] + [11.0] * 5
    wait = again.CalmWait(lambda: readings.pop(0), 10.0, sleep=waits.append)
    assert wait() == pytest.approx(0.1)
    assert len(waits) == 4
    assert wait() == pytest.approx(0.1)
    assert len(waits) == 4
    assert wait() == 0.0
    assert wait() == pytest.approx(0.1)
    assert len(waits) == 8  # after a calm reading it has patience again
    assert again.CalmWait(lambda: 1.0, None)() is None


def test_the_drift_stands_in_the_row() -> None:
    drifts = [0.01, 0.05, 0.02]
    answers = [measured(9.0, "ok"), measured(9.0, "noisy"), measured(9.0, "ok")]
    networks = [{"digest": name, "spec": SPEC.to_dict()} for name in ("a", "b")]
    rows = again.rows(networks, lambda spec: answers.pop(0), lambda: drifts.pop(0))
    assert [row["drift"] for row in rows] == [0.01, 0.02]


def test_of_two_noisy_ones_the_narrower_counts() -> None:
    answers = [measured(9.0, "noisy", 0.1), measured(9.2, "noisy", 0.3)]
    rows = list(again.rows([{"digest": "a", "spec": SPEC.to_dict()}], lambda spec: answers.pop(0), lambda: 0.01))
    assert (rows[0]["latency_again_ms"], rows[0]["quality"]) == (9.0, "noisy")


def test_a_process_of_its_own_says_its_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match=r"device 'orin' cannot be measured: nothing answers for it; given: "):
        list(fresh_process(PLAN.replace(device="orin"), [record("a")], None))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(
        DeviceError, match=r"the second measurement of the front broke off; given: exit code 1; allowed: "
    ):
        list(fresh_process(PLAN, [record("a")], None))


@pytest.mark.slow
def test_a_real_process_measures_a_real_network() -> None:
    spec = published("efficientvit_m0").spec
    network = record("a").replace(digest=spec.digest, spec=spec)
    (row,) = fresh_process(PLAN.replace(measure_s=1.0), [network], None)
    assert row["digest"] == spec.digest
    assert row["source"] == "measured:ort@cpu"
    low, high = row["latency_again_interval"]
    assert 0 < low <= row["latency_again_ms"] <= high
    assert row["drift"] is None
