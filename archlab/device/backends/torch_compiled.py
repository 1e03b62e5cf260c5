"""PyTorch compiled with inductor, on the CPU: what `torch.compile` gives a notebook.

Compiling takes a C++ compiler and about 50 s a network, so it is nothing for a search, where every candidate is new;
what was compiled once on this machine is found again in inductor's cache on disk.
"""

import re
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.profiler import ProfilerActivity
from torch.profiler import profile as torch_profile

from archlab.device import telemetry
from archlab.device.backends.torch_eager import own_module, sample_input, threads
from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Samples
from archlab.device.runtime import OpTime, Workload, timed
from archlab.errors import DeviceError, four_parts

__all__ = ["TorchCompiledBackend", "TorchCompiledHandle", "read_kernels"]

_CALL = "## Call CompiledFxGraph"


class TorchCompiledHandle:
    """One compiled module and one input.

    torch keeps what it compiles in one place, by the lines of source that were compiled. So each handle begins with an
    empty place, and a handle that another one has emptied refuses to run rather than compile inside of a measurement.
    """

    is_self_warming = False

    def __init__(self, workload: Workload, run: RunSpec) -> None:
        self._run = run
        self._module = own_module(workload.module, run.layout)
        self._x_BCHW = sample_input(workload.input_shape, run.layout)
        began = time.perf_counter()
        torch.compiler.reset()
        graphs = _graphs()
        self._call = self._compile()
        self._compile_s = time.perf_counter() - began
        self._graphs = _graphs() - graphs

    def run(self, runs: int) -> Samples:
        """Run `runs` times and time each; torch's own number of threads is put back afterwards."""
        try:
            with threads(self._run.threads), torch.inference_mode(), torch.compiler.set_stance("fail_on_recompile"):
                return timed(self.outputs, runs)
        except RuntimeError as error:
            if "fail_on_recompile" not in str(error):
                raise
            raise _dropped() from None

    def outputs(self) -> Any:
        """Run once and give the output."""
        return self._call(self._x_BCHW)

    def profile(self, runs: int) -> tuple[OpTime, ...]:
        """Time each kernel with torch's profiler, in a copy compiled once more with marks around the kernels."""
        call = self._compile({"cpp.enable_kernel_profile": True})
        with threads(self._run.threads), torch.inference_mode():
            call(self._x_BCHW)
            with torch_profile(activities=[ProfilerActivity.CPU]) as profiler:
                for _ in range(runs):
                    call(self._x_BCHW)
        return read_kernels(profiler.events() or ())

    def settings(self) -> dict[str, str]:
        """Say what is in effect."""
        return {
            "precision": self._run.precision,
            "layout": self._run.layout,
            "intra_op_threads": str(self._run.threads),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "mode": "torch.compile, inductor, static shapes, inference_mode",
            "graphs": str(self._graphs),
            "compile_s": f"{self._compile_s:.1f}",
        }

    def close(self) -> None:
        """Drop the module and what was compiled for it."""
        del self._call, self._module
        torch.compiler.reset()

    def _compile(self, options: dict[str, Any] | None = None) -> Callable[..., Any]:
        """Compile and run once."""
        with threads(self._run.threads), torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks about its own code
            call: Callable[..., Any] = torch.compile(self._module, dynamic=False, options=options)
            try:
                call(self._x_BCHW)
            except Exception as error:
                raise _refusal(error) from None
        return call


class TorchCompiledBackend:
    """PyTorch compiled on the CPU."""

    precisions = ("fp32",)
    layouts = ("nchw", "channels_last")

    def fingerprint(self, device: Device) -> dict[str, str]:
        """Identify this machine and the version of torch."""
        return {**telemetry.fingerprint(), "runtime": f"torch {torch.__version__} inductor"}

    def prepare(self, workload: Workload, device: Device, run: RunSpec) -> TorchCompiledHandle:
        """Compile the module: about 50 s the first time."""
        return TorchCompiledHandle(workload, run)


def read_kernels(events: Iterable[Any]) -> tuple[OpTime, ...]:
    """Turn the profiler's events into one row per kernel.

    Args:
        events: Of several runs; the kernels are the children of the calls of compiled graphs. Names of kernels that
            inductor made begin with ``graph_<n>_cpp_fused_`` and list the operators in them; others are ``aten::<op>``.

    Returns:
        Rows in order of execution; `ms` is the median over the runs. No module is known.
    """
    calls = [event for event in events if event.name.startswith(_CALL)]
    each: dict[str, list[list[Any]]] = {}
    for call in calls:  # a module may fall into several graphs
        each.setdefault(call.name, []).append(sorted(call.cpu_children, key=lambda kernel: kernel.time_range.start))
    rows = []
    for runs in each.values():
        for kernels in zip(*runs, strict=True):
            name = re.sub(r"^graph_\d+_|^\w+::", "", kernels[0].name)
            ms = statistics.median(kernel.cpu_time_total for kernel in kernels) / 1000
            rows.append(OpTime(op=re.sub(r"_\d+$", "", name), node=name, module="", ms=ms, calls=1))
    return tuple(rows)


def _graphs() -> int:
    """Graphs compiled so far in this process."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def _dropped() -> DeviceError:
    return DeviceError(
        four_parts(
            "what torch.compile had made was dropped when another network was compiled",
            given="two networks for runtime torch_compiled",
            allowed="one at a time",
            do="close the first before the second is prepared",
        )
    )


def _refusal(error: Exception) -> DeviceError:
    return DeviceError(
        four_parts(
            "torch.compile cannot compile this network here",
            given=" ".join(str(error).split())[:200],
            allowed="networks that inductor knows, on a machine with a C++ compiler (g++ or clang++; variable CXX)",
            do="install a compiler, or choose runtime torch or ort",
        )
    )
