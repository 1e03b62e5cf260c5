import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from archlab.errors import DeviceLost, DeviceUnreachable
from archlab.study import confirm, engine, follow, recovery
from archlab.study.plan import StudyPlan

Make = Callable[..., StudyPlan]


@pytest.fixture
def measured(searcher: Any) -> Any:
    """Services that measure: the anchor takes 5 ms, a second measurement 1 % more than the first."""

    class Measured(searcher.Services):  # type: ignore[misc]
        anchored = 0
        usual_ms: float | None = 5.0
        again: ClassVar[list[str]] = []

        def evaluation(self, spec: Any, values: Any, skipped: Any = None) -> Any:
            found = super().evaluation(spec, values, skipped)
            found.sources["latency_ms"] = "measured:ort@cpu"
            return found

        def anchor_ms(self) -> float | None:
            self.anchored += 1
            return 5.0

        def expect_spread(self, spread: float) -> None:
            assert spread == 0.015

        def remeasure(self, networks: Any, anchor_ms: float | None) -> Any:
            assert anchor_ms == self.usual_ms
            for record in networks:
                ms = record.evaluation.values["latency_ms"] * 1.01
                self.again.append(record.digest)
                yield {
                    "digest": record.digest, "latency_again_ms": ms, "latency_again_interval": [ms, ms],
                    "source": "measured:ort@cpu", "quality": "ok",
                }  # fmt: skip

    Measured.again = []
    return Measured


def test_the_front_is_confirmed_and_the_anchor_read(tmp_path: Path, make_plan: Make, measured: Any) -> None:
    services = measured()
    found = engine.run(make_plan(), tmp_path, services=services)
    assert found.is_finished
    assert services.anchored == 2
    rows = confirm.read(tmp_path / "confirmed.jsonl")
    assert {row.digest for row in rows} == {row["digest"] for row in found.front}
    assert all(row.latency_again_ms == pytest.approx(1.01 * row.latency_ms) for row in rows)
    assert len((tmp_path / "anchor.jsonl").read_text().splitlines()) == 2


def test_every_second_network_of_the_later_part_is_grown(
    tmp_path: Path, make_plan: Make, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def sampled(space: Any, records: Any, plan: Any, macs: Any, rng: Any) -> Any:
        asked.append(len(records))
        return space.sample(rng), "abc"

    monkeypatch.setattr(follow, "grown", sampled)
    monkeypatch.setattr(follow, "room", lambda records, plan: True)
    engine.run(make_plan(trials=16), tmp_path, services=measured())
    assert asked == [8, 10, 12, 14, 16]
    assert '"origin":"grown:abc"' in (tmp_path / "trials.jsonl").read_text()


def test_a_full_budget_grows_nothing(
    tmp_path: Path, make_plan: Make, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "room", lambda records, plan: False)
    engine.run(make_plan(), tmp_path, services=measured())
    assert "grown" not in (tmp_path / "trials.jsonl").read_text()


def test_going_on_measures_only_the_new_ones_again(tmp_path: Path, make_plan: Make, measured: Any) -> None:
    engine.run(make_plan(), tmp_path, services=measured())
    before = list(measured.again)
    engine.run(make_plan(trials=20), tmp_path, services=measured())
    assert len(measured.again) == len(set(measured.again)) >= len(before)


def test_an_interrupted_confirmation_goes_on(tmp_path: Path, make_plan: Make, measured: Any) -> None:
    class Interrupted(measured):  # type: ignore[misc]
        def remeasure(self, networks: Any, anchor_ms: float | None) -> Any:
            yield next(super().remeasure(networks, anchor_ms))
            raise KeyboardInterrupt

    assert not engine.run(make_plan(), tmp_path, services=Interrupted()).is_finished
    assert len(confirm.read(tmp_path / "confirmed.jsonl")) == 1
    found = engine.run(make_plan(), tmp_path, services=measured())
    assert found.is_finished
    assert len(confirm.read(tmp_path / "confirmed.jsonl")) == len(found.front)


def test_an_anchor_that_cannot_be_measured_stops_nothing(tmp_path: Path, make_plan: Make, measured: Any) -> None:
    class Lost(measured):  # type: ignore[misc]
        usual_ms = None

        def anchor_ms(self) -> float | None:
            raise DeviceLost("the link broke; x")

    assert engine.run(make_plan(), tmp_path, services=Lost()).is_finished
    assert "anchor not measured" in (tmp_path / "events.jsonl").read_text()


def test_an_estimated_study_has_neither(tmp_path: Path, make_plan: Make, services: Any) -> None:
    engine.run(make_plan(), tmp_path, services=services)
    assert not (tmp_path / "anchor.jsonl").exists()
    assert not (tmp_path / "confirmed.jsonl").exists()


def test_a_device_that_leaves_while_the_front_is_measured_again_is_called(
    tmp_path: Path, make_plan: Make, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves after the first network; the rest is asked for once it answers, the first is not measured twice."""
    waits: list[float] = []
    monkeypatch.setattr(recovery, "time", SimpleNamespace(sleep=waits.append))

    class Leaving(measured):  # type: ignore[misc]
        left = False

        def remeasure(self, networks: Any, anchor_ms: float | None) -> Any:
            for row in super().remeasure(networks, anchor_ms):
                yield row
                if not self.left:
                    self.left = True
                    raise DeviceLost("the device orin was lost: x; given")

    found = engine.run(make_plan(), tmp_path, services=Leaving())
    assert found.is_finished
    assert waits == [1.0]
    assert sorted(measured.again) == sorted(row["digest"] for row in found.front)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["device lost", "device answers again"]
    assert events[0]["phase"] == "second measurement"


def test_a_device_that_stays_away_says_how_to_go_on_and_the_same_call_does(
    tmp_path: Path, make_plan: Make, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "time", SimpleNamespace(sleep=lambda seconds: None))

    class Away(measured):  # type: ignore[misc]
        def remeasure(self, networks: Any, anchor_ms: float | None) -> Any:
            raise DeviceUnreachable("no answer; x")
            yield

    with pytest.raises(DeviceLost, match=r"stays away \(2 in a row\); .* then run the same command again: nothing is"):
        engine.run(make_plan(device_failures_in_a_row=2), tmp_path, services=Away())
    assert measured.again == []
    found = engine.run(make_plan(device_failures_in_a_row=2), tmp_path, services=measured())
    assert found.is_finished
    assert sorted(measured.again) == sorted(row["digest"] for row in found.front)


def test_a_link_that_breaks_before_the_study_opens_is_mended(
    tmp_path: Path, make_plan: Make, searcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(recovery, "time", SimpleNamespace(sleep=waits.append))

    class Late(searcher.Services):  # type: ignore[misc]
        breaks = 2

        def smallest_upper_ms(self, space: Any) -> Any:
            self.breaks -= 1
            if self.breaks >= 0:
                raise DeviceLost("the device orin was lost: x; given")
            return super().smallest_upper_ms(space)

    assert engine.run(make_plan(), tmp_path, services=Late()).is_finished
    assert waits == [1.0, 2.0]


def test_a_device_that_never_answered_is_not_waited_for(tmp_path: Path, make_plan: Make, searcher: Any) -> None:
    class Absent(searcher.Services):  # type: ignore[misc]
        def fingerprint(self) -> dict[str, str]:
            raise DeviceUnreachable("no agent answers; x")

    with pytest.raises(DeviceUnreachable, match="no agent answers"):
        engine.run(make_plan(), tmp_path, services=Absent())
    assert not (tmp_path / "run.json").exists()
