import dataclasses
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archlab.device import cache as cache_module
from archlab.device.cache import CacheKey, MeasurementCache, default_path
from archlab.device.catalog import RunSpec
from archlab.device.measurement import Measurement
from archlab.errors import DeviceError, StorageFullError

KEY = CacheKey(graph="g", device="cpu", fingerprint={"cpu": "c", "runtime": "r 1"}, run=RunSpec())


def measurement(**changes: object) -> Measurement:
    fields: dict[str, Any] = {
        "digest": "abc",
        "device": "cpu",
        "run": RunSpec(),
        "samples_ms": (1.234567, 5000.000001, 2.5),
        "cpu_ms": (1.2, 1.3, 1.4),
        "switches": (0, 7, 0),
        "calm": (True, False, True),
        "quality": "ok",
        "environment": {"runs": 3, "is_warm": True},
    }
    return Measurement(**(fields | changes))


@pytest.fixture
def cache(tmp_path: Path) -> MeasurementCache:
    return MeasurementCache(tmp_path / "deep" / "m.sqlite")


def test_what_was_kept_is_found_to_the_nanosecond(cache: MeasurementCache) -> None:
    cache.put(KEY, measurement())
    found = cache.get(KEY)
    assert found == measurement(environment={"runs": 3, "is_warm": True, "cached": True})


def test_times_of_a_board_have_no_other_clock(cache: MeasurementCache) -> None:
    cache.put(KEY, measurement(cpu_ms=(), switches=(), calm=()))
    found = cache.get(KEY)
    assert found is not None
    assert (found.cpu_ms, found.switches, found.calm, found.samples_ms) == ((), (), (), (1.234567, 5000.000001, 2.5))


def test_looking_makes_no_file(cache: MeasurementCache) -> None:
    assert cache.get(KEY) is None
    assert len(cache) == 0
    assert not cache.path.parent.exists()


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(KEY, graph="h"),
        dataclasses.replace(KEY, device="t4"),
        dataclasses.replace(KEY, fingerprint={"cpu": "c", "runtime": "r 2"}),
        dataclasses.replace(KEY, run=RunSpec(batch=2)),
        dataclasses.replace(KEY, run=RunSpec(threads=2)),
        dataclasses.replace(KEY, run=RunSpec(layout="channels_last")),
    ],
)
def test_everything_in_the_key_counts(cache: MeasurementCache, other: CacheKey) -> None:
    cache.put(KEY, measurement())
    assert cache.get(other) is None


def test_how_long_it_might_have_taken_does_not_count(cache: MeasurementCache) -> None:
    cache.put(dataclasses.replace(KEY, run=RunSpec(warmup_s=3.0, max_s=2.0)), measurement())
    assert cache.get(dataclasses.replace(KEY, run=RunSpec(warmup_s=1.0, max_s=10.0))) is not None


def test_the_order_of_a_fingerprint_does_not_count(cache: MeasurementCache) -> None:
    cache.put(KEY, measurement())
    turned = dataclasses.replace(KEY, fingerprint={"runtime": "r 1", "cpu": "c"})
    assert cache.get(turned) is not None


@pytest.mark.parametrize("quality", ["noisy", "throttled", "failed"])
def test_only_ok_is_kept(cache: MeasurementCache, quality: str) -> None:
    cache.put(KEY, measurement())
    cache.put(KEY, measurement(quality=quality, digest="worse"))
    found = cache.get(KEY)
    assert found is not None
    assert found.digest == "abc"


def test_a_newer_one_takes_the_place(cache: MeasurementCache) -> None:
    cache.put(KEY, measurement())
    cache.put(KEY, measurement(digest="new"))
    found = cache.get(KEY)
    assert found is not None
    assert (found.digest, len(cache)) == ("new", 1)


def test_readings_are_kept_by_name_the_latest_five_hundred(cache: MeasurementCache) -> None:
    assert cache.readings("a") == []
    for i in range(502):
        cache.keep_reading("a", float(i))
    cache.keep_reading("b", 7.5)
    assert cache.readings("a") == [float(i) for i in range(2, 502)]
    assert cache.readings("b") == [7.5]
    assert len(cache) == 0


