"""Times by kind, the roofline beside them, and a sentence that says no more than they do."""

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import nn

from archlab.analysis import ANALYSES, Conditions, Finding, Subject
from archlab.analysis.memory_bound import split
from archlab.api.target import resolve
from archlab.cost.rows import OpRow
from archlab.device import ceilings as ceilings_room
from archlab.device.catalog import DEVICES, RunSpec, device, run_for
from archlab.device.ceilings import Ceilings, ceilings
from archlab.device.runtime import OpTime
from archlab.errors import DeviceError

ROOM: Any = importlib.import_module("archlab.analysis.memory_bound")  # the package has a function of that name
ROOF = Ceilings(macs_per_s=1e9, bytes_per_s=1e8, source="by hand")  # balance 10 MACs per byte


def row(kind: str, macs: int, elems: int, op: str = "x") -> OpRow:
    return OpRow(op=op, kind=kind, module="m", inputs=(), outputs=(), macs=macs, read_elems=elems)


def test_each_operator_takes_the_longer_of_its_two_times() -> None:
    # conv: 1e6 MACs = 1 ms, 1000 elements of 4 bytes = 0.04 ms; depthwise: 0.001 ms and 0.4 ms; softmax 0.1 ms
    rows = [row("conv", 1_000_000, 1000), row("depthwise", 1000, 10_000), row("softmax", 0, 2500), row("view", 0, 9999)]
    ms = np.array([[3.0, 1.0], [6.0, 2.0]])
    table = split(rows, ["conv", "softmax"], ms, ROOF, 4).set_index("kind")
    assert list(table.index) == ["conv", "depthwise", "softmax"]
    assert list(table.bound) == ["compute", "compute", "memory"]
    assert table.ms.to_list() == [4.5, 0.0, 1.5]
    assert table.share.to_list() == [0.75, 0.0, 0.25]
    np.testing.assert_allclose(table.roofline_ms, [1.0, 0.4, 0.1])
    np.testing.assert_allclose(table.roofline_share, [1 / 1.5, 0.4 / 1.5, 0.1 / 1.5])
    assert table.waits_share.to_list() == [0.0, 1.0, 1.0]


def test_without_ceilings_the_roofline_stays_empty() -> None:
    table = split([row("conv", 1, 1)], ["conv"], np.ones((1, 1)), None, 4)
    assert table[["roofline_ms", "roofline_share", "waits_share"]].isna().all(axis=None)


def test_ceilings_of_a_device_come_from_its_row() -> None:
    found = ceilings(DEVICES["orin"], RunSpec(precision="fp16"))
    assert found.macs_per_s == 42.61e12 / 2
    assert found.bytes_per_s == 204.8e9
    assert math.isclose(found.balance, 42.61e12 / 2 / 204.8e9)
    assert found.is_memory_bound(100, 1)
    assert not found.is_memory_bound(105, 1)
    assert "42.61 TFLOPS at fp16, 204.8 GB/s" in found.source


def test_a_device_without_a_peak_has_no_roofline() -> None:
    with pytest.raises(DeviceError, match="has no roofline; given: peak None TFLOPS at fp32, bandwidth None GB/s"):
        ceilings(DEVICES["cuda"], RunSpec())


def test_ceilings_of_this_machine_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings_room, "_product_times_s", lambda: [2.0, 1.0, 3.0])
    monkeypatch.setattr(ceilings_room, "_copy_times_s", lambda: [0.5] * 20)
    ceilings_room._measured.cache_clear()
    found = ceilings(DEVICES["cpu"], RunSpec(threads=2))
    assert found.macs_per_s == 384**3
    assert found.bytes_per_s == 2 * 4 * 1_000_000 / 0.5
    assert found.source.startswith("measured here on 2 threads")
    ceilings_room._measured.cache_clear()


def test_a_real_probe_finds_ceilings() -> None:
    found = ceilings(DEVICES["cpu"], RunSpec())
    assert 1e8 < found.macs_per_s < 1e13
    assert 1e8 < found.bytes_per_s < 1e12


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finding]:
    """The analysis of efficientvit_m0 where the runtime tells given times, several times over."""

    def analyse(*repeats: dict[str, float]) -> Finding:
        told = tuple(
            tuple(OpTime(op=op, node=op, module="", ms=ms, calls=1) for op, ms in times.items()) for times in repeats
        )
        monkeypatch.setattr(ROOM, "profile_often", lambda *_, **__: told)
        monkeypatch.setattr(ROOM, "ceilings", lambda *_: ROOF)
        target = resolve("efficientvit_m0")
        subject = Subject(name="m0", module=target.build().eval(), resolution=target.resolution, spec=target.spec)
        place = device("cpu")
        return ANALYSES["memory_bound"].run(subject, Conditions(place=place, run=run_for(place)))

    return analyse


def test_the_share_and_its_interval_are_those_of_the_repeats(analysed: Callable[..., Finding]) -> None:
    found = analysed({"FusedConv": 6.0, "Softmax": 2.0, "Transpose": 2.0}, {"FusedConv": 5.0, "Softmax": 5.0})
    # shares of what moves data: 0.4 and 0.5; Student's t with one degree of freedom is 12.706
    half = 12.7062 * math.sqrt(0.005) / math.sqrt(2)
    low, high = max(0, 45 - 100 * half), min(100, 45 + 100 * half)
    assert found.sentence.startswith(
        f"m0 spends 45.0 % ({low:.1f} to {high:.1f}) of 10.0 ms in memory-bound operators (softmax 35 %, copy 10 %), "
        "measured:ort@cpu; by arithmetic intensity "
    )
    assert "below the balance of 10.0 MACs per byte." in found.sentence
    table = found.rows.set_index("kind")
    assert table.share["conv"] == pytest.approx(0.55)
    assert (table.bound["softmax"], table.bound["copy"], table.bound["depthwise"]) == ("memory", "memory", "compute")
    assert set(table.source) == {"measured:ort@cpu"}
    assert found.plot().axes[0].get_title(loc="left") == "m0 on cpu (ort, fp32, batch 1)"


def test_an_estimated_device_has_no_interval() -> None:
    target = resolve("efficientvit_m0")
    subject = Subject(name="m0", module=target.build().eval(), resolution=target.resolution, spec=target.spec)
    place = device("orin")
    found = ANALYSES["memory_bound"].run(subject, Conditions(place=place, run=run_for(place)))
    assert set(found.rows.source) == {"estimated:roofline@orin"}
    assert found.rows.share_low.isna().all()
    assert found.rows.share.sum() == pytest.approx(1)
    assert "measured" not in found.sentence
    assert " (" not in found.sentence.split(" of ")[0]


def test_a_foreign_module_is_profiled_as_it_is() -> None:
    module: Any = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.Softmax(dim=1)).eval()
    place = device("cpu")
    conditions = Conditions(place=place, run=run_for(place, runtime="torch"))
    found = ANALYSES["memory_bound"].run(Subject(name="mine", module=module, resolution=32), conditions)
    assert set(found.rows[found.rows.ms > 0].kind) == {"conv", "softmax"}
    assert "mine spends" in found.sentence
