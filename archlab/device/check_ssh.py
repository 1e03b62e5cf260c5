"""The way to a board, step by step: ssh here, the host and its port, its key, the login, Python there.

Nothing is accepted or changed on the way: a host key that ssh does not know is a failed step, with what to do about it.
"""

import functools
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable

from archlab.device.catalog import Device
from archlab.device.check import Probe, StepFailed
from archlab.device.reach import target_of

__all__ = ["way_probes"]

_TIMEOUT_S = 20.0
_ANSWER_S = 10.0
_FAILED = 255
"""ssh's own exit status; any other is the remote command's."""

_NOT_FOUND = (126, 127)
_OLDEST = (3, 6)

_SHOW_KEY = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def way_probes(device: Device, run: Run = subprocess.run) -> list[Probe]:
    """The steps from here to the board's Python.

    Args:
        device: A device that is reached by ssh.
        run: Starts ssh.
    """
    way = _Way(device, run)
    return [
        ("ssh here", way.program),
        ("host", way.host),
        ("host key", way.host_key),
        ("login", way.login),
        ("python there", way.python),
    ]


class _Way:
    def __init__(self, device: Device, run: Run) -> None:
        assert device.reach is not None
        self._device, self._start = device, run
        self._target = target_of(device.reach)

    def program(self) -> str:
        found = shutil.which("ssh")
        if found is None:
            raise StepFailed("no ssh on this machine", "install OpenSSH's client, e.g. apt install openssh-client")
        version = self._start([found, "-V"], **_CAPTURED).stderr
        return version.partition(",")[0].strip() or found

    def host(self) -> str:
        """Resolve the host and read what answers at its port; behind a proxy only ssh itself can tell."""
        told = dict(line.partition(" ")[::2] for line in self._ssh("-G").stdout.splitlines())
        proxy = next((told[key] for key in ("proxyjump", "proxycommand") if told.get(key, "none") != "none"), None)
        name, port = told.get("hostname", self._target.host), int(told.get("port", self._target.port or 22))
        if proxy is not None:
            return f"{name} port {port} by way of {proxy}, which the next steps try"
        return f"{name} port {port} answers: {_banner(name, port)}"

    def host_key(self) -> str:
        said = self._tried.stderr
        if self._tried.returncode != _FAILED or "permission denied" in said.lower():
            return "known to ssh, and the right one"
        where = self._target.host
        if "IDENTIFICATION HAS CHANGED" in said:
            raise StepFailed(
                f"{where} shows another key than the one ssh knows: it was set up anew, or somebody stands in between",
                f"compare with the board's own (there: {_SHOW_KEY}); only if it is the board's: "
                f"ssh-keygen -R {self._known_as}, then log in once by hand: {self._by_hand}",
            )
        if "host key" in said.lower():
            raise StepFailed(
                f"ssh does not know the key of {where}; it is never accepted unseen",
                f"log in once by hand: {self._by_hand}; compare the fingerprint with the board's own (there: "
                f"{_SHOW_KEY}), then answer yes",
            )
        raise StepFailed(_last(said) or "ssh failed without a word", f"try by hand: {self._by_hand} -v")

    def login(self) -> str:
        if self._tried.returncode == _FAILED:
            raise StepFailed(
                _last(self._tried.stderr),
                f"put your key there: ssh-copy-id {self._target.words[-1]}; or name it with --identity; a key with a "
                "passphrase goes to your agent: ssh-add",
            )
        return "works without a password"

    def python(self) -> str | tuple[str, str]:
        done = self._ssh("", self._device.python, "-V")
        told = (done.stdout or done.stderr).strip()
        found = re.search(r"Python (\d+)\.(\d+)\S*", told)
        oldest = ".".join(map(str, _OLDEST))
        if done.returncode in _NOT_FOUND:
            raise StepFailed(
                f"{self._device.python} is not there ({_last(told)})",
                "install python3 there, or name its path: archlab device add --python PATH",
            )
        if found is None:
            return (
                "it tells no version",
                "where the login runs a command of its own, the next step shows whether it serves",
            )
        if (int(found[1]), int(found[2])) < _OLDEST:
            raise StepFailed(found[0], f"name a Python {oldest} or newer: archlab device add --python PATH")
        return found[0]

    @property
    def _by_hand(self) -> str:
        words = (word for word in self._target.words if word != "--")
        return shlex.join(("ssh", *self._device.ssh_options, *words))

    @property
    def _known_as(self) -> str:
        """The name that known_hosts has for it."""
        host, port = self._target.host, self._target.port
        return host if port in (None, 22) else f"'[{host}]:{port}'"

    @functools.cached_property
    def _tried(self) -> "subprocess.CompletedProcess[str]":
        return self._ssh("", "true")

    def _ssh(self, mode: str, *words: str) -> "subprocess.CompletedProcess[str]":
        argv = ["ssh", *([mode] if mode else []), *_STRICT, *self._device.ssh_options, *self._target.words, *words]
        try:
            return self._start(argv, **_CAPTURED)
        except subprocess.TimeoutExpired:
            raise StepFailed(
                f"no answer within {_TIMEOUT_S:g} s", "look whether the board is under load or asleep, then check again"
            ) from None


_STRICT = ("-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", f"ConnectTimeout={_ANSWER_S:g}")
_CAPTURED = {
    "stdin": subprocess.DEVNULL,
    "capture_output": True,
    "text": True,
    "errors": "replace",
    "timeout": _TIMEOUT_S,
    "check": False,
}


def _banner(name: str, port: int) -> str:
    try:
        with socket.create_connection((name, port), timeout=_ANSWER_S) as stream:
            told = stream.recv(255).decode(errors="replace").splitlines()
    except socket.gaierror:
        raise StepFailed(f"no host of the name {name} is known here", "check the name, or give its address") from None
    except ConnectionRefusedError:
        raise StepFailed(
            f"{name} is there, but nothing listens at port {port}",
            "start its ssh server (there: sudo systemctl start ssh), or give its port: --ssh user@host:port",
        ) from None
    except OSError as error:
        raise StepFailed(
            f"{name} port {port} does not answer ({error.strerror or error})",
            "look whether the board is on and on this network",
        ) from None
    if not told or not told[0].startswith("SSH-"):
        raise StepFailed(f"no ssh server answers at port {port} of {name}", "give its port: --ssh user@host:port")
    return told[0]


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
