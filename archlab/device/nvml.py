"""What NVIDIA's driver tells of a GPU: who it is, how fast and hot it is, what slows it down, what it draws.

The one file that imports pynvml. Server and desktop GPUs answer; on Jetson boards NVML loads, finds a GPU and then
answers nothing, so every value is asked for by itself, and what stays silent is named (`GpuWatch.silent`), never left
out in silence. Nothing here names a single unit: no serial number, no UUID.

Source: NVML API reference, group device queries; `nvmlClocksEventReasons` for the bits.
"""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import pynvml

__all__ = ["THROTTLE_REASONS", "Gpu", "GpuState", "GpuWatch", "gpus"]

THROTTLE_REASONS: Mapping[int, str] = MappingProxyType(
    {0x4: "software power cap", 0x8: "hardware slowdown", 0x20: "software thermal", 0x40: "hardware thermal"}
)
"""Bits of the driver's clock event reasons that mean: slower than the clocks asked for."""

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """A GPU that NVML answers for."""

    index: int
    name: str
    memory_gb: float
    driver: str

    def __str__(self) -> str:
        return f"{self.name} ({self.memory_gb:.0f} GB, driver {self.driver})"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GpuState:
    """A GPU at one moment; None is what it does not tell. `energy_mj` counts since the driver was loaded."""

    sm_mhz: float | None = None
    memory_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    energy_mj: float | None = None
    throttle: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, float | str]:
        """Give what is known as plain values, but the energy counter, which means nothing by itself."""
        known = {
            "gpu_sm_mhz": self.sm_mhz,
            "gpu_memory_mhz": self.memory_mhz,
            "gpu_temperature_c": self.temperature_c,
            "gpu_power_w": self.power_w,
        }
        found: dict[str, float | str] = {name: value for name, value in known.items() if value is not None}
        return {**found, "gpu_throttle": ", ".join(self.throttle)} if self.throttle else found


class GpuWatch:
    """Reads one GPU until it is closed; one that NVML does not find has nothing to read and says why in `silent`."""

    def __init__(self, uuid: str | None = None) -> None:
        """Find the GPU.

        Args:
            uuid: Which GPU, as CUDA names it; None, or one that NVML does not know, takes the only GPU there is.
        """
        self._handle: Any = None
        self._is_open = False
        self.silent: tuple[str, ...] = ()
        try:
            pynvml.nvmlInit()
            self._is_open = True
            self._handle = _find(uuid)
        except pynvml.NVMLError as error:
            self.silent = (f"everything: {_words(error)}",)
            return
        if self._handle is None:
            self.silent = ("everything: NVML does not know which of its GPUs this is",)

    def state(self) -> GpuState:
        """Read everything once; takes about a millisecond."""
        if self._handle is None:
            return GpuState()
        return GpuState(
            sm_mhz=self._read("SM clock", lambda h: float(pynvml.nvmlDeviceGetClockInfo(h, pynvml.NVML_CLOCK_SM))),
            memory_mhz=self._read(
                "memory clock", lambda h: float(pynvml.nvmlDeviceGetClockInfo(h, pynvml.NVML_CLOCK_MEM))
            ),
            temperature_c=self._read(
                "temperature", lambda h: float(pynvml.nvmlDeviceGetTemperature(h, pynvml.NVML_TEMPERATURE_GPU))
            ),
            power_w=self.power_w(),
            energy_mj=self.energy_mj(),
            throttle=self._throttle(),
        )

    def power_w(self) -> float | None:
        """Read the power of the whole card in W."""
        return self._read("power", lambda h: pynvml.nvmlDeviceGetPowerUsage(h) / 1e3)

    def energy_mj(self) -> float | None:
        """Read the energy since the driver was loaded in mJ; Volta and later."""
        return self._read("energy counter", lambda h: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(h)))

    def fingerprint(self) -> dict[str, str]:
        """Identify driver and settings that move a latency, in words that stay the same while nothing changes."""
        limit = self._read("power limit", lambda h: pynvml.nvmlDeviceGetEnforcedPowerLimit(h) / 1e3)
        driver = self._read("driver", lambda h: _decoded(pynvml.nvmlSystemGetDriverVersion()))
        cuda = self._read("driver's CUDA", lambda h: int(pynvml.nvmlSystemGetCudaDriverVersion()))
        return {
            "gpu_driver": driver or "not readable",
            "gpu_driver_cuda": "not readable" if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
            "gpu_power_limit": "not readable" if limit is None else f"{limit:.0f} W",
        }

    def close(self) -> None:
        """Let go of NVML."""
        if self._is_open:
            self._is_open, self._handle = False, None
            pynvml.nvmlShutdown()

    def _throttle(self) -> tuple[str, ...]:
        bits = self._read("clock event reasons", _reasons) or 0
        return tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)

    def _read(self, what: str, ask: Callable[[Any], _T]) -> _T | None:
        if self._handle is None:
            return None
        try:
            return ask(self._handle)
        except pynvml.NVMLError as error:
            said = f"{what}: {_words(error)}"
            if said not in self.silent:
                self.silent = (*self.silent, said)
            return None


def gpus() -> list[Gpu]:
    """List the GPUs that NVML answers for; empty without a driver (and on Jetson boards, where NVML says nothing)."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_gpu(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _find(uuid: str | None) -> Any:
    if uuid is not None:
        try:
            return pynvml.nvmlDeviceGetHandleByUUID(uuid)
        except pynvml.NVMLError:
            pass
    return pynvml.nvmlDeviceGetHandleByIndex(0) if pynvml.nvmlDeviceGetCount() == 1 else None


def _reasons(handle: Any) -> int:
    """The driver's bits; the function had another name before driver 535."""
    ask = getattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", pynvml.nvmlDeviceGetCurrentClocksThrottleReasons)
    try:
        return int(ask(handle))
    except pynvml.NVMLError:
        return int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def _gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Gpu(
        index=index,
        name=_decoded(pynvml.nvmlDeviceGetName(handle)),
        memory_gb=round(pynvml.nvmlDeviceGetMemoryInfo(handle).total / 1e9, 1),
        driver=_decoded(pynvml.nvmlSystemGetDriverVersion()),
    )


def _decoded(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else text


def _words(error: Exception) -> str:
    return f"NVML says {str(error) or type(error).__name__}"
