"""OpenVINO on the CPU (extra `openvino`), FP32 or BF16: the one file that imports openvino.

Left to itself OpenVINO computes in bfloat16 where the CPU can, and takes another precision than it was told where the
CPU cannot. So the precision is always asked for and read back, and another one than asked for is an error.
"""

import importlib
import importlib.metadata
import statistics
from collections import defaultdict
from typing import Any

import numpy as np

from archlab.device import telemetry
from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Samples
from archlab.device.ort_profile import module_path
from archlab.device.runtime import OpTime, Workload, timed
from archlab.errors import DeviceError, four_parts

__all__ = ["OpenVinoBackend", "OpenVinoHandle", "read_profile"]

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_TYPES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


class OpenVinoHandle:
    """One compiled network and one input."""

    is_self_warming = False

    def __init__(self, workload: Workload, run: RunSpec) -> None:
        self._workload = workload
        self._run = run
        self._compiled = _compiled(workload.onnx, run)
        self._request = self._compiled.create_infer_request()
        image = np.random.default_rng(0).standard_normal(workload.input_shape)
        self._feed = {0: image.astype(np.float32)}

    def run(self, runs: int) -> Samples:
        """Run `runs` times and time each."""
        return timed(lambda: self._request.infer(self._feed), runs)

    def outputs(self) -> list[Any]:
        """Run once and give the outputs."""
        self._request.infer(self._feed)
        return [np.array(tensor.data) for tensor in self._request.output_tensors]

    def profile(self, runs: int) -> tuple[OpTime, ...]:
        """Time each node of the compiled graph with OpenVINO's own counters, in a network compiled for that."""
        request = _compiled(self._workload.onnx, self._run, PERF_COUNT=True).create_infer_request()
        seen = []
        for _ in range(runs + 1):
            request.infer(self._feed)
            seen.append([_facts(node) for node in request.profiling_info if node.status.name == "EXECUTED"])
        return read_profile(seen)

    def settings(self) -> dict[str, str]:
        """Say what is in effect, as OpenVINO tells it."""
        return {
            "precision": _precision(self._compiled),
            "inference_precision_hint": f"{_HINTS[self._run.precision]} asked for and read back",
            "intra_op_threads": str(self._compiled.get_property("INFERENCE_NUM_THREADS")),
            "streams": str(self._compiled.get_property("NUM_STREAMS")),
            "performance_hint": "LATENCY",
            "cpu_pinning": str(self._compiled.get_property("ENABLE_CPU_PINNING")),
        }

    def close(self) -> None:
        """Drop the network."""
        del self._request, self._compiled


class OpenVinoBackend:
    """OpenVINO's CPU plug-in."""

    precisions = ("fp32", "bf16")
    layouts = ("nchw",)

    def fingerprint(self, device: Device) -> dict[str, str]:
        """Identify this machine and the version of OpenVINO."""
        _openvino()
        return {**telemetry.fingerprint(), "runtime": f"openvino {importlib.metadata.version('openvino')}"}

    def prepare(self, workload: Workload, device: Device, run: RunSpec) -> OpenVinoHandle:
        """Compile the network."""
        return OpenVinoHandle(workload, run)


def read_profile(seen: list[list[tuple[str, str, float]]]) -> tuple[OpTime, ...]:
    """Turn the counters of several runs into one row per node that ran, the first run left out.

    Args:
        seen: For each run the nodes in order of execution: name, type, µs.

    Returns:
        Rows in that order; `ms` is the median over the runs. A node that OpenVINO made itself (a reorder between
        layouts) is put down to the module of the node before it, the first one to that of the node after it.
    """
    times_us: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for run in seen[1:] or seen:
        count: dict[tuple[str, str], int] = defaultdict(int)
        for name, op, us in run:
            times_us[name, op, count[name, op]].append(us)
            count[name, op] += 1
    rows, module = [], ""
    for (name, op, _), all_us in times_us.items():
        if op == "Reorder":  # <node before>_<layout>_<layout>_<node after>
            module = module or module_path(name[name.find("/") :])
        elif name.startswith("/"):
            module = module_path(name)
        rows.append(OpTime(op=op, node=name, module=module, ms=statistics.median(all_us) / 1000, calls=1))
    return tuple(rows)


def _facts(node: Any) -> tuple[str, str, float]:
    return node.node_name, node.node_type, node.real_time.total_seconds() * 1e6


def _compiled(onnx: bytes, run: RunSpec, **more: Any) -> Any:
    """Compile for latency on that many threads; the precision is what was asked for.

    Raises:
        DeviceError: When OpenVINO is not installed, cannot compile the network, or takes another precision.
    """
    openvino = _openvino()
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[run.precision],
        "INFERENCE_NUM_THREADS": run.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # other processes are here as well
        **more,
    }
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(model=onnx), "CPU", settings)
    except RuntimeError as error:
        raise DeviceError(
            four_parts(
                "OpenVINO cannot compile this network",
                given=" ".join(str(error).split())[:200],
                allowed=f"graphs that openvino {openvino.__version__.split('-')[0]} knows",
                do="try runtime ort",
            )
        ) from None
    found = _precision(compiled)
    if found != run.precision:
        raise DeviceError(
            four_parts(
                f"OpenVINO computes in {found} on this CPU, whatever it is told",
                given=f"precision {run.precision}",
                allowed=found,
                do=f"choose precision {found} or another runtime",
            )
        )
    return compiled


def _precision(compiled: Any) -> str:
    """The precision that the compiled network says it computes in."""
    hint = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return _TYPES.get(hint, hint)


def _openvino() -> Any:
    try:
        return importlib.import_module("openvino")
    except ImportError:
        raise DeviceError(
            four_parts(
                "OpenVINO is not installed",
                given="runtime openvino",
                allowed="any runtime that is installed",
                do="pip install 'archlab[openvino]', or choose runtime ort",
            )
        ) from None
