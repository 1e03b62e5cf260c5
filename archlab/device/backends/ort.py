"""ONNX Runtime on the CPU, FP32: the default. The one file that imports onnxruntime."""

import json
import re
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from archlab.device import telemetry
from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Samples
from archlab.device.runtime import OpTime, Workload, timed
from archlab.errors import DeviceError, four_parts

__all__ = ["OrtBackend", "OrtHandle", "module_path", "read_profile"]

_LEVEL = "ORT_ENABLE_ALL"
_ERRORS_ONLY = 3
_APPENDED = re.compile(r"(/+(\w*Fusion\w*|WithoutBiases|transpose_[ab]|sink_port_\d+))+/*$")
_BF16_ON_ARM = "mlas.enable_gemm_fastmath_arm64_bfloat16"


class OrtHandle:
    """One session and one input."""

    is_self_warming = False

    def __init__(self, workload: Workload, run: RunSpec) -> None:
        self._workload = workload
        self._run = run
        self._session = _session(workload.onnx, _options(run))
        self._feed = _feed(self._session, workload.input_shape)

    def run(self, runs: int) -> Samples:
        """Run `runs` times and time each."""
        return timed(self.outputs, runs)

    def outputs(self) -> list[Any]:
        """Run once and give the outputs."""
        return list(self._session.run(None, self._feed))

    def profile(self, runs: int) -> tuple[OpTime, ...]:
        """Time each node of the optimised graph in a session of its own, with ONNX Runtime's profiler."""
        with tempfile.TemporaryDirectory(prefix="archlab-") as folder:
            options = _options(self._run)
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "ort")
            session = _session(self._workload.onnx, options)
            for _ in range(runs + 1):
                session.run(None, self._feed)
            events = json.loads(Path(session.end_profiling()).read_text())
        return read_profile(events)

    def settings(self) -> dict[str, str]:
        """Say what is in effect."""
        return {
            "precision": self._run.precision,
            "provider": self._session.get_providers()[0],
            "graph_optimisation": _LEVEL,
            "execution": "sequential, no spinning",
            "fast_math": "off",
            "intra_op_threads": str(self._session.get_session_options().intra_op_num_threads),
        }

    def close(self) -> None:
        """Drop the session."""
        del self._session


class OrtBackend:
    """ONNX Runtime's CPU provider."""

    precisions = ("fp32",)
    layouts = ("nchw",)

    def fingerprint(self, device: Device) -> dict[str, str]:
        """Identify this machine and the version of ONNX Runtime."""
        return {**telemetry.fingerprint(), "runtime": f"onnxruntime {onnxruntime.__version__}"}

    def prepare(self, workload: Workload, device: Device, run: RunSpec) -> OrtHandle:
        """Load the network into a session."""
        return OrtHandle(workload, run)


def read_profile(events: list[dict[str, Any]]) -> tuple[OpTime, ...]:
    """Turn the profiler's events into one row per node, the first run left out.

    Args:
        events: The profiler's JSON: entries of category Node, named ``<node>_kernel_time``, durations in µs.

    Returns:
        Rows in the order of execution; `ms` is the median over the runs. A node that the runtime made itself (a
        reorder, a fused activation) is put down to the module of the node before it.
    """
    times_us: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for index, op, name, duration_us in _kernels(events):
        times_us[index, op, name].append(duration_us)
    rows = []
    module = ""
    for (_, op, name), all_us in times_us.items():
        module = module_path(name) if name.startswith("/") else module
        ms = statistics.median(all_us[1:] or all_us) / 1000
        rows.append(OpTime(op=op, node=name, module=module, ms=ms, calls=1))
    return tuple(rows)


def module_path(node: str) -> str:
    """Read the module's dotted path off a node's name.

    A file of ours names nodes ``/<path>/<operator>``; torch's exporter by scope, ``/stages.0/blocks.1/mlp/Conv``, and
    repeats the name of a list before its members, ``/stages/stages.0/…``. What a runtime appends when it fuses or
    splits nodes is left out. The name of a node of the whole network has no module in it.
    """
    scope = [part for part in _APPENDED.sub("", node).split("/") if part][:-1]
    return ".".join(part for i, part in enumerate(scope) if not _is_list_of(part, scope[i + 1 : i + 2]))


def _is_list_of(part: str, following: list[str]) -> bool:
    return any(re.fullmatch(re.escape(part) + r"\.\d+", member) for member in following)


def _kernels(events: list[dict[str, Any]]) -> Iterator[tuple[int, str, str, float]]:
    for event in events:
        name, facts = event.get("name", ""), event.get("args", {})
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            yield int(facts.get("node_index", -1)), facts["op_name"], name.removesuffix("_kernel_time"), event["dur"]


def _options(run: RunSpec) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = run.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVEL)
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(_BF16_ON_ARM, "0")  # FP32 means FP32 in every kernel
    return options


def _session(onnx: bytes, options: Any) -> Any:
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).splitlines()[0][:200]
        raise DeviceError(
            four_parts(
                "ONNX Runtime cannot load this network",
                given=reason,
                allowed=f"graphs that onnxruntime {onnxruntime.__version__} knows",
                do="try runtime torch, or another version of onnxruntime",
            )
        ) from None


def _feed(session: Any, input_shape: tuple[int, ...]) -> dict[str, Any]:
    (entry,) = session.get_inputs()
    image = np.random.default_rng(0).standard_normal(input_shape)
    return {entry.name: image.astype(np.float32)}
