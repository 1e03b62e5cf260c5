"""A search on a board behind a real sshd: the link is cut once, Ctrl-C comes once, the same command ends it.

    python studies/board-loopback/loopback.py [--budget-ms 5] [--trials 30] [--cut 8] [--stop 16]

The board is this machine behind OpenSSH's sshd on loopback, with throw-away keys and a lock of its own: another login,
another Python process. Once `--cut` networks are done, the processes that serve the login are killed on the board's
side; once `--stop` are done, the search gets Ctrl-C; then the same command is given again until it has finished. The
study is written beside this file, with `timeline.csv`: when, what was done, how many networks were done then. Devices
and measurements of the user's own are left alone.
"""

import argparse
import csv
import datetime
import getpass
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from archlab.files import write_text

HERE = Path("studies/board-loopback")
NAME = "loopback"
ARCHLAB = str(Path(sys.executable).with_name("archlab"))
_SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


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
        port, server = serve(folder)
        try:
            add(folder, port)
            _told("device", "check", NAME)
            search = ("search", "--budget-ms", given.budget_ms, "--device", NAME, "--trials", given.trials)
            events = interrupted([*search, "--out", str(HERE)], server, given.cut, given.stop)
        finally:
            server.terminate()
            server.wait()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("utc", "networks", "what"), *events])
    write_text(HERE / "timeline.csv", text.getvalue())


def serve(folder: Path) -> tuple[int, "subprocess.Popen[bytes]"]:
    """Start an sshd with keys of its own on a free port of loopback."""
    if _SSHD is None:
        sys.exit("no sshd here; install it with: apt-get install openssh-server openssh-client")
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder / 'user.pub'}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([_SSHD, "-D", "-e", "-f", str(folder / "config")], stdout=log, stderr=log)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return port, server
        time.sleep(0.1)
    sys.exit(f"sshd does not listen: {(folder / 'log').read_text()}")


def add(folder: Path, port: int) -> None:
    """Add the board by the public command."""
    login = ["--ssh", f"{getpass.getuser()}@127.0.0.1:{port}", "--runtime", "ort", "--python", sys.executable]
    hosts = [f"UserKnownHostsFile={folder / 'known_hosts'}", "GlobalKnownHostsFile=/dev/null"]
    _told("device", "add", NAME, *login, "--identity", str(folder / "user"), *_each("--option", hosts))


def interrupted(command: list[str], server: "subprocess.Popen[bytes]", cut: int, stop: int) -> list[tuple[str, ...]]:
    """Run the search until it has finished; kill the login once, interrupt once."""
    events: list[tuple[str, ...]] = []

    def note(what: str) -> None:
        events.append((datetime.datetime.now(datetime.UTC).strftime("%H:%M:%S"), str(_done()), what))
        print(*events[-1], flush=True)

    note("search begins")
    search = subprocess.Popen([ARCHLAB, *command])
    _wait(search, cut)
    for pid in _logins(server):
        os.kill(pid, signal.SIGKILL)
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


def _logins(server: "subprocess.Popen[bytes]") -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.pid)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def _told(*command: str) -> None:
    subprocess.run([ARCHLAB, *command], check=True)


def _each(flag: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]


if __name__ == "__main__":
    main()
