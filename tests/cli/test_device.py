"""archlab device: list, show, add, remove, check, with their JSON and their error texts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]
Refused = Callable[..., str]


def test_a_board_is_added_listed_shown_and_removed(answer: Answer, run: Run, own_devices: Path) -> None:
    added = answer("device", "add", "orin", "--ssh", "jetson@orin.local:2222")
    assert added == {
        "name": "orin",
        "title": "Jetson AGX Orin 64 GB, MAXN",
        "kind": "board",
        "how": "measured",
        "runtimes": ["trtexec"],
        "precision": "fp16",
        "reach": "ssh:jetson@orin.local:2222",
        "file": str(own_devices),
    }
    listed = {row["name"]: row for row in answer("device", "list")}
    assert [listed[name]["how"] for name in ("cpu", "orin", "nano")] == ["measured", "measured", "estimated"]
    shown = answer("device", "show", "orin")
    assert (shown["reach"], shown["peak_fp16_tflops"], shown["how"]) == (
        "ssh:jetson@orin.local:2222",
        42.61,
        "measured",
    )
    assert "launch_us" not in shown
    assert shown["held_out"]["points"] > 20
    assert shown["fingerprint"] is None
    status, out, _ = run("device", "list")
    assert status == 0
    assert "ssh:jetson@orin.local:2222" in out
    assert answer("device", "remove", "orin") == {
        "name": "orin", "reach": "ssh:jetson@orin.local:2222", "how": "estimated",
    }  # fmt: skip
    assert answer("device", "show", "orin")["how"] == "estimated"


def test_a_board_of_ones_own(answer: Answer, run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    status, out, err = run(
        *("device", "add", "bench", "--ssh", "me@10.0.0.7", "--runtime", "ort", "--runtime", "trtexec"),
        *("--python", "/usr/bin/python3.8", "--identity", key, "--option", "ProxyJump=gate", "--option", "Port=22"),
    )
    assert (status, out) == (0, "")
    assert "next: archlab device check bench" in err
    shown = answer("device", "show", "bench")
    assert (shown["backends"], shown["precision"], shown["python"]) == (
        ["ort", "trtexec"],
        "fp32",
        "/usr/bin/python3.8",
    )
    assert shown["ssh_options"] == ["-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "ProxyJump=gate", "-o", "Port=22"]
    assert shown["peak_fp16_tflops"] is None
    assert "held_out" not in shown
    assert answer("device", "remove", "bench")["how"] is None
    assert "bench" not in {row["name"] for row in answer("device", "list")}


def test_this_machine_as_a_board(answer: Answer, run: Run) -> None:
    assert answer("device", "add", "nano", "--here")["reach"] == "child:"
    for words in ([], ["--here", "--ssh", "me@host"]):
        status, _, err = run("device", "add", "orin", *words)
        assert status == 2
        assert "give either --ssh user@host or --here" in " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["add", "cpu", "--ssh", "me@host"], "'cpu' is a device of this machine"),
        (["add", "../x", "--ssh", "me@host"], "no name for a device"),
        (["add", "x", "--ssh", "-oProxyCommand=touch /x"], "no target for ssh"),
        (["add", "x", "--ssh", "me@host name"], "no target for ssh"),
        (["add", "x", "--ssh", "me@host:99999"], "no target for ssh"),
        (["add", "x", "--ssh", "me@host", "--runtime", "tensorrt"], "no runtime of boards 'tensorrt'"),
        (["add", "x", "--ssh", "me@host", "--precision", "int8"], "no precision of trtexec 'int8'"),
        (["add", "x", "--ssh", "me@host", "--python", "python3 -m x"], "no path of a Python interpreter"),
        (["add", "x", "--ssh", "me@host", "--identity", "/nowhere"], "no such key file"),
        (["add", "x", "--ssh", "me@host", "--option", "ProxyJump"], "no option of ssh"),
        (["add", "x", "--ssh", "me@host", "--option", "StrictHostKeyChecking=no"], "no option of ssh for boards"),
        (["remove", "orin"], "no device 'orin' was added"),
        (["remove", "cpu"], "no device 'cpu' was added"),
        (["show", "orinn"], "did you mean 'orin'"),
        (["check", "orinn"], "did you mean 'orin'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refused(words: list[str], told: str, refused: Refused, own_devices: Path) -> None:
    assert told in refused("device", *words)
    assert not own_devices.exists()


def test_a_damaged_file(refused: Refused, own_devices: Path) -> None:
    own_devices.write_text("{")
    for words in (["list"], ["show", "orin"], ["add", "x", "--here"], ["remove", "x"], ["check", "orin"]):
        assert "the file of your devices is damaged" in refused("device", *words)
    assert own_devices.read_text() == "{"


def test_added_twice(answer: Answer, refused: Refused) -> None:
    answer("device", "add", "orin", "--here")
    assert "'orin' is added already; given: ssh:a@b; " in refused("device", "add", "orin", "--ssh", "a@b")


def test_check_of_this_machine(answer: Answer) -> None:
    steps = answer("device", "check", "cpu")
    assert [step["step"] for step in steps] == ["runtimes", "threads", "governor", "load now", "a tiny network"]
    assert all(set(step) == {"step", "state", "detail", "do"} for step in steps)
    assert {step["state"] for step in steps} == {"ok"}
    assert "onnxruntime" in steps[0]["detail"]
    assert " ms (" in steps[-1]["detail"]


def test_check_of_an_estimated_device(answer: Answer, run: Run) -> None:
    first, second = answer("device", "check", "orin")
    assert "nothing answers for it" in first["detail"]
    assert first["do"] == "to measure it: archlab device add orin --ssh user@host"
    assert second["detail"].startswith(
        "fitted on 24 published latencies of 6 families; on families left out it errs by"
    )
    status, out, _ = run("device", "check", "orin")
    assert status == 0
    assert out.splitlines()[1] == f"{'':<10} → {first['do']}"


def test_a_failed_check_is_exit_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from archlab.api import devices
    from archlab.device.check import StepFailed

    def broken() -> str:
        raise StepFailed("it smokes", "take it out of the oven")

    monkeypatch.setitem(devices._PROBES, "cpu", lambda device: [("heat", broken), ("light", lambda: "on")])
    status, out, _ = run("device", "check", "cpu")
    assert status == 1
    assert out.splitlines() == [
        "failed     heat: it smokes", f"{'':<10} → take it out of the oven", "not tried  light",
    ]  # fmt: skip
    status, out, _ = run("device", "check", "cpu", "--json")
    assert status == 1
    assert json.loads(out) == [
        {"step": "heat", "state": "failed", "detail": "it smokes", "do": "take it out of the oven"},
        {"step": "light", "state": "not tried", "detail": "", "do": ""},
    ]
