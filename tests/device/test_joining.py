"""Times of a runtime put down to counted rows, by hand."""

from typing import Any

import pytest

from archlab.cost.rows import OpRow
from archlab.device.joining import join, kinds_of
from archlab.device.runtime import OpTime


def row(op: str, kind: str, module: str, **more: Any) -> OpRow:
    macs = 100 if kind in {"conv", "depthwise", "linear", "matmul"} else 0
    return OpRow(op=op, kind=kind, module=module, inputs=((1, 4),), outputs=((1, 4),), macs=macs, **more)


def time(op: str, node: str, module: str, ms: float = 1.0) -> OpTime:
    return OpTime(op=op, node=node, module=module, ms=ms, calls=1)


ROWS = [
    row("convolution", "depthwise", "a.dw"),  # 0
    row("permute", "view", "a"),  # 1
    row("native_layer_norm", "norm", "a.norm"),  # 2
    row("addmm", "linear", "a.fc1"),  # 3
    row("gelu", "activation", "a.act"),  # 4
    row("addmm", "linear", "a.fc2"),  # 5
    row("mul", "elementwise", "a"),  # 6: a layer scale, folded away by the runtime
    row("add", "elementwise", "a"),  # 7
    row("convolution", "conv", "b.position", is_constant=True),  # 8
    row("bmm", "matmul", "b"),  # 9
    row("_softmax", "softmax", "b.softmax"),  # 10
    row("bmm", "matmul", "b"),  # 11
]


def places(*times: OpTime) -> list[tuple[str, int | None, str, str]]:
    return [(joint.place, joint.row, joint.module, joint.kind) for joint in join(ROWS, times)]


def test_an_operator_goes_to_the_row_of_its_kind_in_its_module() -> None:
    assert places(time("Conv", "/a.dw/Conv", "a.dw"), time("Gemm", "/a.fc2/Gemm", "a.fc2")) == [
        ("operator", 0, "a.dw", "depthwise"),
        ("operator", 5, "a.fc2", "linear"),
    ]


def test_two_of_a_kind_in_a_module_are_taken_in_order_and_once() -> None:
    products = [time("MatMul", f"/b/MatMul_{i}", "b") for i in range(3)]
    assert [place[:2] for place in places(*products)] == [("operator", 9), ("operator", 11), ("module", None)]


def test_an_operator_named_after_what_was_fused_into_it_is_the_next_one_in_order() -> None:
    conv = time("Conv", "/a.act/Relu_output_0_nchwc", "a.act")
    assert places(conv) == [("operator", 0, "a.dw", "depthwise")]


def test_an_activation_without_a_name_is_the_next_one_in_order() -> None:
    found = places(time("Gemm", "/a.fc1/Gemm", "a.fc1"), time("Gelu", "Gelu_token_7", "a.fc1"))
    assert found[1] == ("operator", 4, "a.act", "activation")


def test_no_matrix_operator_is_passed_over() -> None:
    # 3 and 5 wait for their times, so a product without a name cannot be row 9 yet
    assert places(time("conv2d", "x", ""), time("Conv", "y", "")) == [
        ("operator", 0, "a.dw", "depthwise"),
        ("kind", None, "", "conv"),
    ]


def test_a_bias_goes_to_its_matrix_operator() -> None:
    assert places(
        time("MatMul", "/a.fc1/MatMul", "a.fc1"), time("Add", "/a.fc1/Add", "a.fc1"), time("Add", "/a/Add", "a")
    ) == [
        ("operator", 3, "a.fc1", "linear"),
        ("operator", 3, "a.fc1", "linear"),
        ("operator", 7, "a", "elementwise"),  # not the multiplication before it
    ]


def test_what_the_runtime_made_itself_goes_to_a_module() -> None:
    assert places(time("Conv", "/a.dw/Conv", "a.dw"), time("ReorderOutput", "ReorderOutput", "a.dw")) == [
        ("operator", 0, "a.dw", "depthwise"),
        ("module", None, "a.dw", "copy"),
    ]
    assert places(time("Subgraph", "Subtract_17", "a")) == [("module", None, "a", "elementwise")]


def test_a_view_that_takes_time_is_joined_where_the_module_has_one() -> None:
    assert places(time("Transpose", "/a/Transpose", "a")) == [("operator", 1, "a", "view")]


def test_what_no_input_reaches_is_never_timed() -> None:
    assert places(time("Conv", "/b.position/Conv", "b.position"))[0][1] == 0


def test_a_module_that_the_network_does_not_have_is_the_nearest_around_it() -> None:
    assert places(time("Cast", "/a.fc1/inner/Cast", "a.fc1.inner"), time("Cast", "/c/Cast", "c")) == [
        ("module", None, "a.fc1", "other"),
        ("module", None, "", "other"),
    ]


def test_without_any_module_only_the_kind_is_known() -> None:
    assert places(time("Reorder", "Reorder", "")) == [("kind", None, "", "copy")]


def test_no_time_is_lost_or_split() -> None:
    times = [time(op, f"n{i}", "a" if i % 2 else "", 0.5 + i) for i, op in enumerate(["Conv", "Add", "Odd", "Gemm"])]
    assert [joint.time for joint in join(ROWS, times)] == times


@pytest.mark.parametrize(
    ("op", "kinds"),
    [
        ("Conv", ("conv", "depthwise")),
        ("FusedConv", ("conv", "depthwise")),
        ("GroupConvolution", ("conv", "depthwise")),
        ("convolution", ("conv", "depthwise")),
        ("conv2d", ("conv", "depthwise")),
        ("mkldnn_convolution", ("conv", "depthwise")),
        ("Gemm", ("linear", "matmul")),
        ("FusedMatMul", ("linear", "matmul")),
        ("FullyConnected", ("linear", "matmul")),
        ("addmm", ("linear", "matmul")),
        ("_mkl_linear", ("linear", "matmul")),
        ("SkipLayerNormalization", ("norm",)),
        ("MVN", ("norm",)),
        ("cpp_fused_native_layer_norm_permute", ("norm",)),
        ("cpp_fused_convolution_relu", ("activation",)),
        ("cpp_fused_convolution", ("copy",)),
        ("cpp_fused__softmax_add_select", ("softmax",)),
        ("triton_poi_fused_convolution_relu_3", ("activation",)),
        ("triton_per_fused_convolution_native_layer_norm_0", ("norm",)),
        ("triton_tem_fused_convolution_1", ("conv", "depthwise")),
        ("BiasGelu", ("activation",)),
        ("HardSwish", ("activation",)),
        ("Subgraph", ("elementwise",)),
        ("ReduceL2", ("reduce",)),
        ("GlobalAveragePool", ("pool",)),
        ("Concat", ("copy",)),
        ("Transpose", ("view",)),
        ("ReorderInput", ("view",)),
        ("split_with_sizes", ("view",)),
        ("NonMaxSuppression", ("elementwise",)),
        ("TopK", ("other",)),
    ],
)
def test_a_runtimes_name_tells_the_kind(op: str, kinds: tuple[str, ...]) -> None:
    assert kinds_of(op) == kinds
