"""A journal file that survives `kill -9`: the lock falls with its process, and a line cut in half is cut off.

Optuna's own lock files outlive a killed process and hold the next one up; the lock of the operating system does not.
Whoever takes the lock first looks at the end of the journal: without a final line end the last writer died in
mid-line, and what it left would spoil the next line.
"""

import os
import threading
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no fcntl
    HAS_FILE_LOCK = False
else:
    HAS_FILE_LOCK = True

__all__ = ["HAS_FILE_LOCK", "FileLock", "journal_path", "mend_tail"]

_BLOCK = 65_536


def journal_path(url: str) -> Path | None:
    """The file of a journal URL (``journal:FILE`` or ``journal:///FILE``); None for any other URL."""
    if not url.startswith("journal:"):
        return None
    rest = url.removeprefix("journal:")
    return Path(rest[2:] if rest.startswith("///") else rest.removeprefix("//"))


class FileLock:
    """Keeps all other processes and threads from appending to `journal` between `acquire` and `release`."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._held = threading.local()

    def acquire(self) -> bool:
        """Wait for the lock, then mend the end of the journal."""
        stream = self._journal.with_name(self._journal.name + ".lock").open("ab")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
            mend_tail(self._journal)
        except BaseException:
            stream.close()
            raise
        self._held.stream = stream
        return True

    def release(self) -> None:
        """Give the lock back."""
        stream: IO[bytes] = self._held.stream
        stream.close()


def mend_tail(journal: Path) -> int:
    """Cut the journal after its last line end; give the number of bytes cut off."""
    if not journal.exists():
        return 0
    with journal.open("r+b") as stream:
        size = end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _BLOCK)
            stream.seek(start)
            at = stream.read(end - start).rfind(b"\n")
            if at >= 0:
                end = start + at + 1
                break
            end = start
        if end < size:
            stream.truncate(end)
        return size - end
