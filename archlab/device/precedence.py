"""Who runs first: ask the operating system to let the measuring thread go before other processes.

A run that is interrupted pays twice: the time of the others, and the caches they leave behind, 5 to 20 % of CPU time
on a busy machine. So the measuring thread takes Linux's highest ordinary priority and gives it back afterwards. The
scheduler shares the cores between sessions first, so the session's own share is raised as well, where it has one.
Both need the right to do so (root, or CAP_SYS_NICE); without it nothing changes, and the measurement says so.

Source: man 7 sched (the nice value, the autogroup feature).
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = ["precedence"]

_NICE = -19
_AUTOGROUP = Path("/proc/self/autogroup")


@contextlib.contextmanager
def precedence(autogroup: Path = _AUTOGROUP) -> Iterator[str]:
    """Raise this thread's priority for a while; threads that it starts meanwhile keep it.

    Args:
        autogroup: The file of the session's share.

    Yields:
        What was granted: ``thread and session``, ``thread`` or ``none``.
    """
    before = _raise_thread()
    if before is None:
        yield "none"
        return
    session = _raise_session(autogroup)
    try:
        yield "thread" if session is None else "thread and session"
    finally:
        if session is not None:
            _write(autogroup, session)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), before)


def _raise_thread() -> int | None:
    """Raise the thread; give its priority before, or None where that is refused."""
    if not hasattr(os, "setpriority"):
        return None
    thread = threading.get_native_id()
    before = os.getpriority(os.PRIO_PROCESS, thread)
    try:
        os.setpriority(os.PRIO_PROCESS, thread, min(before, _NICE))
    except OSError:
        return None
    return before


def _raise_session(autogroup: Path) -> int | None:
    """Raise the session's share; give its value to go back to, or None where there is none or it is refused.

    A share that is raised already is another measurement's, whose process may have been killed: it goes back to 0.
    """
    try:
        before = int(autogroup.read_text().rpartition("nice")[2])
    except (OSError, ValueError):
        return None
    if not _write(autogroup, _NICE):
        return None
    return 0 if before == _NICE else before


def _write(autogroup: Path, nice: int) -> bool:
    try:
        autogroup.write_text(str(nice))
    except OSError:
        return False
    return True
