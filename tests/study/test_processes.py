"""Real processes: killed in mid-study, interrupted, and several on one study."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from archlab.study import engine
from archlab.study.plan import StudyPlan

Start = Callable[..., "subprocess.Popen[str]"]
Make = Callable[..., StudyPlan]


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]


def wait_for(process: "subprocess.Popen[str]", done: int) -> None:
    """Read the process's output until it has closed so many networks."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.split() == ["search", str(done)]:
            return
    raise AssertionError(f"ended early: {process.communicate()[1]}")


def test_kill_9_loses_at_most_the_network_in_flight(
    start: Start, space_file: str, make_plan: Make, services: Any, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    process = start("run", out, space_file, 12, 0.3)
    wait_for(process, 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {line["digest"] for line in lines(out)}
    assert len(kept) in (4, 5)
    result = engine.run(make_plan(), out, services=services)
    assert (result.trials, result.unique, result.is_finished) == (12, 12, True)
    assert len(services.seen) == 12 - len(kept)
    assert not kept & set(services.seen)


def test_ctrl_c_ends_cleanly_and_the_same_call_goes_on(
    start: Start, space_file: str, make_plan: Make, services: Any, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    process = start("run", out, space_file, 12, 0.3)
    wait_for(process, 3)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert told.splitlines()[-1].split()[0] == "interrupted"
    run = json.loads((out / "run.json").read_text())
    kept = len(lines(out))
    assert (run["is_finished"], run["trials"]) == (False, kept)
    assert kept in (3, 4)
    result = engine.run(make_plan(), out, services=services)
    assert (result.trials, result.unique, len(services.seen)) == (12, 12, 12 - kept)


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_two_processes_share_a_study_and_lose_nothing(
    kind: str,
    start: Start,
    space_file: str,
    make_plan: Make,
    searcher: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "s"
    url = f"journal:{tmp_path / 'shared.log'}" if kind == "journal" else f"sqlite:///{tmp_path / 'shared.db'}"
    engine.run(make_plan(trials=24, storage=url), out, services=searcher.Services(stop_after=2))
    monkeypatch.setenv("GATE", str(tmp_path / "gate"))
    first, second = start("run", out, space_file, 24, 0.1, url), start("work", url, "s", 0.1)
    for process in (first, second):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()
    (tmp_path / "gate").touch()
    told, errors = first.communicate(timeout=120)
    helped, trouble = second.communicate(timeout=120)
    assert (first.returncode, second.returncode) == (0, 0), errors + trouble
    assert told.splitlines()[-1] == "finished 24 24"
    assert helped.count("search") >= 3
    records = lines(out)
    assert len(records) == len({record["digest"] for record in records}) == 24
    assert not any(record["origin"].startswith("repeat") for record in records)


def test_a_dead_worker_does_not_hold_the_search_up(
    start: Start, space_file: str, make_plan: Make, services: Any, tmp_path: Path
) -> None:
    url, log = f"journal:{tmp_path / 'shared.log'}", tmp_path / "shared.log"
    helper = start("run", tmp_path / "s", space_file, 6, 600, url)
    while not log.exists() or '"digest"' not in log.read_text():
        assert helper.poll() is None, helper.communicate()
        time.sleep(0.05)
    helper.kill()
    helper.wait()
    result = engine.run(make_plan(trials=6, storage=url), tmp_path / "s", services=services)
    assert (result.trials, result.unique, result.failed) == (6, 6, 0)
