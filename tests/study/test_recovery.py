"""Waits that double, losses that count, and published models that are judged all the same."""

from typing import Any

import pytest

from archlab.errors import DeviceChanged, DeviceLost, DeviceUnreachable
from archlab.interrupt import Pause
from archlab.study.recovery import LONGEST_WAIT_S, Patient, Recovery


class Board:
    """Answers after so many calls."""

    def __init__(self, away: int) -> None:
        self.away, self.calls = away, 0

    def call(self) -> str:
        self.calls += 1
        if self.calls <= self.away:
            raise DeviceUnreachable(f"no answer {self.calls}; x")
        return "it is what it was"


def test_the_waits_double_up_to_a_minute() -> None:
    waits: list[float] = []
    events: list[Any] = []
    board = Board(8)
    recovery = Recovery("orin", 10, board.call, events.append, sleep=waits.append)
    recovery.after(DeviceLost("gone; x"), Pause(), digest="abc")
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert (board.calls, recovery.losses) == (9, 9)
    assert [event["detail"] for event in events] == [
        "gone; x", *(f"no answer {i}; x" for i in range(1, 9)), "it is what it was",
    ]  # fmt: skip
    assert events[-1]["event"] == "device answers again"
    recovery.settle()
    assert recovery.losses == 0


def test_it_gives_up() -> None:
    board = Board(9)
    recovery = Recovery("orin", 4, board.call, sleep=lambda seconds: None)
    with pytest.raises(DeviceLost) as error:
        recovery.after(DeviceLost("gone; x"), Pause())
    assert board.calls == 3
    assert str(error.value) == (
        "the device orin was lost and stays away (4 in a row); given: no answer 3; allowed: a device that answers; "
        "look at it with: archlab device check orin; then run the same command again: nothing is lost, what was "
        "interrupted is tried again"
    )


def test_a_device_that_comes_back_changed_is_not_waited_for() -> None:
    def call() -> str:
        raise DeviceChanged("another mode")

    with pytest.raises(DeviceChanged):
        Recovery("orin", 9, call, sleep=lambda seconds: None).after(DeviceLost("gone"), Pause())


def test_a_published_model_is_judged_again() -> None:
    class Judge:
        def __init__(self) -> None:
            self.calls = 0

        def baseline(self, spec: Any, limit_ms: float) -> Any:
            self.calls += 1
            if self.calls in (1, 2):
                raise DeviceLost("gone")
            return spec, limit_ms

    judge, recovery = Judge(), Recovery("orin", 9, lambda: "", sleep=lambda seconds: None)
    model: Any = type("Spec", (), {"digest": "abc"})()
    assert Patient(judge, recovery).baseline(model, 3.0) == (model, 3.0)  # type: ignore[comparison-overlap]
    assert (judge.calls, recovery.losses) == (3, 0)
