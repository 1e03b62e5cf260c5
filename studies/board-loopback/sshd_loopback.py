"""A board that is this machine: OpenSSH's sshd on a free port of loopback, with throw-away keys in one folder."""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["HOW", "Loopback", "lacking", "serve"]

HOW = "install it with: apt-get install openssh-server openssh-client"
_SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclasses.dataclass
class Loopback:
    """A running sshd: where it answers, and how it is cut off."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    port: int

    @property
    def key(self) -> Path:
        """The private key that it lets in."""
        return self.folder / "user"

    @property
    def known_hosts(self) -> Path:
        """The file that knows its host key."""
        return self.folder / "known_hosts"

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


def lacking() -> bool:
    """Whether a program that this needs is not installed."""
    return _SSHD is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Loopback]:
    """Run an sshd whose keys and log lie in `folder`; it ends with the context."""
    assert _SSHD is not None
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throw-away", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nMaxStartups 100\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's empty folder for its unprivileged part
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([_SSHD, "-D", "-e", "-f", str(config)], stdout=log, stderr=log)
    try:
        _wait_for(port, process, folder / "log")
        yield Loopback(process, folder, port)
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError("sshd does not listen: " + log.read_text())
