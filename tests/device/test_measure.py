import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archlab.device import telemetry
from archlab.device.cache import MeasurementCache
from archlab.device.catalog import DEVICES, RunSpec
from archlab.device.measure import backend_of, measure
from archlab.device.witness import Witness
from archlab.errors import DeviceError, DeviceUnreachable, UnknownNameError
from archlab.model.export import graph_hash, to_onnx

SHAPE = (1, 3, 8, 8)
CPU = DEVICES["cpu"]


@pytest.fixture
def module() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()


def steady(i: int) -> tuple[float, float, int]:
    return 10.0, 9.9, 0


def alone(*place: object) -> None:
    """No witness."""


def ask(module: nn.Module, backend: Any, **options: Any) -> Any:
    run, device = options.pop("run", RunSpec()), options.pop("device", CPU)
    options = {"input_shape": SHAPE, "digest": "abc", "clock": backend.device.clock, "witnessed": alone} | options
    return measure(module, device, run, backends={"ort": backend}, **options)


def test_a_steady_network(module: nn.Module, make_backend: Any) -> None:
    backend = make_backend(steady)
    found = ask(module, backend)
    assert (found.median_ms, found.quality, found.n) == (10.0, "ok", 100)
    assert (found.digest, found.device, found.source) == ("abc", "cpu", "measured:ort@cpu")
    assert len(found.samples_ms) == len(found.cpu_ms) == len(found.switches) == 100
    environment = found.environment
    assert environment["statistic"] == "wall time of the runs without an involuntary context switch"
    assert environment["clean_share"] == 1.0
    assert environment["cpu_median_ms"] == pytest.approx(9.9)
    assert environment["fingerprint"] == {"chip": "fake", "runtime": "fake 1.0"}
    assert environment["settings"] == {"precision": "fp32"}
    assert environment["is_warm"]
    assert "load_1min" in environment["before"]
    assert "load_1min" in environment["after"]
    assert backend.handles[0].is_closed


def test_a_loaded_machine_is_told_by_cpu_time(module: nn.Module, make_backend: Any) -> None:
    found = ask(module, make_backend(lambda i: (12.0 + i % 7, 10.0, 1)))
    assert found.median_ms == 10.0
    assert found.quality == "ok"
    assert found.environment["statistic"].startswith("CPU time")
    assert found.environment["wall_mean_ms"] > 14


def test_where_others_have_the_cpu_most_of_the_time_it_is_noisy(module: nn.Module, make_backend: Any) -> None:
    found = ask(module, make_backend(lambda i: (35.0 + i % 7, 10.0, 3)))
    assert (found.median_ms, found.quality) == (10.0, "noisy")


def test_a_machine_that_is_not_what_it_usually_is_makes_it_noisy_and_says_so(
    module: nn.Module, make_backend: Any
) -> None:
    witness = Witness(lambda: 5.0, [4.0] * 9)
    found = ask(module, make_backend(steady), witnessed=lambda *place: witness)
    assert (found.median_ms, found.quality) == (10.0, "noisy")
    assert set(found.calm) == {False}
    told = {name: found.environment[name] for name in ("calm_share", "doubt", "witness_ms", "witness_usual_ms")}
    assert told == {
        "calm_share": 0.0,
        "doubt": "the machine was not what it usually is",
        "witness_ms": 5.0,
        "witness_usual_ms": 4.0,
    }


def test_the_witness_is_asked_for_by_machine_and_precedence(module: nn.Module, make_backend: Any) -> None:
    asked: list[tuple[Any, ...]] = []
    found = ask(module, make_backend(steady), witnessed=lambda *place: asked.append(place))
    assert asked == [(CPU, {"chip": "fake", "runtime": "fake 1.0"}, found.environment["precedence"])]
    assert found.calm == ()
    assert found.environment["doubt"] is None


def test_a_loaded_machine_with_two_threads_is_noisy(module: nn.Module, make_backend: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(telemetry, "cpu", lambda: telemetry.Cpu(model="", machine="", cores=2, isa=(), max_mhz=None))
    found = ask(module, make_backend(lambda i: (35.0, 60.0, 3)), run=RunSpec(threads=2, max_s=2.0))
    assert found.quality == "noisy"
    assert found.environment["statistic"] == "wall time of all runs, interrupted ones among them"


def test_without_a_name_the_graph_names_it(module: nn.Module, make_backend: Any) -> None:
    found = ask(module, make_backend(steady), digest=None)
    assert found.digest == graph_hash(to_onnx(module, SHAPE))


def test_a_known_measurement_is_used_again(module: nn.Module, make_backend: Any, tmp_path: Path) -> None:
    cache = MeasurementCache(tmp_path / "m.sqlite")
    backend = make_backend(steady)
    first = ask(module, backend, cache=cache)
    second = ask(module, backend, cache=cache, digest="other")
    assert len(backend.handles) == 1
    assert second.digest == "other"
    assert second.samples_ms == first.samples_ms
    assert second.environment == first.environment | {"cached": True}


def test_other_weights_and_caps_are_the_same_measurement_other_kernels_are_not(
    make_backend: Any, tmp_path: Path
) -> None:
    cache = MeasurementCache(tmp_path / "m.sqlite")
    backend = make_backend(steady)
    for seed in (0, 1):
        torch.manual_seed(seed)
        ask(nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), backend, cache=cache)
    ask(nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), backend, cache=cache, run=RunSpec(max_s=9.0))
    assert len(backend.handles) == 1
    ask(nn.Sequential(nn.Conv2d(3, 4, 5)).eval(), backend, cache=cache)
    assert len(backend.handles) == 2


