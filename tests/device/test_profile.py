from typing import Any

import pytest
from torch import Tensor, nn

from archlab.device.catalog import DEVICES, RunSpec
from archlab.device.ort_profile import module_path, read_profile
from archlab.device.profile import GroupTime, by_module, by_op, profile_ops
from archlab.device.runtime import OpTime
from archlab.errors import DeviceUnreachable

ROWS = (
    OpTime(op="Conv", node="a", module="stages.0.entry", ms=3.0, calls=1),
    OpTime(op="Conv", node="b", module="stages.1.blocks.0", ms=1.0, calls=1),
    OpTime(op="Reorder", node="c", module="", ms=4.0, calls=2),
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.Conv2d(8, 8, 3)])
        self.head = nn.Linear(8, 5)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        return self.head(x_BCHW.mean((2, 3)))


@pytest.fixture
def net() -> nn.Module:
    return Net().eval()


def event(name: str, op: str, index: int, duration: int, **changes: object) -> dict[str, Any]:
    args = {"op_name": op, "node_index": str(index)}
    return {"cat": "Node", "name": name, "dur": duration, "args": args} | changes


def test_rows_are_medians_over_the_runs_but_the_first() -> None:
    events = [event("model_run", "", 0, 9, cat="Session", args={})]
    for conv, gemm in [(900, 90), (10, 4), (30, 2), (20, 3)]:
        events += [
            event("/stem/Conv_fence_before", "Conv", 3, 5),
            event("/stem/Conv_kernel_time", "Conv", 3, conv),
            event("/head/Gemm_kernel_time", "Gemm", 7, gemm),
        ]
    assert read_profile(events) == (
        OpTime(op="Conv", node="/stem/Conv", module="stem", ms=0.02, calls=1),
        OpTime(op="Gemm", node="/head/Gemm", module="head", ms=0.003, calls=1),
    )


def test_nodes_of_one_name_are_kept_apart_by_their_index() -> None:
    events = [event("/Reorder_kernel_time", "Reorder", index, 1000) for index in (1, 2)]
    assert [row.ms for row in read_profile(events)] == [1.0, 1.0]


def test_a_node_of_the_runtimes_own_goes_to_the_module_before_it() -> None:
    names = ["ReorderInput", "/a/b/Conv", "Gelu_token_1", "/ReduceMean", "ReorderOutput"]
    rows = read_profile([event(f"{name}_kernel_time", "Op", index, 1) for index, name in enumerate(names)])
    assert [row.module for row in rows] == ["", "a.b", "a.b", "", ""]


@pytest.mark.parametrize(
    ("node", "path"),
    [
        ("/stages.0/blocks/blocks.1/mlp/fc1/Conv", "stages.0.blocks.1.mlp.fc1"),
        ("/stages.0/stages.0.0/Conv_output_0_nchwc", "stages.0.0"),
        ("/stages.1/entry/norm/Transpose_1", "stages.1.entry.norm"),
        ("/head/Gemm", "head"),
        ("/stages.0.blocks.1.mlp.fc1/Conv", "stages.0.blocks.1.mlp.fc1"),
        ("/stages.0.blocks.1.mlp.fc1/MatMul/MatMulAddFusion", "stages.0.blocks.1.mlp.fc1"),
        ("/stages.1/xca/MatMul/MatmulTransposeFusion/", "stages.1.xca"),
        ("/stages.0.dw.conv/Conv/WithoutBiases", "stages.0.dw.conv"),
        ("/stages.0.proj/MatMul/transpose_a", "stages.0.proj"),
        ("/head.fc/Gemm_output_0/sink_port_0", "head.fc"),
        ("/ReduceMean", ""),
        ("ReorderOutput", ""),
    ],
)
def test_the_module_is_read_off_the_nodes_name(node: str, path: str) -> None:
    assert module_path(node) == path


def test_sums_by_operator_slowest_first() -> None:
    assert by_op(ROWS) == (
        GroupTime(name="Conv", ms=4.0, calls=2, share=0.5),
        GroupTime(name="Reorder", ms=4.0, calls=2, share=0.5),
    )
    assert by_op([]) == ()


def test_sums_by_module() -> None:
    assert [(group.name, group.ms) for group in by_module(ROWS)] == [("", 4.0), ("stages.0", 3.0), ("stages.1", 1.0)]
    assert [(group.name, group.calls) for group in by_module(ROWS, depth=1)] == [("stages", 2), ("", 2)]


def test_onnx_runtime_says_where_its_time_goes(net: nn.Module) -> None:
    rows = profile_ops(net, DEVICES["cpu"], RunSpec(), input_shape=(1, 3, 16, 16), runs=5)
    found = [(row.op, row.module) for row in rows if "Conv" in row.op or row.op == "Gemm"]
    assert [op.removeprefix("Fused") for op, _ in found] == ["Conv", "Conv", "Gemm"]
    assert found[0][1] in {"stages.0.0", "stages.0.1"}  # the activation is fused into the convolution
    assert [module for _, module in found[1:]] == ["stages.1", "head"]
    assert all(row.ms > 0 for row in rows)


def test_torch_says_where_its_time_goes(net: nn.Module) -> None:
    rows = profile_ops(net, DEVICES["cpu"], RunSpec(runtime="torch"), input_shape=(1, 3, 16, 16), runs=5)
    assert [(row.op, row.module) for row in rows if row.op in {"conv2d", "relu", "mean", "linear"}] == [
        ("conv2d", "stages.0.0"),
        ("relu", "stages.0.1"),
        ("conv2d", "stages.1"),
        ("mean", ""),
        ("linear", "head"),
    ]
    assert all(row.ms > 0 for row in rows)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def test_a_device_without_a_way_to_it_has_no_profile(net: nn.Module) -> None:
    with pytest.raises(DeviceUnreachable):
        profile_ops(net, DEVICES["orin"], RunSpec(), input_shape=(1, 3, 16, 16))


def test_the_handle_is_closed(net: nn.Module, make_backend: Any) -> None:
    backend = make_backend(lambda i: (1.0, 1.0, 0))
    rows = profile_ops(net, DEVICES["cpu"], RunSpec(), input_shape=(1, 3, 16, 16), backends={"ort": backend})
    assert rows[0].op == "Conv"
    assert backend.handles[0].is_closed
