import numpy as np
import pytest
import torch
from torch import nn

from archlab.device.backends.ort import OrtBackend, OrtHandle
from archlab.device.backends.torch_eager import TorchEagerBackend, TorchEagerHandle
from archlab.device.catalog import DEVICES, RunSpec
from archlab.device.runtime import Workload
from archlab.errors import DeviceError
from archlab.model.export import to_onnx

SHAPE = (1, 3, 16, 16)
CPU = DEVICES["cpu"]


@pytest.fixture
def workload() -> Workload:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Hardswish(), nn.Conv2d(8, 8, 3, groups=8)).eval()
    return Workload(module=module, onnx=to_onnx(module, SHAPE), input_shape=SHAPE)


def test_onnx_runtime_computes_what_the_module_computes(workload: Workload) -> None:
    handle = OrtBackend().prepare(workload, CPU, RunSpec())
    (found,) = handle.outputs()
    image = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    with torch.no_grad():
        expected = workload.module(torch.from_numpy(image)).numpy()
    assert np.abs(found - expected).max() < 1e-5


def test_onnx_runtime_runs_on_the_threads_asked_for(workload: Workload) -> None:
    settings = OrtHandle(workload, RunSpec(threads=2)).settings()
    assert settings["intra_op_threads"] == "2"
    assert settings["provider"] == "CPUExecutionProvider"
    assert settings["graph_optimisation"] == "ORT_ENABLE_ALL"


def test_a_file_that_is_no_network(workload: Workload) -> None:
    broken = Workload(module=workload.module, onnx=b"not onnx", input_shape=SHAPE)
    with pytest.raises(
        DeviceError, match=r"ONNX Runtime cannot load this network; given: .*; allowed: graphs that .*;"
    ):
        OrtBackend().prepare(broken, CPU, RunSpec())


@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
def test_torch_computes_the_same_in_every_layout(workload: Workload, layout: str) -> None:
    handle = TorchEagerBackend().prepare(workload, CPU, RunSpec(runtime="torch", layout=layout))
    image = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(handle.outputs(), workload.module(image), atol=1e-5)
    is_last = handle._x_BCHW.is_contiguous(memory_format=torch.channels_last)
    assert is_last == (layout == "channels_last")
    assert handle.settings()["layout"] == layout


def test_torch_runs_on_the_threads_asked_for(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    handle = TorchEagerHandle(workload, RunSpec(runtime="torch", threads=1))
    monkeypatch.setattr(handle, "outputs", lambda: seen.append((torch.get_num_threads(), torch.is_grad_enabled())))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        handle.run(3)
    finally:
        torch.set_num_threads(before)
    assert seen == [(1, False)] * 3


def test_torch_runs_in_eval_mode_and_leaves_the_module_in_training(workload: Workload) -> None:
    workload.module.train()
    handle = TorchEagerHandle(workload, RunSpec(runtime="torch"))
    assert not any(part.training for part in handle._module.modules())
    assert workload.module.training
