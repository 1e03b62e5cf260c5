"""A device that went away is no fault of the network that ran: wait, try again, and stop only when it stays away.

The waits double from one second to a minute, so that a broken link is mended in seconds and a board that starts again
is waited for. Every loss counts, whether the link breaks while a network runs or while the device is called again; a
network that was evaluated sets the count back.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from archlab.errors import DeviceLost, DeviceUnreachable, four_parts
from archlab.interrupt import Pause
from archlab.spec import ArchSpec
from archlab.study.baselines import Judge
from archlab.study.record import Evaluation

__all__ = ["LONGEST_WAIT_S", "Note", "Patient", "Recovery"]

LONGEST_WAIT_S = 60.0

T = TypeVar("T")

Note = Callable[[Mapping[str, Any]], object]
"""Is told what happened to the device, as plain values."""


class Recovery:
    """Counts losses in a row and calls the device again.

    Args:
        device: The device's name.
        limit: So many losses in a row end the search.
        call: Calls the device again and says in words what was found.
        note: Is told what happened.
        sleep: Waits so many seconds; None really does.
    """

    def __init__(
        self,
        device: str,
        limit: int,
        call: Callable[[], str],
        note: Note = lambda event: None,
        *,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._device, self._limit, self._call, self._note = device, limit, call, note
        self._sleep = sleep or time.sleep
        self.losses = 0

    def settle(self) -> None:
        """A network was evaluated: what was lost before counts no more."""
        self.losses = 0

    def after(self, error: DeviceUnreachable, pause: Pause, **facts: Any) -> None:
        """Wait until the device answers again.

        Args:
            error: The loss.
            pause: Holds interrupts; the waits can be interrupted.
            **facts: What was lost, for the record.

        Raises:
            DeviceLost: When it was lost too often in a row.
            DeviceChanged: When it answers, but is not what it was.
        """
        while True:
            self.losses += 1
            self._note({"event": "device lost", **facts, "in_a_row": self.losses, "detail": str(error)})
            if self.losses >= self._limit:
                raise _given_up(self._device, self.losses, error)
            try:
                with pause.interruptible():
                    self._sleep(min(LONGEST_WAIT_S, 2.0 ** (self.losses - 1)))
                    found = self._call()
            except DeviceUnreachable as again:
                error = again
                continue
            self._note({"event": "device answers again", "detail": found})
            return

    def patiently(self, work: Callable[[], T], **facts: Any) -> T:
        """Do work on the device, once more each time that it was lost and answers again; see `after`."""
        while True:
            try:
                return work()
            except DeviceUnreachable as error:
                self.after(error, Pause(), **facts)


class Patient:
    """A judge of published models that waits for a device that went away, and asks again."""

    def __init__(self, judge: Judge, recovery: Recovery) -> None:
        self._judge, self._recovery = judge, recovery

    def baseline(self, spec: ArchSpec, limit_ms: float) -> Evaluation:
        """Judge a model; see `Judge.baseline`."""
        found = self._recovery.patiently(lambda: self._judge.baseline(spec, limit_ms), digest=spec.digest)
        self._recovery.settle()
        return found


def _given_up(device: str, losses: int, error: DeviceUnreachable) -> DeviceLost:
    return DeviceLost(
        four_parts(
            f"the device {device} was lost and stays away ({losses} in a row)",
            given=str(error).partition("; ")[0],
            allowed="a device that answers",
            do=f"look at it with: archlab device check {device}; then run the same command again: nothing is lost, "
            "what was interrupted is tried again",
        )
    )
