"""The user's own devices: one JSON file that says where each board answers.

The file is ``ARCHLAB_DEVICES``, else ``devices.json`` in the user's configuration folder (XDG). It holds no password
and no key, only where a key file lies. Everything in it is checked when it is added and again when it is read, for a
name becomes part of file names, and a target, an option or a path becomes an argument of ssh.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from archlab.device.reach import check_name, check_options, check_python, check_reach, check_runtimes, option_words
from archlab.errors import ArchlabError, DeviceError, UnknownNameError, four_parts, unknown_name
from archlab.files import write_text

__all__ = ["Entry", "add", "default_path", "entries", "remove"]

_FORMAT = 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """How one device is reached.

    `backends` is empty and `precision` None where the catalog's row, or the runtime, decides. `identity` is the path of
    a private key, `options` are options of ssh as ``Key=value``.

    Raises:
        DeviceError: For anything that must not become an argument of ssh, in four parts.
        UnknownNameError: For a runtime or an option that is not on offer.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    reach: str
    backends: tuple[str, ...] = ()
    precision: str | None = None
    python: str = "python3"
    identity: str | None = None
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_reach(self.reach)
        check_runtimes(self.backends, self.precision)
        check_python(self.python)
        check_options(self.options)

    @property
    def ssh_options(self) -> tuple[str, ...]:
        """The arguments for ssh."""
        return option_words(self.identity, self.options)


_ADAPTER: TypeAdapter[dict[str, Entry]] = TypeAdapter(dict[str, Entry])


def default_path() -> Path:
    """Where the devices are kept: the file named by ARCHLAB_DEVICES, else one in the configuration folder (XDG)."""
    named = os.environ.get("ARCHLAB_DEVICES")
    if named:
        return Path(named).expanduser()
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder).expanduser() / "archlab" / "devices.json"


def entries(path: Path | None = None) -> dict[str, Entry]:
    """Read the user's devices by name, in the order they were added; none where there is no file.

    Raises:
        DeviceError: When the file is damaged or cannot be read.
    """
    path = path or default_path()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(path, error) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    return _checked(document, path)


def add(
    name: str,
    *,
    reach: str,
    backends: Sequence[str] = (),
    precision: str | None = None,
    python: str = "python3",
    identity: str | Path | None = None,
    options: Sequence[str] = (),
    path: Path | None = None,
) -> Entry:
    """Add a device.

    Args:
        name: How it shall be called; a name of the catalog keeps the facts known of that device.
        reach: ``ssh:[user@]host[:port]``, or ``child:`` for the board's agent in a process here.
        backends: Its runtimes, the default first; empty takes the catalog's, or ``trtexec``.
        precision: Its precision; None takes the catalog's, or the runtime's own.
        python: The interpreter there, 3.6 or newer.
        identity: A private key for ssh.
        options: Options for ssh as ``Key=value``.
        path: The file; None takes the user's.

    Raises:
        DeviceError: For a name that is taken, a target that ssh would misread, or a file that is damaged.
        UnknownNameError: For a runtime or an option that is not on offer.
    """
    path = path or default_path()
    check_name(name)
    key = None if identity is None else str(_existing(Path(identity)))
    entry = Entry(
        reach=reach, backends=tuple(backends), precision=precision, python=python, identity=key, options=tuple(options)
    )
    with _locked(path):
        known = entries(path)
        if name in known:
            raise _taken(name, reach, known[name])
        _write(path, known | {name: entry})
    return entry


def _taken(name: str, reach: str, there: Entry) -> DeviceError:
    return DeviceError(
        four_parts(
            f"device {name!r} is added already",
            given=reach,
            allowed=f"one place per name; it answers at {there.reach}",
            do=f"choose another name, or first: archlab device remove {name}",
        )
    )


def remove(name: str, path: Path | None = None) -> Entry:
    """Take a device out again; a name of the catalog is estimated from then on.

    Raises:
        UnknownNameError: When it was not added.
        DeviceError: When the file is damaged.
    """
    path = path or default_path()
    if not path.exists():
        raise _not_added(name, {})
    with _locked(path):
        known = entries(path)
        if name not in known:
            raise _not_added(name, known)
        gone = known.pop(name)
        _write(path, known)
    return gone


def _not_added(name: str, known: Mapping[str, Entry]) -> UnknownNameError:
    if known:
        return unknown_name("device added by you", name, known, "see: archlab device list")
    return UnknownNameError(
        four_parts(
            f"no device {name!r} was added",
            given=repr(name),
            allowed="devices added with archlab device add; there are none",
            do="see: archlab device list",
        )
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock beside the file, so that two changes at once follow each other."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("ab")
    except OSError as error:
        raise _unusable(path, error) from None
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _write(path: Path, known: Mapping[str, Entry]) -> None:
    rows = {name: dataclasses.asdict(entry) for name, entry in known.items()}
    write_text(path, json.dumps({"format": _FORMAT, "devices": rows}, indent=2) + "\n")


def _checked(document: object, path: Path) -> dict[str, Entry]:
    if not isinstance(document, dict) or document.get("format") != _FORMAT or set(document) != {"format", "devices"}:
        raise _damaged(path, f"no document of format {_FORMAT}")
    try:
        found = _ADAPTER.validate_json(json.dumps(document["devices"]))
        for name in found:
            check_name(name)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        raise _damaged(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except ArchlabError as error:
        raise _damaged(path, str(error)) from None
    return found


def _existing(identity: Path) -> Path:
    found = identity.expanduser().absolute()
    if not found.is_file():
        raise DeviceError(
            four_parts(
                "no such key file",
                given=identity,
                allowed="the file of a private key",
                do="check --identity, or leave it out to use the keys of your ssh agent and configuration",
            )
        )
    return found


def _damaged(path: Path, what: str) -> DeviceError:
    return DeviceError(
        four_parts(
            "the file of your devices is damaged",
            given=f"{path} ({' '.join(what.split())[:200]})",
            allowed="the file as archlab device add writes it",
            do="mend it, or delete it and add your devices again",
        )
    )


def _unusable(path: Path, error: OSError) -> DeviceError:
    return DeviceError(
        four_parts(
            "the file of your devices cannot be used",
            given=f"{path} ({error.strerror})",
            allowed="a file of your own in a folder that can be written",
            do="set ARCHLAB_DEVICES to another file",
        )
    )
