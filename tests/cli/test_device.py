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
        "fitted on 24 latencies in 6 groups; on groups left out it errs by 10.18 % on average"
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


def test_what_the_estimates_of_orin_rest_on(answer: Answer, run: Run) -> None:
    shown = answer("device", "show", "orin")
    points = {(point["model"], point["resolution"]): point for point in shown["points"]}
    assert len(shown["points"]) == shown["held_out"]["points"] == 24
    point = points["EfficientViT-B1", 224]
    assert (point["ms"], point["source"]) == (1.48, "published:mit_readme")
    off = [abs(point["fitted_ms"] / point["ms"] - 1) for point in shown["points"]]
    assert sum(off) / len(off) < shown["held_out"]["mean_abs_pct"] / 100  # the fit has seen them
    assert shown["fit"]["predictor"] == "roofline"
    assert shown["fit"]["launch_gemm"] > 0
    assert shown["leave_network_out"]["mean_abs_pct"] > 0
    status, out, _ = run("device", "show", "orin")
    assert status == 0
    assert "1.48 ms" in out
    assert "held_out.mean_abs_pct" in out


@pytest.fixture
def calibrated(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Calibrating without measuring; keeps what was asked."""
    from archlab.api import calibration
    from archlab.latency.estimate import HeldOut
    from archlab.latency.own import Calibrated, Row

    asked: list[Any] = []

    def error(pct: float, tau: float) -> HeldOut:
        return HeldOut(mean_abs_pct=pct, within_10_share=0.5, kendall_tau=tau, coverage=None, points=10, families=10)

    def calibrate(device: Any, run: Any, *, tell: Any, **options: Any) -> Calibrated:
        asked.append((device.name, run.runtime, run.threads, options))
        tell(1, 10, "abc: 2 ms, ok")
        return Calibrated(
            device=device.name,
            path="/x/cpu.json",
            best="lookup",
            baseline="multiply-adds alone",
            before=error(40.0, 0.7),
            errors={"roofline": error(9.0, 0.9), "lookup": error(4.25, 0.96)},
            rows=(Row(model="abc", macs=7, ms=2.0, quality="ok", before_ms=3.0, after_ms=1.9),),
            refused=(("def", "it is too large"),),
            replaced="runtime torch, precision fp32" if device.name == "cpu" and run.runtime == "ort" else "",
        )

    monkeypatch.setattr(calibration, "calibrate_device", calibrate)
    return asked


def test_calibrate(answer: Answer, run: Run, calibrated: list[Any]) -> None:
    found = answer("device", "calibrate", "cpu", "--networks", 12, "--runtime", "torch", "--threads", 2, "--seed", 3)
    assert calibrated == [("cpu", "torch", 2, {"networks": 12, "seed": 3})]
    assert found["networks"] == [
        {"model": "abc", "macs": 7, "ms": 2.0, "quality": "ok", "before_ms": 3.0, "after_ms": 1.9}
    ]
    assert (found["before"]["mean_abs_pct"], found["before"]["kendall_tau"]) == (40.0, 0.7)
    assert (found["after"]["mean_abs_pct"], found["after"]["kendall_tau"]) == (4.25, 0.96)
    assert (found["predictor"], found["baseline"], found["path"]) == ("lookup", "multiply-adds alone", "/x/cpu.json")
    assert found["refused"] == [{"model": "def", "why": "it is too large"}]
    assert set(found["errors"]) == {"roofline", "lookup"}
    status, out, err = run("device", "calibrate", "cpu")
    assert status == 0
    assert "2.00 ms  3.00 ms (+50 %)  1.90 ms (-5 %)  ok" in out
    assert "before, multiply-adds alone: mean error 40.0 %, 50 % within 10 %, Kendall tau 0.70" in out
    assert "after, lookup: mean error 4.2 %, 50 % within 10 %, Kendall tau 0.96" in out
    assert "1 of 10  abc: 2 ms, ok" in err
    assert "left out def: it is too large" in err
    assert "this took the place of the calibration for: runtime torch, precision fp32" in err
    _, _, err = run("device", "calibrate", "cpu", "--runtime", "torch")
    assert "took the place" not in err


def test_calibrate_refuses(refused: Refused) -> None:
    assert "'orin' cannot be calibrated: it cannot be reached" in refused("device", "calibrate", "orin")
    assert "cannot measure that many networks; given: 9; allowed: 10 to 20" in refused(
        "device", "calibrate", "cpu", "--networks", 9
    )
    assert "did you mean 'orin'" in refused("device", "calibrate", "orinn")
