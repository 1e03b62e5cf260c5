"""This machine's first NVIDIA GPU as torch sees it: its name, its architecture, its peaks.

Convention: peaks are dense, at the highest clock that the driver names; FP16 with tensor cores where there are any.
Rates per clock and SM are those of NVIDIA's tuning guides and white papers; an architecture that is not in the table
has no peak.
"""

import dataclasses
import functools

import torch

__all__ = ["CudaGpu", "first_gpu", "uuid_of"]

_FLOP_PER_CLOCK_AND_SM: dict[int, tuple[int, int]] = {
    53: (256, 512),
    60: (128, 256),
    61: (256, 4),
    62: (256, 512),
    70: (128, 1024),
    72: (128, 1024),
    75: (128, 1024),
    80: (128, 2048),
    86: (256, 1024),
    87: (256, 2048),
    89: (256, 1024),
    90: (256, 4096),
    100: (256, 8192),
    120: (256, 1024),
}
"""sm_XX → FLOP of one SM in one clock, (FP32, FP16); a fused multiply-add counts as two."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CudaGpu:
    """What torch reads of a GPU. Clocks and bus width are None where torch is too old to tell."""

    name: str
    capability: int
    sms: int
    memory_gb: float
    sm_mhz: float | None = None
    memory_mhz: float | None = None
    bus_bits: int | None = None
    cuda: str
    cudnn: str

    @property
    def arch(self) -> str:
        """The architecture as compilers call it, e.g. ``sm_90``."""
        return f"sm_{self.capability}"

    @property
    def has_bf16(self) -> bool:
        """True where the tensor cores know bfloat16 (Ampere and later); older ones emulate it."""
        return self.capability >= 80

    @property
    def peak_fp32_tflops(self) -> float | None:
        """FP32 peak in TFLOPS, TF32 not used."""
        return self._peak(0)

    @property
    def peak_fp16_tflops(self) -> float | None:
        """Dense FP16 peak in TFLOPS."""
        return self._peak(1)

    @property
    def mem_bw_gbs(self) -> float | None:
        """Memory bandwidth in GB/s: two transfers per clock on every line of the bus."""
        if not self.memory_mhz or not self.bus_bits:
            return None
        return round(2 * self.memory_mhz * 1e6 * self.bus_bits / 8 / 1e9, 1)

    def _peak(self, which: int) -> float | None:
        rates = _FLOP_PER_CLOCK_AND_SM.get(self.capability)
        if rates is None or not self.sm_mhz:
            return None
        return round(self.sms * self.sm_mhz * 1e6 * rates[which] / 1e12, 2)


@functools.cache
def first_gpu() -> CudaGpu | None:
    """Read the first GPU that torch sees; None where it sees none."""
    if not torch.cuda.is_available():
        return None
    found = torch.cuda.get_device_properties(0)
    return CudaGpu(
        name=found.name,
        capability=10 * found.major + found.minor,
        sms=found.multi_processor_count,
        memory_gb=round(found.total_memory / 1e9, 1),
        sm_mhz=_mhz(getattr(found, "clock_rate", None)),
        memory_mhz=_mhz(getattr(found, "memory_clock_rate", None)),
        bus_bits=getattr(found, "memory_bus_width", None),
        cuda=torch.version.cuda or "unknown",
        cudnn=str(torch.backends.cudnn.version()),
    )


def uuid_of(index: int = 0) -> str | None:
    """Name a GPU as NVML knows it, only to find it there; it identifies the unit and is kept nowhere."""
    found = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    return None if found is None else f"GPU-{found}"


def _mhz(khz: int | None) -> float | None:
    return khz / 1e3 if khz else None
