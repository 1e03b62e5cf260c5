"""A real sshd on loopback with throw-away keys, and boards that stand behind it or in a process here."""

import dataclasses
import getpass
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from archlab.device.catalog import Device

sys.path.insert(0, str(Path(__file__).parents[3] / "studies" / "board-loopback"))

import sshd_loopback


class Loopback(sshd_loopback.Loopback):
    """A running sshd, and the boards behind it."""

    def board(self, name: str = "loop", **changes: object) -> Device:
        """A device behind it, with ONNX Runtime of this Python."""
        options = ("-F", "/dev/null", "-i", str(self.key), "-o", "IdentitiesOnly=yes")
        options += ("-o", f"UserKnownHostsFile={self.known_hosts}")
        row = board(name, reach=f"ssh:{getpass.getuser()}@127.0.0.1:{self.port}", ssh_options=options)
        return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


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
    if sshd_loopback.lacking():
        pytest.skip(f"NO SSHD HERE: boards over SSH are not tested; {sshd_loopback.HOW}")
    with sshd_loopback.serve(tmp_path_factory.mktemp("sshd")) as served:
        yield Loopback(served.process, served.folder, served.port)


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
