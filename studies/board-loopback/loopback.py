"""A search on a board behind a real sshd: the link is cut once, Ctrl-C comes once, the same command ends it.

    python studies/board-loopback/loopback.py [--budget-ms 5] [--trials 30] [--cut 8] [--stop 16]

The board is this machine behind OpenSSH's sshd on loopback, with throw-away keys: another login, another Python
process. Once `--cut` networks are done, the processes that serve the login are killed on the board's side; once
`--stop` are done, the search gets Ctrl-C; then the same command is given again until it has finished. The study is
written beside this file, with `timeline.csv`: when, what was done, how many networks were done then. Devices and
measurements of the user's own are left alone.
"""

import argparse
import csv
import datetime
import getpass
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sshd_loopback import HOW, Loopback, lacking, serve

from archlab.files import write_text

HERE = Path("studies/board-loopback")
NAME = "loopback"
ARCHLAB = str(Path(sys.executable).with_name("archlab"))


def main() -> None:
    """Start sshd, add and check the device, search with both interruptions, and write the timeline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--budget-ms", default="5")
    parser.add_argument("--trials", default="30")
    parser.add_argument("--cut", type=int, default=8)
    parser.add_argument("--stop", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for variable, leaf in {"ARCHLAB_DEVICES": "devices", "ARCHLAB_CACHE": "cache.sqlite"}.items():
            os.environ[variable] = str(folder / leaf)
        if lacking():
            sys.exit(f"no sshd here; {HOW}")
        with serve(folder) as board:
            add(board)
            _told("device", "check", NAME)
            search = ("search", "--budget-ms", given.budget_ms, "--device", NAME, "--trials", given.trials)
            events = interrupted([*search, "--out", str(HERE)], board, given.cut, given.stop)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("utc", "networks", "what"), *events])
    write_text(HERE / "timeline.csv", text.getvalue())


def add(board: Loopback) -> None:
    """Add the board by the public command."""
    login = ["--ssh", f"{getpass.getuser()}@127.0.0.1:{board.port}", "--runtime", "ort", "--python", sys.executable]
    hosts = [f"UserKnownHostsFile={board.known_hosts}", "GlobalKnownHostsFile=/dev/null"]
    _told("device", "add", NAME, *login, "--identity", str(board.key), *_each("--option", hosts))


def interrupted(command: list[str], board: Loopback, cut: int, stop: int) -> list[tuple[str, ...]]:
    """Run the search until it has finished; kill the login once, interrupt once."""
    events: list[tuple[str, ...]] = []

    def note(what: str) -> None:
        events.append((datetime.datetime.now(datetime.UTC).strftime("%H:%M:%S"), str(_done()), what))
        print(*events[-1], flush=True)

    note("search begins")
    search = subprocess.Popen([ARCHLAB, *command])
    _wait(search, cut)
    board.cut()
    note("login killed on the board's side")
    _wait(search, stop)
    search.send_signal(signal.SIGINT)
    note("Ctrl-C")
    note(f"search ends with exit status {search.wait()}")
    note("the same command again")
    note(f"search ends with exit status {subprocess.run([ARCHLAB, *command]).returncode}")
    return events


def _wait(search: "subprocess.Popen[bytes]", networks: int) -> None:
    while _done() < networks:
        if search.poll() is not None:
            sys.exit(f"the search ended before {networks} networks were done")
        time.sleep(0.2)
    time.sleep(2)  # into the next network


def _done() -> int:
    trials = HERE / "trials.jsonl"
    return len(trials.read_text().splitlines()) if trials.exists() else 0


def _told(*command: str) -> None:
    subprocess.run([ARCHLAB, *command], check=True)


def _each(flag: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]


if __name__ == "__main__":
    main()
