"""A search end to end with made-up values: what is told, kept, resumed, refused."""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

import archlab
from archlab import files, space
from archlab.errors import PlanError, SpecError, StorageFullError, StudyError
from archlab.spec import ArchSpec
from archlab.study import engine
from archlab.study.plan import StudyPlan
from archlab.study.record import Record

Make = Callable[..., StudyPlan]


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]


def test_a_search_writes_its_folder(make_plan: Make, services: Any, tmp_path: Path) -> None:
    out = tmp_path / "study"
    result = engine.run(make_plan(), out, services=services, argv=["archlab", "search"])
    assert (result.study, result.trials, result.unique, result.is_finished) == ("study", 12, 12, True)
    records = lines(out)
    assert [record["number"] for record in records] == list(range(12))
    assert len({record["digest"] for record in records}) == 12
    run = json.loads((out / "run.json").read_text())
    assert run["argv"] == ["archlab", "search"]
    assert run["best"] == result.best
    assert run["device"] == {"name": "orin"}
    assert run["version"] == archlab.__version__
    assert len(run["baselines"]) == len(services.baselines) == 9  # nine ConvNeXt are made of the space's blocks
    best = ArchSpec.from_dict(yaml.safe_load((out / "best.yaml").read_text()))
    assert best.digest == result.best
    feasible = [r for r in records if r["state"] == "complete" and r["violations"]["latency_ms"] <= 0]
    assert result.best == max(feasible, key=lambda r: r["evaluation"]["values"]["score"])["digest"]
    assert StudyPlan.from_dict(yaml.safe_load((out / "plan.yaml").read_text())) == make_plan()


def test_the_budget_is_applied_at_the_upper_end(make_plan: Make, services: Any, tmp_path: Path) -> None:
    engine.run(make_plan(trials=48), tmp_path / "s", services=services)
    records = [Record.from_dict(line) for line in lines(tmp_path / "s")]
    assert {record.state for record in records} == {"complete", "skipped"}
    for record in records:
        assert record.evaluation is not None
        latency = record.evaluation.values["latency_ms"]
        assert record.violations["latency_ms"] == pytest.approx(1.1 * latency - 10.0)
        assert (record.state == "skipped") == (0.9 * latency > 15.0)
    study = optuna.load_study(
        study_name="s", storage=engine.OptunaLedger(None, tmp_path / "s/journal.log", "s")._open()
    )
    assert all(trial.constraints["latency_ms"] <= 0 for trial in study.best_trials)
    states = {trial.number: trial.state.name for trial in study.trials}
    assert all(states[r.number] == ("PRUNED" if r.state == "skipped" else "COMPLETE") for r in records)


def test_the_front_is_what_nothing_beats(make_plan: Make, services: Any, tmp_path: Path) -> None:
    result = engine.run(make_plan(trials=48), tmp_path / "s", services=services)
    values = {}
    for line in lines(tmp_path / "s"):
        if line["state"] == "complete" and line["violations"]["latency_ms"] <= 0:
            found = line["evaluation"]["values"]
            values[line["digest"]] = (found["score"], -found["latency_ms"])
    expected = {
        digest
        for digest, mine in values.items()
        if not any(o[0] >= mine[0] and o[1] >= mine[1] and o != mine for o in values.values())
    }
    assert {row["digest"] for row in result.front} == expected
    assert result.feasible == len(values)


