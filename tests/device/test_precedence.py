import os
import threading
from pathlib import Path
from typing import Any

import pytest

from archlab.device.precedence import precedence


class Kernel:
    """Priorities of threads, as the operating system would keep them; `granted` says whether they may be raised."""

    def __init__(self, granted: bool) -> None:
        self.granted = granted
        self.nice: dict[int, int] = {}

    def get(self, which: int, who: int) -> int:
        assert which == os.PRIO_PROCESS
        return self.nice.get(who, 0)

    def set(self, which: int, who: int, value: int) -> None:
        if value < self.get(which, who) and not self.granted:
            raise PermissionError(13, "Permission denied")
        self.nice[who] = value


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, request: Any) -> Kernel:
    made = Kernel(getattr(request, "param", True))
    monkeypatch.setattr(os, "getpriority", made.get)
    monkeypatch.setattr(os, "setpriority", made.set)
    return made


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """What the kernel's file says; it takes a number and tells it in words, which the tests write for it."""
    path = tmp_path / "autogroup"
    path.write_text("/autogroup-7 nice 0\n")
    return path


def test_thread_and_session_are_raised_and_given_back(kernel: Kernel, session: Path) -> None:
    me = threading.get_native_id()
    with precedence(session) as granted:
        assert granted == "thread and session"
        assert kernel.nice == {me: -19}
        assert session.read_text() == "-19"
    assert kernel.nice == {me: 0}
    assert session.read_text() == "0"


def test_what_was_set_before_comes_back(kernel: Kernel, session: Path) -> None:
    me = threading.get_native_id()
    kernel.nice[me] = 5
    session.write_text("/autogroup-7 nice 3\n")
    with precedence(session):
        pass
    assert kernel.nice == {me: 5}
    assert session.read_text() == "3"


def test_a_share_that_a_killed_measurement_left_behind_is_given_back(kernel: Kernel, session: Path) -> None:
    session.write_text("/autogroup-7 nice -19\n")
    with precedence(session):
        pass
    assert session.read_text() == "0"


@pytest.mark.parametrize("kernel", [False], indirect=True)
def test_without_the_right_nothing_changes(kernel: Kernel, session: Path) -> None:
    with precedence(session) as granted:
        assert granted == "none"
    assert kernel.nice == {}
    assert session.read_text() == "/autogroup-7 nice 0\n"


def test_a_system_without_sessions_raises_the_thread_alone(kernel: Kernel, tmp_path: Path) -> None:
    with precedence(tmp_path / "absent") as granted:
        assert granted == "thread"


def test_an_error_gives_it_back_too(kernel: Kernel, session: Path) -> None:
    with pytest.raises(MemoryError), precedence(session):
        raise MemoryError
    assert kernel.nice == {threading.get_native_id(): 0}
    assert session.read_text() == "0"
