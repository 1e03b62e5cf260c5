"""PyTorch on this machine's NVIDIA GPU: operator by operator, replayed as one CUDA graph, or compiled and replayed.

Weights and input are cast to the run's precision, layout included; FP32 means FP32, TF32 is off. Times are those of
CUDA events around each run, in the GPU's own clock; the CPU waits once, at the end of a block. The input stays where it
is, nothing is copied to or from the host, and the L2 cache is as warm as a service's would be.
"""

import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archlab.device import telemetry
from archlab.device.backends.cuda_driver import COMPILE_MODE, Driver, TorchDriver, numerics, numerics_words
from archlab.device.backends.cuda_kernels import profile_kernels
from archlab.device.catalog import Device, RunSpec
from archlab.device.gpu import CudaGpu
from archlab.device.measurement import Samples
from archlab.device.power import energy_mj, read_power
from archlab.device.runtime import OpTime, Workload
from archlab.errors import DeviceError, DeviceUnreachable, four_parts, unknown_name

__all__ = ["MODES", "CudaBackend", "CudaHandle"]

MODES = {
    "cuda": "eager, inference_mode",
    "cuda_graph": "CUDA graph of the eager network, replayed",
    "cuda_compiled": f"torch.compile, {COMPILE_MODE}, then a CUDA graph, replayed",
}
"""Runtime → how the network runs."""

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
_POWER_BLOCK_S = 0.25
_FEWEST, _MOST = 10, 2000


class CudaHandle:
    """One network on the GPU, one input, and what runs it."""

    is_self_warming = False

    def __init__(self, workload: Workload, run: RunSpec, driver: Driver) -> None:
        """Copy the network to the GPU and make it ready.

        Raises:
            DeviceError: When it does not fit the memory, or cannot be captured or compiled.
        """
        self._run, self._driver = run, driver
        self._watch = driver.watch()
        self._events: list[tuple[Any, Any]] = []
        self._facts: dict[str, Any] = {}
        try:
            self._module, self._x_BCHW = _placed(workload, run, driver)
            with numerics(), torch.inference_mode():
                self._plain = self._compiled() if run.runtime == "cuda_compiled" else self._eager
                output = self._plain()
                self._is_finite = bool(torch.isfinite(output).all())
                self._call = self._plain if run.runtime == "cuda" else driver.capture(self._plain)
                self._numerics = numerics_words()
            if run.power_s > 0:
                self._facts = self._power()
        except (RuntimeError, NotImplementedError) as error:  # torch's errors of CUDA and of its compiler are these
            self.close()
            raise _unready(error, run) from None
        except BaseException:
            self.close()
            raise

    def run(self, runs: int) -> Samples:
        """Run `runs` times and time each by events; the GPU's state is read while the queue is still full."""
        self._events += [(self._driver.event(), self._driver.event()) for _ in range(len(self._events), runs)]
        marks = self._events[:runs]
        with numerics(), torch.inference_mode():
            began = time.perf_counter()
            for start, end in marks:
                start.record()
                self._call()
                end.record()
            enqueue_ms = 1e3 * (time.perf_counter() - began)
            state = self._watch.state()
            self._driver.synchronize()
        times_ms = [start.elapsed_time(end) for start, end in marks]
        facts = {
            **state.to_dict(),
            "enqueue_share": round(enqueue_ms / max(sum(times_ms), 1e-9), 3),
            **self._facts,
            **energy_mj(self._facts, float(np.median(times_ms))),
            **_silence(self._watch.silent),
        }
        wall_ns = np.rint(np.array(times_ms) * 1e6).astype(np.int64)
        return Samples(wall_ns=wall_ns, is_throttled=bool(state.throttle), facts=facts)

    def outputs(self) -> Tensor:
        """Run once and give the output; a replayed graph writes into the same tensor each time."""
        with numerics(), torch.inference_mode():
            return self._call()

    def profile(self, runs: int) -> tuple[OpTime, ...]:
        """Time the kernels of each operator; a graph's are timed outside the graph, where their origin is known."""
        with numerics(), torch.inference_mode():
            return profile_kernels(
                self._plain,
                self._module,
                runs,
                activities=self._driver.activities(),
                synchronize=self._driver.synchronize,
            )

    def settings(self) -> dict[str, str]:
        """Say what is in effect."""
        return {
            "precision": self._run.precision,
            "cast": f"weights and input in {self._run.precision}",
            "layout": self._run.layout,
            "mode": MODES[self._run.runtime],
            "clock": "CUDA events around each run, without transfers",
            "intra_op_threads": str(self._run.threads),
            "outputs": "finite" if self._is_finite else "not finite in this precision",
            **self._numerics,
        }

    def close(self) -> None:
        """Give the GPU's memory back."""
        for name in ("_call", "_plain", "_module", "_x_BCHW"):
            self.__dict__.pop(name, None)
        self._events = []
        self._watch.close()
        self._driver.release(is_compiled=self._run.runtime == "cuda_compiled")

    def _eager(self) -> Tensor:
        output: Tensor = self._module(self._x_BCHW)
        return output

    def _compiled(self) -> Callable[[], Tensor]:
        compiled = self._driver.compile(self._module)
        return lambda: compiled(self._x_BCHW)

    def _power(self) -> dict[str, Any]:
        """Read the powers while blocks of about a quarter of a second keep the GPU busy."""
        self.run(_FEWEST)
        run_ms = float(np.median(self.run(_FEWEST).wall_ns)) / 1e6
        runs = int(min(max(1e3 * _POWER_BLOCK_S / max(run_ms, 1e-6), _FEWEST), _MOST))
        return read_power(lambda: self.run(runs), self._watch, seconds=self._run.power_s)


