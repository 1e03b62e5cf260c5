"""NVML as it answers on a server, on a Jetson board and where there is none; no driver is needed."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from archlab.device import nvml
from archlab.device.nvml import Gpu, GpuState, GpuWatch, gpus

Ask = Callable[..., Any]


class FakeDriver:
    """Answers what a server GPU answers; `silent` names the functions that are not supported."""

    def __init__(self, *silent: str, count: int = 1) -> None:
        self.silent = silent
        self.count = count
        self.opened = 0
        self.reasons = 0
        self.answers: dict[str, Ask] = {
            "nvmlInit": self._init,
            "nvmlShutdown": self._shutdown,
            "nvmlDeviceGetCount": lambda: self.count,
            "nvmlDeviceGetHandleByIndex": lambda index: f"by index {index}",
            "nvmlDeviceGetHandleByUUID": self._by_uuid,
            "nvmlDeviceGetName": lambda handle: {"by index 0": "NVIDIA T4", "by index 1": b"NVIDIA L4"}[handle],
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=16_000_000_000),
            "nvmlSystemGetDriverVersion": lambda: "580.1",
            "nvmlSystemGetCudaDriverVersion": lambda: 12080,
            "nvmlDeviceGetClockInfo": lambda handle, kind: {1: 1590, 2: 5001}[kind],
            "nvmlDeviceGetTemperature": lambda handle, sensor: 71,
            "nvmlDeviceGetPowerUsage": lambda handle: 69_500,
            "nvmlDeviceGetTotalEnergyConsumption": lambda handle: 123_456,
            "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 70_000,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: self.reasons,
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: self.reasons,
        }

    def _init(self) -> None:
        self.opened += 1

    def _shutdown(self) -> None:
        self.opened -= 1

    def _by_uuid(self, uuid: str) -> str:
        if uuid != "GPU-known":
            raise nvml.pynvml.NVMLError(nvml.pynvml.NVML_ERROR_NOT_FOUND)
        return "by uuid"

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "FakeDriver":
        for name, answer in self.answers.items():
            monkeypatch.setattr(nvml.pynvml, name, not_supported if name in self.silent else answer)
        return self


def not_supported(*_: object) -> None:
    raise nvml.pynvml.NVMLError(nvml.pynvml.NVML_ERROR_NOT_SUPPORTED)


JETSON = (
    *("nvmlDeviceGetClockInfo", "nvmlDeviceGetTemperature", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetMemoryInfo"),
    *("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetEnforcedPowerLimit"),
    *("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"),
)


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise nvml.pynvml.NVMLError(nvml.pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(nvml.pynvml, "nvmlInit", absent)


@pytest.mark.usefixtures("no_driver")
def test_no_driver_no_gpus() -> None:
    assert gpus() == []


def test_a_driver_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver(count=2).install(monkeypatch)
    first, second = gpus()
    assert first == Gpu(index=0, name="NVIDIA T4", memory_gb=16.0, driver="580.1")
    assert str(second) == "NVIDIA L4 (16 GB, driver 580.1)"
    assert driver.opened == 0


def test_a_driver_that_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver("nvmlDeviceGetCount").install(monkeypatch)
    assert gpus() == []
    assert driver.opened == 0


def test_a_server_gpu_tells_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver().install(monkeypatch)
    watch = GpuWatch("GPU-known")
    assert watch.state() == GpuState(
        sm_mhz=1590.0, memory_mhz=5001.0, temperature_c=71.0, power_w=69.5, energy_mj=123_456.0
    )
    assert watch.fingerprint() == {"gpu_driver": "580.1", "gpu_driver_cuda": "12.8", "gpu_power_limit": "70 W"}
    assert watch.silent == ()
    assert driver.opened == 1
    watch.close()
    watch.close()
    assert driver.opened == 0
    assert watch.state() == GpuState()


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x1, ()),  # idle
        (0x2, ()),  # clocks somebody set: slower, but steady
        (0x4, ("software power cap",)),
        (0x8, ("hardware slowdown",)),
        (0x20, ("software thermal",)),
        (0x40 | 0x8 | 0x1, ("hardware slowdown", "hardware thermal")),
    ],
)
def test_bits_that_slow_the_gpu_down_are_named(
    bits: int, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeDriver().install(monkeypatch).reasons = bits
    assert GpuWatch().state().throttle == words


def test_an_older_driver_knows_the_reasons_by_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeDriver("nvmlDeviceGetCurrentClocksEventReasons").install(monkeypatch).reasons = 0x20
    watch = GpuWatch()
    assert watch.state().throttle == ("software thermal",)
    assert watch.silent == ()


def test_a_jetson_is_found_and_says_nothing_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeDriver(*JETSON).install(monkeypatch)
    watch = GpuWatch("GPU-of-a-board")
    assert watch.state() == GpuState()
    assert watch.state() == GpuState()
    assert watch.fingerprint() == {
        "gpu_driver": "580.1",
        "gpu_driver_cuda": "12.8",
        "gpu_power_limit": "not readable",
    }
    assert watch.silent == tuple(
        f"{what}: NVML says Not Supported"
        for what in (
            *("SM clock", "memory clock", "temperature", "power", "energy counter", "clock event reasons"),
            "power limit",
        )
    )


@pytest.mark.usefixtures("no_driver")
def test_no_driver_is_said() -> None:
    watch = GpuWatch()
    assert watch.state() == GpuState()
    assert watch.silent == ("everything: NVML says NVML Shared Library Not Found",)
    assert watch.fingerprint()["gpu_driver"] == "not readable"
    watch.close()


def test_among_several_the_right_one_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeDriver(count=2).install(monkeypatch)
    assert GpuWatch("GPU-known").silent == ()
    watch = GpuWatch("GPU-other")
    assert watch.silent == ("everything: NVML does not know which of its GPUs this is",)
    assert watch.power_w() is None


def test_a_state_as_plain_values() -> None:
    state = GpuState(sm_mhz=1590.0, power_w=69.5, energy_mj=5.0, throttle=("software thermal", "hardware thermal"))
    assert state.to_dict() == {
        "gpu_sm_mhz": 1590.0,
        "gpu_power_w": 69.5,
        "gpu_throttle": "software thermal, hardware thermal",
    }
    assert GpuState().to_dict() == {}
