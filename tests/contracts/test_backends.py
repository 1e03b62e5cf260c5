"""What every runtime must keep; joining `BACKENDS` is being tested.

Runtimes of devices that are not at hand are left to their own tests.
"""

import copy
import json

import pytest
import torch
from torch import nn

from archlab.device.backends import BACKENDS
from archlab.device.catalog import DEVICES, RunSpec
from archlab.device.measure import measure
from archlab.device.runtime import Workload
from archlab.model.export import to_onnx

SHAPE = (2, 3, 16, 16)
CPU = DEVICES["cpu"]
LOCAL = [name for name in BACKENDS if name in CPU.backends]


@pytest.fixture
def workload() -> Workload:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 5))
    return Workload(module=module.eval(), onnx=to_onnx(module, SHAPE), input_shape=SHAPE)


def run_of(name: str, **changes: object) -> RunSpec:
    return RunSpec(runtime=name, batch=SHAPE[0], precision=BACKENDS[name].precisions[0], **changes)


def test_every_device_at_hand_finds_its_runtimes() -> None:
    for device in DEVICES.values():
        if device.reach == "local":
            assert set(device.backends) <= set(BACKENDS), device.name


@pytest.mark.parametrize("name", BACKENDS)
def test_it_says_what_it_offers_and_who_it_is(name: str) -> None:
    backend = BACKENDS[name]
    assert backend.precisions
    assert backend.layouts
    assert set(backend.precisions) <= {"fp32", "fp16", "bf16", "int8"}
    assert set(backend.layouts) <= {"nchw", "channels_last"}


@pytest.mark.parametrize("name", LOCAL)
def test_the_fingerprint_is_stable_text(name: str) -> None:
    found = BACKENDS[name].fingerprint(CPU)
    assert found == BACKENDS[name].fingerprint(CPU)
    assert json.loads(json.dumps(found)) == found
    assert all(isinstance(value, str) for value in found.values())
    runtime, _, version = found["runtime"].partition(" ")
    assert runtime
    assert version[:1].isdigit()


@pytest.mark.parametrize("name", LOCAL)
def test_runs_give_samples(name: str, workload: Workload) -> None:
    handle = BACKENDS[name].prepare(workload, CPU, run_of(name))
    samples = handle.run(4)
    handle.close()
    assert len(samples) == 4
    assert (samples.wall_ns > 0).all()
    if samples.cpu_ns is not None:
        assert len(samples.cpu_ns) == 4


@pytest.mark.parametrize("name", LOCAL)
def test_it_says_its_precision(name: str, workload: Workload) -> None:
    handle = BACKENDS[name].prepare(workload, CPU, run_of(name))
    settings = handle.settings()
    handle.close()
    assert settings["precision"] == run_of(name).precision
    assert settings["intra_op_threads"] == "1"
    assert all(isinstance(value, str) for value in settings.values())


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
def test_the_callers_module_and_threads_stay_as_they_are(name: str, layout: str, workload: Workload) -> None:
    if layout not in BACKENDS[name].layouts:
        return
    workload.module.train()
    before = copy.deepcopy(workload.module.state_dict())
    strides = [p.stride() for p in workload.module.parameters()]
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        handle = BACKENDS[name].prepare(workload, CPU, run_of(name, layout=layout))
        handle.run(2)
        handle.profile(1)
        handle.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert workload.module.training
    assert [p.stride() for p in workload.module.parameters()] == strides
    for key, value in workload.module.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("name", LOCAL)
def test_the_profile_names_operators(name: str, workload: Workload) -> None:
    handle = BACKENDS[name].prepare(workload, CPU, run_of(name))
    rows = handle.profile(3)
    handle.close()
    assert any("conv" in row.op.lower() for row in rows)
    assert all(row.ms >= 0 and row.calls >= 1 for row in rows)
    assert sum(row.ms for row in rows) > 0


@pytest.mark.parametrize("name", LOCAL)
def test_a_short_measurement_from_end_to_end(name: str, workload: Workload) -> None:
    run = run_of(name, warmup_s=0.05, max_s=0.1)
    found = measure(workload.module, CPU, run, input_shape=SHAPE)
    assert found.source == f"measured:{name}@cpu"
    assert 0 < found.ci95_ms[0] <= found.median_ms <= found.ci95_ms[1] < 1000
    assert found.environment["runs"] == len(found.samples_ms) >= 10
    assert found.environment["settings"]["precision"] == run.precision