def test_a_noisy_result_is_measured_again(module: nn.Module, make_backend: Any, tmp_path: Path) -> None:
    cache = MeasurementCache(tmp_path / "m.sqlite")
    backend = make_backend(lambda i: (10.0 + 5 * (i % 2), 10.0 + 5 * (i % 2), 0))
    for _ in range(2):
        assert ask(module, backend, cache=cache, run=RunSpec(warmup_s=0.1, max_s=0.5)).quality == "noisy"
    assert len(backend.handles) == 2
    assert len(cache) == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [({"throttle_events": 3}, {"throttle_events": 4}), ({"mhz": 3000.0}, {"mhz": 2600.0})],
)
def test_a_hot_machine_is_throttled(
    module: nn.Module, make_backend: Any, monkeypatch: Any, before: dict[str, float], after: dict[str, float]
) -> None:
    states = iter([before, after])
    monkeypatch.setattr(telemetry, "state", lambda: next(states))
    assert ask(module, make_backend(steady)).quality == "throttled"


def test_a_host_that_clocks_down_while_another_device_works_says_nothing(
    module: nn.Module, make_backend: Any, monkeypatch: Any
) -> None:
    states = iter([{"mhz": 3000.0}, {"mhz": 800.0}])
    monkeypatch.setattr(telemetry, "state", lambda: next(states))
    found = ask(module, make_backend(steady), device=dataclasses.replace(DEVICES["cuda"], backends=("ort",)))
    assert found.quality == "ok"


def test_a_device_that_says_it_throttles_is_believed(module: nn.Module, make_backend: Any, monkeypatch: Any) -> None:
    backend = make_backend(steady)
    plain = backend.device.run
    backend.device.run = lambda runs: dataclasses.replace(plain(runs), is_throttled=True)
    assert ask(module, backend).quality == "throttled"


def test_what_the_device_tells_stands_in_the_environment(module: nn.Module, make_backend: Any) -> None:
    backend = make_backend(steady)
    plain = backend.device.run
    backend.device.run = lambda runs: dataclasses.replace(plain(runs), facts={"power_w": 12.5})
    assert ask(module, backend).environment["power_w"] == 12.5


def test_it_says_whether_it_had_precedence(module: nn.Module, make_backend: Any) -> None:
    assert ask(module, make_backend(steady)).environment["precedence"] in {"thread and session", "thread", "none"}


def test_the_handle_is_closed_when_the_run_breaks(module: nn.Module, make_backend: Any) -> None:
    def breaks(i: int) -> tuple[float, float, int]:
        raise MemoryError

    backend = make_backend(breaks)
    with pytest.raises(MemoryError):
        ask(module, backend)
    assert backend.handles[0].is_closed


@pytest.mark.parametrize("name", ["orin", "nano", "t4"])
def test_a_device_without_a_way_to_it(name: str) -> None:
    with pytest.raises(DeviceUnreachable) as error:
        backend_of(DEVICES[name], RunSpec(runtime="trtexec", precision="fp16"))
    assert str(error.value) == (
        f"device '{name}' cannot be measured: nothing answers for it; given: device {name}; "
        "allowed: devices of this machine and boards that were added; "
        "take the estimate (its source begins with 'estimated:') or choose device cpu"
    )


def test_an_unknown_runtime() -> None:
    with pytest.raises(UnknownNameError, match=r"no runtime 'orrt'; .*; allowed: .*ort, torch.*; did you mean 'ort'"):
        backend_of(CPU, RunSpec(runtime="orrt"))


def test_a_precision_that_is_not_on_offer() -> None:
    with pytest.raises(DeviceError) as error:
        backend_of(CPU, RunSpec(precision="fp16"))
    assert str(error.value) == (
        "runtime 'ort' does not offer this precision; given: precision 'fp16'; allowed: fp32; "
        "choose precision fp32 or another runtime"
    )


def test_a_layout_that_is_not_on_offer() -> None:
    with pytest.raises(DeviceError, match="does not offer this layout; given: layout 'channels_last'; allowed: nchw;"):
        backend_of(CPU, RunSpec(layout="channels_last"))


@pytest.mark.parametrize("threads", [0, 10_000])
def test_threads_that_the_machine_does_not_have(threads: int) -> None:
    with pytest.raises(DeviceError, match=rf"given: threads {threads}; allowed: 1 to \d+, .*; lower threads"):
        backend_of(CPU, RunSpec(threads=threads))


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (3, 8, 8)])
def test_an_input_that_does_not_fit_the_batch(module: nn.Module, make_backend: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(DeviceError, match=r"does not fit the batch; given: input \(.*\), batch 1; allowed: \(batch, "):
        ask(module, make_backend(steady), input_shape=shape)
