"""The CUDA runtimes on a GPU made of paper: torch on the CPU, and a driver that writes down what it was asked."""

import copy
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archlab.device.backends.cuda import MODES, CudaBackend, CudaHandle
from archlab.device.backends.cuda_driver import TorchDriver, numerics, numerics_words
from archlab.device.catalog import DEVICES, RunSpec
from archlab.device.gpu import CudaGpu
from archlab.device.nvml import GpuState
from archlab.device.runtime import Workload
from archlab.errors import DeviceError, DeviceUnreachable, UnknownNameError

SHAPE = (2, 3, 16, 16)
GPU = CudaGpu(name="NVIDIA Paper", capability=90, sms=132, memory_gb=80.0, sm_mhz=1980.0, cuda="13.0", cudnn="91500")
CUDA = DEVICES["cuda"]


class PaperWatch:
    """Tells its clock and its power, unless the driver is silent."""

    def __init__(self, driver: "PaperDriver") -> None:
        self.driver = driver
        self.silent: tuple[str, ...] = driver.silent
        self.is_closed = False

    def state(self) -> GpuState:
        self.driver.log.append("state")
        return GpuState(sm_mhz=1980.0, power_w=300.0, throttle=self.driver.throttle)

    def power_w(self) -> float | None:
        return None if self.driver.silent else 60.0

    def energy_mj(self) -> float | None:
        return None

    def fingerprint(self) -> dict[str, str]:
        return {"gpu_driver": "580.1", "gpu_power_limit": "700 W"}

    def close(self) -> None:
        self.is_closed = True


class PaperEvent:
    """Every mark lies 2 ms behind the one before."""

    def __init__(self, driver: "PaperDriver") -> None:
        self.driver = driver
        self.at_ms = -1.0

    def record(self) -> None:
        self.driver.log.append("record")
        self.driver.now_ms += 2.0
        self.at_ms = self.driver.now_ms

    def elapsed_time(self, later: "PaperEvent") -> float:
        assert self.driver.log[-1] == "synchronize", "asked for a time before the queue was empty"
        return later.at_ms - self.at_ms


class PaperDriver:
    device = torch.device("cpu")

    def __init__(self, gpu: CudaGpu | None = GPU) -> None:
        self.found = gpu
        self.log: list[str] = []
        self.now_ms = 0.0
        self.throttle: tuple[str, ...] = ()
        self.silent: tuple[str, ...] = ()
        self.watches: list[PaperWatch] = []
        self.events = 0
        self.capture_error: Exception | None = None

    def gpu(self) -> CudaGpu | None:
        return self.found

    def watch(self) -> Any:
        self.watches.append(PaperWatch(self))
        return self.watches[-1]

    def event(self) -> PaperEvent:
        self.events += 1
        return PaperEvent(self)

    def synchronize(self) -> None:
        self.log.append("synchronize")

    def capture(self, call: Callable[[], Tensor]) -> Callable[[], Tensor]:
        if self.capture_error is not None:
            raise self.capture_error
        output = call()
        self.log.append(f"captured with {numerics_words()['tf32']} TF32, inference {torch.is_inference_mode_enabled()}")

        def replay() -> Tensor:
            self.log.append("replay")
            return output

        return replay

    def compile(self, module: nn.Module) -> Callable[[Tensor], Tensor]:
        self.log.append("compile")
        return module

    def activities(self) -> list[torch.profiler.ProfilerActivity]:
        return [torch.profiler.ProfilerActivity.CPU]

    def release(self, *, is_compiled: bool) -> None:
        self.log.append("forget" if is_compiled else "release")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(8, 5)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(self.stem(x_BCHW).mean((2, 3)))


@pytest.fixture
def workload() -> Workload:
    torch.manual_seed(0)
    return Workload(module=Net(), onnx=b"", input_shape=SHAPE)


def prepared(workload: Workload, runtime: str, driver: PaperDriver | None = None, **changes: Any) -> CudaHandle:
    run = RunSpec(**{"runtime": runtime, "precision": "fp32", "batch": 2} | changes)
    return CudaBackend(driver or PaperDriver()).prepare(workload, CUDA, run)


