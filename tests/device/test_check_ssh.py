"""The way to a board: what ssh says becomes what to do. ssh is made up here; the real one is tried on a real sshd."""

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from archlab.device import registry
from archlab.device.catalog import device
from archlab.device.check import Step, walk
from archlab.device.check_ssh import way_probes

CHANGED = "@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@@@\nHost key verification failed.\n"
UNKNOWN = "No ED25519 host key is known for [127.0.0.1]:2 and …\nHost key verification failed.\n"
DENIED = "jane@127.0.0.1: Permission denied (publickey).\n"


class Ssh:
    """Stands in for ssh: answers to -V, -G, the login and python."""

    def __init__(self, config: str = "", login: tuple[int, str] = (0, ""), python: tuple[int, str] = (0, "")) -> None:
        self.config, self.login, self.version = config, login, python
        self.asked: list[list[str]] = []

    def __call__(self, argv: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        self.asked.append(argv)
        assert options["stdin"] == subprocess.DEVNULL
        if argv[-1] == "-V" and len(argv) == 2:
            return self.done(err="OpenSSH_9.2p1 Debian-2, OpenSSL 3.0\n")
        if argv[1] == "-G":
            return self.done(out=self.config)
        if argv[-1] == "true":
            return self.done(self.login[0], err=self.login[1])
        return self.done(self.version[0], out=self.version[1])

    def done(self, status: int = 0, out: str = "", err: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess([], status, out, err)


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which something says that it is an ssh server."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    stream, _ = server.accept()
                    with stream:
                        stream.sendall(b"SSH-2.0-Test\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture(autouse=True)
def has_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/ssh")


def steps(ssh: Ssh, port: int, **more: Any) -> list[Step]:
    registry.add("board", reach=f"ssh:jane@127.0.0.1:{port}", **more)
    ssh.config = ssh.config or f"user jane\nhostname 127.0.0.1\nport {port}\n"
    return list(walk(way_probes(device("board"), ssh)))


def test_a_board_that_is_well(port: int) -> None:
    ssh = Ssh(python=(0, "Python 3.6.9\n"))
    found = steps(ssh, port, options=("HostKeyAlias=x",), python="/opt/python3")
    assert [(step.step, step.state, step.detail) for step in found] == [
        ("ssh here", "ok", "OpenSSH_9.2p1 Debian-2"),
        ("host", "ok", f"127.0.0.1 port {port} answers: SSH-2.0-Test"),
        ("host key", "ok", "known to ssh, and the right one"),
        ("login", "ok", "works without a password"),
        ("python there", "ok", "Python 3.6.9"),
    ]
    strict = ["-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=10"]
    way = ["-o", "HostKeyAlias=x", "-p", str(port), "--", "jane@127.0.0.1"]
    assert ssh.asked[2:] == [["ssh", *strict, *way, "true"], ["ssh", *strict, *way, "/opt/python3", "-V"]]


@pytest.mark.parametrize(
    ("ssh", "step", "detail", "do"),
    [
        (Ssh(login=(255, CHANGED)), "host key", "shows another key", "ssh-keygen -R '[127.0.0.1]:"),
        (Ssh(login=(255, UNKNOWN)), "host key", "does not know the key of 127.0.0.1; it is never accepted", "ssh -p "),
        (Ssh(login=(255, "kex_exchange: reset\n")), "host key", "kex_exchange: reset", "try by hand: ssh -p"),
        (Ssh(login=(255, "")), "host key", "ssh failed without a word", "try by hand"),
        (
            Ssh(login=(255, DENIED)),
            "login",
            "Permission denied",
            "ssh-copy-id jane@127.0.0.1; or name it with --identity",
        ),
        (Ssh(python=(127, "sh: python3: not found")), "python there", "python3 is not there", "--python PATH"),
        (Ssh(python=(0, "Python 3.5.2")), "python there", "Python 3.5.2", "Python 3.6 or newer"),
        (Ssh(python=(0, "Python 2.7.18")), "python there", "Python 2.7.18", "Python 3.6 or newer"),
    ],
    ids=lambda value: "" if isinstance(value, Ssh) else value[:20],
)
def test_what_is_in_the_way(ssh: Ssh, step: str, detail: str, do: str, port: int) -> None:
    taken = steps(ssh, port)
    (failed,) = (found for found in taken if found.state == "failed")
    assert failed.step == step
    assert detail in failed.detail
    assert do in failed.do
    after = taken[taken.index(failed) + 1 :]
    assert {found.state for found in after} <= {"not tried"}


def test_nothing_listens(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    failed = steps(Ssh(), free)[1]
    assert failed.detail == f"127.0.0.1 is there, but nothing listens at port {free}"
    assert "start its ssh server" in failed.do


def test_no_such_host(port: int) -> None:
    failed = steps(Ssh(config="hostname no-such-host.invalid\nport 22\n"), port)[1]
    assert failed.detail == "no host of the name no-such-host.invalid is known here"


def test_something_else_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        failed = steps(Ssh(), server.getsockname()[1])[1]
        thread.join()
    assert failed.detail.startswith("no ssh server answers at port")


def test_by_way_of_a_gateway(port: int) -> None:
    found = steps(Ssh(config="hostname deep\nport 22\nproxyjump gate\n"), port)[1]
    assert (found.state, found.detail) == ("ok", "deep port 22 by way of gate, which the next steps try")


def test_no_ssh_here(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    failed, *rest = steps(Ssh(), port)
    assert (failed.state, failed.detail) == ("failed", "no ssh on this machine")
    assert {step.state for step in rest} == {"not tried"}


def test_a_login_with_a_command_of_its_own(port: int) -> None:
    found = steps(Ssh(python=(1, "")), port)[-1]
    assert (found.state, found.detail) == ("ok", "it tells no version")


def test_no_answer(port: int) -> None:
    class Slow(Ssh):
        def __call__(self, argv: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
            if argv[-1] == "true":
                raise subprocess.TimeoutExpired(argv, options["timeout"])
            return super().__call__(argv, **options)

    failed = steps(Slow(), port)[2]
    assert (failed.state, failed.detail) == ("failed", "no answer within 20 s")
