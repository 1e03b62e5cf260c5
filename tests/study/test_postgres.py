"""A study on a real PostgreSQL: a throw-away cluster on loopback, made by the fixture, gone afterwards.

Skipped where initdb and pg_ctl are missing (Debian: apt-get install postgresql) or the driver psycopg is.
"""

import importlib.util
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from archlab.errors import PlanError
from archlab.study import engine
from archlab.study.plan import StudyPlan

pytestmark = pytest.mark.postgres

Start = Callable[..., "subprocess.Popen[str]"]
Make = Callable[..., StudyPlan]
PASSWORD = "thr0w-away"


def binary(name: str) -> Path | None:
    """A program of PostgreSQL, from the path or where Debian keeps it; the newest version."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = kept[-1] if kept else shutil.which(name)
    return None if found is None else Path(found)


class Cluster:
    """One cluster in one folder, owned by an unprivileged user, for PostgreSQL refuses to run as root."""

    def __init__(self, folder: Path, initdb: Path, pg_ctl: Path) -> None:
        self.folder, self._initdb, self._pg_ctl = folder, initdb, pg_ctl
        self._user = _unprivileged() if os.geteuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://lab:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        if self._user is not None:
            for path in (self.folder, secret):
                shutil.chown(path, self._user)
        asked = ["--username=lab", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync", "--locale=C"]
        self._run(self._initdb, "-D", self.folder / "data", "--encoding=UTF8", *asked)
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        self._run(self._pg_ctl, "start", "-w", "-D", self.folder / "data", "-l", self.folder / "log", "-o", options)

    def stop(self) -> None:
        self._run(self._pg_ctl, "stop", "-m", "immediate", "-D", self.folder / "data")

    def _run(self, *words: object) -> None:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.folder,
            user=self._user,
            group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
            extra_groups=None if self._user is None else [],
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            stdout=subprocess.PIPE if "initdb" in str(words[0]) else subprocess.DEVNULL,
            stderr=subprocess.PIPE if "initdb" in str(words[0]) else subprocess.DEVNULL,
            text=True,
            timeout=120,
            check=False,
        )
        log = self.folder / "log"
        assert done.returncode == 0, f"{words[0]}: {done.stderr} {log.read_text() if log.exists() else ''}"


def _unprivileged() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    initdb, pg_ctl = binary("initdb"), binary("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("NOT TESTED: no PostgreSQL here (initdb, pg_ctl); install it with: apt-get install postgresql")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("NOT TESTED: no driver for PostgreSQL here; install it with: pip install 'archlab[postgres]'")
    folder = Path(tempfile.mkdtemp(prefix="archlab-pg-"))
    made = Cluster(folder, initdb, pg_ctl)
    try:
        made.start()
        yield made
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            made.stop()
        shutil.rmtree(folder)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]


def test_two_workers_help_a_search_that_is_resumed(
    cluster: Cluster,
    start: Start,
    space_file: str,
    make_plan: Make,
    searcher: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "shared"
    stopped = engine.run(make_plan(trials=16, storage=cluster.url), out, services=searcher.Services(stop_after=2))
    assert (stopped.trials, stopped.is_finished) == (2, False)
    monkeypatch.setenv("GATE", str(tmp_path / "gate"))
    processes = [
        start("run", out, space_file, 16, 0.1, cluster.url),
        start("work", cluster.url, "shared", 0.1),
        start("work", cluster.url, "shared", 0.1),
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()
    (tmp_path / "gate").touch()
    told = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], told
    assert told[0][0].splitlines()[-1] == "finished 16 16"
    assert all(output.count("search") >= 1 for output, _ in told[1:])
    records = lines(out)
    assert len(records) == len({record["digest"] for record in records}) == 16
    assert not any(record["origin"].startswith("repeat") for record in records)


def test_a_search_goes_on_where_it_stopped_and_hides_the_password(
    cluster: Cluster, make_plan: Make, services: Any, tmp_path: Path
) -> None:
    out = tmp_path / "alone"
    engine.run(make_plan(trials=3, storage=cluster.url), out, services=services)
    (out / "trials.jsonl").unlink()  # an export, rebuilt from the storage
    result = engine.run(make_plan(trials=5, storage=cluster.url), out, services=services)
    assert (result.trials, result.unique, len(lines(out)), len(services.seen)) == (5, 5, 5, 5)
    assert not (out / "journal.log").exists()
    for path in out.iterdir():
        assert PASSWORD not in path.read_text(), path.name


def test_a_wrong_password_is_told_without_it(cluster: Cluster, make_plan: Make, services: Any, tmp_path: Path) -> None:
    wrong = cluster.url.replace(PASSWORD, "wr0ng")
    with pytest.raises(PlanError, match=r"cannot open the storage; given: postgresql.*authentication failed") as error:
        engine.run(make_plan(storage=wrong), tmp_path / "s", services=services)
    assert "wr0ng" not in str(error.value)