def test_nothing_in_the_file_is_a_pickle(cache: MeasurementCache) -> None:
    cache.put(KEY, measurement())
    with sqlite3.connect(cache.path) as connection:
        (answer, samples), *_ = connection.execute("SELECT answer, samples FROM measurements").fetchall()
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert answer.startswith('{"digest": "abc"')
    assert samples[:1] == b"\x78"  # zlib's first byte
    assert mode == "wal"


def test_four_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    script = """
import dataclasses, sys
sys.path.insert(0, sys.argv[3])
from archlab.device.cache import CacheKey, MeasurementCache
from archlab.device.catalog import RunSpec
from archlab.device.measurement import Measurement
cache = MeasurementCache(sys.argv[1])
for i in range(15):
    run = RunSpec()
    key = CacheKey(graph=f"{sys.argv[2]}-{i}", device="cpu", fingerprint={}, run=run)
    cache.put(key, Measurement(digest=str(i), device="cpu", run=run, samples_ms=(1.0,), quality="ok", environment={}))
    assert cache.get(key).digest == str(i)
"""
    root = str(Path(__file__).parents[2])
    workers = [subprocess.Popen([sys.executable, "-c", script, str(path), str(i), root]) for i in range(4)]
    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]
    assert len(MeasurementCache(path)) == 60


def test_a_file_that_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    path.write_bytes(b"this is not a database at all, but it is long enough to look like one" * 20)
    cache = MeasurementCache(path)
    pattern = r"the measurement cache is damaged \(.*\); given: .*m\.sqlite; allowed: a file written by archlab; delete"
    with pytest.raises(DeviceError, match=pattern):
        cache.get(KEY)
    with pytest.raises(DeviceError, match=pattern):
        cache.put(KEY, measurement())


@pytest.mark.parametrize(
    ("column", "value"), [("answer", "{"), ("answer", "{}"), ("samples", b"\x00"), ("samples", b"")]
)
def test_a_damaged_row(cache: MeasurementCache, column: str, value: object) -> None:
    cache.put(KEY, measurement())
    connection = sqlite3.connect(cache.path)
    with connection:
        connection.execute(f"UPDATE measurements SET {column} = ?", [value])
    connection.close()
    with pytest.raises(DeviceError, match="damaged"):
        cache.get(KEY)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match=r"cannot be used \(.*\); given: .*; set ARCHLAB_CACHE to a file"):
        MeasurementCache(tmp_path / "file" / "m.sqlite").put(KEY, measurement())
    with pytest.raises(DeviceError, match="cannot be used"):
        MeasurementCache(tmp_path).get(KEY)


def test_a_full_disk(cache: MeasurementCache, monkeypatch: Any) -> None:
    cache.put(KEY, measurement())
    opened = cache_module._opened

    def small(path: Path) -> sqlite3.Connection:
        connection = opened(path)
        connection.execute("PRAGMA max_page_count = 5")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_opened", small)
        big = measurement(environment={"text": "x" * 100_000})
        with pytest.raises(
            StorageFullError, match=r"cache cannot grow: the disk is full; given: .*; nothing kept before"
        ):
            cache.put(dataclasses.replace(KEY, graph="big"), big)
    assert cache.get(KEY) is not None


@pytest.mark.parametrize(
    ("free_bytes", "expected", "text"), [(0, StorageFullError, "disk is full"), (10**9, DeviceError, "cannot be used")]
)
def test_a_failed_write_is_a_full_disk_only_where_nothing_is_free(
    cache: MeasurementCache, monkeypatch: Any, free_bytes: int, expected: type[Exception], text: str
) -> None:
    def broken(path: Path) -> sqlite3.Connection:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
        raise error

    monkeypatch.setattr(cache_module, "_opened", broken)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free_bytes))
    with pytest.raises(expected, match=text):
        cache.put(KEY, measurement())


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    for name in ("ARCHLAB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path


def test_where_it_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_path() == home / ".cache" / "archlab" / "measurements.sqlite"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert MeasurementCache().path == home / "xdg" / "archlab" / "measurements.sqlite"
    monkeypatch.setenv("ARCHLAB_CACHE", "~/mine.sqlite")
    assert MeasurementCache().path == home / "mine.sqlite"
    assert MeasurementCache(home / "given").path == home / "given"
