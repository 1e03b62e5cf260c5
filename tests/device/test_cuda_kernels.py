from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archlab.device.backends import cuda_kernels
from archlab.device.backends.cuda_kernels import profile_kernels, read_events
from archlab.device.runtime import OpTime
from archlab.errors import DeviceError

CPU_ONLY = [torch.profiler.ProfilerActivity.CPU]


class Recorder:
    """Makes events as torch's profiler does: a tree on the CPU, kernels hanging from the operators."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def event(self, name: str, parent: Any = None, **kernels_us: float) -> Any:
        kernels = [SimpleNamespace(name=kernel, duration=took_us) for kernel, took_us in kernels_us.items()]
        start = SimpleNamespace(start=float(len(self.events)))
        self.events.append(SimpleNamespace(name=name, kernels=kernels, cpu_parent=parent, time_range=start))
        return self.events[-1]

    def run(self, conv_us: float, norm_us: float, *, extra: bool = False) -> None:
        run = self.event("archlab run")
        net = self.event("archlab module ", run)
        stem = self.event("archlab module stem.0", net, **{"archlab module stem.0": 999.0})
        top = self.event("aten::conv2d", stem)
        inner = self.event("aten::_convolution", top)
        self.event("aten::cudnn_convolution", inner, gemm=conv_us, transpose=1.0)
        self.event("aten::add_", inner, bias=2.0)
        self.event("aten::view", net)
        self.event("aten::mean", net, reduce=norm_us)
        if extra:
            self.event("aten::copy_", net, memcpy=50.0)


def test_kernels_go_to_the_outermost_operator_of_the_innermost_module() -> None:
    recorder = Recorder()
    recorder.run(900.0, 90.0)  # the first run does not count
    recorder.run(10.0, 4.0)
    recorder.run(30.0, 5.0)
    recorder.run(20.0, 6.0)
    assert read_events(recorder.events) == (
        OpTime(op="conv2d", node="stem.0/conv2d", module="stem.0", ms=0.023, calls=1),
        OpTime(op="mean", node="/mean", module="", ms=0.005, calls=1),
    )


def test_a_run_with_other_operators_is_left_out() -> None:
    recorder = Recorder()
    for extra in (True, True, False, False, False):
        recorder.run(10.0, 4.0, extra=extra)
    assert [row.op for row in read_events(recorder.events)] == ["conv2d", "mean"]


def test_one_run_counts_where_there_is_no_other() -> None:
    recorder = Recorder()
    recorder.run(10.0, 4.0)
    assert [row.ms for row in read_events(recorder.events)] == [0.013, 0.004]


def test_compiled_kernels_have_names_and_no_module() -> None:
    recorder = Recorder()
    run = recorder.event("archlab run")
    region = recorder.event("Torch-Compiled Region: 0/0", run)
    call = recorder.event("## Call CompiledFxGraph abc ##", region)
    recorder.event("triton_poi_fused_convolution_relu_0", call, triton_poi_fused_convolution_relu_0=7.0)
    recorder.event("aten::convolution", call)
    recorder.event("aten::cudnn_convolution", recorder.events[-1], gemm=8.0)
    assert [(row.op, row.module, row.ms) for row in read_events(recorder.events)] == [
        ("triton_poi_fused_convolution_relu_0", "", 0.007),
        ("convolution", "", 0.008),
    ]


def test_kernels_outside_of_every_run_do_not_count() -> None:
    recorder = Recorder()
    recorder.event("aten::fill_", fill=9.0)
    assert read_events(recorder.events) == ()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.Conv2d(8, 8, 3)])
        self.head = nn.Linear(8, 5)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        return self.head(x_BCHW.mean((2, 3)))


LEAVES = {"aten::mkldnn_convolution", "aten::_slow_conv2d_forward", "aten::clamp_min", "aten::sum", "aten::addmm"}


def test_torchs_own_events_have_the_shape_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profiler, the ranges and the tree are real; only the kernels hang from the operators by hand."""

    def with_kernels(events: Any) -> tuple[OpTime, ...]:
        for event in events:
            if event.name in LEAVES:
                event.append_kernel("kernel", 0, 1000.0)
        return read_events(events)

    monkeypatch.setattr(cuda_kernels, "read_events", with_kernels)
    net = Net().eval()
    image = torch.randn(1, 3, 16, 16)
    waited = []
    with torch.inference_mode():
        rows = profile_kernels(lambda: net(image), net, 3, activities=CPU_ONLY, synchronize=lambda: waited.append(True))
    assert [(row.op, row.module, row.ms) for row in rows] == [
        ("conv2d", "stages.0.0", 1.0),
        ("relu", "stages.0.1", 1.0),
        ("conv2d", "stages.1", 1.0),
        ("mean", "", 1.0),
        ("linear", "head", 1.0),
    ]
    assert waited == [True]
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def test_a_profiler_that_sees_no_kernel_says_so() -> None:
    with pytest.raises(
        DeviceError, match=r"torch's profiler saw no kernel; given: 2 runs; allowed: a driver that lets"
    ):
        profile_kernels(lambda: None, nn.Identity(), 2, activities=CPU_ONLY, synchronize=lambda: None)
