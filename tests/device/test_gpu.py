from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from archlab.device import catalog
from archlab.device.catalog import DEVICES, device
from archlab.device.gpu import CudaGpu, first_gpu, uuid_of


def made(**changes: Any) -> CudaGpu:
    facts: dict[str, Any] = {"name": "x", "capability": 90, "sms": 132, "memory_gb": 80.0, "cuda": "13", "cudnn": "9"}
    return CudaGpu(**facts | changes)


@pytest.mark.parametrize(
    ("capability", "sms", "sm_mhz", "fp32", "fp16"),
    [
        (75, 40, 1590.0, 8.1, 65.1),  # T4's data sheet: 8.1 and 65
        (80, 108, 1410.0, 19.5, 312.0),  # A100's: 19.5 and 312
        (87, 16, 1300.5, 5.3, 42.6),  # AGX Orin's brief: 5.3
        (89, 128, 2520.0, 82.6, 330.3),  # RTX 4090's: 82.6 and 330.3
        (90, 132, 1830.0, 61.8, 989.4),  # H100 SXM's: 989.4
        (53, 1, 921.6, 0.236, 0.472),  # Jetson Nano
    ],
)
def test_peaks_are_those_of_the_data_sheets(capability: int, sms: int, sm_mhz: float, fp32: float, fp16: float) -> None:
    found = made(capability=capability, sms=sms, sm_mhz=sm_mhz)
    assert found.peak_fp32_tflops == pytest.approx(fp32, rel=0.02)
    assert found.peak_fp16_tflops == pytest.approx(fp16, rel=0.01)


def test_the_bandwidth_is_two_transfers_per_clock() -> None:
    assert made(memory_mhz=1593.0, bus_bits=5120).mem_bw_gbs == pytest.approx(2039, rel=1e-3)  # A100 80 GB
    assert made(memory_mhz=5001.0, bus_bits=256).mem_bw_gbs == pytest.approx(320, rel=1e-3)  # T4


def test_what_is_not_known_has_no_peak() -> None:
    assert made().peak_fp16_tflops is None
    assert made().mem_bw_gbs is None
    assert made(capability=33, sm_mhz=1000.0).peak_fp32_tflops is None
    assert [made(capability=capability).has_bf16 for capability in (75, 80)] == [False, True]


@pytest.fixture
def h100(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(
        name="NVIDIA H100",
        major=9,
        minor=0,
        multi_processor_count=132,
        total_memory=85_000_000_000,
        clock_rate=1_980_000,
        memory_clock_rate=2_619_000,
        memory_bus_width=5120,
        uuid="1234",
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(torch.version, "cuda", "13.0")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    for cached in (first_gpu, catalog._of_this_machine):
        cached.cache_clear()
    yield
    for cached in (first_gpu, catalog._of_this_machine):
        cached.cache_clear()


@pytest.mark.usefixtures("h100")
def test_the_row_is_filled_from_the_gpu() -> None:
    row = device("cuda")
    assert row.title == "NVIDIA H100, 85 GB"
    assert row.arch == "sm_90"
    assert row.peak_fp16_tflops == pytest.approx(1070.5, rel=1e-3)
    assert row.mem_bw_gbs == pytest.approx(3352.3, rel=1e-3)
    assert row.reach == "local"
    assert row.backends[0] == "cuda_graph"
    assert row.precision == "fp16"
    assert "1234" not in str(row)
    assert uuid_of() == "GPU-1234"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_the_row_stays_as_it_is() -> None:
    assert first_gpu() is None
    assert device("cuda") == DEVICES["cuda"]
