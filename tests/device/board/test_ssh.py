"""A board behind a real sshd: measured, cut off, refused."""

import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from archlab.device.board import link
from archlab.device.board.backend import BoardBackend
from archlab.device.catalog import Device, run_for
from archlab.device.measure import measure
from archlab.device.runtime import Workload
from archlab.errors import DeviceLost, DeviceUnreachable
from archlab.model.export import to_onnx

pytestmark = pytest.mark.agent

AGENT = Path(link.__file__).with_name("agent.py")
SHAPE = (1, 3, 16, 16)


@pytest.fixture
def backend() -> Iterator[BoardBackend]:
    found = BoardBackend()
    yield found
    found.close()


@pytest.fixture
def workload() -> Workload:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 5)).eval()
    return Workload(module=net, onnx=to_onnx(net, SHAPE), input_shape=SHAPE)


def test_a_network_is_timed_on_the_board(backend: BoardBackend, loopback_board: Device, workload: Workload) -> None:
    run = run_for(loopback_board)
    handle = backend.prepare(workload, loopback_board, run)
    found = handle.run(25)
    handle.close()
    assert len(found.wall_ns) == 25
    assert found.cpu_ns is not None
    assert (found.wall_ns > 0).all()
    assert np.median(found.cpu_ns) < 50e6
    assert handle.settings()["precision"] == "fp32"
    assert backend.fingerprint(loopback_board)["runtime"] == f"ort {onnxruntime.__version__}"


def test_the_whole_protocol_runs_over_ssh(loopback_board: Device, workload: Workload) -> None:
    run = run_for(loopback_board, warmup_s=0.1, max_s=0.4)
    found = measure(workload.module, loopback_board, run, input_shape=SHAPE)
    assert found.source == "measured:ort@loop"
    assert found.n >= 10
    assert found.ci95_ms[0] <= found.median_ms <= found.ci95_ms[1]


def test_operators_come_with_their_modules(backend: BoardBackend, loopback_board: Device, workload: Workload) -> None:
    handle = backend.prepare(workload, loopback_board, run_for(loopback_board))
    rows = handle.profile(3)
    assert rows[-1].module == "3"
    assert any("Conv" in row.op for row in rows)
    assert all(row.ms > 0 for row in rows)


def test_a_cut_link_is_a_lost_device_and_the_next_call_connects_again(
    backend: BoardBackend, sshd, workload: Workload
) -> None:
    here = sshd.board()
    handle = backend.prepare(workload, here, run_for(here))
    before = backend.fingerprint(here)
    assert sshd.cut() >= 1
    with pytest.raises(DeviceLost, match=r"the device loop was lost: .*given: .*allowed: .*archlab device check loop"):
        handle.run(5)
    handle.close()
    assert backend.fingerprint(here) == before


def test_another_host_key_is_never_accepted(backend: BoardBackend, sshd, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{sshd.port} {(tmp_path / 'other.pub').read_text()}")
    with pytest.raises(DeviceUnreachable, match="its host key is another one than ssh knows") as caught:
        backend.fingerprint(_knowing(sshd.board(), known))
    assert "ssh-keygen -R" in str(caught.value)
    assert known.read_text().count("\n") == 1


def test_an_unknown_host_key_is_never_accepted(backend: BoardBackend, sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("")
    with pytest.raises(DeviceUnreachable, match="ssh does not know its host key, and no key is accepted unseen"):
        backend.fingerprint(_knowing(sshd.board(), known))
    assert known.read_text() == ""


def test_a_refused_login_says_so(backend: BoardBackend, sshd, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "stranger")], check=True)
    here = sshd.board()
    words = tuple(str(tmp_path / "stranger") if word.endswith("/user") else word for word in here.ssh_options)
    with pytest.raises(DeviceUnreachable, match=r"it refuses the login.*ssh-copy-id"):
        backend.fingerprint(dataclasses.replace(here, ssh_options=words))


def test_a_board_without_python_says_so(backend: BoardBackend, sshd) -> None:
    with pytest.raises(DeviceUnreachable, match=r"no agent starts there.*Python 3.6.*--python PATH"):
        backend.fingerprint(sshd.board(python="/no/such/python3"))


def test_a_port_where_nothing_listens_says_so(backend: BoardBackend, sshd) -> None:
    closed = dataclasses.replace(sshd.board(), reach="ssh:someone@127.0.0.1:9")
    with pytest.raises(DeviceUnreachable, match=r"it does not answer.*step by step: archlab device check loop"):
        backend.fingerprint(closed)


def _knowing(device: Device, known: Path) -> Device:
    words = tuple(f"UserKnownHostsFile={known}" if "UserKnownHosts" in word else word for word in device.ssh_options)
    return dataclasses.replace(device, ssh_options=words)


def test_two_clients_queue(backend: BoardBackend, loopback_board: Device, workload: Workload, tmp_path: Path) -> None:
    words = ("--lock", str(tmp_path / "lock"), "--limit", "hold_s=6")
    first, second = BoardBackend(words), BoardBackend(words)
    run = run_for(loopback_board)
    try:
        first.prepare(workload, loopback_board, run)
        waited = second.prepare(workload, loopback_board, run).settings()["queue_s"]
    finally:
        first.close()
        second.close()
    assert float(waited) > 0.2


def test_a_login_that_may_do_nothing_but_measure(sshd, workload: Workload, backend: BoardBackend) -> None:
    keys = sshd.folder / "authorized_keys"
    before = keys.read_text()
    agent = sshd.folder / "agent.py"
    agent.write_bytes(AGENT.read_bytes())
    here = sshd.board()
    try:
        keys.write_text(f'restrict,command="{here.python} -I {agent}" {before}')
        handle = backend.prepare(workload, here, run_for(here))
        assert len(handle.run(5).wall_ns) == 5
        said = subprocess.run(
            ["ssh", *here.ssh_options, "-p", str(sshd.port), "127.0.0.1", "cat /etc/hostname"],
            input=b"",
            capture_output=True,
        )
        assert said.stdout == b'{"end":"stdin was closed"}\n'
        backend.close()
        agent.write_bytes(AGENT.read_bytes() + b"# another version\n")
        with pytest.raises(DeviceUnreachable, match=r"its agent ended at once.*another version.*authorized_keys"):
            backend.fingerprint(here)
    finally:
        keys.write_text(before)
