"""Who is working on a network, and is that process still alive?

A trial that a killed process left behind must neither block a study nor count. Each running trial carries the claim
of its process: host, process number and the process's start time (numbers are used again, start times are not), and
the thread and run inside it. On the same host a dead process shows at once; for another host only time tells.
"""

import datetime
import os
import socket
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["FOREIGN_LIMIT_S", "UNCLAIMED_LIMIT_S", "is_lost", "new_claim"]

UNCLAIMED_LIMIT_S = 20.0
"""A running trial without a claim is given this long: its process claims it right after making it."""

FOREIGN_LIMIT_S = 1800.0
"""A running trial of another host is given this long."""


def new_claim() -> dict[str, Any]:
    """Make the claim of one run in this thread of this process."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "born": _birth(os.getpid()),
        "thread": threading.get_ident(),
        "run": uuid.uuid4().hex,
    }


def is_lost(claim: Mapping[str, Any] | None, started: datetime.datetime | None, own: Mapping[str, Any]) -> bool:
    """Tell whether nobody works on a running trial any more.

    Args:
        claim: The claim on the trial, or None if its process never wrote one.
        started: When the trial began; None counts as long ago.
        own: The claim of the run that asks; an earlier run of the same thread is over.
    """
    if claim is None:
        return _age_s(started) > UNCLAIMED_LIMIT_S
    if claim.get("host") != own["host"]:
        return _age_s(started) > FOREIGN_LIMIT_S
    if all(claim.get(key) == own[key] for key in ("pid", "born", "thread")):
        return claim.get("run") != own["run"]
    return not _is_alive(int(claim["pid"]), claim.get("born"))


def _age_s(started: datetime.datetime | None) -> float:
    if started is None:
        return float("inf")
    return (datetime.datetime.now(tz=datetime.UTC) - started.astimezone(datetime.UTC)).total_seconds()


def _is_alive(pid: int, born: str | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    now = _birth(pid)
    return now is None or born is None or now == born


def _birth(pid: int) -> str | None:
    """Start time of a process in the kernel's ticks, "dead" for one that only waits to be buried.

    None where the system has no /proc.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()
    return "dead" if state == "Z" else rest[18]
