"""The CUDA runtimes on a real GPU; skipped where torch sees none."""

import pytest
import torch

from archlab.api.target import resolve
from archlab.api.timing import deployed
from archlab.device.backends.cuda import MODES, CudaBackend
from archlab.device.backends.cuda_driver import TorchDriver
from archlab.device.catalog import RunSpec, device
from archlab.device.gpu import first_gpu, uuid_of
from archlab.device.measure import measure
from archlab.device.profile import by_module, profile_ops
from archlab.device.runtime import Workload
from archlab.errors import DeviceError

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no NVIDIA GPU on this machine"),
]

TOLERANCES = {"fp32": 1e-3, "fp16": 0.03, "bf16": 0.2}
SIDE = 128


@pytest.fixture(scope="module")
def workload() -> Workload:
    torch.manual_seed(0)
    module = deployed(resolve("edgenext_xx_small").at(SIDE))
    return Workload(module=module, onnx=b"", input_shape=(1, 3, SIDE, SIDE))


@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("runtime", ["cuda", "cuda_graph"])
def test_the_gpu_computes_what_the_cpu_computes(runtime: str, precision: str, layout: str, workload: Workload) -> None:
    run = RunSpec(runtime=runtime, precision=precision, layout=layout)
    handle = CudaBackend().prepare(workload, device("cuda"), run)
    image = torch.randn(workload.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = workload.module(image)
    found = handle.outputs().float().cpu()
    handle.close()
    assert (found - expected).abs().max() <= TOLERANCES[precision] * expected.abs().max()


@pytest.mark.slow
def test_compiled_computes_the_same(workload: Workload) -> None:
    handle = CudaBackend().prepare(workload, device("cuda"), RunSpec(runtime="cuda_compiled", precision="fp32"))
    image = torch.randn(workload.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = workload.module(image)
    assert (handle.outputs().cpu() - expected).abs().max() <= 1e-3 * expected.abs().max()
    assert handle.profile(3)
    handle.close()


def test_a_graph_is_no_slower_than_eager_and_gpu_and_wall_agree(workload: Workload) -> None:
    medians = {}
    for runtime in ("cuda", "cuda_graph"):
        run = RunSpec(runtime=runtime, precision="fp16", warmup_s=1.0, max_s=2.0)
        found = measure(workload.module, device("cuda"), run, input_shape=workload.input_shape)
        assert found.quality in {"ok", "noisy", "throttled"}
        assert found.environment["gpu_sm_mhz"] > 0
        assert found.environment["settings"]["tf32"] == "off"
        medians[runtime] = found.median_ms
    assert medians["cuda_graph"] <= 1.05 * medians["cuda"]


def test_energy_is_read_where_the_gpu_tells_it(workload: Workload) -> None:
    run = RunSpec(runtime="cuda_graph", precision="fp16", power_s=3.0, warmup_s=1.0, max_s=1.0)
    found = measure(workload.module, device("cuda"), run, input_shape=workload.input_shape).environment
    if "power_w" not in found:
        assert "power" in found["gpu_not_readable"]
        return
    assert found["power_w"] > found["idle_power_w"] > 0
    assert found["energy_mj"] > 0
    assert found["power_loop_s"] >= 3.0


def test_kernels_are_joined_to_modules(workload: Workload) -> None:
    rows = profile_ops(
        workload.module, device("cuda"), RunSpec(runtime="cuda_graph", precision="fp16"), input_shape=(1, 3, SIDE, SIDE)
    )
    assert any(row.op == "conv2d" and row.module.startswith("stages.0") for row in rows)
    assert all(row.ms > 0 for row in rows)
    named = sum(group.ms for group in by_module(rows) if group.name)
    assert named > 0.8 * sum(row.ms for row in rows)


def test_a_network_too_large_for_the_memory_is_refused() -> None:
    gpu = first_gpu()
    assert gpu is not None
    module = torch.nn.Conv2d(3, 4096, 1)
    side = int((gpu.memory_gb * 1e9 * 2 / (4096 * 2)) ** 0.5)
    workload = Workload(module=module, onnx=b"", input_shape=(1, 3, side, side))
    with pytest.raises(DeviceError, match="does not fit the GPU's memory"):
        CudaBackend().prepare(workload, device("cuda"), RunSpec(runtime="cuda", precision="fp16"))


def test_nvml_finds_the_same_gpu() -> None:
    assert (uuid_of() or "GPU-").startswith("GPU-")
    watch = TorchDriver().watch()
    state = watch.state()
    watch.close()
    assert state.sm_mhz or watch.silent


@pytest.mark.parametrize("runtime", MODES)
def test_the_fingerprint_is_stable(runtime: str) -> None:
    assert CudaBackend().fingerprint(device("cuda")) == CudaBackend().fingerprint(device("cuda"))
