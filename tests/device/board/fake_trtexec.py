#!/usr/bin/env python3
"""Stands in for TensorRT's own tool, in both of its dialects; refuses what the real one of its version refuses.

Stricter in one thing: flags that 11 still takes and leaves without effect are refused, for nobody should send them.

FAKE_TRT is its version, e.g. 8.2.1, 10.3.0 or 11.1.0. FAKE_TRT_LOG names a file that gets each call as a line of JSON.
A network with more than FAKE_TRT_MOST_BYTES is one that it cannot build. FAKE_TRT_DO names a file with what happens in
the next run: `slow`, `device` (the GPU is gone) or `heat PATH` (a sensor that gets hot), one line per run.
"""

import json
import os
import sys
import time
from pathlib import Path

VERSION = tuple(int(part) for part in os.environ.get("FAKE_TRT", "10.3.0").split("."))
IS_TYPED = VERSION[0] >= 11
COMMON = {
    "--onnx", "--saveEngine", "--loadEngine", "--timingCacheFile", "--exportTimes", "--exportProfile", "--dumpProfile",
    "--warmUp", "--duration", "--iterations", "--help",
}  # fmt: skip
SINCE = {
    "--profilingVerbosity": (8, 2, 0),
    "--exportLayerInfo": (8, 2, 0),
    "--builderOptimizationLevel": (8, 6, 0),
    "--skipInference": (8, 6, 0),
}
OLD = {"--fp16", "--bf16", "--noDataTransfers", "--useCudaGraph", "--useSpinWait"}
LAYERS = (("/stages.0/entry/conv/Conv", "CaskConvolution", 0.20), ("/head/fc/Gemm", "MatrixMultiply", 0.05))


def main() -> int:
    banner = "%d%d%02d" % VERSION if VERSION[0] < 10 else "%d%02d%02d" % VERSION
    print("&&&& RUNNING TensorRT.trtexec [TensorRT v%s]" % banner, flush=True)
    given = {}
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if not _takes(name):
            print("[E] Unknown option: %s %s" % (name, value))
            return 1
        given[name] = value
    _log(given)
    if "--help" in given:
        return 0
    return _build(given) if "--onnx" in given else _run(given)


def _takes(name):
    if name in SINCE:
        return SINCE[name] <= VERSION
    if name == "--buildOnly":
        return VERSION < (9, 0, 0)
    if name == "--workspace":
        return VERSION < (10, 0, 0)
    if name == "--bf16":
        return VERSION[0] == 10
    if name in OLD:
        return not IS_TYPED
    return name in COMMON


def _build(given):
    model = Path(given["--onnx"]).read_bytes()
    if len(model) > int(os.environ.get("FAKE_TRT_MOST_BYTES", "1000000000")):
        print("[E] Error[10]: Could not find any implementation for node /stages.0/entry/conv/Conv")
        return 1
    Path(given["--saveEngine"]).write_bytes(b"engine of " + model[:16])
    cache = Path(given["--timingCacheFile"])
    cache.write_bytes((cache.read_bytes() if cache.exists() else b"") + b"t")
    return 0


def _run(given):
    if not Path(given["--loadEngine"]).exists():
        print("[E] no engine")
        return 1
    what = _next()
    if what == "device":
        print("[E] Cuda failure: no CUDA-capable device is detected")
        return 1
    if what.startswith("heat "):
        sensor = Path(what[5:])
        cool = sensor.read_text()
        sensor.write_text("98000\n")
        time.sleep(0.4)
        sensor.write_text(cool)
    if what == "slow":
        time.sleep(60)
    if "--exportTimes" in given:
        rows = [_row(i) for i in range(int(given["--iterations"]) + 40)]
        Path(given["--exportTimes"]).write_text(json.dumps(rows))
    if "--exportProfile" in given:
        rows = [{"count": 100}] + [
            {"name": name, "timeMs": 100 * ms, "averageMs": 1.1 * ms, **_median(ms), "percentage": 50.0}
            for name, _, ms in LAYERS
        ]
        Path(given["--exportProfile"]).write_text(json.dumps(rows))
    if "--exportLayerInfo" in given:
        layers = [{"Name": name, "LayerType": kind, "Metadata": "[ONNX Layer: %s]" % name} for name, kind, _ in LAYERS]
        Path(given["--exportLayerInfo"]).write_text(json.dumps({"Layers": layers, "Bindings": []}))
    return 0


def _median(ms):
    return {"medianMs": ms} if VERSION >= (8, 4, 0) else {}


def _row(i):
    """One run as trtexec 8.2 to 11.1 writes it."""
    began, compute = 3.0 * i, 2.0 + 0.001 * (i % 5)
    return {
        "startEnqMs": began, "endEnqMs": began + 0.02, "startH2dMs": began, "endH2dMs": began, "startComputeMs": began,
        "endComputeMs": began + compute, "startD2hMs": began + compute, "endD2hMs": began + compute, "h2dMs": 0.0,
        "computeMs": compute, "d2hMs": 0.0, "latencyMs": compute,
    }  # fmt: skip


def _next():
    path = os.environ.get("FAKE_TRT_DO")
    if not path or not Path(path).exists():
        return ""
    first, _, rest = Path(path).read_text().partition("\n")
    Path(path).write_text(rest)
    return first.strip()


def _log(given):
    path = os.environ.get("FAKE_TRT_LOG")
    if path:
        with Path(path).open("a") as stream:
            stream.write(json.dumps(given) + "\n")


if __name__ == "__main__":
    sys.exit(main())