def test_the_same_call_goes_on_and_a_finished_study_only_reports(
    make_plan: Make, services: Any, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    first = engine.run(make_plan(trials=5), out, services=services)
    again = engine.run(make_plan(trials=5), out, services=services)
    assert len(services.seen) == 5
    assert len(services.baselines) == 9
    assert (again.front, again.best) == (first.front, first.best)
    grown = engine.run(make_plan(trials=9), out, services=services)
    assert (grown.trials, grown.unique, len(services.seen)) == (9, 9, 9)
    assert len({line["digest"] for line in lines(out)}) == 9


def test_minutes_end_a_search_too(make_plan: Make, searcher: Any, tmp_path: Path) -> None:
    slow = searcher.Services(seconds=0.1)
    result = engine.run(make_plan(trials=None, minutes=0.01), tmp_path / "s", services=slow)
    assert 3 <= result.trials <= 6  # 0.6 s of 0.1 s each


def test_an_interrupted_search_goes_on(make_plan: Make, searcher: Any, tmp_path: Path) -> None:
    out = tmp_path / "s"
    stopped = engine.run(make_plan(), out, services=searcher.Services(stop_after=4))
    assert (stopped.is_finished, stopped.trials) == (False, 4)
    assert len(lines(out)) == 4
    done = engine.run(make_plan(), out, services=searcher.Services())
    assert (done.is_finished, done.trials, done.unique) == (True, 12, 12)


def test_a_network_that_fails_is_a_record(make_plan: Make, services: Any, tmp_path: Path) -> None:
    path = tmp_path / "unlucky.yaml"
    path.write_text(
        "family: convnext\naxes:\n  - {name: width, choices: [8, 13, 24]}\n  - {name: resolution, choices: [64, 96]}\n"
    )
    result = engine.run(make_plan(space=str(path), trials=6), tmp_path / "s", services=services)
    failed = [line for line in lines(tmp_path / "s") if line["state"] == "failed"]
    assert result.failed == len(failed) == 2
    assert {line["error"] for line in failed} == {"thirteen channels bring bad luck"}
    assert all(line["evaluation"] is None for line in failed)


def test_failure_after_failure_stops_the_search(make_plan: Make, searcher: Any, tmp_path: Path) -> None:
    class Broken(searcher.Services):  # type: ignore[misc]
        def evaluate(self, spec: Any) -> Any:
            raise RuntimeError("no luck\nat all")

    with pytest.raises(
        StudyError, match=r"^3 networks failed one after the other; given: RuntimeError: no luck at all;"
    ):
        engine.run(make_plan(failures_in_a_row=3), tmp_path / "s", services=Broken())
    assert [line["state"] for line in lines(tmp_path / "s")] == ["failed"] * 3
    done = engine.run(make_plan(failures_in_a_row=3), tmp_path / "s", services=searcher.Services())
    assert (done.trials, done.failed) == (12, 3)


def test_another_plan_on_the_same_folder_is_refused(make_plan: Make, services: Any, tmp_path: Path) -> None:
    out = tmp_path / "s"
    engine.run(make_plan(trials=3), out, services=services)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(
        StudyError, match=r"has another budget_ms; given: budget_ms 4\.0; allowed: budget_ms 10\.0; only"
    ):
        engine.run(make_plan(budget_ms=4.0), out, services=services)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_another_version_of_the_space_is_refused(make_plan: Make, services: Any, tmp_path: Path) -> None:
    plan = make_plan(trials=3)
    engine.run(plan, tmp_path / "s", services=services)
    text = Path(plan.space).read_text()
    Path(plan.space).write_text(text.replace("[3, 5, 7]", "[3, 5]"))
    with pytest.raises(StudyError, match="searched another version of the space"):
        engine.run(plan, tmp_path / "s", services=services)


def test_a_budget_that_no_network_meets_leaves_nothing_behind(make_plan: Make, services: Any, tmp_path: Path) -> None:
    services.smallest_ms = 3.25
    with pytest.raises(PlanError, match=r"given: 2 ms; allowed: 3\.25 ms or more, the smallest"):
        engine.run(make_plan(budget_ms=2.0), tmp_path / "s", services=services)
    assert not (tmp_path / "s").exists()


def test_published_and_given_networks_come_first(make_plan: Make, services: Any, tmp_path: Path) -> None:
    edgenext = space.load("edgenext")
    given = edgenext.decode(edgenext.extremes()[0])
    plan = make_plan(space="edgenext", trials=24, budget_ms=1000.0)
    engine.run(plan, tmp_path / "s", services=services, first=[given])
    origins = [line["origin"] for line in lines(tmp_path / "s")]
    assert origins[:2] == [f"given:{given.digest}", "published:edgenext_xx_small"]
    assert len({origin for origin in origins if origin.startswith("published:edgenext_")}) == 7
    assert set(origins[12:]) == {"sampled"}  # never more than half of the trials
    baselines = json.loads((tmp_path / "s/run.json").read_text())["baselines"]
    known = {line["digest"] for line in lines(tmp_path / "s") if line["state"] == "complete"}
    assert not known & set(services.baselines)  # evaluated once, taken over
    assert {"edgenext_base", "convnext_tiny"} <= {row["model"] for row in baselines}


def test_a_journal_cut_off_in_mid_line_goes_on(make_plan: Make, services: Any, tmp_path: Path) -> None:
    out = tmp_path / "s"
    engine.run(make_plan(trials=4), out, services=services)
    journal = out / "journal.log"
    journal.write_bytes(journal.read_bytes() + b'{"op_code":8,"worker_id":"x","tri')
    (out / "trials.jsonl").write_text((out / "trials.jsonl").read_text()[:-40])
    result = engine.run(make_plan(trials=6), out, services=services)
    assert (result.trials, result.unique, len(lines(out))) == (6, 6, 6)


@pytest.mark.parametrize("garbage", [b"garbage\n", b'{"op_code":5}\n', b"[]\n", b"\xff\xfe\n"])
def test_a_damaged_journal_is_refused_and_kept(garbage: bytes, make_plan: Make, services: Any, tmp_path: Path) -> None:
    out = tmp_path / "s"
    engine.run(make_plan(trials=4), out, services=services)
    journal = out / "journal.log"
    rows = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*rows[:7], garbage, *rows[7:]]))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(StudyError, match=r"journal\.log is damaged; given: .*; allowed: .*; restore it"):
        engine.run(make_plan(trials=6), out, services=services)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_lost_journal_does_not_cost_the_export(make_plan: Make, services: Any, tmp_path: Path) -> None:
    out = tmp_path / "s"
    engine.run(make_plan(trials=4), out, services=services)
    (out / "journal.log").unlink()
    before = (out / "trials.jsonl").read_bytes()
    with pytest.raises(StudyError, match=r"4 networks of trials\.jsonl are not in the storage"):
        engine.run(make_plan(trials=4), out, services=services)
    assert (out / "trials.jsonl").read_bytes() == before


