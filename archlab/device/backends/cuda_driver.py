"""All that the CUDA runtimes ask of torch.cuda, in one place: where tensors go, events, graphs, compilation.

`TorchDriver` is the real one. A test gives another, on the CPU, that writes down what it was asked.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from archlab.device.gpu import CudaGpu, first_gpu, uuid_of
from archlab.device.nvml import GpuWatch

__all__ = ["COMPILE_MODE", "Driver", "Event", "TorchDriver", "numerics", "numerics_words"]

COMPILE_MODE = "max-autotune-no-cudagraphs"
"""Inductor's longest search; the graph is ours, so that eager, graph and compiled differ in one thing at a time."""

_CAPTURE_WARMUP_RUNS = 3


class Event(Protocol):
    """A mark in the GPU's queue."""

    def record(self) -> None:
        """Put the mark behind all that was enqueued."""

    def elapsed_time(self, later: Any) -> float:
        """Give the ms from this mark to a later one; both must have been passed."""


class Driver(Protocol):
    """A GPU that can be told what to do. `device` is where the module and its input live."""

    device: torch.device

    def gpu(self) -> CudaGpu | None:
        """Say which GPU it is; None without one."""

    def watch(self) -> GpuWatch:
        """Open the telemetry of this GPU."""

    def event(self) -> Event:
        """Make a mark that can be timed."""

    def synchronize(self) -> None:
        """Wait until all that was enqueued is done."""

    def capture(self, call: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Warm `call` up, record it as one graph, and give what replays it; the output is the same tensor each time."""

    def compile(self, module: nn.Module) -> Callable[[Tensor], Tensor]:
        """Compile a module."""

    def activities(self) -> list[torch.profiler.ProfilerActivity]:
        """What torch's profiler shall watch."""

    def release(self, *, is_compiled: bool) -> None:
        """Give memory back, and compiled code where there is any."""


class TorchDriver:
    """The first GPU that torch sees."""

    def __init__(self) -> None:
        self.device = torch.device("cuda", 0)

    def gpu(self) -> CudaGpu | None:
        """Say which GPU it is."""
        return first_gpu()

    def watch(self) -> GpuWatch:
        """Open NVML for this GPU."""
        return GpuWatch(uuid_of(0))

    def event(self) -> Event:
        """Make a CUDA event with a clock."""
        return torch.cuda.Event(enable_timing=True)

    def synchronize(self) -> None:
        """Wait for the GPU."""
        torch.cuda.synchronize(self.device)

    def capture(self, call: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Record a CUDA graph; the warm-up runs on a stream of its own, as capturing asks for."""
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(_CAPTURE_WARMUP_RUNS):
                call()
        torch.cuda.current_stream(self.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = call()

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay

    def compile(self, module: nn.Module) -> Callable[[Tensor], Tensor]:
        """Compile with inductor; the first call does the work."""
        compiled: Callable[[Tensor], Tensor] = torch.compile(module, mode=COMPILE_MODE, dynamic=False)
        return compiled

    def activities(self) -> list[torch.profiler.ProfilerActivity]:
        """Operators on the CPU and the kernels that they launch."""
        return [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]

    def release(self, *, is_compiled: bool) -> None:
        """Forget compiled code and give cached memory back."""
        if is_compiled:
            torch.compiler.reset()
        torch.cuda.empty_cache()


@contextlib.contextmanager
def numerics() -> Iterator[None]:
    """FP32 means FP32: TF32 is off for matrix products and convolutions; cuDNN chooses its algorithms by trying them.

    torch's own default lets convolutions, but not matrix products, use TF32. All is put back afterwards.
    """
    switches = _tf32_switches()
    before = [getattr(owner, name) for owner, name, _, _ in switches]
    benchmark = torch.backends.cudnn.benchmark
    for owner, name, _, off in switches:
        setattr(owner, name, off)
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = benchmark
        for (owner, name, _, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


def numerics_words() -> dict[str, str]:
    """Read back what is in effect."""
    on = [part for owner, name, part, _ in _tf32_switches() if getattr(owner, name) in {"tf32", True}]
    return {
        "tf32": f"on for {' and '.join(on)}" if on else "off",
        "fp16_sums_in_fp16": "allowed" if torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction else "no",
        "cudnn_benchmark": "on" if torch.backends.cudnn.benchmark else "off",
    }


def _tf32_switches() -> list[tuple[Any, str, str, Any]]:
    """Each switch as (owner, attribute, what it is for, value for off); torch before 2.9 has other names.

    The RNN switch is turned with the others: torch refuses to read its old names where the new ones disagree.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(cudnn, "conv") and hasattr(matmul, "fp32_precision"):
        new = {"matrix products": matmul, "convolutions": cudnn.conv, "recurrent layers": cudnn.rnn}
        return [(owner, "fp32_precision", part, "ieee") for part, owner in new.items()]
    old = {"matrix products": matmul, "convolutions": cudnn}
    return [(owner, "allow_tf32", part, False) for part, owner in old.items()]
