"""A link that breaks in mid-measurement: wait a little, call the device again, measure from the beginning."""

import time
from collections.abc import Callable
from typing import TypeVar

from archlab.errors import DeviceLost, DeviceUnreachable

__all__ = ["WAITS_S", "patiently"]

WAITS_S = (1.0, 2.0, 4.0)
"""A search waits longer, for it has more to lose; see `study.recovery`."""

T = TypeVar("T")


def patiently(work: Callable[[], T], sleep: Callable[[float], object] = time.sleep) -> T:
    """Carry out work on a device, again from the beginning where the device was lost in the middle.

    Args:
        work: What to do.
        sleep: Waits so many seconds.

    Raises:
        DeviceUnreachable: At once when the device does not answer at all, after `WAITS_S` when it was lost.
    """
    was_lost = False
    for wait_s in WAITS_S:
        try:
            return work()
        except DeviceUnreachable as error:
            was_lost = was_lost or isinstance(error, DeviceLost)
            if not was_lost:
                raise
        sleep(wait_s)
    return work()
