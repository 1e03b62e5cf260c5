"""The user's own devices: kept whole, checked when added and when read, safe to hand to ssh."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from archlab.device import registry
from archlab.device.catalog import device, names, rows, run_for
from archlab.errors import DeviceError, UnknownNameError


def add(name: str = "bench", reach: str = "ssh:me@10.0.0.7", **more: Any) -> None:
    registry.add(name, reach=reach, **more)


def test_a_catalog_name_keeps_its_facts_and_becomes_measured() -> None:
    before = device("orin")
    add("orin", "ssh:jetson@orin.local:2222")
    after = device("orin")
    assert (before.reach, after.reach) == (None, "ssh:jetson@orin.local:2222")
    assert (after.peak_fp16_tflops, after.mem_bw_gbs, after.title) == (42.61, 204.8, before.title)
    assert (after.backends, after.precision, after.calibration) == (("trtexec",), "fp16", "orin")
    assert names() == ("cpu", "orin", "nano", "t4") or set(names()) > {"cpu", "orin", "nano", "t4"}
    registry.remove("orin")
    assert device("orin") == before


def test_an_own_name_has_no_facts() -> None:
    add("bench-2", backends=("ort",))
    row = device("bench-2")
    assert (row.kind, row.peak_fp32_tflops, row.mem_bw_gbs, row.calibration) == ("board", None, None, None)
    assert (row.backends, row.precision, row.python) == (("ort",), "fp32", "python3")
    assert list(rows())[-1] == "bench-2"
    assert run_for(row, threads=4).threads == 4  # a device that is measured is asked, not an estimate


def test_another_runtime_brings_its_own_precision() -> None:
    add("orin", backends=("ort", "trtexec"))
    assert (device("orin").precision, device("orin").backends) == ("fp32", ("ort", "trtexec"))
    add("nano", precision="fp32")
    assert (device("nano").precision, device("nano").backends) == ("fp32", ("trtexec",))


def test_what_ssh_is_given(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    add(identity=key, options=("ProxyJump=gate", "UserKnownHostsFile=/a b"), python="/usr/bin/python3.8")
    row = device("bench")
    assert row.ssh_options == (
        *("-i", str(key), "-o", "IdentitiesOnly=yes"),
        *("-o", "ProxyJump=gate", "-o", "UserKnownHostsFile=/a b"),
    )
    assert row.python == "/usr/bin/python3.8"


def test_the_file(own_devices: Path) -> None:
    assert registry.entries() == {}
    add("b")
    add("a", "child:")
    assert list(registry.entries()) == ["b", "a"]
    assert json.loads(own_devices.read_text())["devices"]["a"]["reach"] == "child:"
    registry.remove("b")
    assert list(registry.entries()) == ["a"]


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLAB_DEVICES", "~/mine.json")
    assert registry.default_path() == Path.home() / "mine.json"
    monkeypatch.delenv("ARCHLAB_DEVICES")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/mine")
    assert registry.default_path() == Path("/etc/mine/archlab/devices.json")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert registry.default_path() == Path.home() / ".config/archlab/devices.json"


def test_added_twice() -> None:
    add("orin")
    with pytest.raises(
        DeviceError,
        match=r"'orin' is added already; given: ssh:x@y; allowed: one place per name; it answers at ssh:me@10\.0\.0\.7"
        r"; choose another name, or first: archlab device remove orin",
    ):
        add("orin", "ssh:x@y")
    assert device("orin").reach == "ssh:me@10.0.0.7"


def test_removing_what_is_not_there(own_devices: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no device 'orin' was added; .* there are none; see: archlab device"):
        registry.remove("orin")
    assert not own_devices.exists()
    add("orin")
    with pytest.raises(UnknownNameError, match=r"no device added by you 'orinn'.*did you mean 'orin'"):
        registry.remove("orinn")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting"),
        ("[]", "no document of format 1"),
        ('{"format": 2, "devices": {}}', "no document of format 1"),
        ('{"format": 1, "devices": {"a": {}}}', "a.reach: Field required"),
        ('{"format": 1, "devices": {"a": {"reach": "child:", "shell": "x"}}}', "a.shell: Unexpected"),
        ('{"format": 1, "devices": {"../a": {"reach": "child:"}}}', "no name for a device"),
        ('{"format": 1, "devices": {"a": {"reach": "ssh:-oProxyCommand=x"}}}', "no target for ssh"),
        ('{"format": 1, "devices": {"a": {"reach": "child:", "options": ["ProxyCommand=x"]}}}', "ProxyCommand"),
        ("\ufeff\x00", "Unexpected UTF-8 BOM"),
    ],
)
def test_a_damaged_file_says_what_to_do(text: str, why: str, own_devices: Path) -> None:
    own_devices.write_text(text)
    for act in (registry.entries, add, lambda: device("orin")):
        with pytest.raises(
            DeviceError, match=r"the file of your devices is damaged; given: .*; allowed: .*; mend it"
        ) as e:
            act()
        assert why in str(e.value)
    assert own_devices.read_text() == text
    assert device("cpu").name == "cpu"  # this machine needs no file


def test_a_file_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLAB_DEVICES", str(tmp_path))
    with pytest.raises(DeviceError, match=r"cannot be used; given: .*Is a directory.*; set ARCHLAB_DEVICES"):
        registry.entries()
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match=r"cannot be used; given: .*File exists"):
        registry.add("a", reach="child:", path=tmp_path / "file" / "devices.json")


def test_a_key_that_is_not_there() -> None:
    with pytest.raises(DeviceError, match=r"no such key file; given: /nowhere/key; allowed: .*; check --identity"):
        add(identity="/nowhere/key")


def _add_some(path: Path, worker: int) -> None:
    for i in range(10):
        registry.add(f"board-{worker}-{i}", reach="child:", path=path)


def test_adding_at_once_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_some, args=(path, i)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(registry.entries(path)) == 30
