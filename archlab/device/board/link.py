"""The way to a board's agent: start it over ssh or in a process here, send it its own source, ask, and be answered.

The system's ssh is used as it is, with the user's keys, agents and gateways. Host keys are never accepted here: a key
that ssh does not know, or another one than it knows, ends the attempt with what the user may do. Nothing is left on
the board.
"""

import contextlib
import hashlib
import json
import os
import select
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archlab.device.board.refusal import Refusal, hello_error, program_error, start_error
from archlab.device.catalog import Device
from archlab.device.reach import check_python, target_of
from archlab.errors import DeviceLost

__all__ = ["AGENT", "LOADER", "Link", "argv_of", "connect"]

LOADER = r"""
import hashlib, os, sys

def read(size):
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            sys.exit("archlab agent: stdin was closed")
        data += part
    return data

line = b""
while not line.endswith(b"\n") and len(line) < 200:
    line += read(1)
_, size, digest = line.split()
source = read(int(size))
if hashlib.sha256(source).hexdigest().encode() != digest:
    sys.exit("archlab agent: the source arrived damaged")
exec(compile(source, "archlab-agent", "exec"), {"__name__": "__main__", "SOURCE": source})
""".strip()
"""Reads the agent from the stream, checks it, and becomes it."""

_ANY_PYTHON = "python3"
AGENT = Path(__file__).with_name("agent.py")
"""The file that is sent; a board may keep a copy of it for logins that shall do nothing else."""

_PROTOCOL = 1
_GREETING = b"ARCHLAB-AGENT "
_SSH = (
    *("ssh", "-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no"),
    *("-o", "ClearAllForwardings=yes", "-o", "PermitLocalCommand=no"),
)
"""Of an option that is given twice ssh takes the first: these stand before the user's, `_PATIENCE` behind them."""

_PATIENCE = ("-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")
_START_S = 60.0
_SILENCE_S = 120.0
"""The agent says something every few seconds while it works; the longest silence is a look for runtimes."""

_NOISE_BYTES = 64 * 1024
_LINE_BYTES = 64 * 1024 * 1024

Doc = dict[str, Any]


class Link:
    """A running agent.

    Args:
        name: The device's name, for messages.
        argv: How to start it.

    Raises:
        DeviceUnreachable: When no agent answers, in four parts.
    """

    def __init__(self, name: str, argv: Sequence[str]) -> None:
        self.name = name
        self._buffer = bytearray()
        with tempfile.TemporaryFile(prefix="archlab-") as errors:
            self._errors = os.dup(errors.fileno())
            try:
                self._process = subprocess.Popen(
                    argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
                )
            except OSError as error:
                raise program_error(name, argv[0], error) from None
        try:
            self._greet()
            self.hello = self.ask("hello", protocol=_PROTOCOL)
        except DeviceLost:
            self.close()
            raise start_error(name, self._process.returncode, self._stderr()) from None
        except Refusal as refusal:
            self.close()
            raise hello_error(name, refusal) from None
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether the agent still runs, as far as can be told without asking it."""
        return self._process.poll() is None

    def ask(self, op: str, payload: bytes | None = None, **fields: Any) -> Doc:
        """Ask the agent for something and wait for its answer.

        Args:
            op: The operation.
            payload: Bytes that follow the request; their number and hash are sent along.
            **fields: What the operation takes.

        Raises:
            DeviceLost: When the link broke, or the agent ended.
            Refusal: When the agent refuses, with its code, words and log.
        """
        request = {"op": op, **fields}
        if payload is not None:
            request |= {"bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
        try:
            answer = self._answer(json.dumps(request).encode() + b"\n" + (payload or b""))
        except KeyboardInterrupt:
            self.close()  # an answer that nobody waited for would be taken for that of the next request
            raise
        if "end" in answer:
            self.close()
            raise self._lost(str(answer["end"]))
        if answer.get("ok") is not True:
            raise Refusal(str(answer.get("error")), str(answer.get("detail")), str(answer.get("log") or ""))
        return answer

    def close(self) -> None:
        """End the agent: a closed stdin is enough for it; what still runs then is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                _close(pipe)
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __del__(self) -> None:
        if hasattr(self, "_errors"):
            os.close(self._errors)

    def _greet(self) -> None:
        source = AGENT.read_bytes()
        digest = hashlib.sha256(source).hexdigest()
        self._send(f"archlab-agent {len(source)} {digest}\n".encode() + source)
        until, noise = time.monotonic() + _START_S, 0
        while True:
            line = self._line(until)
            if line.startswith(_GREETING):
                break
            noise += len(line)
            if noise > _NOISE_BYTES:
                raise self._lost("its login prints too much")
        if self._document(line.removeprefix(_GREETING)).get("sha256") != digest:
            raise self._lost("the agent that answers is another one than was sent")

    def _answer(self, request: bytes) -> Doc:
        self._send(request)
        while True:
            answer = self._document(self._line(time.monotonic() + _SILENCE_S))
            if "event" not in answer:
                return answer

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._broken() from None

    def _line(self, until: float) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LINE_BYTES:
                self.close()
                raise self._lost("the agent's answer does not end")
            if self._process.stdout.closed or not self._is_readable(until):
                self.close()
                raise self._lost("it fell silent")
            data = os.read(self._process.stdout.fileno(), 1 << 20)
            if not data:
                raise self._broken()
            self._buffer += data
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line

    def _is_readable(self, until: float) -> bool:
        assert self._process.stdout is not None
        wait_s = max(until - time.monotonic(), 0.0)
        return bool(select.select([self._process.stdout], [], [], wait_s)[0])

    def _document(self, line: bytes) -> Doc:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self.close()
            raise self._lost("its answer makes no sense")
        return found

    def _broken(self) -> DeviceLost:
        self.close()
        said = self._stderr().strip().splitlines()
        return self._lost(said[-1] if said else f"the link ended with {self._process.returncode}")

    def _lost(self, reason: str) -> DeviceLost:
        return DeviceLost(
            f"the device {self.name} was lost: {reason}; given: a link that worked; allowed: a link that lasts; "
            f"look at it with: archlab device check {self.name}"
        )

    def _stderr(self) -> str:
        size = os.fstat(self._errors).st_size
        return os.pread(self._errors, 8192, max(0, size - 8192)).decode(errors="replace")


def argv_of(device: Device, agent_words: Sequence[str] = ()) -> list[str]:
    """The arguments that start a device's agent.

    Args:
        device: Where; `ssh:` is reached by ssh, all else runs here.
        agent_words: Arguments for the agent itself.
    """
    words = ["-I", "-c", LOADER, *agent_words]
    if device.reach is None or not device.reach.startswith("ssh:"):
        return [sys.executable if device.python == _ANY_PYTHON else str(Path(device.python).expanduser()), *words]
    check_python(device.python)  # the shell there sees it without quotes, so that it may begin with ~
    there = f"exec {device.python} {shlex.join(words)}"
    return [*_SSH, *device.ssh_options, *_PATIENCE, *target_of(device.reach).words, there]


def connect(device: Device, agent_words: Sequence[str] = ()) -> Link:
    """Start a device's agent.

    Raises:
        DeviceUnreachable: When no agent answers, in four parts.
    """
    return Link(device.name, argv_of(device, agent_words))


def _close(pipe: Any) -> None:
    with contextlib.suppress(OSError):  # what was still to be sent goes nowhere
        pipe.close()
