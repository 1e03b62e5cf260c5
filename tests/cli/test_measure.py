"""archlab measure: its options reach the device, its answer has the keys, its table the columns."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from archlab.api import timing
from archlab.device.backends import BACKENDS
from archlab.device.backends.cuda import CudaBackend
from archlab.device.catalog import RunSpec
from archlab.device.gpu import CudaGpu, first_gpu
from archlab.device.measurement import Measurement
from archlab.device.nvml import GpuWatch

Answer = Callable[..., Any]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunSpec]:
    """Measurements that take 1.5 ms on a device that tells its power; gives the runs that were asked for."""
    runs: list[RunSpec] = []

    def measured(module: object, device: Any, run: RunSpec, *, digest: str, **_: object) -> Measurement:
        runs.append(run)
        power = {"power_w": 250.0, "idle_power_w": 50.0, "energy_mj": 300.0} if run.power_s else {}
        return Measurement(
            digest=digest, device=device.name, run=run, samples_ms=(1.5,) * 50, quality="ok", environment=power
        )

    monkeypatch.setattr(timing, "measure_module", measured)
    return runs


def test_the_options_reach_the_device(asked: list[RunSpec], answer: Answer) -> None:
    (row,) = answer(
        *("measure", "edgenext_xx_small", "--device", "cuda", "--runtime", "cuda", "--precision", "bf16"),
        *("--layout", "channels_last", "--batch", 4, "--resolution", 64, "--energy"),
    )
    assert asked == [
        RunSpec(runtime="cuda", precision="bf16", layout="channels_last", batch=4, power_s=3.0),
    ]
    assert (row["power_w"], row["idle_power_w"], row["energy_mj"]) == (250.0, 50.0, 300.0)
    assert (row["source"], row["precision"], row["batch"]) == ("measured:cuda@cuda", "bf16", 4)


def test_without_asking_there_is_no_energy(asked: list[RunSpec], run: Run, answer: Answer) -> None:
    (row,) = answer("measure", "edgenext_xx_small", "--device", "cuda")
    assert asked == [RunSpec(runtime="cuda_graph", precision="fp16")]
    assert not {"power_w", "idle_power_w", "energy_mj"} & set(row)
    assert "energy" not in run("measure", "edgenext_xx_small", "--device", "cuda")[1]
    assert "300 mJ" in run("measure", "edgenext_xx_small", "--device", "cuda", "--energy")[1]


def test_an_estimate_has_no_energy(answer: Answer) -> None:
    (row,) = answer("measure", "edgenext_xx_small", "--device", "orin", "--energy")
    assert row["energy_mj"] is row["power_w"] is None


def test_showing_a_gpu_shows_who_it_is(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = CudaGpu(name="NVIDIA Paper", capability=90, sms=132, memory_gb=80.0, cuda="13.0", cudnn="9")
    monkeypatch.setattr("archlab.api.devices.first_gpu", lambda: gpu)
    driver = SimpleNamespace(gpu=lambda: gpu, watch=lambda: GpuWatch("GPU-none"))
    monkeypatch.setitem(BACKENDS, "cuda_graph", CudaBackend(driver))  # type: ignore[arg-type]
    found = answer("device", "show", "cuda")
    assert found["how"] == "measured"
    assert (found["fingerprint"]["gpu"], found["fingerprint"]["gpu_arch"]) == ("NVIDIA Paper", "sm_90")
    assert found["fingerprint"]["gpu_driver"]


@pytest.mark.skipif(first_gpu() is not None, reason="there is a GPU here")
def test_a_gpu_that_is_not_there(refused: Callable[..., str], answer: Answer) -> None:
    said = refused("measure", "edgenext_xx_small", "--device", "cuda")
    assert said.startswith("archlab: device 'cuda' cannot be measured: torch sees no NVIDIA GPU; given: torch ")
    assert "archlab device check cuda" in said
    assert {row["name"]: row["how"] for row in answer("device", "list")}["cuda"] == "absent"


def test_a_wild_estimate_is_noted_on_stderr(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archlab.latency.estimate._FAR", 0.05)
    for command in ("measure", "profile"):
        status, out, err = run(command, "edgenext_small", "--device", "orin")
        assert status == 0
        (said,) = [line for line in err.splitlines() if line.startswith("archlab: note: ")]
        assert "ms for orin lies far outside the 0.52 to 11.5 ms that it was fitted on" in said
        assert "far outside" not in out
    status, out, err = run("measure", "edgenext_small", "--device", "orin", "--json")
    assert json.loads(out)[0]["note"] in err


def test_an_estimate_within_what_was_seen_is_not(run: Run) -> None:
    assert "note" not in run("measure", "edgenext_small", "--device", "orin", "--json")[1]


def test_a_noisy_measurement_says_why(monkeypatch: pytest.MonkeyPatch, run: Run, answer: Answer) -> None:
    def measured(module: object, device: Any, run: RunSpec, *, digest: str, **_: object) -> Measurement:
        doubt = {"doubt": "too few runs count"}
        return Measurement(
            digest=digest, device=device.name, run=run, samples_ms=(1.5,) * 9, quality="noisy", environment=doubt
        )

    monkeypatch.setattr(timing, "measure_module", measured)
    (row,) = answer("measure", "edgenext_xx_small", "--device", "cpu")
    assert (row["quality"], row["note"]) == ("noisy", "edgenext_xx_small is noisy: too few runs count")
    said = run("measure", "edgenext_xx_small", "--device", "cpu")[2]
    assert "archlab: note: edgenext_xx_small is noisy: too few runs count" in said
