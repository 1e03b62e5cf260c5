"""Ask, evaluate, tell, until there is enough: the loop of a search, without knowing who suggests or where it is kept.

One network at a time; several processes may run this loop on one ledger. A network that fails is a record like any
other. A device that leaves in mid-run is called again (`recovery`) and its network tried again; only trouble that is
not the network's own and does not pass (a full disk, a device that changed or stays away) ends the loop.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Protocol

from archlab.errors import (
    ArchlabError,
    DeviceChanged,
    DeviceUnreachable,
    SpecError,
    StorageFullError,
    StudyError,
    four_parts,
)
from archlab.interrupt import Pause
from archlab.space import Point, SearchSpace
from archlab.spec import ArchSpec
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record
from archlab.study.recovery import Recovery

__all__ = ["Asked", "Evaluate", "Ledger", "search", "violations"]

_WAIT_S = 0.2
_REPEATS = 20
"""So many repeats in a row mean that the space has nothing new."""

Evaluate = Callable[[ArchSpec], Evaluation]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """A point to try: the number of its trial, where it comes from, and whether nothing new could be found."""

    number: int
    point: Point
    origin: str
    is_exhausted: bool = False


class Ledger(Protocol):
    """Who suggests networks and keeps what became of them."""

    def ask(self) -> Asked:
        """Open a trial."""

    def reserve(self, number: int, digest: str) -> bool:
        """Say which network a trial tries; False when a running trial tries the same."""

    def tell(self, record: Record) -> None:
        """Close a trial."""

    def lose(self, number: int) -> None:
        """Close a trial without a record, as if it had never been."""

    def requeue(self, number: int, point: Point, origin: str) -> None:
        """Close a trial without a record and have its network tried again before the sampler is asked."""

    def records(self) -> list[Record]:
        """Every closed trial, by number."""

    def running(self, before: int | None = None) -> int:
        """Count the trials that living processes work on; only those with a number below `before`, if given."""


class _Interrupted(Exception):  # noqa: N818 - what happened to a network, no error of ours
    """The device went away while a network ran."""

    def __init__(self, base: Record, error: DeviceUnreachable) -> None:
        self.base, self.error = base, error


def search(
    ledger: Ledger,
    plan: StudyPlan,
    space: SearchSpace,
    evaluate: Evaluate,
    on_record: Callable[[Record], object],
    recovery: Recovery | None = None,
) -> bool:
    """Run the loop until the plan's trials or minutes are used up.

    Args:
        ledger: Who suggests networks and keeps what became of them.
        plan: How much is enough.
        space: What the ledger's points mean.
        evaluate: Works out the values of a network.
        on_record: Is told every closed trial.
        recovery: Calls a device that went away; without one its first loss ends the loop.

    Returns:
        True when it came to its end, False when the user interrupted it; the network at work is then queued again.

    Raises:
        StudyError: After `plan.failures_in_a_row` networks failed one after the other.
        DeviceLost: When the device stays away; the network that was interrupted is queued again.
        DeviceChanged: When it is no longer what it was; the same holds.
    """
    failures = 0
    recovery = recovery or Recovery(plan.device, 1, lambda: "")
    with Pause() as pause:
        try:
            while not _is_over(ledger, plan, pause):
                try:
                    record = _one(ledger, plan, space, evaluate, pause)
                except _Interrupted as lost:
                    recovery.after(lost.error, pause, number=lost.base.number, digest=lost.base.digest)
                    continue
                if record is None:
                    continue
                ledger.tell(record)
                on_record(record)
                if record.state == "complete":
                    recovery.settle()
                failures = failures + 1 if record.state == "failed" and not record.is_repeat else 0
                if failures >= plan.failures_in_a_row:
                    raise _hopeless(failures, record)
        except KeyboardInterrupt:
            return False
    return True


def violations(evaluation: Evaluation, plan: StudyPlan) -> dict[str, float]:
    """Upper end of the latency minus the budget: at most 0 where the budget is met."""
    upper = evaluation.upper("latency_ms")
    return {} if upper is None else {"latency_ms": upper - plan.budget_ms}


def _is_over(ledger: Ledger, plan: StudyPlan, pause: Pause) -> bool:
    """Tell whether nothing is left to ask; waits for other processes whose trials may still be lost."""
    while True:
        pause.check()
        running, records = ledger.running(), ledger.records()  # in this order none that is just closed is missed
        if plan.minutes is not None and sum(r.seconds for r in records) >= plan.minutes * 60:
            return True
        if len(records) >= _REPEATS and all(record.is_repeat for record in records[-_REPEATS:]):
            return True
        if plan.trials is None or len(records) + running < plan.trials:
            return False
        if not running or len(records) >= plan.trials:
            return True
        time.sleep(_WAIT_S)


def _one(ledger: Ledger, plan: StudyPlan, space: SearchSpace, evaluate: Evaluate, pause: Pause) -> Record | None:
    asked = ledger.ask()
    started = time.perf_counter()
    if _is_one_too_many(ledger, plan, asked.number):
        ledger.lose(asked.number)
        return None
    base = Record(
        number=asked.number, state="failed", digest=None, spec=None, point=asked.point, origin=asked.origin,
        evaluation=None, violations={}, seconds=0.0, seed=plan.seed,
    )  # fmt: skip
    try:
        spec = space.decode(asked.point)
    except SpecError as error:
        return base.replace(error=_line(error))
    base = base.replace(spec=spec, digest=spec.digest)
    known = next((r for r in ledger.records() if r.digest == spec.digest), None)
    if known is not None and asked.is_exhausted:
        first = known.origin if known.is_repeat else f"repeat of {known.number}"
        return known.replace(number=asked.number, point=asked.point, origin=first, seconds=0.0)
    if known is not None or not ledger.reserve(asked.number, spec.digest):
        ledger.lose(asked.number)
        return None
    return _evaluated(base, ledger, plan, evaluate, pause, started)


def _is_one_too_many(ledger: Ledger, plan: StudyPlan, number: int) -> bool:
    """Tell whether the trials before this one, closed or at work, are all that were asked for."""
    running = ledger.running(before=number)  # first, so that one that is just closed counts twice, not never
    before = running + sum(record.number < number for record in ledger.records())
    return plan.trials is not None and before >= plan.trials


def _evaluated(
    base: Record, ledger: Ledger, plan: StudyPlan, evaluate: Evaluate, pause: Pause, started: float
) -> Record:
    assert base.spec is not None
    try:
        with pause.interruptible():
            evaluation = evaluate(base.spec)
        _check_finite(evaluation)
    except KeyboardInterrupt:
        assert base.point is not None
        with contextlib.suppress(OSError, ArchlabError):
            ledger.requeue(base.number, base.point, base.origin)
        raise
    except StorageFullError:
        with contextlib.suppress(OSError, ArchlabError):
            ledger.lose(base.number)
        raise
    except (DeviceUnreachable, DeviceChanged) as error:
        assert base.point is not None
        ledger.requeue(base.number, base.point, base.origin)
        if isinstance(error, DeviceChanged):
            raise
        raise _Interrupted(base, error) from None
    except Exception as error:  # whatever one network does must not end the study
        return base.replace(seconds=time.perf_counter() - started, error=_line(error))
    return base.replace(
        state="skipped" if evaluation.skipped else "complete",
        evaluation=evaluation,
        violations=violations(evaluation, plan),
        seconds=time.perf_counter() - started,
        error=evaluation.skipped,
    )


def _check_finite(evaluation: Evaluation) -> None:
    bad = [name for name, value in evaluation.values.items() if not math.isfinite(value)]
    if bad:
        raise ArchlabError(f"{bad[0]} is {evaluation.values[bad[0]]}")


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    return (text if isinstance(error, ArchlabError) else f"{type(error).__name__}: {text}")[:400]


def _hopeless(failures: int, last: Record) -> StudyError:
    return StudyError(
        four_parts(
            f"{failures} networks failed one after the other",
            given=last.error,
            allowed="at most that many in a row, then the search stops",
            do="mend the cause; the same command then goes on, nothing is lost",
        )
    )