@pytest.mark.parametrize("runtime", MODES)
def test_it_computes_what_the_module_computes(runtime: str, workload: Workload) -> None:
    handle = prepared(workload, runtime)
    image = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = copy.deepcopy(workload.module).eval()(image)
    assert torch.allclose(handle.outputs(), expected, atol=1e-5)


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
def test_weights_and_input_take_the_precision_and_the_layout(
    precision: str, dtype: torch.dtype, layout: str, workload: Workload
) -> None:
    handle = prepared(workload, "cuda", precision=precision, layout=layout)
    weight = handle._module.get_parameter("stem.0.weight")
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    for tensor in (weight, handle._x_BCHW):
        assert tensor.dtype == dtype
        assert tensor.is_contiguous(memory_format=form)
    assert not any(part.training for part in handle._module.modules())
    assert workload.module.training
    assert workload.module.get_parameter("stem.0.weight").dtype == torch.float32
    assert handle.settings()["precision"] == precision
    assert handle.settings()["layout"] == layout
    assert handle.settings()["cast"] == f"weights and input in {precision}"


def test_a_graph_is_captured_once_and_replayed(workload: Workload) -> None:
    driver = PaperDriver()
    handle = prepared(workload, "cuda_graph", driver)
    assert driver.log == ["captured with off TF32, inference True"]
    driver.log.clear()
    samples = handle.run(3)
    assert driver.log == [*(["record", "replay", "record"] * 3), "state", "synchronize"]
    assert samples.wall_ns.tolist() == [2_000_000] * 3
    assert samples.cpu_ns is None
    assert samples.switches is None
    assert handle.settings()["mode"] == "CUDA graph of the eager network, replayed"


def test_eager_captures_nothing_and_compiled_compiles_before_it_captures(workload: Workload) -> None:
    driver = PaperDriver()
    prepared(workload, "cuda", driver)
    assert driver.log == []
    handle = prepared(workload, "cuda_compiled", driver)
    assert driver.log == ["compile", "captured with off TF32, inference True"]
    assert "max-autotune-no-cudagraphs" in handle.settings()["mode"]
    handle.close()
    assert driver.log[-1] == "forget"


def test_events_are_made_once(workload: Workload) -> None:
    driver = PaperDriver()
    handle = prepared(workload, "cuda_graph", driver)
    handle.run(4)
    handle.run(3)
    handle.run(5)
    assert driver.events == 10


def test_the_state_of_the_gpu_stands_with_the_samples(workload: Workload) -> None:
    driver = PaperDriver()
    handle = prepared(workload, "cuda_graph", driver)
    samples = handle.run(2)
    assert samples.facts.items() >= {"gpu_sm_mhz": 1980.0, "gpu_power_w": 300.0}.items()
    assert samples.facts["enqueue_share"] >= 0
    assert not samples.is_throttled
    driver.throttle = ("software thermal",)
    samples = handle.run(2)
    assert samples.is_throttled
    assert samples.facts["gpu_throttle"] == "software thermal"
    assert "gpu_not_readable" not in samples.facts
    assert "power_w" not in samples.facts


def test_a_gpu_that_does_not_tell_is_said_to_be_silent(workload: Workload) -> None:
    driver = PaperDriver()
    driver.silent = ("power: NVML says Not Supported", "SM clock: NVML says Not Supported")
    handle = prepared(workload, "cuda_graph", driver, power_s=3.0)
    facts = handle.run(1).facts
    assert facts["gpu_not_readable"] == "power: NVML says Not Supported; SM clock: NVML says Not Supported"
    assert "energy_mj" not in facts


def test_energy_is_power_above_idle_times_the_median(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def powers(work: Callable[[], object], meter: object, *, seconds: float) -> dict[str, Any]:
        asked.update(seconds=seconds, samples=len(work()))  # type: ignore[arg-type]
        return {"idle_power_w": 60.0, "power_w": 310.0}

    monkeypatch.setattr("archlab.device.backends.cuda.read_power", powers)
    handle = prepared(workload, "cuda_graph", power_s=4.0)
    facts = handle.run(5).facts
    assert asked == {"seconds": 4.0, "samples": 125}  # a quarter of a second of 2 ms
    assert (facts["idle_power_w"], facts["power_w"]) == (60.0, 310.0)
    assert facts["energy_mj"] == 500.0  # 250 W · 2 ms


def test_settings_say_the_precision_of_products(workload: Workload) -> None:
    before = numerics_words()
    settings = prepared(workload, "cuda").settings()
    assert settings["tf32"] == "off"
    assert settings["cudnn_benchmark"] == "on"
    assert settings["outputs"] == "finite"
    assert numerics_words() == before == {**before, "tf32": "on for convolutions and recurrent layers"}


def test_outputs_that_overflow_are_said(workload: Workload) -> None:
    with torch.no_grad():
        workload.module.get_parameter("head.weight").fill_(6e4)
        workload.module.get_parameter("head.bias").fill_(6e4)
        workload.module.get_parameter("stem.0.bias").fill_(100.0)
    assert prepared(workload, "cuda", precision="fp16").settings()["outputs"] == "not finite in this precision"


def test_older_torch_has_other_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        allow_tf32 = True
        allow_fp16_reduced_precision_reduction = False
        benchmark = False

    matmul, cudnn = Old(), Old()
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul)
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    assert numerics_words()["tf32"] == "on for matrix products and convolutions"
    assert numerics_words()["fp16_sums_in_fp16"] == "no"
    with numerics():
        assert (matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark) == (False, False, True)
    assert (matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark) == (True, True, False)


