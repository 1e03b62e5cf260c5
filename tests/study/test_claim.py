"""Who is still at work, judged by host, process and time."""

import datetime
import os
import subprocess
import sys
from typing import Any

import pytest

from archlab.study.claim import FOREIGN_LIMIT_S, UNCLAIMED_LIMIT_S, is_lost, new_claim


def ago(seconds: float) -> datetime.datetime:
    return datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(seconds=seconds)


@pytest.fixture
def own() -> dict[str, Any]:
    return new_claim()


def test_my_own_run_is_alive_and_my_earlier_one_is_over(own: dict[str, Any]) -> None:
    assert not is_lost(own, ago(1e6), own)
    assert is_lost(new_claim(), ago(0), own)


def test_another_thread_of_mine_is_alive(own: dict[str, Any]) -> None:
    assert not is_lost({**new_claim(), "thread": 1}, ago(0), own)


def test_a_process_that_ended_is_lost_and_one_that_runs_is_not(own: dict[str, Any]) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    claim = {**own, "pid": child.pid, "born": None}
    assert not is_lost(claim, ago(0), own)
    child.kill()
    child.wait()
    assert is_lost(claim, ago(0), own)
    assert child.stdin is not None
    child.stdin.close()


def test_a_process_number_used_again_is_another_process(own: dict[str, Any]) -> None:
    assert is_lost({**own, "pid": os.getppid(), "born": "long ago"}, ago(0), own)


def test_elsewhere_and_unclaimed_only_time_tells(own: dict[str, Any]) -> None:
    elsewhere = {**own, "host": "another"}
    assert not is_lost(elsewhere, ago(FOREIGN_LIMIT_S - 5), own)
    assert is_lost(elsewhere, ago(FOREIGN_LIMIT_S + 5), own)
    assert not is_lost(None, ago(UNCLAIMED_LIMIT_S - 5), own)
    assert is_lost(None, ago(UNCLAIMED_LIMIT_S + 5), own)
    assert is_lost(None, None, own)
