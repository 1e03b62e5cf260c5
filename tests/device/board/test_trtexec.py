"""TensorRT by its own tool on a board that is a tree of files: both dialects, limits, heat, reboots, other modes."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import onnx
import pytest
import torch
from torch import nn

from archlab.device.backends import BACKENDS
from archlab.device.board.backend import BoardBackend
from archlab.device.catalog import DEVICES, Device, run_for
from archlab.device.measure import measure
from archlab.device.runtime import Workload
from archlab.errors import DeviceError, DeviceLost, EngineBuildError
from archlab.model.export import to_onnx

SHAPE = (1, 3, 8, 8)
FAKE = Path(__file__).with_name("fake_trtexec.py")
Make = Callable[..., BoardBackend]


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """The fake tool as a program that needs no PATH."""
    path = tmp_path / "trtexec"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def make(tool: Path, trees: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a backend whose agent sees a tree of files and the tool of a version."""
    made = []
    monkeypatch.setenv("FAKE_TRT_LOG", str(tmp_path / "calls"))
    monkeypatch.setenv("FAKE_TRT_DO", str(tmp_path / "do"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def start(root: Path | None = None, version: str = "10.3.0", **limits: float) -> BoardBackend:
        monkeypatch.setenv("FAKE_TRT", version)
        words = [
            "--trtexec",
            str(tool),
            "--lock",
            str(tmp_path / "lock"),
            "--root",
            str(root or trees.orin(tmp_path / "root")),
            "--limit",
            "poll_s=0.02",
        ]
        made.append(BoardBackend([*words, *(w for k, v in limits.items() for w in ("--limit", f"{k}={v}"))]))
        return made[-1]

    yield start
    for backend in made:
        backend.close()


@pytest.fixture
def board(make_board: Callable[..., Device]) -> Device:
    return make_board("trt", backends=("trtexec",), precision="fp16")


def network() -> Workload:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()
    return Workload(module=net, onnx=to_onnx(net, SHAPE), input_shape=SHAPE)


def calls(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


def test_the_dialect_up_to_10_is_told_the_precision(make: Make, board: Device, tmp_path: Path) -> None:
    handle = make().prepare(network(), board, run_for(board))
    samples = handle.run(200)
    build, run = calls(tmp_path)[1:]
    assert {"--fp16", "--skipInference", "--saveEngine", "--timingCacheFile"} <= set(build)
    assert {"--fp16", "--noDataTransfers", "--useCudaGraph", "--useSpinWait", "--exportTimes"} <= set(run)
    assert samples.wall_ns[:5].tolist() == [2000000, 2001000, 2002000, 2003000, 2004000]
    assert samples.cpu_ns is None
    assert handle.settings()["precision"] == "fp16"
    assert handle.settings()["transfers"] == "not timed"


def test_the_dialect_since_11_gets_the_precision_in_the_file(make: Make, board: Device, tmp_path: Path) -> None:
    sent = []
    backend = make(version="11.1.0")
    link = backend.link(board)
    ask = link.ask
    link.ask = lambda op, payload=None, **fields: (sent.append(payload), ask(op, payload, **fields))[1]  # type: ignore[method-assign]
    backend.prepare(network(), board, run_for(board)).run(200)
    assert not any(
        name in call for call in calls(tmp_path) for name in ("--fp16", "--useCudaGraph", "--noDataTransfers")
    )
    (model,) = (onnx.load_model_from_string(payload) for payload in sent if payload)
    assert {tensor.data_type for tensor in model.graph.initializer} == {onnx.TensorProto.FLOAT16}


def test_the_tool_of_jetpack_4_gets_its_own_flags_and_older_operators(
    make: Make, board: Device, trees: ModuleType, tmp_path: Path
) -> None:
    backend = make(trees.nano_jetpack4(tmp_path / "nano"), version="8.2.1")
    handle = backend.prepare(network(), board, run_for(board))
    handle.run(200)
    assert "--buildOnly" in calls(tmp_path)[1]
    assert "tensorrt" in handle.settings()
    assert handle.settings()["tensorrt"] == "8.2.1"


def test_measured_by_the_protocol(make: Make, board: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = make()
    monkeypatch.setattr("archlab.device.measure._BOARD", backend)
    found = measure(network().module, board, run_for(board, max_s=1.0), input_shape=SHAPE)
    assert found.source == "measured:trtexec@trt"
    assert found.median_ms == pytest.approx(2.002)
    assert found.quality == "ok"
    # three rails: 20 V · 0.5 A + 20 V · 0.1 A + 5 V · 0.8 A; at rest the same, so no energy is left for the network
    assert found.environment["power_w"] == pytest.approx(16.0)
    assert found.environment["idle_power_w"] == pytest.approx(16.0)
    assert found.environment["energy_mj"] == pytest.approx(0.0)
    assert found.environment["hottest_c"] == 44.0


def test_layers_are_put_down_to_modules(make: Make, board: Device) -> None:
    rows = make().prepare(network(), board, run_for(board)).profile(10)
    assert [(row.op, row.module, row.ms) for row in rows] == [
        ("CaskConvolution", "stages.0.entry.conv", 0.20),
        ("MatrixMultiply", "head.fc", 0.05),
    ]


def test_what_identifies_an_orin(make: Make, board: Device) -> None:
    found = make().fingerprint(board)
    assert found["board"] == "NVIDIA Jetson AGX Orin Developer Kit"
    assert (found["l4t"], found["jetpack"]) == ("36.4.3", "6")
    assert found["power_mode"] == "MAXN (0)"
    assert (found["gpu_min_mhz"], found["gpu_max_mhz"], found["gpu_governor"]) == ("306", "1300.5", "nvhost_podgov")
    assert "trtexec 10.3.0" in found["runtime"]
    assert "11111111" not in str(found)


def test_on_thor_only_the_governor_is_read(make: Make, board: Device, trees: ModuleType, tmp_path: Path) -> None:
    found = make(trees.thor(tmp_path / "thor")).fingerprint(board)
    assert found["gpu_governor"] == "performance"
    assert "gpu_max_mhz" not in found
    assert "gpu_min_mhz" not in found


def test_power_of_jetpack_4_is_one_rail(make: Make, board: Device, trees: ModuleType, tmp_path: Path) -> None:
    backend = make(trees.nano_jetpack4(tmp_path / "nano"), version="8.2.1")
    assert backend.link(board).ask("telemetry")["state"]["power_w"] == pytest.approx(4.321)


def test_engines_are_built_with_one_timing_cache_per_state_of_the_board(
    make: Make, board: Device, tmp_path: Path
) -> None:
    backend = make()
    for _ in range(2):
        backend.prepare(network(), board, run_for(board)).close()
    (cache,) = (tmp_path / "cache" / "archlab").iterdir()
    assert cache.read_bytes() == b"tt"
    (tmp_path / "root/var/lib/nvpmodel/status").write_text("pmode:0002\n")
    backend.prepare(network(), board, run_for(board)).close()
    assert len(list((tmp_path / "cache" / "archlab").iterdir())) == 2


def test_a_network_that_cannot_be_built_is_its_own_fault(
    make: Make, board: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TRT_MOST_BYTES", "10")
    with pytest.raises(
        EngineBuildError, match=r"trt cannot run this network; given: .*the log ends: .*Could not find any"
    ):
        make().prepare(network(), board, run_for(board))


def test_a_gpu_that_is_gone_is_not_the_networks_fault(make: Make, board: Device, tmp_path: Path) -> None:
    handle = make().prepare(network(), board, run_for(board))
    (tmp_path / "do").write_text("device\n")
    with pytest.raises(DeviceLost, match="the device trt failed"):
        handle.run(200)


def test_a_run_that_takes_too_long_is_killed(make: Make, board: Device, tmp_path: Path) -> None:
    handle = make(run_s=4.0).prepare(network(), board, run_for(board))
    (tmp_path / "do").write_text("slow\n")
    with pytest.raises(DeviceError, match=r"trt does not do this \(timeout\); given: it took longer than 4 s"):
        handle.run(200)


def test_a_board_that_gets_hot_once_cools_down_and_runs_again(
    make: Make, board: Device, trees: ModuleType, tmp_path: Path
) -> None:
    handle = make().prepare(network(), board, run_for(board))
    (tmp_path / "do").write_text(f"heat {tmp_path / 'root' / trees.ORIN_GPU_ZONE}\n")
    samples = handle.run(200)
    assert not samples.is_throttled
    assert len(calls(tmp_path)) == 4  # version, build, hot, cool


def test_a_board_that_stays_hot_is_marked_after_three_runs(
    make: Make, board: Device, trees: ModuleType, tmp_path: Path
) -> None:
    handle = make().prepare(network(), board, run_for(board))
    (tmp_path / "do").write_text(f"heat {tmp_path / 'root' / trees.ORIN_GPU_ZONE}\n" * 9)
    samples = handle.run(200)
    assert samples.is_throttled
    assert samples.facts["throttle_reasons"] == ["thermal: gpu-thermal"]
    assert len(calls(tmp_path)) == 5


def test_another_power_mode_is_another_fingerprint_and_another_boot_is_not(
    make: Make, board: Device, trees: ModuleType, tmp_path: Path
) -> None:
    backend = make()
    before = backend.fingerprint(board)
    (tmp_path / "root" / trees.BOOT).write_text("99999999-zzzz\n")
    assert backend.fingerprint(board) == before
    assert backend.link(board).ask("telemetry")["boot_id"] == "99999999-zzzz"
    (tmp_path / "root/var/lib/nvpmodel/status").write_text("pmode:0002\n")
    assert backend.fingerprint(board) == before | {"power_mode": "MODE_30W (2)"}


def test_a_runtime_that_the_board_lacks_says_what_is_there(make: Make, make_board: Callable[..., Device]) -> None:
    none = make_board("bare", backends=("trtexec",), precision="fp16")
    backend = BoardBackend(["--trtexec", "/no/such/tool"])
    with pytest.raises(Exception, match=r"no runtime on bare 'trtexec'"):
        backend.prepare(network(), none, run_for(none))
    backend.close()


def test_this_machines_gpu_is_reached_by_the_same_tool_in_a_process_here(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "trtexec", make())
    here = dataclasses.replace(DEVICES["cuda"], arch="sm_90")
    found = measure(network().module, here, run_for(here, runtime="trtexec", max_s=1.0), input_shape=SHAPE)
    assert found.source == "measured:trtexec@cuda"
    assert found.median_ms == pytest.approx(2.002)
