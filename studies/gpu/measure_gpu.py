"""Measure published networks on a borrowed NVIDIA GPU: every runtime, precision and layout, with energy and kernels.

    PYTHONPATH=. python studies/gpu/measure_gpu.py OUT_DIR [--minutes 8] [--models edgenext_small ...] [--no-power]

Needs a checkout and, beside torch for CUDA: numpy, onnx, onnxruntime, safetensors, scipy, pydantic, nvidia-ml-py; no
network and no installation. Without a GPU it says so and ends. It writes into OUT_DIR, a row at a time:

- ``latency.csv``: one row per network, runtime, precision and layout: the median in ms with its 95 % interval by the
  measuring protocol, clocks, throttling, powers and energy per inference, and how far the outputs are from those of
  the same network in FP32 on the CPU. What could not run has a row too, with the reason.
- ``kernels.csv``: for each network the time of each operator's kernels (CUDA graph, FP16, channels_last).
- ``gpu.json``: the GPU, its driver, the versions; nothing that names the unit.

Run again it goes on where it stopped. The cheap runs come first, compiling (minutes a network) last, so that a short
loan is spent well. The plain way to time a network, a stopwatch around eager calls with a wait after each, stands in
the column ``naive_ms`` beside the eager rows.
"""

import argparse
import csv
import dataclasses
import itertools
import json
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archlab.device.backends import BACKENDS
from archlab.device.catalog import Device, RunSpec, device
from archlab.device.measure import measure
from archlab.device.profile import profile_ops
from archlab.device.runtime import Backend, Workload
from archlab.errors import ArchlabError
from archlab.families import published
from archlab.model.build import build
from archlab.model.deploy import deploy

MODELS = (
    *("edgenext_xx_small", "edgenext_small", "efficientvit_m2", "efficientvit_m5", "efficientvit_b1"),
    *("convnext_tiny", "edgenext_base", "efficientvit_b3"),
)
COLUMNS = (
    *("gpu", "model", "resolution", "batch", "runtime", "precision", "layout", "median_ms", "ci_lo_ms", "ci_hi_ms"),
    *("p90_ms", "n", "quality", "naive_ms", "enqueue_share", "prepare_s", "relative_error", "outputs", "gpu_sm_mhz"),
    *("gpu_memory_mhz", "gpu_temperature_c", "gpu_throttle", "power_w", "idle_power_w", "power_by", "energy_mj"),
    *("tf32", "gpu_not_readable", "error"),
)
KERNEL_COLUMNS = ("gpu", "model", "op", "module", "ms")
_KEY = ("model", "batch", "runtime", "precision", "layout")
_PRECISIONS, _LAYOUTS = ("fp16", "fp32", "bf16"), ("channels_last", "nchw")
_POWERED = ("cuda_graph", "fp16", "channels_last")


def main(argv: Sequence[str] | None = None, backends: Mapping[str, Backend] = BACKENDS) -> None:
    """Measure what is missing, until the time is over."""
    asked = _arguments().parse_args(argv)
    place = device("cuda")
    asked.out.mkdir(parents=True, exist_ok=True)
    facts = backends["cuda"].fingerprint(place)
    (asked.out / "gpu.json").write_text(json.dumps(facts, indent=2) + "\n")
    ends = time.monotonic() + 60 * asked.minutes
    table = asked.out / "latency.csv"
    done = {tuple(row[name] for name in _KEY) for row in _rows(table)}
    for run, name in _plan(asked.models, asked.batches, asked.seconds):
        if time.monotonic() > ends:
            break
        key = (name, str(run.batch), run.runtime, run.precision, run.layout)
        if key in done:
            continue
        is_powered = not asked.no_power and (run.runtime, run.precision, run.layout) == _POWERED
        row = _measured(name, place, run, is_powered, facts["gpu"], backends)
        _append(table, COLUMNS, [row])
        print(" ".join(key), row.get("median_ms") or row.get("error"), flush=True)
        if (run.runtime, run.precision, run.layout) == _POWERED and run.batch == 1:
            _append(asked.out / "kernels.csv", KERNEL_COLUMNS, _kernels(name, place, run, facts["gpu"], backends))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1])
    parser.add_argument("--seconds", type=float, default=1.5, help="cap of one measurement after its warm-up")
    parser.add_argument("--no-power", action="store_true")
    return parser