def test_a_full_disk_says_so_and_loses_nothing(
    make_plan: Make, services: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "s"
    engine.run(make_plan(trials=3), out, services=services)
    real = files.append_line

    def fail(path: Path, line: str) -> None:
        raise StorageFullError("cannot write")

    monkeypatch.setattr("archlab.study.folder.append_line", fail)
    with pytest.raises(StorageFullError):
        engine.run(make_plan(trials=5), out, services=services)
    monkeypatch.setattr("archlab.study.folder.append_line", real)
    assert engine.run(make_plan(trials=5), out, services=services).unique == 5

    def full(self: Any, logs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("archlab.study.journal.JournalFile.append_logs", full)
    with pytest.raises(StorageFullError, match=r"the disk is full; given: .*; allowed: .*; free some space"):
        engine.run(make_plan(trials=7), out, services=services)


def test_sqlite_is_a_storage_too(make_plan: Make, services: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'all.db'}"
    out = tmp_path / "s"
    engine.run(make_plan(trials=3, storage=url), out, services=services)
    result = engine.run(make_plan(trials=5, storage=url), out, services=services)
    assert (result.trials, result.unique, len(lines(out))) == (5, 5, 5)
    assert not (out / "journal.log").exists()
    with sqlite3.connect(tmp_path / "all.db") as database:
        assert database.execute("select study_name from studies").fetchall() == [("s",)]
    database.close()
    assert engine.work(url, "s", services=services) == 0
    with pytest.raises(StudyError, match=r"no study 'other' in the storage"):
        engine.work(url, "other", services=services)


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_a_worker_creates_no_database(scheme: str, services: Any, tmp_path: Path) -> None:
    path = tmp_path / "missing.db"
    said = rf"no study 's' in the storage; given: {re.escape(scheme)}:///.*missing\.db\?timeout=10; allowed: "
    with pytest.raises(StudyError, match=said):
        engine.work(f"{scheme}:///{path}?timeout=10", "s", services=services)
    assert list(tmp_path.iterdir()) == []


def test_no_message_shows_a_password(make_plan: Make, services: Any, tmp_path: Path) -> None:
    url = "nodialect://lab:s3cret@127.0.0.1/optuna?password=s3cret"
    with pytest.raises(PlanError, match=r"cannot open the storage; given: nodialect://lab:\*\*\*@127") as error:
        engine.run(make_plan(storage=url), tmp_path / "s", services=services)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/folder/x.db", "nodialect://x"])
def test_a_storage_that_leads_nowhere(url: str, make_plan: Make, services: Any, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="storage"):
        engine.run(make_plan(storage=url), tmp_path / "s", services=services)


def test_unknown_names_end_in_one_line(make_plan: Make, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"no search space 'hybrd'.*did you mean 'hybrid'") as space_error:
        engine.run(make_plan(space="hybrd"), tmp_path / "s")
    assert not isinstance(space_error.value, SpecError)
    with pytest.raises(Exception, match=r"no device 'orinn'.*did you mean 'orin'"):
        engine.run(make_plan(device="orinn"), tmp_path / "s")
    with pytest.raises(Exception, match=r"no proxy 'naswat'.*did you mean 'naswot'"):
        engine.run(make_plan(proxy="naswat"), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_seed_fixes_the_search(make_plan: Make, searcher: Any, tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        engine.run(make_plan(trials=16, seed=seed), tmp_path / name, services=searcher.Services())
        found.append([line["digest"] for line in lines(tmp_path / name)])
    assert found[0] == found[1] != found[2]
