"""A check says what it found, stops at the first failure, and says what to do."""

import types
from typing import Any

import pytest
import torch

from archlab.device import check, nvml, telemetry
from archlab.device.board.refusal import Refusal, refusal_error
from archlab.device.catalog import DEVICES, device
from archlab.device.check import Step, StepFailed, cpu_probes, cuda_probes, measured_tiny, walk
from archlab.device.nvml import Gpu
from archlab.errors import DeviceUnreachable, four_parts

CPU = DEVICES["cpu"]


def test_steps_in_order() -> None:
    def fails() -> str:
        raise StepFailed("no", "do so")

    def unreachable() -> str:
        raise DeviceUnreachable(four_parts("no answer; really", given="x", allowed="y", do="plug it in"))

    assert list(walk([("a", lambda: "found"), ("b", lambda: ("found", "mind")), ("c", fails), ("d", fails)])) == [
        Step(step="a", state="ok", detail="found"),
        Step(step="b", state="ok", detail="found", do="mind"),
        Step(step="c", state="failed", detail="no", do="do so"),
        Step(step="d", state="not tried"),
    ]
    (step,) = walk([("a", unreachable)])
    assert (step.state, step.detail, step.do) == ("failed", "no answer; really; given: x; allowed: y", "plug it in")


def test_a_log_behind_the_advice_is_no_advice() -> None:
    def fails() -> str:
        raise refusal_error(Refusal("build_failed", "trtexec ended with 1", "a; b; c"), "orin")

    (step,) = walk([("a", fails)])
    assert step.do == "choose another network or runtime"
    assert step.detail.startswith("orin cannot run this network; given: trtexec ended with 1; allowed: networks ")
    assert step.detail.endswith("; the log ends: a; b; c")


def test_a_tiny_network_is_measured_for_real() -> None:
    told = measured_tiny(device("cpu"))
    assert " runs of ort" in (told if isinstance(told, str) else told[0])


def test_what_the_tiny_network_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(quality: str) -> Any:
        found = types.SimpleNamespace(median_ms=1.25, ci95_ms=(1.2, 1.3), n=7, quality=quality)
        return lambda *args, **options: found

    monkeypatch.setattr(check, "measure", measure("ok"))
    assert measured_tiny(CPU) == "1.25 ms (1.20–1.30 ms), ok, 7 runs of ort"
    monkeypatch.setattr(check, "measure", measure("noisy"))
    assert measured_tiny(CPU) == (
        "1.25 ms (1.20–1.30 ms), noisy, 7 runs of ort",
        "measure again when the device is idle and cool",
    )
    monkeypatch.setattr(check, "measure", measure("failed"))
    with pytest.raises(StepFailed):
        measured_tiny(CPU)


def test_advice_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "fingerprint", lambda: {"governor": "powersave"})
    monkeypatch.setattr(telemetry, "state", lambda: {"load_1min": 99.0, "mhz": 2000.0})
    probes = dict(cpu_probes(CPU))
    assert probes["governor"]() == ("powersave", "for steadier times set the governor to performance")
    told, advice = probes["load now"]()
    assert told == "load_1min 99, mhz 2000"
    assert advice.startswith("other processes are at work")
    monkeypatch.setattr(telemetry, "state", dict)
    assert probes["load now"]() == "not readable"


def test_a_missing_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = types.SimpleNamespace(fingerprint=lambda device: {"runtime": "thing 1.0"})
    row = types.SimpleNamespace(name="cpu", backends=("thing", "other"))
    monkeypatch.setattr(check, "BACKENDS", {"thing": backend})
    assert dict(cpu_probes(row))["runtimes"]() == ("thing: thing 1.0", "other: optional, not installed")  # type: ignore[arg-type]
    monkeypatch.setattr(check, "BACKENDS", {"other": backend})
    with pytest.raises(StepFailed, match="thing cannot be loaded"):
        dict(cpu_probes(row))["runtimes"]()  # type: ignore[arg-type]


def test_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    probes = dict(cuda_probes(CPU))
    monkeypatch.setattr(nvml, "gpus", list)
    with pytest.raises(StepFailed, match="no NVIDIA driver answers"):
        probes["driver"]()
    monkeypatch.setattr(nvml, "gpus", lambda: [Gpu(index=0, name="T4", memory_gb=16.0, driver="535")])
    assert probes["driver"]() == "T4 (16 GB, driver 535)"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(StepFailed, match=r"torch .* and sees no GPU"):
        probes["torch"]()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "T4")
    assert probes["torch"]().endswith(" sees T4")  # type: ignore[union-attr]
