"""The loop with a ledger in memory: order, counting, repeats, failures."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from archlab import space
from archlab.errors import DeviceChanged, DeviceLost, StudyError
from archlab.space import Point, SearchSpace
from archlab.study.loop import Asked, search
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record
from archlab.study.recovery import Recovery

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

    def requeue(self, number: int, point: Point, origin: str) -> None:
        self.lost.append(number)
        self.points = itertools.chain([point], self.points)

    def records(self) -> list[Record]:
        return list(self.closed)

    def running(self, before: int | None = None) -> int:
        return 0


class Shared(Memory):
    """Another process closes its network right after the first look at the ledger."""

    def __init__(self, points: Iterator[Point], theirs: Record) -> None:
        super().__init__(points)
        self.theirs: list[Record] = [theirs]
        self.asked = 1

    def records(self) -> list[Record]:
        seen = super().records()
        self.closed += self.theirs
        self.theirs = []
        return seen

    def running(self, before: int | None = None) -> int:
        at_work = len(self.theirs)
        self.closed += self.theirs
        self.theirs = []
        return at_work


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


def test_a_network_that_another_process_is_just_closing_counts(
    small: SearchSpace, make_plan: Make, services: Any
) -> None:
    alone = Memory(endless(small))
    search(alone, make_plan(trials=1), small, services.evaluate, lambda record: None)
    seen = len(services.seen)
    shared = Shared(endless(small), alone.closed[0])
    search(shared, make_plan(trials=1), small, services.evaluate, lambda record: None)
    assert len(services.seen) == seen
    assert len(shared.closed) == 1


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


class Flaky:
    """Evaluates as `services` does, but the calls with the numbers in `losses` lose the device."""

    def __init__(self, services: Any, *losses: int, error: type[BaseException] = DeviceLost) -> None:
        self.services, self.losses, self.error = services, losses, error
        self.tried: list[str] = []

    def __call__(self, spec: Any) -> Evaluation:
        self.tried.append(spec.digest)
        if len(self.tried) in self.losses:
            raise self.error("the board left; more")
        return self.services.evaluate(spec)


def test_a_device_that_left_costs_its_network_nothing(small: SearchSpace, make_plan: Make, services: Any) -> None:
    memory, flaky, waits, events = Memory(endless(small)), Flaky(services, 2, 3), [], []
    recovery = Recovery("orin", 3, lambda: "as before", events.append, sleep=waits.append)
    assert search(memory, make_plan(trials=4), small, flaky, lambda record: None, recovery)
    lost = flaky.tried[1]
    assert flaky.tried[1:4] == [lost] * 3  # tried again before anything new
    assert ([record.state for record in memory.closed], memory.lost) == (["complete"] * 4, [1, 2])
    assert memory.closed[1].digest == lost
    assert waits == [1.0, 2.0]
    assert [(e["event"], e.get("number"), e.get("in_a_row")) for e in events] == [
        ("device lost", 1, 1), ("device answers again", None, None),
        ("device lost", 2, 2), ("device answers again", None, None),
    ]  # fmt: skip
    assert (events[0]["digest"], events[1]["detail"]) == (lost, "as before")
    assert recovery.losses == 0


def test_a_device_that_stays_away_ends_the_search(small: SearchSpace, make_plan: Make, services: Any) -> None:
    memory, flaky = Memory(endless(small)), Flaky(services, *range(2, 9))
    with pytest.raises(
        DeviceLost,
        match=r"orin was lost and stays away \(3 in a row\); given: the board left; allowed: .*run the same command",
    ):
        search(
            memory,
            make_plan(),
            small,
            flaky,
            lambda record: None,
            Recovery("orin", 3, lambda: "", sleep=lambda seconds: None),
        )
    assert (len(memory.closed), memory.lost) == (1, [1, 2, 3])


def test_losses_count_only_in_a_row(small: SearchSpace, make_plan: Make, services: Any) -> None:
    memory, flaky = Memory(endless(small)), Flaky(services, 1, 3, 5, 7)
    recovery = Recovery("orin", 2, lambda: "", sleep=lambda seconds: None)
    assert search(memory, make_plan(trials=6), small, flaky, lambda record: None, recovery)
    assert len(memory.closed) == 6


def test_a_device_that_changed_ends_the_search_at_once(small: SearchSpace, make_plan: Make, services: Any) -> None:
    memory, flaky, calls = Memory(endless(small)), Flaky(services, 2, error=DeviceChanged), []
    with pytest.raises(DeviceChanged):
        search(
            memory, make_plan(), small, flaky, lambda record: None, Recovery("orin", 9, lambda: str(calls.append(1)))
        )
    assert (len(memory.closed), memory.lost, calls) == (1, [1], [])
    assert small.decode(memory.ask().point).digest == flaky.tried[1]  # it waits for the next call


def test_without_a_recovery_the_first_loss_ends_the_loop(small: SearchSpace, make_plan: Make, services: Any) -> None:
    memory = Memory(endless(small))
    with pytest.raises(DeviceLost):
        search(memory, make_plan(), small, Flaky(services, 1), lambda record: None)
    assert (memory.closed, memory.lost) == ([], [0])


def test_ctrl_c_costs_the_network_at_work_nothing(small: SearchSpace, make_plan: Make, services: Any) -> None:
    memory, stopped = Memory(endless(small)), Flaky(services, 2, error=KeyboardInterrupt)
    assert not search(memory, make_plan(), small, stopped, lambda record: None)
    assert (len(memory.closed), memory.lost) == (1, [1])
    assert search(memory, make_plan(trials=3), small, stopped, lambda record: None)
    assert stopped.tried[1] == stopped.tried[2] == memory.closed[1].digest  # before anything new


def test_an_interrupt_while_waiting_ends_the_search(small: SearchSpace, make_plan: Make, services: Any) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    memory = Memory(endless(small))
    recovery = Recovery("orin", 9, lambda: "", sleep=interrupt)
    assert not search(memory, make_plan(), small, Flaky(services, 2), lambda record: None, recovery)
    assert (len(memory.closed), memory.lost) == (1, [1])
