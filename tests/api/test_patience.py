from collections.abc import Callable

import pytest

from archlab.api.patience import patiently
from archlab.errors import DeviceLost, DeviceUnreachable


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def work() -> str:
        if left:
            raise left.pop(0)
        return "12 ms"

    return work


def test_a_lost_device_is_called_again_after_longer_and_longer_waits() -> None:
    waits: list[float] = []
    work = failing(DeviceLost("cut"), DeviceUnreachable("it starts"), DeviceUnreachable("it starts"))
    assert patiently(work, waits.append) == "12 ms"
    assert waits == [1.0, 2.0, 4.0]


def test_a_device_that_stays_away_is_given_up() -> None:
    waits: list[float] = []
    with pytest.raises(DeviceLost, match="fourth"):
        patiently(failing(*(DeviceLost(n) for n in ("first", "second", "third", "fourth"))), waits.append)
    assert waits == [1.0, 2.0, 4.0]


def test_a_device_that_never_answered_is_not_waited_for() -> None:
    waits: list[float] = []
    with pytest.raises(DeviceUnreachable, match="off"):
        patiently(failing(DeviceUnreachable("off")), waits.append)
    assert waits == []
