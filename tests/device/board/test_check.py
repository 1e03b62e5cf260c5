"""archlab device check on a real sshd: all is well, or the step that fails says what to do."""

import getpass
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archlab.device import registry
from archlab.device.catalog import device, run_for
from archlab.device.check import Step, walk
from archlab.device.check_board import board_probes
from archlab.device.measure import backend_of

pytestmark = pytest.mark.agent

WAY = ["ssh here", "host", "host key", "login", "python there"]


@pytest.fixture
def check(sshd: Any, tmp_path: Path) -> Iterator[Callable[..., list[Step]]]:
    """Adds the board behind sshd and checks it; agents are ended afterwards."""

    def call(known: str | None = None, key: str = "user", python: str = sys.executable) -> list[Step]:
        hosts = sshd.folder / "known_hosts"
        if known is not None:
            hosts = tmp_path / "known_hosts"
            hosts.write_text(known)
        registry.add(
            "board",
            reach=f"ssh:{getpass.getuser()}@127.0.0.1:{sshd.port}",
            backends=("ort",),
            python=python,
            identity=sshd.folder / key,
            options=(f"UserKnownHostsFile={hosts}", "GlobalKnownHostsFile=/dev/null"),
        )
        return list(walk(board_probes(device("board"))))

    yield call
    row = device("board")
    backend: Any = backend_of(row, run_for(row))
    backend.close()


def test_all_is_well(check: Callable[..., list[Step]]) -> None:
    steps = check()
    assert [step.step for step in steps[:6]] == [*WAY, "agent"]
    assert {step.state for step in steps} == {"ok"}, [step for step in steps if step.state != "ok"]
    assert " runs of ort" in steps[-1].detail


def failed(steps: list[Step]) -> Step:
    (found,) = (step for step in steps if step.state == "failed")
    assert {step.state for step in steps[: steps.index(found)]} <= {"ok"}
    assert {step.state for step in steps[steps.index(found) + 1 :]} <= {"not tried"}
    return found


def test_an_unknown_host_key(check: Callable[..., list[Step]]) -> None:
    step = failed(check(known=""))
    assert (step.step, step.detail) == (
        "host key",
        "ssh does not know the key of 127.0.0.1; it is never accepted unseen",
    )
    assert "log in once by hand: ssh -i " in step.do


def test_another_host_key(check: Callable[..., list[Step]], sshd: Any) -> None:
    other = (sshd.folder / "user.pub").read_text()
    step = failed(check(known=f"[127.0.0.1]:{sshd.port} {other}"))
    assert step.step == "host key"
    assert step.detail.startswith("127.0.0.1 shows another key than the one ssh knows")
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in step.do


def test_no_login(check: Callable[..., list[Step]]) -> None:
    step = failed(check(key="host"))
    assert step.step == "login"
    assert "Permission denied" in step.detail
    assert step.do.startswith("put your key there: ssh-copy-id ")


def test_no_python(check: Callable[..., list[Step]]) -> None:
    step = failed(check(python="/nowhere/python3"))
    assert step.step == "python there"
    assert step.detail.startswith("/nowhere/python3 is not there")
