"""Whole files or nothing: every write goes to a neighbour first, so that a kill or a full disk loses nothing."""

import errno
import os
import tempfile
from pathlib import Path
from typing import NoReturn

from archlab.errors import StorageFullError, four_parts

__all__ = ["append_line", "write_bytes", "write_text"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` (UTF-8) in one step.

    Raises:
        StorageFullError: When the disk is full; the old file is then untouched.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step; see `write_text`."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        _explain(error, path)
    neighbour = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        neighbour.chmod(0o644)
        neighbour.replace(path)
    except OSError as error:
        _explain(error, path)
    finally:
        neighbour.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Append one line (UTF-8) and bring it to the disk; a line half written by a full disk is cut off again.

    Raises:
        StorageFullError: When the disk is full; the lines before stay as they were.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = (line.rstrip("\n") + "\n").encode()
    with path.open("ab", buffering=0) as stream:
        end = stream.tell()
        try:
            written = stream.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(stream.fileno())
        except OSError as error:
            stream.truncate(end)
            _explain(error, path)


def _explain(error: OSError, path: Path) -> NoReturn:
    if error.errno in _FULL:
        raise StorageFullError(
            four_parts(
                f"cannot write {path.name}: the disk is full",
                given=str(path),
                allowed="a folder with free space",
                do="free some space or choose another folder; nothing written before is lost",
            )
        ) from None
    raise error
