"""ONNX Runtime on the CPU, FP32: the default. The one file that imports onnxruntime."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from archlab.device import telemetry
from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Samples
from archlab.device.ort_profile import read_profile
from archlab.device.runtime import OpTime, Workload, timed
from archlab.errors import DeviceError, four_parts

__all__ = ["OrtBackend", "OrtHandle"]

_LEVEL = "ORT_ENABLE_ALL"
_ERRORS_ONLY = 3
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
