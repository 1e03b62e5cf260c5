"""The loop with a ledger in memory: order, counting, repeats, failures."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from archlab import space
from archlab.errors import DeviceUnreachable, StudyError
from archlab.space import Point, SearchSpace
from archlab.study.loop import Asked, search
from archlab.study.plan import StudyPlan
from archlab.study.record import Record

Make = Callable[..., StudyPlan]


class Memory:
    """A ledger without a storage; `points` are what it is going to ask for."""

    def __init__(self, points: Iterator[Point], exhausted_after: int = 1000) -> None:
        self.points, self.exhausted_after = points, exhausted_after
        self.closed: list[Record] = []
        self.lost: list[int] = []
        self.asked = 0
        self.rivals: set[str] = set()

    def ask(self) -> Asked:
        self.asked += 1
        exhausted = self.asked > self.exhausted_after
        return Asked(number=self.asked - 1, point=next(self.points), origin="sampled", is_exhausted=exhausted)

    def reserve(self, number: int, digest: str) -> bool:
        return digest not in self.rivals

    def tell(self, record: Record) -> None:
        self.closed.append(record)

    def lose(self, number: int) -> None:
        self.lost.append(number)

    def records(self) -> list[Record]:
        return list(self.closed)

    def running(self, before: int | None = None) -> int:
        return 0


@pytest.fixture
def small(space_file: str) -> SearchSpace:
    return space.load(space_file)


def endless(small: SearchSpace) -> Iterator[Point]:
    while True:
        for width in (8, 16, 24, 32):
            for kernel in (3, 5, 7):
                yield {"resolution": 32, "width": width, "ratio": "1-1-1-1", "kernel_0": kernel}


def test_a_network_that_another_process_took_is_left_to_it(small: SearchSpace, make_plan: Make, services: Any) -> None:
    memory = Memory(endless(small))
    memory.rivals.add(small.decode({"resolution": 32, "width": 8, "ratio": "1-1-1-1", "kernel_0": 5}).digest)
    assert search(memory, make_plan(trials=3), small, services.evaluate, lambda record: None)
    assert ([r.number for r in memory.closed], memory.lost) == ([0, 2, 3], [1])


def test_a_known_network_is_told_again_only_when_nothing_is_new(
    small: SearchSpace, make_plan: Make, services: Any
) -> None:
    memory = Memory(endless(small), exhausted_after=12)
    search(memory, make_plan(trials=500), small, services.evaluate, lambda record: None)
    assert len(services.seen) == 12
    repeats = [record for record in memory.closed if record.is_repeat]
    assert len(repeats) == 20  # then the space is exhausted
    assert repeats[0].origin == "repeat of 0"
    assert repeats[12].origin == "repeat of 0"  # never a repeat of a repeat
    assert repeats[0].evaluation == memory.closed[0].evaluation
    assert repeats[0].seconds == 0


def test_a_point_that_no_network_has_is_a_failure(small: SearchSpace, make_plan: Make, services: Any) -> None:
    memory = Memory(iter([{"resolution": 31}, *[next(endless(small))]]))
    search(memory, make_plan(trials=2), small, services.evaluate, lambda record: None)
    assert [record.state for record in memory.closed] == ["failed", "complete"]
    assert memory.closed[0].error is not None
    assert memory.closed[0].error.startswith("this is no point of the space")


def test_a_value_that_is_no_number_is_a_failure(small: SearchSpace, make_plan: Make, searcher: Any) -> None:
    class Odd(searcher.Services):  # type: ignore[misc]
        def score(self, spec: Any) -> float:
            return float("nan")

    memory = Memory(endless(small))
    search(memory, make_plan(trials=1), small, Odd().evaluate, lambda record: None)
    assert (memory.closed[0].state, memory.closed[0].error) == ("failed", "score is nan")


def test_failures_count_only_in_a_row(small: SearchSpace, make_plan: Make, searcher: Any) -> None:
    class Moody(searcher.Services):  # type: ignore[misc]
        def score(self, spec: Any) -> float:
            if len(self.seen) % 3:
                raise ValueError
            return 1.0

    memory = Memory(endless(small))
    assert search(memory, make_plan(trials=12, failures_in_a_row=3), small, Moody().evaluate, lambda record: None)
    assert sum(record.state == "failed" for record in memory.closed) == 8
    assert memory.closed[0].error == "ValueError: no message"
    with pytest.raises(StudyError, match="2 networks failed one after the other"):
        search(Memory(endless(small)), make_plan(failures_in_a_row=2), small, Moody().evaluate, lambda record: None)


def test_trouble_that_is_not_the_networks_own_ends_the_loop(small: SearchSpace, make_plan: Make, searcher: Any) -> None:
    class Gone(searcher.Services):  # type: ignore[misc]
        def score(self, spec: Any) -> float:
            raise DeviceUnreachable("the board left")

    memory = Memory(endless(small))
    with pytest.raises(DeviceUnreachable):
        search(memory, make_plan(), small, Gone().evaluate, lambda record: None)
    assert (memory.closed, memory.lost) == ([], [0])
