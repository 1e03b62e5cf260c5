"""What can be read of the machine: who it is (stable, part of cache keys) and how it is (changes, kept with samples).

Nothing that names a person, a host or a single unit: no host name, no serial number, no UUID. GPUs: see `nvml`.
"""

import dataclasses
import functools
import importlib.metadata
import os
import platform
from pathlib import Path

__all__ = ["Cpu", "cpu", "fingerprint", "state"]

_ISA = (
    *("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"),
    *("asimd", "asimddp", "fphp", "sve", "i8mm", "bf16"),
)
"""Instruction sets that move the latency of a network, by Linux's names (x86, then ARM)."""

_VERSIONS = ("torch", "onnxruntime", "onnx", "numpy")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cpu:
    """The CPU as far as the operating system shows it; `cores` are those this process may use."""

    model: str
    machine: str
    cores: int
    isa: tuple[str, ...]
    max_mhz: float | None

    @property
    def peak_fp32_tflops(self) -> float | None:
        """Estimate the FP32 peak of the visible cores in TFLOPS: clock times the widest vector unit's rate.

        Convention, FLOP per clock and core: 32 with AVX2 and FMA (two 256-bit units), 64 with AVX-512 on Intel's, 16
        with ARM's ASIMD, 8 otherwise. None where the clock cannot be read.
        """
        if self.max_mhz is None:
            return None
        rate = 8
        if "fma" in self.isa:
            rate = 64 if "avx512f" in self.isa and "Intel" in self.model else 32
        elif "asimd" in self.isa:
            rate = 16
        return round(self.cores * self.max_mhz * rate * 1e-6, 3)


@functools.cache
def cpu(root: Path = Path("/")) -> Cpu:
    """Read what the CPU is; `root` stands in for the file system's root."""
    info = _cpuinfo(root)
    flags = (info.get("flags") or info.get("Features") or "").split()
    return Cpu(
        model=info.get("model name")
        or info.get("Model")
        or platform.processor()
        or platform.machine()
        or "unknown CPU",
        machine=platform.machine(),
        cores=_visible_cores(),
        isa=tuple(flag for flag in _ISA if flag in flags),
        max_mhz=_max_mhz(root, info),
    )


def fingerprint(root: Path = Path("/")) -> dict[str, str]:
    """Describe the machine and the software in words that stay the same while nothing changes."""
    chip = cpu(root)
    return {
        "cpu": chip.model,
        "machine": chip.machine,
        "cores": str(chip.cores),
        "isa": " ".join(chip.isa),
        "os": f"{platform.system()} {platform.release()}",
        "governor": _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not readable",
        "python": platform.python_version(),
        **{name: _version(name) for name in _VERSIONS},
    }


def state(root: Path = Path("/")) -> dict[str, float]:
    """Read how busy, fast and hot the machine is now; what cannot be read is left out.

    Returns:
        ``load_1min`` (runnable processes), ``mhz`` (fastest core's clock), ``throttle_events`` (thermal events of all
        cores since boot).
    """
    found: dict[str, float] = {}
    if hasattr(os, "getloadavg"):
        found["load_1min"] = round(os.getloadavg()[0], 2)
    clocks = [_number(path) for path in _cores(root, "cpufreq/scaling_cur_freq")]
    if clocks:
        found["mhz"] = max(clocks) / 1000
    events = [_number(path) for path in _cores(root, "thermal_throttle/core_throttle_count")]
    if events:
        found["throttle_events"] = sum(events)
    return found


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty on other systems."""
    first = (_text(root / "proc/cpuinfo") or "").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def _max_mhz(root: Path, info: dict[str, str]) -> float | None:
    limits = [_number(path) for path in _cores(root, "cpufreq/cpuinfo_max_freq")]
    if limits:
        return max(limits) / 1000
    now = info.get("cpu MHz")
    return round(float(now), -2) if now else None


def _cores(root: Path, name: str) -> list[Path]:
    found = (root / "sys/devices/system/cpu").glob(f"cpu[0-9]*/{name}")
    return [path for path in found if _text(path)]


def _number(path: Path) -> float:
    return float(_text(path) or 0)


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _visible_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
