"""torch.compile on the CPU, for real: a small network, compiled by the C++ compiler at hand."""

import shutil
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from archlab.device.backends.torch_compiled import TorchCompiledBackend, TorchCompiledHandle, read_kernels
from archlab.device.backends.torch_eager import sample_input
from archlab.device.catalog import DEVICES, RunSpec
from archlab.device.measure import measure
from archlab.device.runtime import OpTime, Workload
from archlab.errors import DeviceError

CPU = DEVICES["cpu"]
SHAPE = (1, 3, 16, 16)
RUN = RunSpec(runtime="torch_compiled")

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler: inductor cannot be tested")


@pytest.fixture
def workload() -> Workload:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.GELU(), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.Linear(1152, 4)
    )
    return Workload(module=module.eval(), onnx=b"", input_shape=SHAPE)


@pytest.fixture
def handle(workload: Workload) -> Iterator[TorchCompiledHandle]:
    made = TorchCompiledBackend().prepare(workload, CPU, RUN)
    yield made
    made.close()


def test_it_computes_what_the_module_computes(workload: Workload, handle: TorchCompiledHandle) -> None:
    with torch.inference_mode():
        assert torch.allclose(handle.outputs(), workload.module(sample_input(SHAPE, "nchw")), atol=1e-5)


def test_it_says_precision_threads_and_the_price_of_compiling(handle: TorchCompiledHandle) -> None:
    settings = handle.settings()
    assert settings["precision"] == "fp32"
    assert settings["intra_op_threads"] == "1"
    assert settings["graphs"] == "1"
    assert float(settings["compile_s"]) >= 0
    assert "inductor" in settings["mode"]


def test_the_kernels_of_inductor_are_timed(handle: TorchCompiledHandle) -> None:
    rows = handle.profile(3)
    assert [row.op for row in rows if row.op in {"convolution", "addmm"}] == ["convolution", "convolution", "addmm"]
    assert any(row.op.startswith("cpp_fused_") for row in rows)
    assert all(row.ms > 0 and row.module == "" for row in rows)
    assert handle.run(2).wall_ns.max() < 1e9  # the measured copy is still compiled


def test_nothing_is_compiled_inside_of_a_measurement(workload: Workload, handle: TorchCompiledHandle) -> None:
    TorchCompiledBackend().prepare(workload, CPU, RUN).close()
    with pytest.raises(DeviceError, match=r"was dropped.*; given: .*; allowed: one at a time; .*"):
        handle.run(1)


def test_more_networks_than_torch_remembers_are_all_compiled() -> None:
    for width in range(1, 11):  # torch gives up on a line of source after eight versions, and runs it as it is
        workload = Workload(module=nn.Sequential(nn.Conv2d(3, width, 1)).eval(), onnx=b"", input_shape=(1, 3, 4, 4))
        made = TorchCompiledBackend().prepare(workload, CPU, RUN)
        assert made.settings()["graphs"] == "1"
        made.close()


def test_a_measurement_holds_what_compiling_took(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(
        workload.module, CPU, RunSpec(runtime="torch_compiled", warmup_s=0.05, max_s=0.1), input_shape=SHAPE
    )
    assert found.source == "measured:torch_compiled@cpu"
    assert found.environment["settings"]["graphs"] == "1"
    assert found.environment["fingerprint"]["runtime"] == f"torch {torch.__version__} inductor"
    assert found.median_ms < 100


def test_what_cannot_be_compiled_is_said(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        def call(x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("No working C++ compiler found\nin the usual places")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    message = r"torch.compile cannot compile this network here; given: No working C\+\+ compiler found in the usual"
    with pytest.raises(DeviceError, match=message):
        TorchCompiledBackend().prepare(workload, CPU, RUN)


def kernel(name: str, start: float, us: float) -> Any:
    return SimpleNamespace(name=name, time_range=SimpleNamespace(start=start), cpu_time_total=us, cpu_children=[])


def call(name: str, *kernels: Any) -> Any:
    return SimpleNamespace(name=f"## Call CompiledFxGraph {name} ##", cpu_children=list(kernels))


def test_kernels_of_several_runs_become_one_row_each() -> None:
    events = []
    for us in (30.0, 10.0, 20.0):
        events.append(kernel("aten::empty", 0, 99))
        events.append(call("f1", kernel("aten::convolution", 2, us), kernel("graph_3_cpp_fused_add_relu_1", 1, 1.0)))
        events.append(call("f2", kernel("mkl::_mkl_linear", 5, us / 10)))
    assert read_kernels(events) == (
        OpTime(op="cpp_fused_add_relu", node="cpp_fused_add_relu_1", module="", ms=0.001, calls=1),
        OpTime(op="convolution", node="convolution", module="", ms=0.02, calls=1),
        OpTime(op="_mkl_linear", node="_mkl_linear", module="", ms=0.002, calls=1),
    )
