"""What the agent reads of a board beside its latency: power modes, alarms, and a change in mid-measurement."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from archlab.device import measure, telemetry
from archlab.device.board import agent
from archlab.device.board.backend import BoardBackend
from archlab.device.catalog import Device, run_for
from archlab.device.runtime import Workload
from archlab.errors import DeviceChanged
from archlab.model.export import to_onnx

SHAPE = (1, 3, 8, 8)


@pytest.fixture
def root(trees: ModuleType, tmp_path: Path) -> Path:
    return trees.orin(tmp_path / "root")


@pytest.fixture
def backend(root: Path, tmp_path: Path) -> Iterator[BoardBackend]:
    found = BoardBackend(["--root", str(root), "--lock", str(tmp_path / "lock"), "--trtexec", "/no/such/tool"])
    yield found
    found.close()


def test_another_power_mode_in_mid_measurement_is_no_latency(
    backend: BoardBackend, make_board: Callable[..., Device], root: Path
) -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(3, 4, 3).eval()
    here = make_board("moody")
    handle = backend.prepare(Workload(module=net, onnx=to_onnx(net, SHAPE), input_shape=SHAPE), here, run_for(here))
    assert len(handle.run(3)) == 3
    (root / "var/lib/nvpmodel/status").write_text("pmode:0002\n")
    with pytest.raises(
        DeviceChanged,
        match=r"moody changed while .*; given: power_mode MODE_30W \(2\); allowed: power_mode MAXN \(0\), as when",
    ):
        handle.run(3)


def test_the_power_mode_is_what_nvpmodel_says(root: Path) -> None:
    tool = root / "usr/sbin/nvpmodel"
    tool.parent.mkdir(parents=True)
    tool.write_text(f"#!{sys.executable}\nprint('NV Fan Mode:quiet\\nNV Power Mode: MODE_50W\\n3')\n")
    tool.chmod(0o755)
    assert agent.Board(str(root)).power_mode() == "MODE_50W (3)"


def test_without_nvpmodel_the_status_file_tells_the_mode(root: Path) -> None:
    assert agent.Board(str(root)).power_mode() == "MAXN (0)"
    (root / "etc/nvpmodel.conf").unlink()
    assert agent.Board(str(root)).power_mode() == "mode (0)"


def test_a_board_without_any_of_it_says_little_and_fails_nowhere(tmp_path: Path) -> None:
    bare = agent.Board(str(tmp_path))
    assert set(bare.fingerprint()) == {"board", "machine", "kernel", "python"}
    assert bare.power_w() is None
    assert bare.temperatures() == {}


def test_an_over_current_event_is_throttling(root: Path, trees: ModuleType) -> None:
    counter = "sys/class/hwmon/hwmon1/oc3_event_cnt"
    trees.write(root, {counter: "4"})
    board = agent.Board(str(root))
    watch = agent.Watch(board, None)
    assert watch.facts()["throttled"] == []
    (root / counter).write_text("5\n")
    assert watch.facts()["throttled"] == ["over-current"]


def test_a_clock_that_falls_near_the_trip_is_throttling(root: Path, trees: ModuleType) -> None:
    board = agent.Board(str(root))
    watch = agent.Watch(board, None)
    watch.look()
    (root / trees.ORIN_GPU_ZONE).write_text("90000\n")
    (root / "sys/class/devfreq/17000000.gpu/cur_freq").write_text("612000000\n")
    assert watch.facts()["throttled"] == ["clock: 612 of 1300.5 MHz"]


def test_power_is_that_of_the_readings_under_load(root: Path) -> None:
    current = root / "sys/bus/i2c/devices/1-0040/hwmon/hwmon3/curr1_input"
    watch = agent.Watch(agent.Board(str(root)), idle_w=16.0)
    watch.look()  # 16 W: the tool is still loading the engine
    for milliamperes in (1500, 1600):
        current.write_text(f"{milliamperes}\n")
        watch.look()
    # 20 V · 1.5 A + 2 W + 4 W = 36 W, 20 V · 1.6 A + 6 W = 38 W, read once more at the end
    assert watch.facts()["power_w"] == pytest.approx((36 + 38 + 38) / 3, abs=1e-3)


def test_a_measurement_tells_how_the_board_was_not_this_machine(
    backend: BoardBackend, make_board: Callable[..., Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(measure, "_BOARD", backend)
    monkeypatch.setattr(telemetry, "state", lambda: {"load_1min": -1.0})
    run = run_for(make_board("hot"), warmup_s=0.05, max_s=0.1)
    found = measure.measure(nn.Conv2d(3, 4, 3).eval(), make_board("hot"), run, input_shape=SHAPE).environment
    for when in ("before", "after"):
        assert found[when]["temperatures_c"] == {"cpu-thermal": 44.0, "gpu-thermal": 41.5}
        assert found[when]["power_w"] == 16.0  # 20 V · 0.5 A + 20 V · 0.1 A + 5 V · 0.8 A
        assert found[when]["load_1min"] >= 0
    assert found["precedence"] in {"process and session", "process", "none"}


def test_what_is_timed_goes_before_others_where_that_is_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(os, "getpriority", lambda which, who: 0)
    monkeypatch.setattr(os, "setpriority", lambda which, who, nice: asked.append((which, who, nice)))
    assert agent.precede(7, str(tmp_path)) == "process"  # no such file: a kernel without sessions of their own
    (tmp_path / "7").mkdir()
    assert agent.precede(7, str(tmp_path)) == "process and session"
    assert (tmp_path / "7/autogroup").read_text() == "-19"
    assert asked == [(os.PRIO_PROCESS, 7, -19)] * 2


def test_without_the_right_nothing_changes_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, who: int, nice: int) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "setpriority", refuse)
    assert agent.precede(os.getpid()) == "none"