def _plan(models: Sequence[str], batches: Sequence[int], seconds: float) -> Iterator[tuple[RunSpec, str]]:
    """Every run, the cheap and telling ones first."""
    quick = itertools.product(("cuda_graph", "cuda"), batches, _PRECISIONS, _LAYOUTS)
    compiled = itertools.product(("cuda_compiled",), batches, ("fp16",), _LAYOUTS)
    for runtime, batch, precision, layout in itertools.chain(quick, compiled):
        for name in models:
            yield (
                RunSpec(batch=batch, precision=precision, layout=layout, runtime=runtime, warmup_s=1.0, max_s=1.5),
                name,
            )


def _measured(
    name: str, place: Device, run: RunSpec, is_powered: bool, gpu: str, backends: Mapping[str, Backend]
) -> dict[str, Any]:
    spec = published(name).spec
    side = spec.resolution
    row: dict[str, Any] = {"gpu": gpu, "model": name, "resolution": side, "batch": run.batch}
    row |= {"runtime": run.runtime, "precision": run.precision, "layout": run.layout}
    asked = dataclasses.replace(run, power_s=3.0 if is_powered else 0.0)
    module = deploy(build(spec, seed=0).eval())
    shape = (run.batch, 3, side, side)
    try:
        found = measure(module, place, asked, input_shape=shape, digest=spec.digest, backends=backends)
        known = found.environment | found.environment["settings"]
        row |= {column: known.get(column) for column in COLUMNS if column in known and column not in row}
        low, high = found.ci95_ms
        row |= {"median_ms": found.median_ms, "ci_lo_ms": low, "ci_hi_ms": high, "p90_ms": found.p90_ms}
        row |= {"n": found.n, "quality": found.quality}
        row |= _checked(module, place, run, shape, backends)
    except (ArchlabError, RuntimeError) as error:
        row["error"] = " ".join(str(error).split())[:300]
    return row


def _checked(
    module: nn.Module, place: Device, run: RunSpec, shape: tuple[int, ...], backends: Mapping[str, Backend]
) -> dict[str, Any]:
    """The largest difference from the CPU's FP32 outputs over their largest value; eager runs timed by a stopwatch."""
    if run.runtime == "cuda_compiled":
        return {}
    handle: Any = backends[run.runtime].prepare(Workload(module=module, onnx=b"", input_shape=shape), place, run)
    try:
        with torch.no_grad():
            expected = module(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
        output = handle.outputs().float().cpu()
        error = float((output - expected).abs().max() / expected.abs().max())
        naive = _stopwatch(handle) if run.runtime == "cuda" else None
        return {"relative_error": None if math.isnan(error) else round(error, 6), "naive_ms": naive}
    finally:
        handle.close()


def _stopwatch(handle: Any) -> float:
    times = []
    for _ in range(50):
        began = time.perf_counter()
        handle.outputs()
        handle._driver.synchronize()
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.fmean(times)


def _kernels(name: str, place: Device, run: RunSpec, gpu: str, backends: Mapping[str, Backend]) -> list[dict[str, Any]]:
    spec = published(name).spec
    module = deploy(build(spec, seed=0).eval())
    try:
        rows = profile_ops(
            module, place, run, input_shape=(1, 3, spec.resolution, spec.resolution), runs=20, backends=backends
        )
    except ArchlabError as error:
        return [{"gpu": gpu, "model": name, "op": f"not profiled: {error}"}]
    return [{"gpu": gpu, "model": name, "op": row.op, "module": row.module, "ms": row.ms} for row in rows]


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _append(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
