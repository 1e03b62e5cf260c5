"""What surrounds a measurement? CPU time of each step of a measured trial, and of its ONNX file beside torch's way.

Random networks of a space are evaluated as a search on this CPU does it: built, folded, written as ONNX, hashed,
loaded into ONNX Runtime, run, scored. The first table times the steps one by one, and torch's TorchScript exporter on
the same networks in the same run; both files are checked to give the same outputs. The second times whole trials, once
in all and once less the runs of the network; what the witness beside them takes is not taken off. Times are CPU times
of this process with one thread, so other processes hardly move them. Run it as

    python benchmarks/trial_speed.py [--networks N] [--trials N] [--space NAME] > FILE

The run of 100 networks that is committed beside this file, `trial_speed.txt`, says what was reached.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import numpy as np
import onnxruntime
import torch
from cpu_times import Times, draw, header, line, measured, place, summary

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.device import witness
from archlab.device.backends.ort import OrtBackend, OrtHandle
from archlab.device.cache import MeasurementCache
from archlab.device.catalog import RunSpec, device
from archlab.device.measurement import Samples
from archlab.device.runtime import Workload
from archlab.model.build import build
from archlab.model.deploy import deploy
from archlab.model.export import OPSET, graph_hash, to_onnx
from archlab.model.export_torch import trace_onnx
from archlab.proxy import score
from archlab.space import load
from archlab.spec import ArchSpec
from archlab.study.evaluate import Evaluator
from archlab.study.plan import StudyPlan

__all__ = ["main"]

Result = TypeVar("Result")


class Clock:
    """Adds up the CPU time of each step by its name."""

    def __init__(self) -> None:
        self.times_ms: dict[str, list[float]] = {}

    def time(self, name: str, call: Callable[[], Result]) -> Result:
        """Call and note how long it took."""
        result, time_ms = measured(call)
        self.times_ms.setdefault(name, []).append(time_ms)
        return result

    def rows(self) -> dict[str, Times]:
        """Summarise every step."""
        return {name: summary(times_ms) for name, times_ms in self.times_ms.items()}


def main() -> int:
    """Print two tables, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=100, help="distinct random points (default: 100)")
    parser.add_argument("--trials", type=int, default=40, help="of these, evaluated as a whole (default: 40)")
    parser.add_argument("--space", default="hybrid", help="a search space by name, or its file (default: hybrid)")
    parser.add_argument("--seed", type=int, default=0, help="of the random points (default: 0)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    specs = draw(load(options.space), options.networks, options.seed)
    _steps(specs[0], Clock())  # what a first call costs is not a step's
    clock = Clock()
    difference = max(_steps(spec, clock) for spec in specs)
    steps, trials = clock.rows(), _trials(specs[: options.trials], options.space)
    _print_table("steps", steps)
    _print_table("trials", trials)
    ratio = steps["onnx by torch"].median_ms / steps["onnx"].median_ms
    print(
        f"torch's exporter / ours: {ratio:.1f}; outputs of both files differ by at most {difference:.1e} of the largest"
    )
    document: dict[str, Any] = {
        "space": options.space,
        "seed": options.seed,
        "steps": {name: dataclasses.asdict(row) for name, row in steps.items()},
        "trials": {name: dataclasses.asdict(row) for name, row in trials.items()},
        "ratio": ratio,
        "difference": difference,
        "onnxruntime": onnxruntime.__version__,
        **place(),
    }
    print(json.dumps(document))
    return 0 if difference < 1e-4 else 1


def _steps(spec: ArchSpec, clock: Clock) -> float:
    """Time every step on one network; how far the outputs of the two files are apart, as a share of the largest."""
    shape = (1, 3, spec.resolution, spec.resolution)
    cpu, run = device("cpu"), RunSpec()
    clock.time("count", lambda: count(trace(spec)))
    module = clock.time("build", lambda: build(spec))
    folded = clock.time("fold", lambda: deploy(module))
    data = clock.time("onnx", lambda: to_onnx(folded, shape))
    older = clock.time("onnx by torch", lambda: trace_onnx(folded, shape, torch.float32, OPSET))
    clock.time("hash", lambda: graph_hash(data))
    clock.time("fingerprint", lambda: OrtBackend().fingerprint(cpu))
    workload = Workload(module=folded, onnx=data, input_shape=shape)
    handle = clock.time("session", lambda: OrtBackend().prepare(workload, cpu, run))
    clock.time("first run", lambda: handle.run(1))
    clock.time("score", lambda: score("naswot_params", spec))
    other = OrtBackend().prepare(dataclasses.replace(workload, onnx=older), cpu, run)
    ours, theirs = handle.outputs()[0], other.outputs()[0]
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _trials(specs: list[ArchSpec], space: str) -> dict[str, Times]:
    """Evaluate networks as a search does; the whole, and what is left without the runs of the network."""
    plan = StudyPlan(budget_ms=1e5, device="cpu", space=space)
    running_ms, beside = [0.0], witness.handle()

    def run(handle: OrtHandle, runs: int, of: Callable[[OrtHandle, int], Samples] = OrtHandle.run) -> Samples:
        samples, time_ms = measured(lambda: of(handle, runs))
        if handle is not beside:
            running_ms[0] += time_ms
        return samples

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(OrtHandle, "run", run):
        evaluator = Evaluator(plan, MeasurementCache(Path(folder) / "cache.sqlite"))
        evaluator.evaluate(specs[0])
        for spec in specs[1:]:
            running_ms[0] = 0.0
            clock.time("whole trial", lambda spec=spec: evaluator.evaluate(spec))  # type: ignore[misc]
            clock.times_ms.setdefault("less its runs", []).append(clock.times_ms["whole trial"][-1] - running_ms[0])
    return clock.rows()


def _print_table(title: str, rows: dict[str, Times]) -> None:
    print(header(f"{title}, CPU ms"))
    for name, row in rows.items():
        print(line(name, row))


if __name__ == "__main__":
    sys.exit(main())
