"""Where a device answers, as a text that is safe to hand to ssh: nothing that it could take for an option or a shell.

A target is ``[user@]host[:port]``; the host may be a name of the user's ssh configuration or an IPv6 address in
brackets. Options are those that say how to get there; what runs commands or would accept an unknown host key is left to
the user's own ssh configuration.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence

from archlab.errors import DeviceError, four_parts, unknown_name

__all__ = [
    "LOCAL_NAMES",
    "RUNTIMES",
    "Target",
    "check_name",
    "check_options",
    "check_python",
    "check_reach",
    "check_runtimes",
    "option_words",
    "target_of",
]

LOCAL_NAMES = frozenset({"cpu", "cuda"})
"""Devices of this machine: they need no adding, and no other device may take their names."""

RUNTIMES: dict[str, tuple[str, ...]] = {"trtexec": ("fp16", "fp32", "bf16"), "ort": ("fp32",)}
"""Runtimes of the board's agent, each with its precisions, the default first."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_TARGET = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d+))?"
)
_LONGEST = 255
_PYTHON = re.compile(r"[A-Za-z0-9_.~/][A-Za-z0-9_./+-]*")
_OPTION = re.compile(r"([A-Za-z]+)=(\S(?:.*\S)?)")
_OPTIONS = (
    "AddressFamily",
    "BindAddress",
    "BindInterface",
    "CertificateFile",
    "Ciphers",
    "Compression",
    "ConnectTimeout",
    "ControlMaster",
    "ControlPath",
    "ControlPersist",
    "GlobalKnownHostsFile",
    "HostKeyAlgorithms",
    "HostKeyAlias",
    "IdentitiesOnly",
    "IdentityAgent",
    "IdentityFile",
    "KexAlgorithms",
    "Port",
    "PreferredAuthentications",
    "ProxyJump",
    "PubkeyAcceptedAlgorithms",
    "TCPKeepAlive",
    "UserKnownHostsFile",
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where ssh goes; what is None is left to the user's ssh configuration. `host` is without brackets."""

    host: str
    user: str | None = None
    port: int | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The last arguments of ssh before the command: the port, and the destination behind ``--``."""
        port = () if self.port is None else ("-p", str(self.port))
        return (*port, "--", self.host if self.user is None else f"{self.user}@{self.host}")


def target_of(reach: str) -> Target:
    """Read the target of a reach ``ssh:[user@]host[:port]``.

    Raises:
        DeviceError: When ssh could misread it.
    """
    text = reach.removeprefix("ssh:")
    found = _TARGET.fullmatch(text) if len(text) <= _LONGEST else None
    port = None if found is None or found["port"] is None else int(found["port"])
    if found is None or (port is not None and not 1 <= port <= 65535):
        raise DeviceError(
            four_parts(
                "no target for ssh",
                given=repr(text),
                allowed="user@host, user@host:port, or a name of your ssh configuration, without spaces, no '-' first",
                do="give it as: --ssh user@host",
            )
        )
    return Target(user=found["user"], host=found["host"].strip("[]"), port=port)


def check_reach(reach: str) -> None:
    """Refuse a reach that is neither a target of ssh nor ``child:``."""
    if reach == "child:":
        return
    if not reach.startswith("ssh:"):
        raise DeviceError(
            four_parts(
                "no way to reach a device",
                given=repr(reach),
                allowed="ssh:user@host, ssh:user@host:port, child:",
                do="give one of those",
            )
        )
    target_of(reach)


def check_name(name: str) -> None:
    """Refuse a name that does not fit a file name, or that is a device of this machine."""
    if name in LOCAL_NAMES:
        raise DeviceError(
            four_parts(
                f"{name!r} is a device of this machine",
                given=name,
                allowed="another name, of the catalog or your own",
                do=f"leave it out: --device {name} needs no adding",
            )
        )
    if not _NAME.fullmatch(name):
        raise DeviceError(
            four_parts(
                "no name for a device",
                given=repr(name),
                allowed="1 to 32 of a-z, 0-9, '.', '_' and '-', a letter or digit first",
                do="choose another name",
            )
        )


def check_runtimes(runtimes: Sequence[str], precision: str | None) -> None:
    """Refuse a runtime that the agent does not know, one named twice, and a precision that the first does not have."""
    for runtime in runtimes:
        if runtime not in RUNTIMES:
            raise unknown_name("runtime of boards", runtime, RUNTIMES)
    if len(set(runtimes)) != len(runtimes):
        raise DeviceError(
            four_parts(
                "a runtime is named twice", given=", ".join(runtimes), allowed="each once", do="name each runtime once"
            )
        )
    known = RUNTIMES[runtimes[0]] if runtimes else tuple(RUNTIMES["trtexec"])
    if precision is not None and precision not in known:
        raise unknown_name(f"precision of {runtimes[0] if runtimes else 'trtexec'}", precision, known)


def check_python(python: str) -> None:
    """Refuse what is no plain path of an interpreter."""
    if not _PYTHON.fullmatch(python):
        raise DeviceError(
            four_parts(
                "no path of a Python interpreter",
                given=repr(python),
                allowed="a name or a path without spaces and signs of the shell, e.g. /usr/bin/python3",
                do="give --python such a path; archlab device check NAME then tries it",
            )
        )


def check_options(options: Iterable[str]) -> None:
    """Refuse options of ssh that are not plainly about the way to the host."""
    known = {name.lower() for name in _OPTIONS}
    for option in options:
        found = _OPTION.fullmatch(option)
        if found is None or not option.isprintable():
            raise DeviceError(
                four_parts(
                    "no option of ssh",
                    given=repr(option),
                    allowed="Key=value",
                    do="give it as: --option ProxyJump=gateway",
                )
            )
        if found[1].lower() not in known:
            raise unknown_name(
                "option of ssh for boards",
                found[1],
                _OPTIONS,
                "put others into your ssh configuration, under the host's name",
            )
        if found[1].lower() == "proxyjump":
            for hop in found[2].split(","):
                target_of(hop)  # ssh hands it to a shell


def option_words(identity: str | None, options: Iterable[str]) -> tuple[str, ...]:
    """Write a key file and options as arguments of ssh."""
    key = () if identity is None else ("-i", identity, "-o", "IdentitiesOnly=yes")
    return (*key, *(word for option in options for word in ("-o", option)))
