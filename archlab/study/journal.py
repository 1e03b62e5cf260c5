"""A journal file that survives `kill -9`: Optuna's format, with a lock that falls with its process.

Optuna's own lock files outlive a killed process and hold the next one up; the lock of the operating system does not.
Whoever takes the lock first looks at the end of the journal: without a final line end the last writer died in
mid-line, and what it left would spoil the next line. Lines that close a trial are brought to the disk at once; the
many small ones before them need not be, they are lost only with the machine.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: one process per journal
    HAS_LOCK = False
else:
    HAS_LOCK = True

__all__ = ["JournalFile", "journal_path", "mend_tail"]

_BLOCK = 65_536

Log = dict[str, Any]


def journal_path(url: str) -> Path | None:
    """The file of a journal URL (``journal:FILE`` or ``journal:///FILE``); None for any other URL."""
    if not url.startswith("journal:"):
        return None
    rest = url.removeprefix("journal:")
    return Path(rest[2:] if rest.startswith("///") else rest.removeprefix("//"))


class JournalFile:
    """A backend for Optuna's JournalStorage: one JSON document per line, any number of processes on one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets = [0]
        with self._locked() as stream:
            mend_tail(stream)

    def append_logs(self, logs: list[Log]) -> None:
        """Append documents in one piece."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self._locked() as stream:
            mend_tail(stream)
            end = stream.seek(0, os.SEEK_END)
            try:
                _write_whole(stream, text.encode())
            except OSError:
                os.ftruncate(stream.fileno(), end)
                raise
            if any("values" in log or "study_name" in log for log in logs):
                os.fsync(stream.fileno())

    def read_logs(self, log_number_from: int) -> Iterator[Log]:
        """Read documents from a number on; a last line without its end is still being written and left out.

        Raises:
            ValueError: For a line that is no JSON object; the message has its number.
        """
        number = min(log_number_from, len(self._offsets) - 1)
        with self._path.open("rb") as stream:
            stream.seek(self._offsets[number])
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                if number + 1 == len(self._offsets):
                    self._offsets.append(self._offsets[number] + len(line))
                if number >= log_number_from:
                    yield _parsed(line, number + 1)
                number += 1

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        with self._path.open("a+b", buffering=0) as stream:  # a buffer would write its rest again at the end
            if HAS_LOCK:
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield stream


def _write_whole(stream: IO[bytes], data: bytes) -> None:
    if stream.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def mend_tail(stream: IO[bytes]) -> int:
    """Cut a file, open for reading and writing, after its last line end; give the number of bytes cut off."""
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
        os.ftruncate(stream.fileno(), end)
    return size - end


def _parsed(line: bytes, number: int) -> Log:
    try:
        log = json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    if not isinstance(log, dict):
        raise ValueError(f"line {number}: {type(log).__name__} instead of an object")
    return log
