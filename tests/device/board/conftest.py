"""A real sshd on loopback with throw-away keys, and boards that stand behind it or in a process here."""

import dataclasses
import getpass
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from archlab.device.catalog import Device

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
HOW = "install it with: apt-get install openssh-server openssh-client"


@dataclasses.dataclass
class Loopback:
    """A running sshd: where it answers, and how it is cut off."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    port: int

    def board(self, name: str = "loop", **changes: object) -> Device:
        """A device behind it, with ONNX Runtime of this Python."""
        known, key = self.folder / "known_hosts", self.folder / "user"
        options = ("-F", "/dev/null", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={known}")
        row = board(name, reach=f"ssh:{getpass.getuser()}@127.0.0.1:{self.port}", ssh_options=options)
        return dataclasses.replace(row, **changes)  # type: ignore[arg-type]

    def sessions(self) -> list[int]:
        """The processes that serve a login each."""
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def cut(self, *sessions: int) -> int:
        """Kill some sessions, or every one; say how many there were."""
        chosen = sessions or self.sessions()
        for pid in chosen:
            os.kill(pid, signal.SIGKILL)
        return len(chosen)


def board(name: str, **changes: object) -> Device:
    """A board of one's own with ONNX Runtime."""
    row = Device(
        name=name,
        title=name,
        kind="board",
        arch="",
        backends=("ort",),
        reach="child:",
        python=sys.executable,
        precision="fp32",
        source="test",
    )
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """Start an sshd of our own on a free port."""
    if SSHD is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        pytest.skip(f"NO SSHD HERE: boards over SSH are not tested; {HOW}")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        _key(folder / name)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host_key = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nMaxStartups 100\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's empty folder for its unprivileged part
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stdout=log, stderr=log)
    try:
        _wait_for(port, process, folder / "log")
        yield Loopback(process, folder, port)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def loopback_board(sshd: Loopback) -> Device:
    """A board behind a real sshd."""
    return sshd.board()


@pytest.fixture
def make_board() -> Callable[..., Device]:
    """Makes boards whose agent runs in a process here."""
    return board


@pytest.fixture(scope="session")
def trees() -> ModuleType:
    """The file trees of `fake_tree.py`."""
    spec = importlib.util.spec_from_file_location("fake_tree", Path(__file__).with_name("fake_tree.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throw-away", "-f", str(path)], check=True)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError("sshd does not listen: " + log.read_text())
