"""Ctrl-C between two steps, never inside a write.

While a `Pause` is open, an interrupt is remembered instead of raised, so that a line of the journal is never cut in
half by it; it is raised where the code says that stopping is safe. Outside the main thread, where no signal arrives,
and where interrupts are ignored already, nothing happens.
"""

import signal
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

__all__ = ["Pause"]


class Pause:
    """Holds interrupts back; use as a context manager around a loop of steps."""

    def __init__(self) -> None:
        self._pending = False
        self._is_open = False
        self._before: Any = None
        self._installed = False

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._arrive)
            self._installed = True
        return self

    def __exit__(self, *exc: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._before)
            self._installed = False

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at once inside, also one that was held back before."""
        self._is_open = True
        try:
            self.check()
            yield
        finally:
            self._is_open = False

    def check(self) -> None:
        """Raise the interrupt that was held back, if there was one."""
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def _arrive(self, number: int, frame: types.FrameType | None) -> None:
        if self._is_open:
            raise KeyboardInterrupt
        self._pending = True
