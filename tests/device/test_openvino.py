"""OpenVINO itself, where it is installed; where it is not, what is said about that."""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archlab.device.backends import openvino as gate
from archlab.device.backends.openvino import OpenVinoBackend, OpenVinoHandle, read_profile
from archlab.device.catalog import DEVICES, RunSpec
from archlab.device.measure import measure
from archlab.device.profile import profile_ops
from archlab.device.runtime import OpTime, Workload
from archlab.errors import DeviceError
from archlab.families import published
from archlab.model.build import build
from archlab.model.deploy import deploy
from archlab.model.export import to_onnx

CPU = DEVICES["cpu"]
SHAPE = (1, 3, 224, 224)

needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")


def has_bf16() -> bool:
    core = importlib.import_module("openvino").Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(scope="module")
def workload() -> Workload:
    generator = torch.Generator().manual_seed(0)
    module = deploy(build(published("efficientvit_m0").spec))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.3, 0.3, generator=generator)
    return Workload(module=module, onnx=to_onnx(module, SHAPE), input_shape=SHAPE)


@pytest.fixture
def handles(workload: Workload) -> Iterator[Any]:
    made: list[OpenVinoHandle] = []

    def make(**changes: Any) -> OpenVinoHandle:
        made.append(OpenVinoBackend().prepare(workload, CPU, RunSpec(runtime="openvino", **changes)))
        return made[-1]

    yield make
    for handle in made:
        handle.close()


def expected(workload: Workload) -> np.ndarray:
    image = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    with torch.no_grad():
        return workload.module(torch.from_numpy(image)).numpy()


@needs_openvino
def test_in_fp32_it_computes_what_the_module_computes(workload: Workload, handles: Any) -> None:
    (found,) = handles().outputs()
    assert np.abs(found - expected(workload)).max() <= 2e-5 * np.abs(expected(workload)).max()


@needs_openvino
def test_in_bf16_it_computes_something_near_and_says_so(workload: Workload, handles: Any) -> None:
    if not has_bf16():
        pytest.skip("this CPU has no bfloat16: the refusal is tested below")
    handle = handles(precision="bf16")
    (found,) = handle.outputs()
    error = np.abs(found - expected(workload)).max() / np.abs(expected(workload)).max()
    assert 1e-4 < error < 0.2
    assert handle.settings()["precision"] == "bf16"


@needs_openvino
def test_the_precision_is_read_back_not_repeated(handles: Any) -> None:
    settings = handles().settings()
    assert settings["precision"] == "fp32"
    assert settings["inference_precision_hint"] == "f32 asked for and read back"


@needs_openvino
def test_another_precision_than_asked_for_is_an_error(monkeypatch: pytest.MonkeyPatch, workload: Workload) -> None:
    # A CPU without bfloat16 answers with f32; told f16, one with bfloat16 answers with that.
    monkeypatch.setitem(gate._HINTS, "fp16", "f16")
    with pytest.raises(
        DeviceError, match=r"OpenVINO computes in (bf16|fp32) on this CPU, whatever it is told; given: "
    ):
        OpenVinoBackend().prepare(workload, CPU, RunSpec(runtime="openvino", precision="fp16"))


@needs_openvino
@pytest.mark.parametrize("threads", [1, 2])
def test_it_runs_on_the_threads_asked_for(threads: int, handles: Any) -> None:
    settings = handles(threads=threads).settings()
    assert settings["intra_op_threads"] == str(threads)
    assert settings["streams"] == "1"


@needs_openvino
def test_one_thread_takes_no_more_cpu_time_than_wall_time(handles: Any) -> None:
    handle = handles()
    handle.run(3)
    samples = handle.run(10)
    assert samples.cpu_ns is not None
    assert (samples.cpu_ns <= 1.2 * samples.wall_ns).all()


@needs_openvino
def test_a_measurement_says_runtime_and_precision(workload: Workload) -> None:
    run = RunSpec(runtime="openvino", warmup_s=0.05, max_s=0.1)
    found = measure(workload.module, CPU, run, input_shape=SHAPE)
    assert found.source == "measured:openvino@cpu"
    assert found.environment["settings"]["precision"] == "fp32"
    version = importlib.metadata.version("openvino")
    assert found.environment["fingerprint"]["runtime"] == f"openvino {version}"


@needs_openvino
def test_its_own_counters_say_where_the_time_goes(workload: Workload) -> None:
    run = RunSpec(runtime="openvino")
    rows = profile_ops(workload.module, CPU, run, input_shape=SHAPE, runs=3)
    paths = {path for path, _ in workload.module.named_modules()}
    assert {row.module for row in rows} <= paths
    convolutions = [row for row in rows if row.op in {"Convolution", "GroupConvolution"}]
    modules = [path for path, part in workload.module.named_modules() if isinstance(part, nn.Conv2d)]
    assert sorted(row.module for row in convolutions) == sorted(modules)
    assert all(row.ms >= 0 for row in rows)
    assert sum(row.ms for row in rows) > 0


@needs_openvino
def test_what_it_cannot_read_is_said() -> None:
    broken = Workload(module=nn.Identity(), onnx=b"no network", input_shape=SHAPE)
    with pytest.raises(
        DeviceError, match=r"OpenVINO cannot compile this network; given: .*; allowed: .*try runtime ort"
    ):
        OpenVinoBackend().prepare(broken, CPU, RunSpec(runtime="openvino"))


def test_without_openvino_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, workload: Workload) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(gate.importlib, "import_module", absent)
    message = r"OpenVINO is not installed; given: runtime openvino; allowed: .*pip install 'archlab\[openvino\]'"
    with pytest.raises(DeviceError, match=message):
        OpenVinoBackend().fingerprint(CPU)
    with pytest.raises(DeviceError, match=message):
        OpenVinoBackend().prepare(workload, CPU, RunSpec(runtime="openvino"))


def test_counters_of_several_runs_become_one_row_a_node() -> None:
    runs = [
        [
            ("/a/Conv/WithoutBiases", "Convolution", us),
            ("/a/Conv_abcd_acdb_/b/Conv", "Reorder", us / 10),
            ("Multiply_7", "Eltwise", 0.0),
            ("/b/Add", "Subgraph", 1.0),
        ]
        for us in (900.0, 20.0, 40.0, 30.0)
    ]
    assert read_profile(runs) == (
        OpTime(op="Convolution", node="/a/Conv/WithoutBiases", module="a", ms=0.03, calls=1),
        OpTime(op="Reorder", node="/a/Conv_abcd_acdb_/b/Conv", module="a", ms=0.003, calls=1),
        OpTime(op="Eltwise", node="Multiply_7", module="a", ms=0.0, calls=1),
        OpTime(op="Subgraph", node="/b/Add", module="b", ms=0.001, calls=1),
    )
