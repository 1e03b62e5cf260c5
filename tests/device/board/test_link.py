"""How an agent is started: the arguments of ssh, in an order that leaves no door open."""

import dataclasses
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.device.board import link
from archlab.device.board.link import LOADER, argv_of, connect
from archlab.device.catalog import Device
from archlab.errors import DeviceError, DeviceUnreachable


@pytest.fixture
def far(make_board: Callable[..., Device]) -> Device:
    return make_board("far", reach="ssh:me@far.example:2222", python="python3", ssh_options=("-o", "ProxyJump=gate"))


def test_ssh_asks_nothing_and_accepts_no_key(far: Device) -> None:
    argv = argv_of(far)
    pairs = [argv[i + 1] for i, word in enumerate(argv) if word == "-o"]
    assert argv[0] == "ssh"
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no"} <= set(pairs)
    assert {"ConnectTimeout=10", "ServerAliveInterval=15", "ServerAliveCountMax=3"} <= set(pairs)
    assert argv[-5:-1] == ["-p", "2222", "--", "me@far.example"]


def test_of_options_given_twice_ssh_takes_ours_for_safety_and_the_users_for_patience(far: Device) -> None:
    own = ("-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=99")
    argv = argv_of(dataclasses.replace(far, ssh_options=own))
    assert argv.index("StrictHostKeyChecking=yes") < argv.index("StrictHostKeyChecking=no")
    assert argv.index("ConnectTimeout=99") < argv.index("ConnectTimeout=10")


def test_the_shell_there_gets_one_command_and_may_find_the_home_folder(far: Device) -> None:
    there = argv_of(dataclasses.replace(far, python="~/venv/bin/python"), ["--root", "/a b"])[-1]
    assert there.startswith("exec ~/venv/bin/python -I -c ")
    assert shlex.split(there) == ["exec", "~/venv/bin/python", "-I", "-c", LOADER, "--root", "/a b"]


def test_a_python_with_signs_of_a_shell_is_refused(far: Device) -> None:
    with pytest.raises(DeviceError, match="no path of a Python interpreter"):
        argv_of(dataclasses.replace(far, python="python3; reboot"))


def test_a_process_here_runs_on_the_python_that_is_named(make_board: Callable[..., Device]) -> None:
    assert argv_of(make_board("here", python="python3"))[0] == sys.executable
    assert argv_of(make_board("here", python="~/other/python"))[0] == str(Path.home() / "other/python")


def test_without_ssh_no_device_is_reached(far: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceUnreachable) as caught:
        connect(far)
    assert str(caught.value) == (
        "the device far cannot be reached: ssh does not start on this machine; given: No such file or directory; "
        "allowed: a program that is installed here; install OpenSSH's client"
    )


def test_an_agent_that_refuses_to_be_greeted(
    make_board: Callable[..., Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_PROTOCOL", 2)
    with pytest.raises(DeviceUnreachable) as caught:
        connect(make_board("here"))
    assert str(caught.value) == (
        "the device here cannot be reached: its agent refuses (protocol); given: this agent speaks protocol 1; "
        "allowed: an agent of the same version at both ends; "
        "copy the present agent there; step by step: archlab device check here"
    )