def test_closing_gives_everything_back(workload: Workload) -> None:
    driver = PaperDriver()
    handle = prepared(workload, "cuda_graph", driver)
    handle.close()
    assert driver.log[-1] == "release"
    assert driver.watches[-1].is_closed
    assert not hasattr(handle, "_module")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nmore"),
            (
                "the network does not fit the GPU's memory; given: runtime cuda_graph, fp32, batch 2: CUDA out of "
                "memory. Tried to allocate 20 GiB.; allowed: networks that fit; lower the batch or the resolution"
            ),
        ),
        (
            RuntimeError("operation not permitted when stream is capturing"),
            (
                "torch cannot run this network on the GPU; given: runtime cuda_graph, fp32, batch 2: operation not "
                "permitted when stream is capturing; allowed: networks that torch can capture and compile; try "
                "runtime cuda or cuda_compiled"
            ),
        ),
    ],
)
def test_a_network_that_cannot_run(error: Exception, words: str, workload: Workload) -> None:
    driver = PaperDriver()
    driver.capture_error = error
    with pytest.raises(DeviceError) as raised:
        prepared(workload, "cuda_graph", driver)
    assert str(raised.value) == words
    assert driver.watches[-1].is_closed
    assert driver.log[-1] == "release"


def test_an_interrupt_gives_the_memory_back_too(workload: Workload) -> None:
    driver = PaperDriver()
    driver.capture_error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        prepared(workload, "cuda_graph", driver)
    assert driver.log[-1] == "release"


def test_without_a_gpu_nothing_is_reached(workload: Workload) -> None:
    backend = CudaBackend(PaperDriver(None))
    for ask in (
        lambda: backend.fingerprint(CUDA),
        lambda: backend.prepare(workload, CUDA, RunSpec(runtime="cuda", precision="fp16")),
    ):
        with pytest.raises(
            DeviceUnreachable,
            match=r"device 'cuda' cannot be measured: torch sees no NVIDIA GPU; given: torch .*, built .*; allowed: a "
            r"GPU with NVIDIA's driver, and a torch built for CUDA; see what is missing with: archlab device check",
        ):
            ask()


def test_bfloat16_needs_a_gpu_that_knows_it(workload: Workload) -> None:
    turing = CudaGpu(name="NVIDIA T4", capability=75, sms=40, memory_gb=15.8, cuda="12.4", cudnn="90100")
    with pytest.raises(DeviceError, match=r"only emulates bfloat16; given: NVIDIA T4 \(sm_75\); allowed: bf16 from"):
        prepared(workload, "cuda", PaperDriver(turing), precision="bf16")
    assert prepared(workload, "cuda", PaperDriver(turing), precision="fp16").settings()["precision"] == "fp16"


def test_a_runtime_of_another_kind(workload: Workload) -> None:
    with pytest.raises(UnknownNameError, match="no runtime of torch on a GPU 'ort'"):
        prepared(workload, "ort")


def test_the_fingerprint_names_the_gpu_and_no_unit() -> None:
    driver = PaperDriver()
    found = CudaBackend(driver).fingerprint(CUDA)
    expected = {"gpu": "NVIDIA Paper", "gpu_arch": "sm_90", "gpu_sms": "132", "gpu_memory": "80 GB", "cuda": "13.0"}
    assert found.items() >= (expected | {"gpu_driver": "580.1", "cudnn": "91500"}).items()
    assert all(isinstance(value, str) for value in found.values())
    assert driver.watches[-1].is_closed


@pytest.mark.skipif(
    torch.cuda.is_available() or bool(os.environ.get("CUDA_VISIBLE_DEVICES")), reason="there is a GPU here"
)
def test_torch_without_a_gpu_finds_none() -> None:
    assert TorchDriver().gpu() is None
