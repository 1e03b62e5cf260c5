"""Costs and times in parts: hand-made rows, then real runtimes, whose totals must come out again."""

import math
from typing import Any

import pytest

import archlab as al
from archlab.api.breakdown import Breakdown, counted, estimated, layer_of, measured
from archlab.api.target import resolve
from archlab.api.timing import deployed
from archlab.cost.rows import LayerTrace, OpRow, OpTrace, Segment
from archlab.device.catalog import DEVICES, RunSpec
from archlab.device.profile import profile_ops
from archlab.device.runtime import OpTime


def row(op: str, kind: str, module: str, macs: int = 0, elems: int = 10) -> OpRow:
    return OpRow(
        op=op, kind=kind, module=module, inputs=((1,),), outputs=((1,),), macs=macs, read_elems=elems, write_elems=elems
    )


ROWS = (
    row("convolution", "conv", "stages.0.entry.conv", 500),
    row("convolution", "conv", "stages.0.blocks.0.fc1", 300),
    row("relu", "activation", "stages.0.blocks.0.act"),
    row("add", "elementwise", "stages.0.blocks.0"),
    row("addmm", "linear", "head.fc", 200, elems=20),
)
LAYER = LayerTrace(rows=ROWS, params=0, unread=(), output=4, output_shape=(1, 4))
TRACE = OpTrace(
    segments=(Segment(prefix="", first=0, source=-1, layer=LAYER),), params=0, resolution=32, batch=1, digest=None
)
TIMES = (
    OpTime(op="Conv", node="/stages.0.entry.conv/Conv", module="stages.0.entry.conv", ms=4.0, calls=1),
    OpTime(op="ReorderOutput", node="ReorderOutput", module="stages.0.entry.conv", ms=1.0, calls=1),
    OpTime(op="Conv", node="/stages.0.blocks.0.fc1/Conv", module="stages.0.blocks.0.fc1", ms=2.0, calls=1),
    OpTime(op="ReorderOutput", node="ReorderOutput_1", module="stages.0.blocks.0.fc1", ms=0.5, calls=1),
    OpTime(op="Add", node="/stages.0.blocks.0/Add", module="stages.0.blocks.0", ms=0.5, calls=1),
    OpTime(op="Gemm", node="/head.fc/Gemm", module="head.fc", ms=1.0, calls=1),
    OpTime(op="Thing", node="Thing", module="", ms=1.0, calls=1),
)


def assert_adds_up(parts: Breakdown, total: float) -> None:
    assert parts.total_ms == pytest.approx(total)
    for rows in (parts.ops, parts.layers, parts.kernels):
        assert sum(row["ms"] for row in rows) == pytest.approx(total)
    assert sum(row["share"] for row in parts.layers) == pytest.approx(1)


def test_counts_alone_have_no_times_and_a_share_of_the_traffic() -> None:
    parts = counted(TRACE, 4)
    assert [(row["op"], row["kind"], row["count"], row["macs"], row["bytes"], row["ms"]) for row in parts.ops] == [
        ("convolution", "conv", 2, 800, 160, None),
        ("addmm", "linear", 1, 200, 160, None),
        ("add", "elementwise", 1, 0, 80, None),
        ("relu", "activation", 1, 0, 80, None),
    ]
    assert [(row["layer"], row["macs"], row["bytes"]) for row in parts.layers] == [
        ("stages.0.entry", 500, 80),
        ("stages.0.blocks.0", 300, 240),
        ("head", 200, 160),
    ]
    assert parts.memory_bound_share == 160 / 480
    assert (parts.basis, parts.total_ms, parts.joined_share, parts.kernels) == ("traffic", None, None, [])


def test_times_stand_beside_the_counts() -> None:
    parts = measured(TRACE, TIMES, 4, "measured:ort@cpu")
    assert_adds_up(parts, 10.0)
    assert [(row["op"], row["kind"], row["count"], row["macs"], row["ms"]) for row in parts.ops] == [
        ("convolution", "conv", 2, 800, 6.0),
        ("ReorderOutput", "copy", 2, 0, 1.5),
        ("addmm", "linear", 1, 200, 1.0),
        ("Thing", "other", 1, 0, 1.0),
        ("add", "elementwise", 1, 0, 0.5),
        ("relu", "activation", 1, 0, 0.0),
    ]
    assert [(row["layer"], row["ms"], row["share"]) for row in parts.layers] == [
        ("stages.0.entry", 5.0, 0.5),
        ("stages.0.blocks.0", 3.0, 0.3),
        ("head", 1.0, 0.1),
        ("", 1.0, 0.1),
    ]
    assert parts.memory_bound_share == 0.3
    assert parts.basis == "time, measured:ort@cpu"
    assert parts.joined_share == 0.9
    assert parts.kernels[1] == {
        "op": "ReorderOutput",
        "node": "ReorderOutput",
        "module": "stages.0.entry.conv",
        "ms": 1.0,
        "place": "module",
    }


def test_no_times_at_all_are_no_shares() -> None:
    parts = measured(TRACE, (), 4, "measured:ort@cpu")
    assert (parts.total_ms, parts.joined_share, parts.memory_bound_share) == (0, None, 0)


def test_an_estimate_adds_up_as_well() -> None:
    parts = estimated(resolve("efficientvit_m0").trace(), DEVICES["orin"], 2)
    total = sum(row["ms"] for row in parts.ops)
    assert parts.total_ms == pytest.approx(total) == pytest.approx(sum(row["ms"] for row in parts.layers))
    assert parts.basis == "time, estimated:roofline@orin"
    assert (parts.kernels, parts.joined_share) == ([], None)


@pytest.mark.parametrize(
    ("path", "layer"),
    [
        ("stages.1.blocks.3.mlp.fc1", "stages.1.blocks.3"),
        ("stages.1.entry.norm", "stages.1.entry"),
        ("stages.1.blocks.3", "stages.1.blocks.3"),
        ("head.fc", "head"),
        ("layer1.0.conv1", "layer1.0.conv1"),
        ("blocks.0.1.conv", "blocks.0"),
        ("", ""),
    ],
)
def test_a_layer_is_an_entry_a_block_or_the_head(path: str, layer: str) -> None:
    assert layer_of(path) == layer


@pytest.mark.parametrize(
    ("runtime", "least"),
    [("ort", 0.99), ("torch", 0.99), ("openvino", 0.97), pytest.param("torch_compiled", 0.9, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("model", ["efficientvit_m0", "edgenext_xx_small"])
def test_the_times_of_a_runtime_find_their_places(runtime: str, least: float, model: str) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    target = resolve(model)
    trace, side = target.trace(), target.resolution
    run = RunSpec(runtime=runtime)
    times = profile_ops(deployed(target), DEVICES["cpu"], run, input_shape=(1, 3, side, side), runs=3)
    parts = measured(trace, times, 4, f"measured:{runtime}@cpu")
    assert_adds_up(parts, math.fsum(time.ms for time in times))
    assert parts.joined_share is not None
    assert parts.joined_share >= least
    convs: dict[str, Any] = next(row for row in parts.ops if row["kind"] == "conv")
    assert convs["macs"] == sum(row.macs for row in trace.rows if row.kind == "conv")
    assert convs["ms"] > 0


def test_a_profile_gives_its_tables_as_data_frames() -> None:
    found = al.profile("efficientvit_m0", device="orin")
    assert found.table()["macs"].sum() == found.macs
    layers = found.layer_table()
    assert layers["macs"].sum() == found.macs
    assert layers["layer"].tolist()[:2] == ["stages.0.entry", "stages.0.blocks.0"]