class CudaBackend:
    """PyTorch on the first NVIDIA GPU."""

    precisions = ("fp16", "fp32", "bf16")
    layouts = ("nchw", "channels_last")

    def __init__(self, driver: Driver | None = None) -> None:
        self._driver = driver or TorchDriver()

    def fingerprint(self, device: Device) -> dict[str, str]:
        """Identify this machine, the GPU, its driver and the version of torch.

        Raises:
            DeviceUnreachable: Where torch sees no GPU.
        """
        gpu = self._gpu(device)
        watch = self._driver.watch()
        try:
            found = watch.fingerprint()
        finally:
            watch.close()
        return {
            **telemetry.fingerprint(),
            "gpu": gpu.name,
            "gpu_arch": gpu.arch,
            "gpu_sms": str(gpu.sms),
            "gpu_memory": f"{gpu.memory_gb:g} GB",
            **found,
            "cuda": gpu.cuda,
            "cudnn": gpu.cudnn,
            "runtime": f"torch {torch.__version__}",
        }

    def prepare(self, workload: Workload, device: Device, run: RunSpec) -> CudaHandle:
        """Copy the network to the GPU.

        Raises:
            DeviceUnreachable: Where torch sees no GPU.
            DeviceError: For a precision that this GPU only emulates, or a network that it cannot run.
        """
        gpu = self._gpu(device)
        if run.runtime not in MODES:
            raise unknown_name("runtime of torch on a GPU", run.runtime, MODES)
        if run.precision == "bf16" and not gpu.has_bf16:
            raise DeviceError(
                four_parts(
                    "this GPU only emulates bfloat16",
                    given=f"{gpu.name} ({gpu.arch})",
                    allowed="bf16 from sm_80 on; fp16 and fp32 here",
                    do="choose precision fp16",
                )
            )
        return CudaHandle(workload, run, self._driver)

    def _gpu(self, device: Device) -> CudaGpu:
        found = self._driver.gpu()
        if found is None:
            build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
            raise DeviceUnreachable(
                four_parts(
                    f"device {device.name!r} cannot be measured: torch sees no NVIDIA GPU",
                    given=f"torch {torch.__version__}, {build}",
                    allowed="a GPU with NVIDIA's driver, and a torch built for CUDA",
                    do=f"see what is missing with: archlab device check {device.name}; or choose device cpu",
                )
            )
        return found


def _placed(workload: Workload, run: RunSpec, driver: Driver) -> tuple[nn.Module, Tensor]:
    """A copy of the module in eval mode, and an input, both in the run's precision and layout; theirs stays."""
    form, dtype = _FORMATS[run.layout], _DTYPES[run.precision]
    module = copy.deepcopy(workload.module).eval()
    # torch types `to` for a memory format only by keyword on modules
    module = module.to(driver.device, dtype).to(memory_format=form)  # type: ignore[call-overload]
    image_BCHW = torch.randn(workload.input_shape, generator=torch.Generator().manual_seed(0))
    return module, image_BCHW.to(driver.device, dtype).contiguous(memory_format=form)


def _silence(silent: tuple[str, ...]) -> dict[str, str]:
    return {"gpu_not_readable": "; ".join(silent)} if silent else {}


def _unready(error: Exception, run: RunSpec) -> DeviceError:
    """What went wrong in torch's own words, shortened, and what else to try."""
    is_memory = isinstance(error, torch.OutOfMemoryError)
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    others = [name for name in MODES if name != run.runtime]
    return DeviceError(
        four_parts(
            "the network does not fit the GPU's memory" if is_memory else "torch cannot run this network on the GPU",
            given=f"runtime {run.runtime}, {run.precision}, batch {run.batch}: {said}",
            allowed="networks that fit" if is_memory else "networks that torch can capture and compile",
            do="lower the batch or the resolution" if is_memory else f"try runtime {' or '.join(others)}",
        )
    )
