"""A board that started again, unnoticed or after a loss; one that changed."""

import types
from typing import Any

import pytest

from archlab.device.board.backend import BoardBackend
from archlab.device.catalog import Device, RunSpec, device
from archlab.errors import DeviceChanged, DeviceLost
from archlab.study import presence
from archlab.study.presence import Presence

MAXN = {"power_mode": "MAXN"}


class Board(BoardBackend):
    """A board without a link."""

    def __init__(self) -> None:
        super().__init__()
        self.boot, self.mode = "one", MAXN

    def link(self, device: Device) -> Any:
        return types.SimpleNamespace(hello={"boot_id": self.boot})

    def fingerprint(self, device: Device) -> dict[str, str]:
        return dict(self.mode)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    made = Board()
    monkeypatch.setattr(presence, "backend_of", lambda device, run: made)
    return made


@pytest.fixture
def cpu() -> Device:
    return device("cpu")


def test_a_start_that_nobody_noticed(board: Board, cpu: Device) -> None:
    here = Presence(cpu, RunSpec())
    assert here.fingerprint() == MAXN
    here.check({"fingerprint": MAXN})
    board.boot = "two"
    with pytest.raises(
        DeviceLost, match=r"cpu has started again; given: another boot id; allowed: .*; look at it with"
    ):
        here.check({"fingerprint": MAXN})
    assert here.recover() is True
    here.check({"fingerprint": MAXN})
    assert here.recover() is False


def test_a_start_into_another_mode(board: Board, cpu: Device) -> None:
    here = Presence(cpu, RunSpec())
    here.fingerprint()
    board.boot, board.mode = "two", {"power_mode": "30W"}
    with pytest.raises(DeviceChanged, match="power_mode was MAXN and is 30W"):
        here.recover()
    with pytest.raises(DeviceChanged):
        here.check({"fingerprint": board.mode})
    assert here.fingerprint() == MAXN


def test_an_estimated_device_is_asked_nothing() -> None:
    assert Presence(device("orin"), RunSpec()).fingerprint() == {}
