"""PyTorch as it is, operator by operator, on the CPU: what a notebook feels."""

import contextlib
import copy
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from archlab.device import telemetry
from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Samples
from archlab.device.runtime import OpTime, Workload, timed

__all__ = ["TorchEagerBackend", "TorchEagerHandle", "own_module", "sample_input", "threads"]

_FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


class TorchEagerHandle:
    """One module and one input."""

    is_self_warming = False

    def __init__(self, workload: Workload, run: RunSpec) -> None:
        self._run = run
        self._module = own_module(workload.module, run.layout)
        self._x_BCHW = sample_input(workload.input_shape, run.layout)

    def run(self, runs: int) -> Samples:
        """Run `runs` times and time each; torch's own number of threads is put back afterwards."""
        with threads(self._run.threads), torch.inference_mode():
            return timed(self.outputs, runs)

    def outputs(self) -> Any:
        """Run once and give the output."""
        return self._module(self._x_BCHW)

    def profile(self, runs: int) -> tuple[OpTime, ...]:
        """Time each operator that reaches torch's dispatcher with a stopwatch of our own, in the order of execution.

        The stopwatch sits in Python; what it costs itself stays outside the times.
        """
        watch = _Stopwatch()
        with threads(self._run.threads), torch.inference_mode(), _paths(self._module, watch), watch:
            for _ in range(runs + 1):
                watch.begin()
                self.outputs()
        return watch.rows()

    def settings(self) -> dict[str, str]:
        """Say what is in effect."""
        return {
            "precision": self._run.precision,
            "layout": self._run.layout,
            "intra_op_threads": str(self._run.threads),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "mode": "eager, inference_mode",
        }

    def close(self) -> None:
        """Drop the module."""
        del self._module


class TorchEagerBackend:
    """PyTorch eager on the CPU."""

    precisions = ("fp32",)
    layouts = ("nchw", "channels_last")

    def fingerprint(self, device: Device) -> dict[str, str]:
        """Identify this machine and the version of torch."""
        return {**telemetry.fingerprint(), "runtime": f"torch {torch.__version__}"}

    def prepare(self, workload: Workload, device: Device, run: RunSpec) -> TorchEagerHandle:
        """Copy the module where the run needs another layout or mode."""
        return TorchEagerHandle(workload, run)


def own_module(module: nn.Module, layout: str) -> nn.Module:
    """Give the module in eval mode and the wanted layout; the caller's stays as it is."""
    if layout == "nchw" and not any(part.training for part in module.modules()):
        return module
    # torch types `to` for a memory format only by keyword on modules
    return copy.deepcopy(module).eval().to(memory_format=_FORMATS[layout])  # type: ignore[call-overload]


def sample_input(input_shape: tuple[int, ...], layout: str) -> torch.Tensor:
    """Draw an image in the wanted layout, the same every time."""
    x_BCHW = torch.randn(input_shape, generator=torch.Generator().manual_seed(0))
    return x_BCHW.to(memory_format=_FORMATS[layout])


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch work with that many threads; the number before is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Stopwatch(TorchDispatchMode):
    """Times every operator; the k-th operator of each run is one row."""

    def __init__(self) -> None:
        super().__init__()
        self.modules = [""]
        self._runs: list[list[tuple[str, str, int]]] = []

    def begin(self) -> None:
        """Start the record of another run."""
        self._runs.append([])

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        began = time.perf_counter_ns()
        result = func(*args, **(kwargs or {}))
        took_ns = time.perf_counter_ns() - began
        self._runs[-1].append((func.overloadpacket.__name__, self.modules[-1], took_ns))
        return result

    def rows(self) -> tuple[OpTime, ...]:
        """Give the median of each operator over the runs but the first."""
        rows = []
        for calls in zip(*self._runs[1:], strict=True):
            op, module, _ = calls[0]
            ms = statistics.median(took_ns for _, _, took_ns in calls) / 1e6
            rows.append(OpTime(op=op, node=f"{module}/{op}", module=module, ms=ms, calls=1))
        return tuple(rows)


@contextlib.contextmanager
def _paths(module: nn.Module, watch: _Stopwatch) -> Iterator[None]:
    """Tell the stopwatch which module is running; the hooks are gone afterwards."""
    hooks = []
    for path, part in module.named_modules():
        hooks.append(part.register_forward_pre_hook(lambda *_, path=path: watch.modules.append(path)))
        hooks.append(part.register_forward_hook(lambda *_: _left(watch)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _left(watch: _Stopwatch) -> None:
    watch.modules.pop()
