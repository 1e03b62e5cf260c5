"""Measurements kept on disk, so that no network is measured twice under the same conditions.

One SQLite file, safe for many processes. The key is everything that can move the latency: the graph without its
weights, the device and its software, the runtime and its version, the run. How long a measurement might have taken is
no part of it: one that came out ``ok`` is as good within a cap of 2 s as within one of 10 s. Others are not kept.
Samples are stored as compressed integers (ns), the rest as JSON; nothing is ever unpickled. Beside the measurements lie
the readings of the witness (`witness`).
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from archlab.device.catalog import RunSpec
from archlab.device.measurement import PER_RUN, Measurement
from archlab.errors import DeviceError, StorageFullError, four_parts

__all__ = ["CacheKey", "MeasurementCache", "default_path"]

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS measurements (
        key TEXT PRIMARY KEY, question TEXT NOT NULL, answer TEXT NOT NULL, samples BLOB NOT NULL, stored REAL NOT NULL
    )""",
    "CREATE TABLE IF NOT EXISTS readings (number INTEGER PRIMARY KEY, name TEXT NOT NULL, ms REAL NOT NULL)",
)
_READINGS = 500
"""So many readings of a name are kept, the latest: half an hour of measuring or more."""

_PROTOCOL = 2
"""Raised when the same question is answered in another way: 2 counts only what the witness found calm."""

_WAIT_S = 30.0
_LEAST_FREE_BYTES = 100_000
"""With less than this SQLite cannot even lay out its write-ahead log."""

_CAPS = ("warmup_s", "max_s")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CacheKey:
    """Everything a latency depends on; `fingerprint` is the device's and the runtime's with its version."""

    graph: str
    device: str
    fingerprint: Mapping[str, str]
    run: RunSpec

    def to_json(self) -> str:
        """Write the key in canonical JSON."""
        doc = {
            "graph": self.graph,
            "device": self.device,
            "fingerprint": dict(self.fingerprint),
            "protocol": _PROTOCOL,
            "run": {name: value for name, value in dataclasses.asdict(self.run).items() if name not in _CAPS},
        }
        return json.dumps(doc, sort_keys=True)

    @property
    def digest(self) -> str:
        """The sha256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def default_path() -> Path:
    """Where measurements are kept: the file named by ARCHLAB_CACHE, else a file in the user's cache folder (XDG)."""
    named = os.environ.get("ARCHLAB_CACHE")
    if named:
        return Path(named).expanduser()
    folder = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(folder).expanduser() / "archlab" / "measurements.sqlite"


