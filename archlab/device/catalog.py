"""The devices by name: facts with their sources, and whether a device can be reached.

A row is data and holds no connection. What is None is not known. `reach` says where the device answers: ``local`` is
this machine, ``ssh:user@host:port`` a board, ``child:`` the board's agent in a process here, None nowhere: such a
device is estimated, never measured. A user's own devices (`registry`) stand beside the shipped rows; one with a shipped
name keeps that row's facts and becomes measured.
"""

import dataclasses
import functools

from archlab.device import registry, telemetry
from archlab.device.gpu import first_gpu
from archlab.device.reach import LOCAL_NAMES, RUNTIMES
from archlab.device.registry import Entry
from archlab.errors import DeviceError, four_parts, unknown_name

__all__ = ["DEVICES", "Device", "RunSpec", "device", "names", "rows", "run_for"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """One device in one power mode.

    `backends` are runtimes, the first is the default; `calibration` names the constants that the estimates use.
    `ssh_options` are arguments for ssh, `python` is the interpreter there. Peaks are dense, of all cores at the mode's
    clock.
    """

    name: str
    title: str
    kind: str
    arch: str
    peak_fp32_tflops: float | None = None
    peak_fp16_tflops: float | None = None
    mem_bw_gbs: float | None = None
    backends: tuple[str, ...]
    reach: str | None = None
    ssh_options: tuple[str, ...] = ()
    python: str = "python3"
    precision: str
    calibration: str | None = None
    notes: str = ""
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec:
    """What is asked of a device: how to run, and how long a measurement may take.

    `warmup_s` and `max_s` are caps in seconds; a steady device needs less. A block of runs that has begun is ended.
    `power_s` are the seconds of a loop in which the power is read, where the device tells it; 0 asks for none.
    """

    batch: int = 1
    precision: str = "fp32"
    layout: str = "nchw"
    runtime: str = "ort"
    threads: int = 1
    warmup_s: float = 3.0
    max_s: float = 10.0
    power_s: float = 0.0


DEVICES: dict[str, Device] = {
    "cpu": Device(
        name="cpu",
        title="this machine's CPU",
        kind="cpu",
        arch="host",
        backends=("ort", "torch", "torch_compiled", "openvino"),
        reach="local",
        precision="fp32",
        notes="one thread unless asked otherwise; the peak is read from the machine, the bandwidth is not known",
        source="read from the operating system",
    ),
    "cuda": Device(
        name="cuda",
        title="this machine's first NVIDIA GPU",
        kind="gpu",
        arch="host GPU",
        backends=("cuda_graph", "cuda", "cuda_compiled", "trtexec"),
        reach="local",
        precision="fp16",
        notes="PyTorch, batch 1, without host transfer; peaks at the highest clock the driver names",
        source="read from the driver",
    ),
    "orin": Device(
        name="orin",
        title="Jetson AGX Orin 64 GB, MAXN",
        kind="board",
        arch="Ampere GA10B (sm_87)",
        peak_fp32_tflops=5.327,
        peak_fp16_tflops=42.61,
        mem_bw_gbs=204.8,
        backends=("trtexec",),
        precision="fp16",
        calibration="orin",
        notes="TensorRT, FP16, batch 1, without host transfer; 16 SM at 1300.5 MHz, 4 MB L2",
        source="NVIDIA Jetson AGX Orin technical brief (5.3 FP32 TFLOPS, 170 sparse INT8 TOPS, 4 MB L2); "
        "memory clock 3199 MHz × 256 bit; FP16 dense = SM · 2048 FLOP per clock",
    ),
    "nano": Device(
        name="nano",
        title="Jetson Nano 4 GB, 10 W",
        kind="board",
        arch="Maxwell GM20B (sm_53)",
        peak_fp32_tflops=0.236,
        peak_fp16_tflops=0.472,
        mem_bw_gbs=25.6,
        backends=("trtexec",),
        precision="fp16",
        calibration="nano",
        notes="TensorRT 8.2, FP16, batch 1; 1 SM at 921.6 MHz, no tensor cores, 0.25 MB L2",
        source="deviceQuery of a Jetson Nano (1 SM, 922 MHz, 262144 B L2); NVIDIA jetson_benchmarks README "
        "(GPU clock 921.6 MHz); FP16 = 2 × FP32",
    ),
    "t4": Device(
        name="t4",
        title="NVIDIA T4, 70 W",
        kind="gpu",
        arch="Turing TU104 (sm_75)",
        peak_fp32_tflops=8.1,
        peak_fp16_tflops=65.0,
        mem_bw_gbs=320.0,
        backends=("trtexec",),
        precision="fp16",
        calibration="t4",
        notes="TensorRT, FP16, batch 1; 40 SM at 1590 MHz, 4 MB L2; it throttles under sustained load",
        source="NeuSight device_configs (Tesla T4: 8.1 FP32 TFLOPS, 320 GB/s); FP16 peak from NVIDIA's data sheet",
    ),
}


def device(name: str) -> Device:
    """Find a device, the user's own first; what the row of the host leaves open is read from the machine.

    Raises:
        UnknownNameError: With the nearest known name.
        DeviceError: When the file of the user's devices is damaged.
    """
    row = DEVICES.get(name)
    if name in LOCAL_NAMES and row is not None:
        return _of_this_machine(row)
    found = rows()
    if name not in found:
        raise unknown_name("device", name, found, "see: archlab device list; archlab device add NAME --ssh user@host")
    return found[name]


def rows() -> dict[str, Device]:
    """Give every device by name, the shipped ones first.

    Raises:
        DeviceError: When the file of the user's devices is damaged.
    """
    return DEVICES | {name: _added(name, entry) for name, entry in registry.entries().items()}


def names() -> tuple[str, ...]:
    """Name every device, the shipped ones first."""
    return tuple(rows())


def _added(name: str, entry: Entry) -> Device:
    shipped = DEVICES.get(name)
    backends = entry.backends or (("trtexec",) if shipped is None else shipped.backends)
    is_shipped_runtime = shipped is not None and shipped.backends[0] == backends[0]
    precision = entry.precision or (shipped.precision if shipped and is_shipped_runtime else RUNTIMES[backends[0]][0])
    base = shipped or Device(
        name=name,
        title=f"{name}, added by you",
        kind="board",
        arch="not known",
        backends=backends,
        precision=precision,
        source="archlab device add",
    )
    return dataclasses.replace(
        base,
        reach=entry.reach,
        ssh_options=entry.ssh_options,
        python=entry.python,
        backends=backends,
        precision=precision,
    )


def run_for(
    row: Device,
    *,
    runtime: str | None = None,
    precision: str | None = None,
    batch: int = 1,
    threads: int | None = None,
    layout: str | None = None,
    **caps: float,
) -> RunSpec:
    """Fill a run with the device's defaults: its first runtime, its precision, one thread.

    Args:
        row: The device.
        runtime: A runtime of the device.
        precision: A precision of the runtime.
        batch: Images per inference.
        threads: CPU threads.
        layout: ``nchw`` or ``channels_last``.
        **caps: `warmup_s`, `max_s` and `power_s`.

    Raises:
        DeviceError: For a batch below 1, or for settings that the estimate of an unreachable device does not know.
    """
    if batch < 1:
        raise DeviceError(
            four_parts("no such batch", given=batch, allowed="1 or more", do="give the number of images per inference")
        )
    if row.reach is None:
        _check_estimate(row, runtime=runtime, precision=precision, batch=batch, threads=threads, layout=layout)
    plain = RunSpec(runtime=runtime or row.backends[0], precision=precision or row.precision, batch=batch)
    return dataclasses.replace(plain, threads=threads or plain.threads, layout=layout or plain.layout, **caps)  # type: ignore[arg-type]


def _check_estimate(row: Device, **asked: object) -> None:
    known = {"runtime": row.backends[0], "precision": row.precision, "batch": 1, "threads": 1, "layout": "nchw"}
    for name, value in known.items():
        if asked[name] not in (None, value):
            raise DeviceError(
                four_parts(
                    f"{row.name} cannot be reached, and its estimate knows one {name} only",
                    given=asked[name],
                    allowed=str(value),
                    do=f"leave {name} out, or choose a device that is measured",
                )
            )


@functools.cache
def _of_this_machine(row: Device) -> Device:
    if row.kind == "gpu":
        return _first_gpu(row)
    cpu = telemetry.cpu()
    return dataclasses.replace(
        row,
        title=f"{cpu.model}, {cpu.cores} cores",
        arch=" ".join((cpu.machine, *cpu.isa)),
        peak_fp32_tflops=cpu.peak_fp32_tflops,
    )


def _first_gpu(row: Device) -> Device:
    """The row of the GPU that torch sees; where it sees none the row stays, and measuring it says what is missing."""
    gpu = first_gpu()
    if gpu is None:
        return row
    return dataclasses.replace(
        row,
        title=f"{gpu.name}, {gpu.memory_gb:.0f} GB",
        arch=gpu.arch,
        peak_fp32_tflops=gpu.peak_fp32_tflops,
        peak_fp16_tflops=gpu.peak_fp16_tflops,
        mem_bw_gbs=gpu.mem_bw_gbs,
    )
