"""A whole study on a device that leaves, changes or cannot build a network; made-up values, a real storage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from archlab import reports
from archlab.errors import DeviceChanged, DeviceLost
from archlab.study import engine
from archlab.study.anchor import PRIOR_SHARE
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation

Make = Callable[..., StudyPlan]
MAXN = {"jetpack": "6.2", "power_mode": "MAXN"}


@pytest.fixture
def board(searcher: Any) -> Any:  # noqa: C901 - a made-up board says much, none of it hard
    """Services of a board: `lost` and `changed` name the evaluations that go wrong."""

    class Board(searcher.Services):  # type: ignore[misc]
        lost: tuple[int, ...] = ()
        changed: tuple[int, ...] = ()
        lost_baselines = 0
        restarts: tuple[int, ...] = ()
        anchors = 0
        mode = MAXN

        def __init__(self) -> None:
            super().__init__()
            self.tried: list[str] = []
            self.recovered = 0

        def evaluate(self, spec: Any) -> Any:
            self.tried.append(spec.digest)
            if len(self.tried) in self.lost:
                raise DeviceLost("the link broke; x")
            if len(self.tried) in self.changed:
                raise DeviceChanged("the device orin changed")
            return super().evaluate(spec)

        def baseline(self, spec: Any, limit_ms: float) -> Any:
            if self.lost_baselines:
                self.lost_baselines -= 1
                raise DeviceLost("the link broke again; x")
            return super().baseline(spec, limit_ms)

        def fingerprint(self) -> dict[str, str]:
            return self.mode

        def anchor_ms(self) -> float | None:
            return 2.0 if self.anchors else None

        def expect_spread(self, spread: float) -> None:
            assert spread == PRIOR_SHARE

        def recover(self) -> bool:
            self.recovered += 1
            return self.recovered in self.restarts

        def describe(self) -> dict[str, Any]:
            return super().describe() | {"fingerprint": self.mode}

    return Board


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def trials(out: Path) -> list[Any]:
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(out / "journal.log")))
    return optuna.load_study(study_name=None, storage=storage).trials


def test_a_lost_link_costs_no_network(make_plan: Make, board: Any, tmp_path: Path) -> None:
    services = board()
    services.lost, services.lost_baselines = (4,), 1
    result = engine.run(make_plan(), tmp_path / "s", services=services)
    assert (result.trials, result.unique, result.failed, result.is_finished) == (12, 12, 0, True)
    assert services.tried[4] == services.tried[3]  # tried again at once
    assert len(services.baselines) == len(result.baselines)
    assert {row["note"] for row in result.baselines} == {None}
    told = [(event["event"], event.get("digest")) for event in lines(tmp_path / "s/events.jsonl")]
    assert told[:2] == [("device lost", services.tried[3]), ("device answers again", None)]
    assert [event for event, _ in told] == ["device lost", "device answers again"] * 2
    closed = [trial for trial in trials(tmp_path / "s") if "record" not in trial.user_attrs]
    (lost,) = closed
    again = trials(tmp_path / "s")[lost.number + 1]
    assert (lost.state.name, again.state.name) == ("FAIL", "COMPLETE")
    assert again.params == lost.params  # enqueued, not asked of the sampler


def test_a_board_that_started_again_is_checked_by_the_anchor(make_plan: Make, board: Any, tmp_path: Path) -> None:
    services = board()
    services.lost, services.restarts, services.anchors = (4,), (1,), 1
    result = engine.run(make_plan(), tmp_path / "s", services=services)
    assert (result.trials, result.unique, result.is_finished) == (12, 12, True)
    assert services.tried[4] == services.tried[3]
    (event,) = (e for e in lines(tmp_path / "s/events.jsonl") if e["event"] == "device answers again")
    assert event["detail"].startswith("it has started again, in the same mode")
    assert [reading["after"] for reading in lines(tmp_path / "s/anchor.jsonl")] == [0, 3, 12]


def test_a_device_that_stays_away_stops_the_search_and_the_same_call_goes_on(
    make_plan: Make, board: Any, tmp_path: Path
) -> None:
    services, out = board(), tmp_path / "s"
    services.lost = (5,)
    plan = make_plan(device_failures_in_a_row=1)
    with pytest.raises(
        DeviceLost,
        match=r"orin was lost and stays away \(1 in a row\); given: the link broke; .*run the same command again",
    ):
        engine.run(plan, out, services=services)
    run = json.loads((out / "run.json").read_text())
    assert (run["is_finished"], run["trials"], run["fingerprint"]) == (False, 4, MAXN)
    assert [event["event"] for event in lines(out / "events.jsonl")] == ["device lost", "search stopped"]
    later = board()
    result = engine.run(plan, out, services=later)
    assert (result.trials, result.unique, result.is_finished) == (12, 12, True)
    assert later.tried[0] == services.tried[4]  # first of all what was interrupted


def test_a_change_in_mid_search_stops_it_at_once(make_plan: Make, board: Any, tmp_path: Path) -> None:
    services, out = board(), tmp_path / "s"
    services.changed = (3,)
    with pytest.raises(DeviceChanged):
        engine.run(make_plan(), out, services=services)
    assert (len(lines(out / "trials.jsonl")), services.recovered) == (2, 0)
    later = board()
    assert engine.run(make_plan(), out, services=later).trials == 12
    assert later.tried[0] == services.tried[2]


def test_a_network_that_cannot_be_built_is_pruned_and_never_complete(
    make_plan: Make, searcher: Any, tmp_path: Path
) -> None:
    log = "[E] no kernel for LayerNorm; " * 40

    class Picky(searcher.Services):  # type: ignore[misc]
        def evaluate(self, spec: Any) -> Any:
            found = super().evaluate(spec)
            return found if len(self.seen) % 3 else self.evaluation(spec, {}, log)

        def evaluation(self, spec: Any, values: dict[str, float], skipped: str | None = None) -> Any:
            return (
                super().evaluation(spec, values, skipped) if values else Evaluation(values={}, sources={}, skipped=log)
            )

    result = engine.run(make_plan(), tmp_path / "s", services=Picky())
    assert (result.failed, result.trials, result.is_finished) == (0, 12, True)
    records = lines(tmp_path / "s/trials.jsonl")
    unbuilt = [record for record in records if record["error"] == log]
    assert [record["state"] for record in unbuilt] == ["skipped"] * 4
    assert {t.state.name for t in trials(tmp_path / "s") if "[E]" in str(t.user_attrs["record"])} == {"PRUNED"}
    assert reports.write(tmp_path / "s").report.is_file()


def test_a_changed_device_is_refused_before_anything_is_written(make_plan: Make, board: Any, tmp_path: Path) -> None:
    out, url = tmp_path / "s", f"sqlite:///{tmp_path / 'study.db'}"
    engine.run(make_plan(trials=3, storage=url), out, services=board())
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    other = board()
    other.mode = MAXN | {"power_mode": "30W"}
    with pytest.raises(DeviceChanged, match="power_mode was MAXN and is 30W") as error:
        engine.run(make_plan(storage=url), out, services=other)
    assert str(error.value).count("; ") >= 3
    with pytest.raises(DeviceChanged, match="power_mode was MAXN and is 30W"):
        engine.work(url, "s", services=other)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert other.tried == []