class MeasurementCache:
    """The measurements in one file; the file is made when the first one is kept."""

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = default_path() if path is None else Path(path)

    def get(self, key: CacheKey) -> Measurement | None:
        """Find a measurement; None where there is none. `environment["cached"]` of a found one is True.

        Raises:
            DeviceError: When the file is damaged or cannot be opened.
        """
        if not self.path.exists():
            return None
        with self._connection() as connection:
            rows = connection.execute("SELECT answer, samples FROM measurements WHERE key = ?", [key.digest]).fetchall()
        if not rows:
            return None
        try:
            return _unpacked(*rows[0])
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            self._explain_damage(error)

    def put(self, key: CacheKey, measurement: Measurement) -> None:
        """Keep a measurement of quality ``ok``; others are not kept, so that they are measured again.

        Raises:
            StorageFullError: When the disk is full; what was kept before stays.
            DeviceError: When the file is damaged or cannot be opened.
        """
        if measurement.quality != "ok":
            return
        answer, samples = _packed(measurement)
        row = (key.digest, key.to_json(), answer, samples, time.time())
        self._make_folder()
        with self._connection() as connection:
            connection.execute("INSERT OR REPLACE INTO measurements VALUES (?, ?, ?, ?, ?)", row)

    def readings(self, name: str) -> list[float]:
        """Give the latest readings of a name, oldest first.

        Raises:
            DeviceError: When the file is damaged or cannot be opened.
        """
        if not self.path.exists():
            return []
        with self._connection() as connection:
            rows = connection.execute("SELECT ms FROM readings WHERE name = ? ORDER BY number", [name]).fetchall()
        return [float(ms) for (ms,) in rows]

    def keep_reading(self, name: str, ms: float) -> None:
        """Keep a reading; the oldest of a name go when there are too many.

        Raises:
            StorageFullError, DeviceError: As `put` does.
        """
        self._make_folder()
        with self._connection() as connection:
            connection.execute("INSERT INTO readings (name, ms) VALUES (?, ?)", [name, ms])
            connection.execute(
                "DELETE FROM readings WHERE name = ?1 AND number NOT IN "
                "(SELECT number FROM readings WHERE name = ?1 ORDER BY number DESC LIMIT ?2)",
                [name, _READINGS],
            )

    def __len__(self) -> int:
        if not self.path.exists():
            return 0
        with self._connection() as connection:
            (count,) = connection.execute("SELECT count(*) FROM measurements").fetchone()
        return int(count)

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._explain_unusable(error)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Open, commit or roll back, close: nothing is held between calls, so processes may fork and die freely."""
        try:
            with contextlib.closing(_opened(self.path)) as connection, connection:
                yield connection
        except sqlite3.DatabaseError as error:
            self._explain(error)

    def _explain(self, error: sqlite3.DatabaseError) -> NoReturn:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._is_full()):
            raise StorageFullError(
                four_parts(
                    "the measurement cache cannot grow: the disk is full",
                    given=self.path,
                    allowed="a folder with free space",
                    do="free some space or set ARCHLAB_CACHE to another file; nothing kept before is lost",
                )
            ) from None
        if code in {
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_PERM,
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_IOERR,
        }:
            self._explain_unusable(error)
        self._explain_damage(error)

    def _is_full(self) -> bool:
        return shutil.disk_usage(self.path.parent).free < _LEAST_FREE_BYTES

    def _explain_unusable(self, error: Exception) -> NoReturn:
        raise DeviceError(
            four_parts(
                f"the measurement cache cannot be used ({error})",
                given=self.path,
                allowed="a file that may be written",
                do="set ARCHLAB_CACHE to a file in a folder of your own",
            )
        ) from None

    def _explain_damage(self, error: Exception) -> NoReturn:
        raise DeviceError(
            four_parts(
                f"the measurement cache is damaged ({error})",
                given=self.path,
                allowed="a file written by archlab",
                do="delete the file, it is made anew (measurements are then repeated), or set ARCHLAB_CACHE to another",
            )
        ) from None


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_S)
    try:
        _prepare(connection)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Set write-ahead logging, so that readers never wait, and make the tables."""
    end = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:  # the switch to WAL does not wait by itself
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)
    for table in _SCHEMA:
        connection.execute(table)


def _packed(measurement: Measurement) -> tuple[str, bytes]:
    doc = measurement.to_dict()
    wall, cpu, *others = (doc.pop(name) for name in PER_RUN)
    rows = [np.rint(np.asarray(times) * 1e6).astype("<i8") for times in (wall, cpu)]
    rows += [np.asarray(row, dtype="<i8") for row in others]
    doc["lengths"] = [len(row) for row in rows]
    return json.dumps(doc), zlib.compress(b"".join(row.tobytes() for row in rows))


def _unpacked(answer: str, samples: bytes) -> Measurement:
    doc: dict[str, Any] = json.loads(answer)
    flat = np.frombuffer(zlib.decompress(samples), dtype="<i8")
    lengths = doc.pop("lengths")
    if sum(lengths) != len(flat):
        raise ValueError("samples are missing")
    wall, cpu, switches, calm = np.split(flat, np.cumsum(lengths)[:-1])
    doc["samples_ms"], doc["cpu_ms"] = (wall / 1e6).tolist(), (cpu / 1e6).tolist()
    doc["switches"], doc["calm"] = switches.tolist(), calm.astype(bool).tolist()
    doc["environment"] = {**doc["environment"], "cached": True}
    return Measurement.from_dict(doc)
