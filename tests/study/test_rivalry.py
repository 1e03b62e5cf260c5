import itertools
from collections.abc import Iterator

import pytest

from archlab.study.rivalry import Rival, verdict


def rival(number: int, *, is_running: bool = True, has_taken: bool = False) -> Rival:
    return Rival(number=number, is_running=is_running, has_taken=has_taken)


@pytest.mark.parametrize(
    ("rivals", "expected"),
    [
        ([], True),
        ([rival(3)], False),  # an earlier one goes first
        ([rival(3, has_taken=True)], False),
        ([rival(9, is_running=False)], False),  # tried already
        ([rival(9, has_taken=True)], False),  # it looked before this one wrote
        ([rival(9)], None),  # it may have looked before this one wrote: wait
        ([rival(9), rival(3)], False),
        ([rival(9), rival(11, has_taken=True)], False),
    ],
)
def test_who_tries_a_network(rivals: list[Rival], expected: bool | None) -> None:
    assert verdict(5, rivals) is expected


class Process:
    """Writes, then looks until it knows, then takes the network or gives it up: one step at a time."""

    def __init__(self, number: int, all_of_them: list["Process"]) -> None:
        self.number, self.others = number, all_of_them
        self.is_written = self.has_taken = self.is_gone = False

    def steps(self) -> Iterator[None]:
        self.is_written = True
        yield
        while True:
            seen = [
                rival(other.number, has_taken=other.has_taken)
                for other in self.others
                if other is not self and other.is_written and not other.is_gone
            ]
            mine = verdict(self.number, seen)
            yield  # between looking and acting on it
            if mine is not None:
                break
        self.has_taken, self.is_gone = mine, not mine
        yield


def left(order: tuple[int, ...], count: int) -> list[int]:
    """Let the processes take their steps in this order, then let all come to their end; who took the network?"""
    processes: list[Process] = []
    processes += [Process(number, processes) for number in range(count)]
    running = [process.steps() for process in processes]
    for who in order:
        next(running[who], None)
    for _ in range(10):
        for steps in running:
            next(steps, None)
    return [process.number for process in processes if process.has_taken]


def test_in_every_order_exactly_one_of_two_goes_on() -> None:
    for order in itertools.product(range(2), repeat=8):
        assert len(left(order, 2)) == 1, order


def test_in_every_order_exactly_one_of_three_goes_on() -> None:
    for order in itertools.product(range(3), repeat=8):
        assert len(left(order, 3)) == 1, order
