"""A search through the agent over a real sshd: the link is cut once, Ctrl-C comes once, and the same call ends it."""

import getpass
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archlab.device import measure, registry
from archlab.device.board.backend import BoardBackend, BoardHandle
from archlab.device.board.link import Link
from archlab.device.catalog import device, run_for
from archlab.errors import DeviceChanged, DeviceLost
from archlab.study import conduct, confirm, engine, evaluate, follow
from archlab.study.plan import StudyPlan

pytestmark = pytest.mark.agent

SPACE = """
family: convnext
axes:
  - {name: resolution, choices: [32, 64]}
  - {name: width, choices: [8, 16, 24, 32]}
  - {name: ratio, choices: ["1-1-1-1", "1-1-3-1"]}
  - {name: kernel_0, choices: [3, 5, 7]}
"""


@pytest.fixture
def plan(sshd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudyPlan]:
    """A small search on a board behind sshd, without published models and second measurements; agents end with it."""
    monkeypatch.setenv("ARCHLAB_CACHE", str(tmp_path / "cache.sqlite"))
    monkeypatch.setattr(conduct, "compare", lambda *args: iter(()))
    monkeypatch.setattr(follow, "confirm", lambda *args: iter(()))
    backend = BoardBackend(("--lock", str(tmp_path / "lock")))  # others may measure on this machine meanwhile
    monkeypatch.setattr(measure, "_BOARD", backend)
    (tmp_path / "small.yaml").write_text(SPACE)
    registry.add(
        "board",
        reach=f"ssh:{getpass.getuser()}@127.0.0.1:{sshd.port}",
        backends=("ort",),
        python=sys.executable,
        identity=sshd.folder / "user",
        options=(f"UserKnownHostsFile={sshd.folder / 'known_hosts'}", "GlobalKnownHostsFile=/dev/null"),
    )
    yield StudyPlan(
        budget_ms=50.0, device="board", space=str(tmp_path / "small.yaml"), proxy="params", trials=8, measure_s=0.2
    )
    backend.close()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_cut_off_interrupted_and_finished_by_the_same_call(
    plan: StudyPlan, sshd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, known = tmp_path / "study", BoardHandle.run
    cuts: list[int] = []
    done = 0

    def run(handle: BoardHandle, runs: int) -> Any:
        """The fourth network loses its link between two blocks of runs."""
        if not cuts and done == 3:
            cuts.append(sshd.cut())
        return known(handle, runs)

    def watch(progress: Any) -> None:
        nonlocal done
        done = progress.done
        if progress.phase == "search" and done == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(BoardHandle, "run", run)
    stopped = engine.run(plan, out, on_progress=watch)
    assert (stopped.is_finished, stopped.trials, cuts) == (False, 5, [1])
    events = lines(out / "events.jsonl")
    assert [event["event"] for event in events] == ["device lost", "device answers again"]
    found = engine.run(plan, out)
    assert (found.is_finished, found.trials, found.unique, found.failed) == (True, 8, 8, 0)
    records = {record["digest"]: record for record in lines(out / "trials.jsonl")}
    assert {record["evaluation"]["sources"]["latency_ms"] for record in records.values()} == {"measured:ort@board"}
    assert records[events[0]["digest"]]["state"] == "complete"  # the network that was cut off was tried again
    run = json.loads((out / "run.json").read_text())
    assert run["fingerprint"]["runtime"].startswith("ort ")
    assert run["device"]["reach"] == "ssh"
    assert "127.0.0.1" not in (out / "run.json").read_text()


def test_an_interrupted_request_leaves_no_answer_behind(
    plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Link, until: float) -> bytes:
        raise KeyboardInterrupt

    backend, row = measure.backend_of(device("board"), run_for(device("board"))), device("board")
    assert isinstance(backend, BoardBackend)
    first = backend.link(row)
    with monkeypatch.context() as patch:
        patch.setattr(Link, "_line", interrupt)
        with pytest.raises(KeyboardInterrupt):
            first.ask("telemetry")
    assert not first.is_open
    assert backend.link(row).ask("telemetry")["boot_id"] == first.hello["boot_id"]


def test_a_board_that_stays_away(plan: StudyPlan, sshd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is taken away with the session, so no new login works; with the key back the same call goes on."""
    out, keys = tmp_path / "study", sshd.folder / "authorized_keys"
    kept = keys.read_text()
    limited = plan.replace(trials=3, device_failures_in_a_row=2)

    def watch(progress: Any) -> None:
        if progress.done == 1 and not (out / "events.jsonl").exists():
            keys.write_text("")
            sshd.cut()

    try:
        with pytest.raises(DeviceLost, match=r"board was lost and stays away \(2 in a row\); .* run the same command"):
            engine.run(limited, out, on_progress=watch)
    finally:
        keys.write_text(kept)
    assert [event["event"] for event in lines(out / "events.jsonl")][-1] == "search stopped"
    assert engine.run(limited, out).trials == 3


@pytest.mark.slow
def test_a_link_that_is_cut_in_the_second_measurement_is_mended(
    plan: StudyPlan, sshd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its own measures again; its first session is cut when it is there, the next one ends the work."""
    out, limited = tmp_path / "study", plan.replace(trials=2, device_failures_in_a_row=3)
    cuts: list[int] = []

    def remeasure(plan: StudyPlan, networks: Any, anchor_ms: float | None) -> Any:
        if not cuts:
            threading.Thread(target=_cut_new, args=(sshd, cuts)).start()
        yield from confirm.fresh_process(plan, networks, anchor_ms)

    monkeypatch.setattr(follow, "confirm", confirm.confirm)
    monkeypatch.setattr(evaluate, "fresh_process", remeasure)
    found = engine.run(limited, out)
    assert (found.is_finished, cuts) == (True, [1])
    assert [event["event"] for event in lines(out / "events.jsonl")] == ["device lost", "device answers again"]
    assert {row.digest for row in confirm.read(out / "confirmed.jsonl")} == {row["digest"] for row in found.front}


def _cut_new(sshd: Any, cuts: list[int]) -> None:
    """Wait for one session more than there are, and cut that one."""
    known = set(sshd.sessions())
    for _ in range(600):
        new = set(sshd.sessions()) - known
        if new:
            time.sleep(0.5)
            cuts.append(sshd.cut(*new))
            return
        time.sleep(0.05)


def test_a_board_that_changed_is_refused(plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "study"
    limited = plan.replace(trials=1)
    engine.run(limited, out)
    known = BoardBackend.fingerprint
    monkeypatch.setattr(BoardBackend, "fingerprint", lambda self, row: known(self, row) | {"power_mode": "30W (2)"})
    with pytest.raises(DeviceChanged, match=r"power_mode was not told and is 30W \(2\)"):
        engine.run(limited, out)
