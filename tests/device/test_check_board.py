"""What a board says of itself: a made-up one step by step, and a real agent in a process here."""

import types
from collections.abc import Iterator
from typing import Any

import onnxruntime
import pytest

from archlab.device import check_board, registry
from archlab.device.board.backend import BoardBackend
from archlab.device.catalog import device, run_for
from archlab.device.check import StepFailed, walk
from archlab.device.check_board import board_probes
from archlab.device.measure import backend_of

STEPS = [
    *("agent", "fingerprint", "runtime", "power and clocks", "temperature", "room for engines"),
    *("free to measure", "a tiny network"),
]


class Board(BoardBackend):
    """A board that says what `told` holds."""

    def __init__(self, told: dict[str, Any], runtimes: dict[str, Any]) -> None:
        super().__init__()
        self.told, self.runtimes = told, runtimes

    def link(self, device: Any) -> Any:
        hello = {"protocol": 1, "runtimes": self.runtimes}
        return types.SimpleNamespace(hello=hello, ask=lambda op: self.told)


def probes(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], runtimes: dict[str, Any] | None = None
) -> dict[str, Any]:
    registry.add("orin", reach="child:")
    found = runtimes if runtimes is not None else {"trtexec": {"version": "10.3.0", "dialect": 10}}
    monkeypatch.setattr(check_board, "backend_of", lambda device, run: Board(told, found))
    return dict(board_probes(device("orin")))


def test_a_jetson(monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = {"board": "Orin", "power_mode": "MAXN (0)", "cpu_governor": "schedutil", "gpu_max_mhz": "1300.5"}
    state = {"hottest_c": 81.5, "power_w": 14.25}
    asked = probes(monkeypatch, {"fingerprint": fingerprint, "state": state, "temp_free_mb": 9500, "in_use": True})
    assert list(asked) == STEPS
    assert asked["agent"]() == "starts with the source that was sent, speaks protocol 1"
    assert asked["fingerprint"]().startswith("board Orin, power_mode MAXN (0), ")
    assert asked["runtime"]() == "trtexec version 10.3.0, dialect 10"
    told, advice = asked["power and clocks"]()
    assert told == "power_mode MAXN (0), cpu_governor schedutil, gpu_max_mhz 1300.5"
    assert "jetson_clocks" in advice
    assert asked["temperature"]() == (
        "81.5 °C at the hottest, 14.25 W", "let it cool, or measurements are throttled",
    )  # fmt: skip
    assert asked["room for engines"]() == "9.5 GB free in its temporary folder"
    assert asked["free to measure"]() == ("somebody else measures now", "measurements wait for theirs: one at a time")


def test_a_board_that_tells_little(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = probes(monkeypatch, {"fingerprint": {}, "state": {}, "temp_free_mb": 200, "in_use": False}, {})
    assert asked["power and clocks"]() == asked["temperature"]() == "not readable"
    assert asked["free to measure"]() == "nobody else measures"
    with pytest.raises(StepFailed, match=r"0\.2 GB free in its temporary folder"):
        asked["room for engines"]()
    with pytest.raises(StepFailed, match="trtexec is not there; found: none") as error:
        asked["runtime"]()
    assert error.value.do == "TensorRT comes with JetPack: sudo apt install nvidia-jetpack"


@pytest.fixture
def closing() -> Iterator[None]:
    """Ends the agents that a check started."""
    yield
    row = device("board")
    backend: Any = backend_of(row, run_for(row))
    backend.close()


def test_an_agent_in_a_process_here(closing: None) -> None:
    registry.add("board", reach="child:", backends=("ort",))
    steps = list(walk(board_probes(device("board"))))
    assert [(step.step, step.state) for step in steps] == [(name, "ok") for name in STEPS]
    assert steps[2].detail.endswith(f"ort version {onnxruntime.__version__}")
    assert " runs of ort" in steps[-1].detail
